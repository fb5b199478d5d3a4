"""Where the recordings and static images lie that a folder does not hold: near it, or swapped.

In: a card, the folders that were given, and the error that one holds nothing of it. Out: an
error with what was found, where, and what to give in place of what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...data_cards.found import StaticFiles
from ...data_cards.schema import Card
from ...data_cards.templates import pattern_fields
from ...data_cards.vocabulary import is_archive
from ...errors import BadFileError, ElsewhereError, UsageError, shell_word
from ..disk.listing import NothingFoundError, folder_there
from ..disk.patterns import Component, components, match_names
from ..raw.recordings import class_of
from ..raw.slices import table_name
from ..statics.cifar10 import cifar10_file
from ..statics.files import archives_of
from ..statics.images import mnist_file
from ..statics.zips import archive_members
from .nearby import BOUND, Accept, Look, Place, spelled


class Sought(NamedTuple):
    """One kind of files.

    Attributes:
        option: that names their folder.
        folder: which was given.
        below: returns such a file of a folder that the option could name, None for none.
        above: returns the folder above one that was given too low, None for none.
    """

    option: str
    folder: Path
    below: Callable[[Path], Path | None]
    above: Callable[[Path], Place | None]

    def found_at(self, folder: Path, look: Look) -> list[Place]:
        """Return where such files lie: in a folder, above it, or below it."""
        path = self.below(folder)
        if path is not None:
            return [Place(folder, path)]
        place = self.above(folder)
        return [place] if place is not None else look.below(folder, self.below)


def explained(
    error: UsageError, card: Card, raw: Path, static: Path | None, option: str = "--raw"
) -> UsageError:
    """Return an error with where what it misses was found.

    Args:
        error: of one of the folders.
        card: the dataset.
        raw: what was given as ``--raw``.
        static: what was given as ``--static``; None for nothing.
        option: which of the two the error is of.
    """
    look = Look()
    sought = [_recordings(card, raw, look)]
    if static is not None and card.static is not None:
        sought.append(_images(card, card.static, static, look))
    given: dict[str, Path] = {}
    told: list[str] = []
    for each in sought:
        at, *more = _anywhere(each, sought, look) or [Place(each.folder, each.folder)]
        if at.folder == each.folder:
            continue
        given[each.option] = at.folder
        others = f", as does {more[0].example} below {more[0].folder}" if more else ""
        told.append(f"{at.example} matches below {at.folder}{others}")
    if option not in given:
        if not isinstance(error, NothingFoundError):
            return error
        bound = f"nor is there one elsewhere within {BOUND} of it"
        return NothingFoundError(f"{error}{_other_use(card, raw, static, look)}; {bound}")
    swapped = "; the two are swapped" if given == {"--raw": static, "--static": raw} else ""
    words = " ".join(f"{name} {shell_word(folder)}" for name, folder in given.items())
    return ElsewhereError(f"{error}; {', and '.join(told)}{swapped}; give {words}", given)


def _anywhere(sought: Sought, all_of: Sequence[Sought], look: Look) -> list[Place]:
    """Return where files lie: by their own folder, or else by that of another option."""
    for folder in (sought.folder, *(each.folder for each in all_of if each is not sought)):
        found = sought.found_at(folder, look)
        if found:
            return found
    return []


def _other_use(card: Card, raw: Path, static: Path | None, look: Look) -> str:
    """Return what the folders hold instead: the other kind of files, or what is to be unpacked."""
    if static is None and card.static is not None:
        image = _images(card, card.static, raw, look).below(raw)
        if image is not None:
            return f"; {image} is a static image, whose folder --static takes"
    if static is not None and _recordings(card, static, look).below(static) is not None:
        return f"; {static} holds recordings"
    for folder in (raw, static):
        if folder is not None:
            names = [e.name for e in look.entries(folder) if is_archive(e.name)]
            if names:
                return f"; {folder / names[0]} is packed, so unpack it there"
    return ""


def _recordings(card: Card, folder: Path, look: Look) -> Sought:
    """Return how the recordings of a card are known."""
    spec = card.events
    if spec.format == "tonic":
        return _of_tonic(spec.roots[0], folder)
    accept = _of_classes(card, spec.class_name, spec.pattern)
    found = _by_pattern("--raw", folder, spec.roots, components(spec.pattern), accept, look)
    if spec.slices is None:
        return found
    slices = spec.slices

    def above(place: Path) -> Place | None:
        up = found.above(place)  # by their names alone, folders of anything could be it
        return up if up is not None and table_name(up.example, slices).is_file() else None

    return found._replace(above=above)


def _of_classes(card: Card, template: str, pattern: str) -> Accept:
    """Return whether fields are of a class of a card, as far as they tell."""
    told = {*pattern_fields(template or "{class}")} <= {*pattern_fields(pattern)}
    classes = {*card.classes} if told else set()
    return lambda fields: not classes or class_of(template, fields) in classes


def _of_tonic(name: str, folder: Path) -> Sought:
    """Return how the recordings of a data set that tonic reads are known."""
    from ..raw.tonic_listing import tonic_recording

    def below(place: Path) -> Path | None:
        return tonic_recording(name, place)

    def above(place: Path) -> Place | None:
        for each in (place, *place.absolute().parents):
            if each.absolute().name == name:
                home = each.parent if each.name else each.absolute().parent
                path = below(home)
                return None if path is None else Place(home, path)
        return None

    return Sought("--raw", folder, below, above)


def _images(card: Card, spec: StaticFiles, folder: Path, look: Look) -> Sought:
    """Return how the static images of a card are known."""
    if spec.layout != "images":
        levels = 2  # such folders as MNIST/raw are found from above
        held = mnist_file if spec.layout == "mnist" else cifar10_file

        def of_files(place: Path) -> Iterator[Place]:
            for parent in _parents(place, levels):
                file = held(parent)
                if file is not None:
                    yield Place(parent, file)

        return Sought("--static", folder, held, lambda place: next(of_files(place), None))
    parts = components(spec.pattern, spec.suffixes)
    accept = _of_classes(card, spec.class_name, spec.pattern)
    plain = _by_pattern("--static", folder, spec.roots, parts, accept, look)

    def below(place: Path) -> Path | None:
        return plain.below(place) or _archive(spec, place)

    def above(place: Path) -> Place | None:
        found = ((up, _archive(spec, up)) for up in _parents(place, len(parts)))
        packed = next((Place(up, file) for up, file in found if file is not None), None)
        return plain.above(place) or packed

    return Sought("--static", folder, below, above)


def _parents(place: Path, levels: int) -> Iterator[Path]:
    """Yield the nearest folders above a place."""
    for up in range(levels):
        yield from spelled(place, up + 1).parents[up : up + 1]


def _by_pattern(
    option: str,
    folder: Path,
    roots: Sequence[str],
    parts: Sequence[Component],
    accept: Accept,
    look: Look,
) -> Sought:
    """Return how files are known that lie by a pattern below one of some roots."""

    def below(place: Path) -> Path | None:
        starts = (folder_there(place, root) for root in roots)
        found = (look.first(start, parts, accept) for start in starts if start is not None)
        return next((path for path in found if path is not None), None)

    def above(place: Path) -> Place | None:
        found = (look.above(place, root, parts, accept) for root in roots)
        return next((each for each in found if each is not None), None)

    return Sought(option, folder, below, above)


def _archive(spec: StaticFiles, folder: Path) -> Path | None:
    """Return an archive of pictures that lies in a folder, by a card's names of them."""
    for path in archives_of(spec, folder).values():
        try:
            if any(match_names(archive_members(path), spec.pattern, spec.suffixes)):
                return path
        except BadFileError:  # whoever reads it says so
            return path
    return None
