"""What can be handed to another process, and what one shard of a cache holds.

This module imports no compiler: the process that only hands tasks out starts fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ...data_cards.vocabulary import Kind
from ...errors import SnntxError
from ..cache import format as fmt
from ..cache.files import open_own
from ..disk.memo import DigestMemo
from ..framing.options import FrameOptions
from ..readers.base import Usable

Done = Callable[[int], None]
"""Called by a task with the number of its recordings or images finished so far."""


class Task(Protocol):
    """A piece of work that depends on itself alone: same task, same result, anywhere."""

    @property
    def title(self) -> str:
        """What it makes, for messages."""
        ...

    def run(self, done: Done) -> Any:
        """Do the work; the result can be pickled."""
        ...


class Crew(Protocol):
    """Whatever runs tasks: this process, worker processes, a Dask cluster."""

    def run(
        self, tasks: Sequence[Task], done: Callable[[int, int], None], least: int = 2
    ) -> Iterator[tuple[int, Any]]:
        """Yield number and result of each task as it is finished.

        Args:
            tasks: started in order.
            done: called with a task's number and its count of items finished.
            least: fewer tasks than this are not worth starting a worker for.
        """
        ...


def in_order(results: Iterable[tuple[int, Any]]) -> Iterator[Any]:
    """Yield results by number; those that come early are held back."""
    early: dict[int, Any] = {}
    following = 0
    for number, result in results:
        early[number] = result
        while following in early:
            yield early.pop(following)
            following += 1


class Member(NamedTuple):
    """One recording of a raw file: identity, class index, and its part of the file."""

    identity: str
    label: int
    part: tuple[int, ...]


class RawFile(NamedTuple):
    """One raw file: path, name in the manifest, and its recordings in order of identity."""

    path: Path
    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Shard:
    """What one shard holds.

    Attributes:
        path: where the finished shard goes.
        memo: where the digests of its files go, so that an interrupted build can resume.
        files: raw files with their recordings.
        format: event format of the files.
        sort: sort a recording whose times go back.
        options: framing options.
        skip: pass over a bad file, with its reason, instead of raising.
        wraps: undo the turns of the format's timer.
        outside: what becomes of events outside the sensor.
        kind: what is kept of the recordings.
    """

    path: Path
    memo: Path
    files: tuple[RawFile, ...]
    format: str
    sort: bool
    options: FrameOptions
    skip: bool = False
    wraps: bool = False
    outside: str = "stop"
    kind: Kind = "frames"

    @property
    def spec(self) -> Usable:
        """What may be mended in the files."""
        return Usable(self.format, self.sort, self.wraps, self.outside)

    @property
    def title(self) -> str:
        """Name of the shard."""
        return self.path.name

    @property
    def recordings(self) -> int:
        """Number of recordings."""
        return sum(len(file.members) for file in self.files)


def skipped_name(file: RawFile, member: Member) -> str:
    """Return what a skipped recording is listed as: its file, and which of many it is."""
    return file.name if len(file.members) == 1 else f"{file.name} ({member.identity})"


def read_shard(task: Shard) -> fmt.Rows | None:
    """Return the rows of a shard left by an interrupted build, or None to build it again.

    It is taken only if none of its files, by size and time, has changed since it was built.
    """
    if not task.path.is_file():
        return None
    try:
        with open_own(task.path) as file:
            rows = fmt.Rows.read(file)
    except (
        SnntxError,
        OSError,
        KeyError,
        ValueError,
        RuntimeError,
    ):  # whatever HDF5 says of a damaged file
        return None
    memo = DigestMemo(task.memo)
    known = {file.path: memo.get(file.path) for file in task.files}
    if None in known.values() or (rows.skipped and not task.skip):
        return None
    gone = {name for name, _ in rows.skipped}
    kept = [
        (member.identity, member.label, known[file.path])
        for file in task.files
        for member in file.members
        if not {file.name, skipped_name(file, member)} & gone
    ]
    held = list(zip(rows.identity, rows.label.tolist(), rows.digest, strict=True))
    return rows if kept == held else None  # a label differs where a table of classes has changed
