"""The two stages of a build that open raw files: static images, then shards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ...data_cards.vocabulary import Kind
from ..cache import format as fmt
from ..cache.events.names import EVENT_SHARD_BYTES
from ..cache.events.names import shard_name as events_name
from ..disk.files import size_of
from ..disk.memo import DigestMemo
from ..planning.plan import Plan, Request
from ..raw.recording import Recording
from ..raw.recordings import in_shards
from ..readers.base import place_of
from ..statics.images import StaticImage
from .pictures import PictureTask, write_pictures
from .static_notes import StaticNotes, Written
from .tasks import Crew, Done, Member, RawFile, Shard, read_shard

WORTHWHILE_BYTES = 50_000_000
WORTHWHILE_SHARDS = 8
"""Fewer bytes and shards are framed sooner than workers, of a second each, start."""


class ShardTask(Shard):
    """A shard as a task for any process; the process that hands it out loads no compiler."""

    def run(self, done: Done) -> fmt.Rows:
        """Build the shard."""
        from .shards import build_shard

        return build_shard(self, done)


class Progress:
    """Sums the counts of tasks that run at the same time, and tells the sum."""

    def __init__(self, total: int, tell: Callable[[int, int], None]) -> None:
        self._total, self._tell = total, tell
        self._done = 0
        self._lock = threading.Lock()  # a cluster's counts come in a thread of their own
        tell(0, total)

    def begin(self) -> Callable[[int, int], None]:
        """Return what the next tasks, numbered from 0, count with; old counts are ignored."""
        counts: dict[int, int] = {}

        def count(number: int, finished: int) -> None:
            with self._lock:
                more = finished - counts.get(number, 0)
                if more > 0:
                    counts[number] = finished
                    self._add(more)

        return count

    def add(self, count: int) -> None:
        """Count what needed no task."""
        with self._lock:
            self._add(count)

    def _add(self, count: int) -> None:
        self._done += count
        self._tell(self._done, self._total)


def write_statics(
    request: Request,
    plan: Plan,
    building: Path,
    notes: Path,
    memo: DigestMemo,
    crew: Crew,
    bar: Progress,
    skip: bool,
) -> Written:
    """Write or keep every static image; returns what is in ``static.h5``."""
    path = building / fmt.STATIC
    taken = StaticNotes(notes, plan.static_files.values(), plan.statics)
    class_index = {name: i for i, name in enumerate(plan.classes)}

    def label(image: StaticImage) -> int:
        return class_index[image.class_name]

    left = taken.resume(path, label, skip=skip)
    if left is not None:
        bar.add(len(plan.statics))
        memo.take(taken.memo)
        return left
    height, width = request.options.frame_shape[2:]
    card = request.card.static
    name_of = {path: f"static/{name}" for name, path in plan.static_files.items()}
    chunk = fmt.STATICS_PER_CHUNK
    tasks = [
        PictureTask(
            images=(images := tuple(plan.statics[start : start + chunk])),
            names=tuple(name_of[image.path] for image in images),
            size=(height, width),
            fit=card.fit if card else "stretch",
            planes=plan.planes,
            antialias=card is not None and card.antialias,
            skip=skip,
        )
        for start in range(0, len(plan.statics) or 1, chunk)
    ]
    return write_pictures(path, tasks, label, crew, memo, taken, bar.begin())


def build_shards(
    request: Request,
    plan: Plan,
    building: Path,
    notes: Path,
    memo: DigestMemo,
    crew: Crew,
    bar: Progress,
    skip: bool,
) -> tuple[list[fmt.Rows], int]:
    """Make or resume every shard; returns their rows and how many were there already."""
    format = place_of(request.card.events.file_format)
    label = {name: i for i, name in enumerate(plan.classes)}
    name_of = {path: f"raw/{name}" for name, path in plan.event_files.items()}
    shards: list[fmt.Rows | None] = []
    left: list[ShardTask] = []
    for number, files in enumerate(grouped(plan, request.kind)):
        name = events_name(number) if request.kind == "events" else fmt.shard_name(number)
        task = ShardTask(
            path=building / name,
            memo=notes / f"{name}.json",
            files=tuple(
                RawFile(
                    path,
                    name_of[path],
                    tuple(Member(r.identity, label[r.class_name], r.part) for r in held),
                )
                for path, held in files
            ),
            format=format,
            sort=request.card.events.sort,
            wraps=request.card.events.wraps,
            outside=request.card.events.outside,
            kind=request.kind,
            options=request.options,
            skip=skip,
        )
        rows = read_shard(task)
        shards.append(rows)
        if rows is None:
            left.append(task)
        else:
            bar.add(task.recordings)
            memo.take(DigestMemo(task.memo))
    place = [number for number, rows in enumerate(shards) if rows is None]
    count = bar.begin()
    try:
        for done, rows in crew.run(left, count, least=_least(left)):
            shards[place[done]] = rows
            count(done, left[done].recordings)
            memo.take(DigestMemo(left[done].memo))
    finally:
        memo.save()
    return [rows for rows in shards if rows is not None], len(shards) - len(left)


def grouped(plan: Plan, kind: Kind) -> Iterator[list[tuple[Path, list[Recording]]]]:
    """Group files into shards; those of events hold no more bytes of them than is soon done."""
    most = EVENT_SHARD_BYTES if kind == "events" else None
    return in_shards(plan.recordings, fmt.SHARD_RECORDINGS, most)


def _least(tasks: list[ShardTask]) -> int:
    """Return how many of these shards are worth starting workers for."""
    sizes = (size_of(file.path) for task in tasks for file in task.files)
    return 2 if sum(sizes) >= WORTHWHILE_BYTES else WORTHWHILE_SHARDS
