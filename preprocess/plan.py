"""What a build will do, before any recording is opened: files, classes, settings, names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data_cards.schema import Card
from ..errors import UsageError
from . import cache_format as fmt
from .manifest import fingerprint
from .options import FrameOptions
from .recordings import Recording, list_recordings
from .statics import StaticImage, list_statics


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

    @property
    def files(self) -> dict[str, Path]:
        """Name in the manifest → path of every raw file."""
        events = {f"raw/{name}": path for name, path in self.event_files.items()}
        return events | {f"static/{name}": path for name, path in self.static_files.items()}

    def draft(self) -> str:
        """Name of the build before any content is known: settings, names and sizes."""
        sizes = {name: path.stat().st_size for name, path in self.files.items()}
        return fingerprint({"settings": self.settings, "sizes": sizes})

    def key(self, digests: Mapping[str, str]) -> str:
        """Name of the finished cache; ``digests`` has one entry per file."""
        manifest = {name: [path.stat().st_size, digests[name]] for name, path in self.files.items()}
        return fingerprint({"settings": self.settings, "manifest": manifest})


def make_plan(request: Request) -> Plan:
    """List both folders and settle classes, settings and what is left out.

    Raises:
        UsageError: the folders do not hold what the card describes.
        BadFileError: a file of many static images is damaged.
    """
    card = request.card
    notes: list[str] = []
    found = list_recordings(card.events, request.raw)
    classes = list(card.classes) or sorted({r.class_name for r in found.recordings})
    known = set(classes)
    recordings = [r for r in found.recordings if r.class_name in known]
    unknown = Counter(r.class_name for r in found.recordings if r.class_name not in known)
    notes += _unknown_notes(unknown, "recordings", card.name)
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
    if request.static is not None:
        if card.static is None:
            raise UsageError(f"card {card.name} describes no static images; leave out --static")
        listed = list_statics(card.static, request.static)
        statics = [image for image in listed.images if image.class_name in known]
        others = Counter(i.class_name for i in listed.images if i.class_name not in known)
        notes += _unknown_notes(others, "static images", card.name)
        kept = {image.path for image in statics}
        files = {name: path for name, path in listed.files.items() if path in kept}
        files |= {n: p for n, p in listed.files.items() if card.static.layout != "images"}
        planes = listed.planes
    static_rules = dataclasses.asdict(card.static) if card.static and statics else None
    if static_rules:
        del static_rules["twin_evidence"]  # prose: a better wording is no other cache
    settings = {
        "version": fmt.VERSION,
        "card": card.name,
        "events": dataclasses.asdict(card.events),
        "static": static_rules,
        "splits": {name: dataclasses.asdict(rule) for name, rule in card.splits.items()},
        "classes": classes,
        "options": dataclasses.asdict(request.options),
    }
    return Plan(recordings, event_files, statics, files, planes, classes, settings, tuple(notes))


def _unknown_notes(counts: Counter[str], what: str, card: str) -> Iterator[str]:
    if counts:
        names = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())[:5])
        more = ", …" if len(counts) > 5 else ""
        yield f"{counts.total()} {what} of classes that card {card} does not name: {names}{more}"


def attributes(request: Request) -> dict[str, Any]:
    """Return card, version and every option as attributes that ``h5dump -A`` can show."""
    options, card = request.options, request.card
    return {
        "format_version": fmt.VERSION,
        "card": card.name,
        "event_format": card.events.format,
        "sort": card.events.sort,
        "frame_shape": np.array(options.frame_shape, np.int64),
        "frame_axes": "time step, polarity (off, on), row, column",
        "steps": options.steps,
        "size": "native" if options.size is None else f"{options.size[0]} x {options.size[1]}",
        "sensor": "per recording"
        if options.sensor is None
        else f"{options.sensor[0]} x {options.sensor[1]}",
        "tail": options.tail,
        "zero_origin": options.zero_origin,
        "interpolation": "bilinear, aligned corners, no antialias",
        "static_fit": card.static.fit if card.static else "none",
        "twin_rule": card.static.twin if card.static else "none",
    }


def make_request(
    card: Card,
    *,
    raw: Path,
    static: Path | None,
    cache: Path,
    steps: int | None = None,
    size: int | None = None,
) -> Request:
    """Resolve a request: what is not given comes from the card.

    Raises:
        UsageError: ``steps`` or ``size`` is not positive.
    """
    side = size if size is not None else card.framing.size
    options = FrameOptions(
        steps=steps if steps is not None else card.framing.steps,
        size=None if side is None else (side, side),
        sensor=card.events.sensor,
        limit=card.events.limit,
        tail=card.framing.tail,
        zero_origin=card.framing.zero_origin,
    )
    return Request(card=card, raw=raw, static=static, cache=cache, options=options)
