"""What a build will do, before any recording is opened: files, classes, settings, names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data_cards.checks import check_card
from ...data_cards.schema import Card
from ...data_cards.vocabulary import KINDS, Fit, Kind
from ...errors import UsageError, nearest
from ..cache.notes import Note
from ..cache.settings import key_of, settings_of
from ..disk.digests import fingerprint
from ..disk.files import size_of
from ..disk.listing import NothingFoundError
from ..framing.options import FrameOptions
from ..raw.recording import Recording, RecordingSet
from ..raw.recordings import found_classes, list_recordings
from ..readers.base import READERS, version_of
from ..statics.images import StaticImage
from .elsewhere import explained
from .ignored import ignored_files, suffix_note, unknown_notes, with_suffixes
from .spelling import recordings_spelled
from .static_files import StaticPlan, plan_statics
from .unpaired import Unpaired
from .without_static import without_static


@dataclass(frozen=True)
class Request:
    """What to preprocess, fully resolved.

    Attributes:
        card: the dataset.
        raw: folder of the recordings.
        static: folder of the static images, or None for an event-only cache.
        cache: root of all caches.
        options: framing options.
        unpaired: what to do where too few names match; see
            :mod:`~snntx.preprocess.planning.unpaired`.
        kind: what is kept of the recordings.
    """

    card: Card
    raw: Path
    static: Path | None
    cache: Path
    options: FrameOptions
    unpaired: Unpaired = "stop"
    kind: Kind = "frames"

    def absolute(self) -> Request:
        """Return the same request for a process in another working directory."""
        static = self.static.absolute() if self.static else None
        return dataclasses.replace(
            self, raw=self.raw.absolute(), static=static, cache=self.cache.absolute()
        )


@dataclass(frozen=True)
class Plan:
    """Everything known before a raw file is opened.

    ``notes`` are lines for the people who see this call, on what may differ from one machine to
    the next. ``passed_over`` is kept in the cache, and part of its key.
    """

    recordings: list[Recording]
    event_files: dict[str, Path]
    statics: list[StaticImage]
    static_files: dict[str, Path]
    planes: tuple[str, ...]
    classes: list[str]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[Note, ...] = ()

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
            "passed_over": [each.text for each in self.passed_over],
        }
        parts = {r.identity: r.part for r in self.recordings if r.part}
        return fingerprint({**known, "parts": parts} if parts else known)

    def key(self, digests: Mapping[str, str]) -> str:
        """Name of the finished cache; ``digests`` has one entry per file."""
        return key_of(self.settings, self.manifest(digests), self.passed_over)

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
    found = _recordings(request, skip)
    classes = list(card.classes) or found_classes(card.events, [*found.recordings, *found.missed])
    known = set(classes)
    spelled = recordings_spelled(found.recordings, classes)
    recordings = [r for r in spelled if r.class_name in known]
    unknown = Counter(r.class_name for r in spelled if r.class_name not in known)
    if not recordings:
        error = UsageError(
            f"--raw {request.raw}: {len(found.recordings)} recordings match "
            f"{card.events.pattern}, but none is of a class of the card "
            f"(found {', '.join(sorted(unknown)[:5])})"
        )
        raise explained(error, card, request.raw, request.static)
    absent = len(known - {r.class_name for r in recordings})
    left_out = {r.path for r in found.recordings} - {r.path for r in recordings}
    event_files = {n: path for n, path in found.files.items() if path not in left_out}
    listed = StaticPlan()
    if request.static is not None:
        if card.static is None:
            raise without_static(card, request.raw, request.cache, recordings[0])
        try:
            listed = plan_statics(
                card,
                card.static,
                request.static,
                request.unpaired,
                recordings,
                found.files.values(),
                skip=skip,
                known=known,
            )
        except NothingFoundError as error:
            raise explained(error, card, request.raw, request.static, "--static") from error
    beside = _beside_recordings(request, found, listed.files.values())
    settings = settings_of(
        card, request.options, classes, statics=bool(listed.images), kind=request.kind
    )
    reader = found.reader or version_of(card.events.format)
    if reader:  # another release may decode the same files otherwise
        settings["reader"] = reader
    if any(each.kind == "dropped" for each in listed.passed_over):
        settings["unpaired"] = request.unpaired
    lines = [f"{absent} of {len(classes)} classes have no recording here"] if absent else []
    return Plan(
        recordings,
        event_files,
        list(listed.images),
        dict(listed.files),
        listed.planes,
        classes,
        settings,
        (*found.notes, *lines, *listed.notes),
        (*found.skipped, *listed.skipped),
        (*unknown_notes(unknown, "recordings", card.name), *beside, *listed.passed_over),
    )


def _recordings(request: Request, skip: bool) -> RecordingSet:
    """List the recordings; where there are none, other suffixes or folders may be the reason."""
    spec = request.card.events
    try:
        return list_recordings(spec, request.raw, classes=request.card.classes, skip=skip)
    except NothingFoundError as error:
        told = explained(error, request.card, request.raw, request.static)
        if isinstance(told, NothingFoundError):
            told = with_suffixes(told, request.raw, spec.roots, spec.pattern, (), "--raw")
        raise told from error


def _beside_recordings(request: Request, found: RecordingSet, taken: Iterable[Path]) -> list[Note]:
    """Return the note on files beside the recordings that differ from them by suffix alone."""
    spec = request.card.events
    if spec.format == "tonic" or not found.files:  # tonic lists its own files
        return []
    name, path = next(iter(found.files.items()))
    used = {*found.files.values(), *taken}
    names = ignored_files(path.parents[name.count("/")], spec.pattern, (), used)
    return suffix_note(names, "--raw", spec.pattern, ())


def make_request(
    card: Card,
    *,
    raw: Path,
    static: Path | None,
    cache: Path,
    unpaired: Unpaired = "stop",
    static_fit: Fit | None = None,
    kind: Kind | None = None,
    **framing: Any,
) -> Request:
    """Resolve a request: what is not given, or None, comes from the card.

    Args:
        card: the dataset.
        raw: folder of the recordings.
        static: folder of the static images, or None.
        cache: root of all caches.
        unpaired: what to do where too few images and recordings match by name: ``stop``,
            ``class`` keeps such images as class partners, ``drop`` leaves them out.
        static_fit: how static images come into the frames, in place of the card's ``fit``.
        kind: what is kept of the recordings, in place of the card's.
        framing: framing options by the names of :class:`FrameOptions`; ``size`` may be the side
            of a square or ``native``.

    Raises:
        UsageError: a framing option or the fit has no meaning, or nothing reads the card's format.
    """
    _check_format(card)
    if static_fit is not None:
        card = _fitted(card, static, static_fit)
    options = FrameOptions.from_card(card, **framing)
    kept = kind or card.framing.kind
    if kept not in KINDS:
        near = nearest(kept, KINDS)
        raise UsageError(f"kind must be one of {', '.join(KINDS)}, found '{kept}'{near}")
    return Request(card, raw, static, cache, options, unpaired, kept)


def _fitted(card: Card, static: Path | None, fit: Fit) -> Card:
    """Return a card whose static images are fitted otherwise."""
    if card.static is None or static is None:
        lacks = "--static is not given" if card.static else f"card {card.name} has no static images"
        raise UsageError(f"static_fit = '{fit}' is for static images, but {lacks}; leave it out")
    changed = dataclasses.replace(card, static=dataclasses.replace(card.static, fit=fit))
    check_card(changed, f"card {card.name} with static_fit = '{fit}'")
    return changed


def _check_format(card: Card) -> None:
    """Refuse a card whose raw files no reader reads, or not by the parts it asks for."""
    place, format = f"card {card.name}: [events", card.events.format
    if not READERS.knows(format):
        raise READERS.unknown(format, f"{place}] ")
    if card.events.wraps and not READERS.get(format).timers:
        raise UsageError(
            f"{place}] wraps = true, but the timer of format '{format}' does not start over; leave "
            "it out"
        )
    if card.events.numbered is not None and not READERS.get(format).numbered:
        raise UsageError(f"{place}.numbered] needs format = 'gait', found '{format}'")
    if card.events.columns is not None and not READERS.get(format).takes_columns:
        raise UsageError(
            f"{place}.columns] is for files of plain columns (csv, hdf5, npy, npz), and those of "
            f"format '{format}' have their own; leave it out"
        )
    if card.events.slices is not None and not READERS.get(format).slices:
        known = " or ".join(f"'{name}'" for name in READERS.shipped() if READERS.get(name).slices)
        raise UsageError(f"{place}.slices] needs format = {known}, found '{format}'")
    if card.events.class_from == "file" and not READERS.get(format)().tells_class:
        raise UsageError(
            f"{place}] class_from = 'file', but files of format '{format}' do not tell their "
            "class; leave it out"
        )
