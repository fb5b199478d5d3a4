"""What a build will do, before any recording is opened: files, classes, settings, names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data_cards.schema import Card
from ...errors import UsageError
from ..cache.settings import key_of, settings_of
from ..disk.digests import fingerprint
from ..disk.files import size_of
from ..disk.listing import Passed
from ..framing.options import FrameOptions
from ..raw.recording import Recording
from ..raw.recordings import found_classes, list_recordings
from ..readers.base import READERS, version_of
from ..statics.images import StaticImage, list_statics


@dataclass(frozen=True)
class Request:
    """What to preprocess, fully resolved.

    Attributes:
        card: the dataset.
        raw: folder of the recordings.
        static: folder of the static images, or None for an event-only cache.
        cache: root of all caches.
        options: framing options.
    """

    card: Card
    raw: Path
    static: Path | None
    cache: Path
    options: FrameOptions

    def absolute(self) -> Request:
        """Return the same request for a process in another working directory."""
        static = self.static.absolute() if self.static else None
        return dataclasses.replace(
            self, raw=self.raw.absolute(), static=static, cache=self.cache.absolute()
        )


@dataclass(frozen=True)
class Plan:
    """Everything known before a raw file is opened."""

    recordings: list[Recording]
    event_files: dict[str, Path]
    statics: list[StaticImage]
    static_files: dict[str, Path]
    planes: tuple[str, ...]
    classes: list[str]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def files(self) -> dict[str, Path]:
        """Name in the manifest → path of every raw file."""
        events = {f"raw/{name}": path for name, path in self.event_files.items()}
        return events | {f"static/{name}": path for name, path in self.static_files.items()}

    def draft(self) -> str:
        """Name of the build before any content is known: settings, names and sizes.

        Where a table tells which parts of the files are recordings, they belong to it: a changed
        table may have its old size.
        """
        known: dict[str, Any] = {
            "settings": self.settings,
            "sizes": {name: size_of(path) for name, path in self.files.items()},
        }
        parts = {r.identity: r.part for r in self.recordings if r.part}
        return fingerprint({**known, "parts": parts} if parts else known)

    def key(self, digests: Mapping[str, str]) -> str:
        """Name of the finished cache; ``digests`` has one entry per file."""
        return key_of(self.settings, self.manifest(digests))

    def manifest(self, digests: Mapping[str, str]) -> dict[str, tuple[int, str]]:
        """Return size and digest of every raw file, sorted by name."""
        files = sorted(self.files.items())
        return {name: (size_of(path), digests[name]) for name, path in files}


def make_plan(request: Request, *, skip: bool = False) -> Plan:
    """List both folders and settle classes, settings and what is left out.

    Args:
        request: what to build.
        skip: pass over files of recordings that cannot be listed, instead of raising.

    Raises:
        UsageError: the folders do not hold what the card describes.
        BadFileError: a file of many static images or recordings is damaged.
    """
    card = request.card
    notes: list[str] = []
    found = list_recordings(card.events, request.raw, skip=skip)
    classes = list(card.classes) or found_classes(card.events, [*found.recordings, *found.missed])
    known = set(classes)
    recordings = [r for r in found.recordings if r.class_name in known]
    unknown = Counter(r.class_name for r in found.recordings if r.class_name not in known)
    notes += [*found.notes, *_unknown_notes(unknown, "recordings", card.name)]
    if not recordings:
        raise UsageError(
            f"--raw {request.raw}: {len(found.recordings)} recordings match "
            f"{card.events.pattern}, but none is of a class of the card "
            f"(found {', '.join(sorted(unknown)[:5])})"
        )
    absent = len(known - {r.class_name for r in recordings})
    if absent:
        notes.append(f"{absent} of {len(classes)} classes have no recording here")
    left_out = {r.path for r in found.recordings} - {r.path for r in recordings}
    event_files = {n: path for n, path in found.files.items() if path not in left_out}
    statics: list[StaticImage] = []
    files: dict[str, Path] = {}
    planes: tuple[str, ...] = ()
    dead: tuple[tuple[str, str], ...] = ()
    if request.static is not None:
        if card.static is None:
            raise UsageError(f"card {card.name} describes no static images; leave out --static")
        passed = Passed(skip=skip)
        listed = list_statics(card.static, request.static, card.events.order, passed)
        notes += passed.notes("--static")
        dead = passed.skipped("static")
        images = listed.images
        if card.static.layout == "images" and not (
            "{class}" in card.static.pattern or card.static.class_name
        ):
            images = _classed_by_twin(images, recordings, request, card.static.twin, notes)
        statics = [image for image in images if image.class_name in known]
        others = Counter(i.class_name for i in images if i.class_name not in known)
        notes += _unknown_notes(others, "static images", card.name)
        kept = {image.path for image in statics}
        files = {name: path for name, path in listed.files.items() if path in kept}
        files |= {n: p for n, p in listed.files.items() if card.static.layout != "images"}
        files |= {link.relative: link.path for link in passed.links}
        planes = listed.planes
    settings = settings_of(card, request.options, classes, statics=bool(statics))
    reader = found.reader or version_of(card.events.format)
    if reader:  # another release may decode the same files otherwise
        settings["reader"] = reader
    return Plan(
        recordings,
        event_files,
        statics,
        files,
        planes,
        classes,
        settings,
        tuple(notes),
        (*found.skipped, *dead),
    )


def _classed_by_twin(
    images: tuple[StaticImage, ...],
    recordings: list[Recording],
    request: Request,
    twin: str,
    notes: list[str],
) -> tuple[StaticImage, ...]:
    """Give each image its recording's class; leave out, and note, those without a recording."""
    class_of = {twin.format(**r.fields): r.class_name for r in recordings}
    kept = tuple(
        dataclasses.replace(image, class_name=class_of[image.identity])
        for image in images
        if image.identity in class_of
    )
    if not kept:
        raise UsageError(
            f"--static {request.static}: no image is the twin of a recording (found "
            f"{images[0].identity}, expected such as {next(iter(class_of))}), so their classes "
            "are unknown"
        )
    lost = len(images) - len(kept)
    if lost:
        notes.append(
            f"{lost} static images left out: their classes are unknown without a recording"
        )
    return kept


def _unknown_notes(counts: Counter[str], what: str, card: str) -> Iterator[str]:
    if counts:
        names = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())[:5])
        more = ", …" if len(counts) > 5 else ""
        yield f"{counts.total()} {what} of classes that card {card} does not name: {names}{more}"


def make_request(
    card: Card,
    *,
    raw: Path,
    static: Path | None,
    cache: Path,
    **framing: Any,
) -> Request:
    """Resolve a request: what is not given, or None, comes from the card.

    Args:
        card: the dataset.
        raw: folder of the recordings.
        static: folder of the static images, or None.
        cache: root of all caches.
        framing: framing options by the names of :class:`FrameOptions`; ``size`` may be the side
            of a square or ``native``.

    Raises:
        UsageError: a framing option has no meaning, or nothing reads the card's format.
    """
    _check_format(card)
    options = FrameOptions.from_card(card, **framing)
    return Request(card=card, raw=raw, static=static, cache=cache, options=options)


def _check_format(card: Card) -> None:
    """Refuse a card whose raw files no reader reads, or not by the parts it asks for."""
    place, format = f"card {card.name}: [events", card.events.format
    if not READERS.knows(format):
        raise READERS.unknown(format, f"{place}] ")
    if card.events.slices is not None and not READERS.get(format).slices:
        raise UsageError(f"{place}.slices] needs format = 'aedat4', found '{format}'")
