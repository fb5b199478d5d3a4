"""Whether a disk has room for the cache that a plan describes.

In: a plan and a folder. Out: nothing, a line of warning, or a refusal. Only where the most that
a cache can need is more than is free are some recordings and images framed and compressed, to
measure what it will need.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from ...data_cards.vocabulary import Kind
from ...errors import BadFileError, SnntxError
from ..cache import format as fmt
from ..cache.events.names import BLOCK_BYTES
from ..disk.atomic import PART_SUFFIX
from ..disk.files import size_of
from ..framing.options import FrameOptions
from ..planning.plan import Plan, Request
from ..raw.recording import Recording
from ..raw.recordings import by_file
from ..readers.base import READERS, Usable, place_of
from ..statics.images import StaticImage, plane_type
from .pictures import PictureTask, StaticsWriter
from .stages import grouped

_Item = TypeVar("_Item")

CHUNK_BYTES = 14
"""At most this many bytes of an event in chunks of an event cache."""
EVENT_BYTES = 16
"""At most this many bytes of frames per event: four float32 corners, before compression."""
SAMPLES = 16
"""Recordings, and images, that are compressed to measure."""
ROW_BYTES, IMAGE_ROW_BYTES = 300, 60
"""Of a recording and of an image beside its pixels: columns in two files, a place in HDF5."""
FIXED_BYTES = 45_000
"""Of an empty cache."""
DOUBT = 0.1
"""Added to both sides of what is measured."""


@dataclass(frozen=True)
class Needed:
    """Bytes that a cache takes: ``low`` surely, ``high`` at the most to be expected."""

    low: int
    high: int


def check_space(request: Request, plan: Plan, building: Path, say: Callable[[str], None]) -> None:
    """Refuse to start a build that would surely fill the disk; say so where it may.

    Args:
        request: what to build.
        plan: its files.
        building: folder of the build; what an interrupted one left in it is not needed again.
        say: called with a line of warning.

    Raises:
        SnntxError: the disk is surely too small.
    """
    home = building.parent
    free = shutil.disk_usage(home).free + _left_over(building)
    if free >= most(plan, request.options, request.kind):
        return
    needed = measured(request, plan)
    room = f"{home}: {_megabytes(free)} MB free, but this cache"
    if free < needed.low:
        raise SnntxError(
            f"{room} needs about {_megabytes((needed.low + needed.high) // 2)} MB; free space, "
            "choose another --cache, or start all the same with --no-space-check"
        )
    if free < needed.high:
        say(
            f"{room} may need up to {_megabytes(needed.high)} MB; if the disk fills up, free "
            "space and run the same command again: finished shards are kept"
        )


def most(plan: Plan, options: FrameOptions, kind: Kind = "frames") -> int:
    """Return the bytes that a cache takes where nothing in it can be compressed."""
    frame_bytes = math.prod(options.frame_shape) * fmt.FRAMES.itemsize
    record = READERS.get(plan.settings["events"]["format"]).record_bytes
    if kind == "events":
        events = sum(CHUNK_BYTES * size_of(p) // record for p, _ in by_file(plan.recordings))
    else:
        events = sum(
            min(len(held) * frame_bytes, EVENT_BYTES * size_of(path) // record)
            for path, held in by_file(plan.recordings)
        )
    pixels = math.prod(options.frame_shape[2:]) * len(plan.planes)
    statics = len(plan.statics) * pixels * plane_type(plan.planes).itemsize
    return events + statics + _around(plan) + _part_filled(plan, kind)


def measured(request: Request, plan: Plan) -> Needed:
    """Return what a cache takes, from some of its recordings and images spread over all."""
    frames = [
        size
        for size in (_recording_bytes(r, request) for r in _spread(plan.recordings))
        if size is not None
    ]
    images = _image_bytes(_spread(plan.statics), request, plan)
    count, each = len(plan.recordings), math.prod(request.options.frame_shape) * 4
    if request.kind == "events":
        each = most(plan, request.options, request.kind) // count
    parts = [
        _total(frames, count, each),
        _total(images, len(plan.statics), math.prod(request.options.frame_shape[2:]) * 4),
    ]
    around, part_filled = _around(plan), _part_filled(plan, request.kind)
    return Needed(
        int(around * (1 - DOUBT)) + sum(part.low for part in parts),
        math.ceil(around * (1 + DOUBT)) + sum(part.high for part in parts) + part_filled,
    )


def _total(sizes: Sequence[int], count: int, most_each: int) -> Needed:
    """Return what ``count`` items take where some take ``sizes``; nothing is known without."""
    if not sizes:
        return Needed(0, count * most_each)
    mean = float(np.mean(sizes))
    all_of_them = len(sizes) == count
    spread = 0.0 if all_of_them else 2 * float(np.std(sizes)) / math.sqrt(len(sizes))
    return Needed(
        int(count * max(0.0, (mean - spread) * (1 - DOUBT))),
        math.ceil(count * (mean + spread) * (1 + DOUBT)),
    )


def _recording_bytes(recording: Recording, request: Request) -> int | None:
    """Return what a recording takes when compressed, None for a bad file."""
    from ..readers.reading import read_recordings, usable
    from .writing import writer_of

    events = request.card.events
    try:
        spec = Usable(events.file_format, events.sort, events.wraps, events.outside)
        name, part = place_of(events.file_format), recording.part
        _, found = read_recordings(recording.path, name, [part], drops=spec.drops)
        (one,) = found
        if isinstance(one, BadFileError):
            return None
        one = usable(one, recording.path, spec, request.options)
        with _in_memory() as file:
            writer = writer_of(request.kind, file, 1, request.options)
            writer.write(0, one, recording.path)
            return writer.size
    except (BadFileError, OSError):  # the build names it
        return None


def _image_bytes(images: Sequence[StaticImage], request: Request, plan: Plan) -> list[int]:
    """Return what one image takes when compressed with the others, once for each."""
    card = request.card.static
    if not images or card is None:
        return []
    height, width = request.options.frame_shape[2:]
    names = tuple(image.identity for image in images)
    task = PictureTask(
        tuple(images), names, (height, width), card.fit, plan.planes, card.antialias, skip=True
    )
    try:
        decoded = task.run(lambda n: None)
    except (BadFileError, OSError):
        return []
    count = len(decoded.kept)
    if not count:
        return []
    with _in_memory() as file:
        shape = decoded.images.shape[1:]
        writer = StaticsWriter(file, count, shape, plane_type(plan.planes))
        writer.add(decoded.images)
        writer.finish([images[place].identity for place in decoded.kept], [0] * count)
        return [int(file["images"].id.get_storage_size()) // count] * count


def _in_memory() -> h5py.File:
    return h5py.File("measured", "w", driver="core", backing_store=False)


def _spread(items: Sequence[_Item]) -> list[_Item]:
    """Return up to :data:`SAMPLES` items, evenly spread."""
    places = np.unique(np.linspace(0, len(items) - 1, min(SAMPLES, len(items))).round().astype(int))
    return [items[place] for place in places]


def _around(plan: Plan) -> int:
    """Return the bytes of everything but pixels."""
    rows = sum(ROW_BYTES + 2 * len(r.identity) for r in plan.recordings)
    images = sum(IMAGE_ROW_BYTES + 2 * len(image.identity) for image in plan.statics)
    return FIXED_BYTES + rows + images


def _part_filled(plan: Plan, kind: Kind) -> int:
    """Return the most bytes that the last blocks of shards of events leave empty."""
    return 0 if kind == "frames" else BLOCK_BYTES * sum(1 for _ in grouped(plan, kind))


def _left_over(building: Path) -> int:
    """Return the bytes of an interrupted build's files that are not needed twice."""
    if not building.is_dir():
        return 0
    return sum(f.stat().st_size for f in building.iterdir() if not f.name.endswith(PART_SUFFIX))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f}" if count >= 10**7 else f"{count / 1e6:.1f}"
