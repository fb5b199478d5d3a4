"""What a sealed cache holds, in numbers; and which recordings show it best.

In: an open :class:`~snntx.preprocess.cache.contents.SealedCache`. Out: :class:`Statistics`, or
rows of a sheet that shows them. Nothing here prints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...data_cards.schema import Card
from ..cache.contents import SealedCache
from ..cache.differences import differences
from ..cache.notes import Note
from ..cache.splits import PARTS

BINS = 8
SHEET_ROWS = 8
LOGARITHMIC_FROM = 20
"""A histogram whose largest value is this many times its smallest has bins of equal ratio."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 weights of R, G and B."""


class SheetRow(NamedTuple):
    """One recording on the sheet.

    Attributes:
        label: class name.
        identity: which recording of the class.
        static: twin ``(H0, W0)`` in [0, 1], or None.
        frames: counts ``(T, 2, H, W)``, polarity off then on.
    """

    label: str
    identity: str
    static: NDArray[np.floating] | None
    frames: NDArray[np.floating]


@dataclass(frozen=True)
class Spread:
    """Smallest, median, mean and largest of a column."""

    minimum: float
    median: float
    mean: float
    maximum: float


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram: values from ``low`` up to ``high``, the last bin's included."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Part:
    """One part of a protocol: recordings, static images, and classes that it covers."""

    recordings: int
    statics: int
    classes: int


@dataclass(frozen=True)
class Statistics:
    """A cache in numbers.

    Attributes:
        directory: where it lies.
        key: its key.
        card: name of its card.
        kind: what it holds of its recordings, ``frames`` or ``events``.
        frame_shape: ``(T, C, H, W)``.
        recordings: number of recordings.
        classes: class → its recordings, every class of the card.
        events: in one recording.
        events_total: in all.
        histogram: of the events in one recording.
        duration_us: of a recording.
        height: rows that a recording's events span.
        width: columns that they span.
        protocols: protocol → part → what it holds.
        statics: number of static images.
        planes: their planes.
        twins: recordings with a twin.
        missing: identities of those without.
        skipped: file and reason of what was passed over.
        notes: what was ignored, unpaired, a copy or odd.
        options: every option, by the name of its attribute.
        differs: those that are not the card's defaults; None without the card.
        files: raw files it was made from.
        raw_bytes: their size.
        cache_bytes: its own.
    """

    directory: Path
    key: str
    card: str
    kind: str
    frame_shape: tuple[int, ...]
    recordings: int
    classes: dict[str, int]
    events: Spread
    events_total: int
    histogram: tuple[Bin, ...]
    duration_us: Spread
    height: Spread
    width: Spread
    protocols: dict[str, dict[str, Part]]
    statics: int
    planes: tuple[str, ...]
    twins: int
    missing: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]
    options: dict[str, Any]
    differs: tuple[str, ...] | None
    files: int
    raw_bytes: int
    cache_bytes: int


def statistics(cache: SealedCache, card: Card | None = None) -> Statistics:
    """Count everything that the index knows; no frame is read.

    Args:
        cache: the cache.
        card: its card, to tell which options differ from the defaults.
    """
    index, rows = cache.index, cache.index.rows
    attributes = dict(index.attributes)
    settings = json.loads(attributes.pop("settings", "null"))
    counts = np.bincount(rows.label, minlength=len(index.classes))
    return Statistics(
        directory=cache.directory,
        key=cache.key,
        card=str(attributes["card"]),
        kind=cache.kind,
        frame_shape=cache.frame_shape,
        recordings=len(cache),
        classes=dict(zip(cache.classes, counts.tolist(), strict=True)),
        events=spread(rows.events),
        events_total=int(rows.events.sum()),
        histogram=histogram(rows.events),
        duration_us=spread(rows.duration_us),
        height=spread(rows.extent[:, 0]),
        width=spread(rows.extent[:, 1]),
        protocols={name: _parts(cache, name) for name in cache.protocols},
        statics=len(index.static_identity),
        planes=tuple(index.planes),
        twins=int((index.twin >= 0).sum()),
        missing=tuple(cache.identities[i] for i in np.flatnonzero(index.twin < 0)),
        skipped=tuple(rows.skipped),
        notes=tuple(index.notes),
        options={name: _plain(value) for name, value in attributes.items()},
        differs=differences(settings, cache.classes, card) if settings else None,
        files=len(index.manifest),
        raw_bytes=sum(size for size, _ in index.manifest.values()),
        cache_bytes=sum(file.stat().st_size for file in cache.directory.iterdir()),
    )


def spread(values: NDArray[Any]) -> Spread:
    """Return smallest, median, mean and largest; all zero of nothing."""
    if not values.size:
        return Spread(0.0, 0.0, 0.0, 0.0)
    found = (values.min(), np.median(values), values.mean(), values.max())
    return Spread(*(float(value) for value in found))


def histogram(values: NDArray[Any]) -> tuple[Bin, ...]:
    """Count values in up to :data:`BINS` bins with whole edges, of equal width or ratio."""
    if not values.size:
        return ()
    low, high = int(values.min()), int(values.max())
    ratio = high > LOGARITHMIC_FROM * max(low, 1)
    edges = np.geomspace(max(low, 1), high, BINS + 1) if ratio else np.linspace(low, high, BINS + 1)
    whole = np.unique(np.concatenate([[low], np.rint(edges[1:-1]), [high]]).astype(np.int64))
    if whole.size == 1:
        return (Bin(low, high, int(values.size)),)
    counts, _ = np.histogram(values, whole)
    places = zip(whole[:-1].tolist(), whole[1:].tolist(), counts.tolist(), strict=True)
    return tuple(Bin(*place) for place in places)


def _parts(cache: SealedCache, protocol: str) -> dict[str, Part]:
    found = {}
    for part in PARTS:
        recordings = cache.split(protocol, part)
        statics = int(cache.static_split(protocol, part).size)
        if recordings.size or statics or part != "unused":
            classes = int(np.unique(cache.labels[recordings]).size)
            found[part] = Part(int(recordings.size), statics, classes)
    return found


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def typical(cache: SealedCache, count: int = SHEET_ROWS) -> list[int]:
    """Choose recordings for a sheet: one of each of ``count`` classes spread over all.

    Of a class it is the one in the middle of the identities, of those with a twin where there
    is any. Where there are fewer classes than rows, further recordings follow by class.
    """
    classes = np.unique(cache.labels)
    rounds = -(-count // classes.size)
    spaced = np.linspace(0, classes.size - 1, min(count, classes.size))
    chosen: list[int] = []
    for label in classes[np.rint(spaced).astype(np.int64)]:
        members = np.flatnonzero(cache.labels == label)
        twinned = members[cache.index.twin[members] >= 0]
        pool = twinned if twinned.size else members
        places = np.linspace(0, pool.size - 1, rounds + 2)[1:-1]
        chosen += np.unique(pool[np.rint(places).astype(np.int64)]).tolist()
    return chosen[:count]


def sheet_rows(cache: SealedCache, which: Sequence[int]) -> list[SheetRow]:
    """Return rows of a contact sheet: twin, if there is one, and frames of each recording.

    Raises:
        SnntxError: a recording or image does not match its checksum.
    """
    twins, planes = cache.index.twin, cache.index.planes
    images = cache.static_images() if any(twins[i] >= 0 for i in which) else None
    return [
        SheetRow(
            label=cache.classes[cache.labels[i]],
            identity=cache.identities[i],
            static=None if images is None or twins[i] < 0 else brightness(images[twins[i]], planes),
            frames=_two_channels(cache.frames(i)),
        )
        for i in which
    ]


def _two_channels(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Show merged polarities as both, which is white on the sheet."""
    return frames.repeat(2, axis=1) if frames.shape[1] == 1 else frames


def brightness(
    image: NDArray[np.uint8] | NDArray[np.float32], planes: Sequence[str]
) -> NDArray[np.float32]:
    """Return ``(H, W)`` in [0, 1] of an image ``(P, H, W)``: luma of R, G, B, else plane one."""
    values = np.asarray(image, np.float32) / np.float32(255 if image.dtype == np.uint8 else 1)
    grey: NDArray[np.float32] = values[0]
    if set("RGB") <= set(planes):
        grey = np.tensordot(LUMA, values[[list(planes).index(name) for name in "RGB"]], 1)
    return grey
