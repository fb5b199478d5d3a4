"""A sealed event cache, opened for reading: events of a stretch of time, or frames of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ....data_cards.vocabulary import WINDOWED, Kind
from ....errors import SnntxError, UsageError
from ...framing.events import Events
from ...framing.frames import frames_in_window
from ...framing.grid import Span
from ...framing.options import FrameOptions
from ...framing.recording import frame_recording
from ...framing.windows import Windows, clip_starts, random_starts
from ..contents import Change, SealedCache
from ..seal import REBUILD
from .names import shard_name
from .shard import DamagedError, OpenShard


class EventCache(SealedCache):
    """A sealed cache of events; a chunk's checksum is verified the first time it is read.

    Times are microseconds after the recording's first event. Frames are made as they are asked
    for, by :attr:`options`: those the cache was built with, unless :meth:`framed` gave others.

    Args:
        directory: the sealed cache.

    Raises:
        SnntxError: the directory is not a whole cache of this kind and format version.
    """

    kind: ClassVar[Kind] = "events"

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self._framing = super().options
        self._held: dict[int, NDArray[np.uint8]] = {}
        self._change: Change | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_held": {}}

    @property
    def options(self) -> FrameOptions:
        """The framing options of its frames."""
        return self._framing

    def framed(self, options: FrameOptions, windows: Windows | None = None) -> Self:
        """Return the same cache with frames of other options, and of windows where given.

        Raises:
            UsageError: the options frame whole recordings alone.
        """
        if windows is not None:
            _check_windows(options)
        other = copy.copy(self)
        other._framing, other.frame_shape = options, options.frame_shape
        other.windows = windows
        return other

    def changed(self, change: Change) -> Self:
        """Return the same cache with the events of recordings changed, see :meth:`.changed`."""
        other = copy.copy(self)
        other._change = change
        return other

    def _shown(self, i: int, start_us: int | None = None, stop_us: int | None = None) -> Events:
        """Return the events that frames are made of."""
        events = self.events(i, start_us, stop_us)
        return events if self._change is None else self._change(i, events)

    def duration_us(self, i: int) -> int:
        """Return the time from the first to the last event of recording ``i``."""
        return int(self.index.rows.duration_us[i])

    def span(self, i: int) -> Span:
        """Return the smallest and largest coordinates of recording ``i``."""
        rows = self.index.rows
        assert rows.corner is not None  # an event cache has it
        (y, x), (height, width) = rows.corner[i].tolist(), rows.extent[i].tolist()
        return Span(x, x + width - 1, y, y + height - 1)

    def events(self, i: int, start_us: int | None = None, stop_us: int | None = None) -> Events:
        """Return the events of recording ``i`` with ``start_us <= t < stop_us``.

        Args:
            i: the recording.
            start_us: None from its first event on.
            stop_us: None up to its last event, which is then included.

        Raises:
            SnntxError: a chunk's bytes do not match their checksum.
        """
        with self._reading(i) as (shard, row):
            return shard.read(row, start_us, stop_us)

    def _reading(self, i: int) -> AbstractContextManager[tuple[OpenShard, int]]:
        """Yield a recording's shard and row there; what is damaged is named."""
        number, row = int(self.index.shard[i]), int(self.index.row[i])
        return self._naming(number, row, f"recording {self.identities[i]} (row {row}): ")

    @contextmanager
    def _naming(self, number: int, row: int, what: str) -> Iterator[tuple[OpenShard, int]]:
        """Yield a shard and a row of it.

        Raises:
            SnntxError: something there is not what was sealed.
        """
        try:
            yield self._shard(number), row
        except (DamagedError, OSError, KeyError, ValueError, IndexError, RuntimeError) as error:
            raise SnntxError(
                f"{self.directory / shard_name(number)}: {what}{error}; {REBUILD}"
            ) from error

    def _shard(self, number: int) -> OpenShard:
        shards: dict[int, OpenShard] = self._own_shards()
        if number not in shards:
            shards[number] = OpenShard(
                self.directory / shard_name(number), held=self._held.get(number)
            )
        return shards[number]

    def frames(self, which: int | Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """Return frames of whole recordings: ``(T, C, H, W)``, or ``(n, T, C, H, W)`` of ``n``.

        They are those of a frame cache of the same options, to the byte.

        Raises:
            SnntxError: a chunk does not match its checksum, or events do not suit the options.
        """
        wanted = np.atleast_1d(np.asarray(which, np.int64))
        taken = np.empty((wanted.size, *self.frame_shape), np.float32)
        for place, i in enumerate(wanted.tolist()):
            where = self.directory / self.identities[i]
            taken[place] = frame_recording(self._shown(i), where, self.options)
        return taken[0] if np.ndim(which) == 0 else taken

    def window(
        self,
        i: int,
        start_us: int | None,
        stop_us: int | None,
        options: FrameOptions | None = None,
    ) -> NDArray[np.float32]:
        """Return frames ``(T, C, H, W)`` of a part of recording ``i``; no event there is all zero.

        The first frame begins with the first event of the part, and pixels are those of the whole
        recording.

        Args:
            i: the recording.
            start_us: as in :meth:`events`.
            stop_us: likewise.
            options: of the frames; None takes :attr:`options`.

        Raises:
            SnntxError: a chunk does not match its checksum.
            UsageError: the options frame whole recordings alone.
        """
        return self.framed_events(i, self._shown(i, start_us, stop_us), options)

    def framed_events(
        self, i: int, events: Events, options: FrameOptions | None = None
    ) -> NDArray[np.float32]:
        """Return frames of a part of recording ``i`` whose events are at hand, or changed.

        Args:
            i: the recording.
            events: of the part, in order of time.
            options: of the frames; None takes :attr:`options`.

        Raises:
            UsageError: the options frame whole recordings alone.
        """
        chosen = options or self.options
        _check_windows(chosen)
        return frames_in_window(events, self.span(i), chosen)

    def slices(
        self,
        which: Sequence[int] | NDArray[Any],
        uniform: NDArray[np.float64],
        change: Change | None = None,
    ) -> NDArray[np.float32]:
        """Return frames of a window of each recording, see :meth:`.SealedCache.slices`."""
        if self.windows is None:
            return super().slices(which, uniform, change)
        wanted, length = np.asarray(which, np.int64), self.windows.length_us
        starts = random_starts(uniform, self.index.rows.duration_us[wanted], length).tolist()
        taken = np.empty((wanted.size, *self.frame_shape), np.float32)
        for place, (i, start) in enumerate(zip(wanted.tolist(), starts, strict=True)):
            events = self._shown(i, start, start + length)
            if change is not None:
                events = change(place, events)
            taken[place] = self.framed_events(i, events)
        return taken

    def clips(self, which: Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """Return what a test shows of ``n`` recordings: ``(n, clips, T, C, H, W)``.

        Raises:
            SnntxError: a chunk does not match its checksum.
        """
        if self.windows is None:
            return super().clips(which)
        wanted, length = np.asarray(which, np.int64), self.windows.length_us
        taken = np.empty((wanted.size, self.clip_count, *self.frame_shape), np.float32)
        for place, i in enumerate(wanted.tolist()):
            starts = clip_starts(self._last_used_us(i), self.windows)
            for clip, start in enumerate(starts.tolist()):
                taken[place, clip] = self.window(i, start, start + length)
        return taken

    def _last_used_us(self, i: int) -> int:
        """Return the time of the last event before the recording's last moment."""
        with self._reading(i) as (shard, row):
            return shard.last_before(row, self.duration_us(i))

    def hold(self, budget_bytes: int) -> bool:
        """Read all chunks into memory if they fit into ``budget_bytes``; say whether they did."""
        if not self._held:
            numbers = np.unique(self.index.shard).tolist()
            files = {number: self.directory / shard_name(number) for number in numbers}
            if sum(file.stat().st_size for file in files.values()) <= budget_bytes:
                held = {}
                for number in numbers:
                    with self._naming(number, 0, "") as (shard, _):
                        held[number] = shard.whole()
                self._held = held
                self._own_shards().clear()
        return bool(self._held)


def _check_windows(options: FrameOptions) -> None:
    """Refuse options that frame whole recordings alone."""
    if options.values in WINDOWED:
        raise UsageError(
            f"values = '{options.values}' are made of whole recordings, not of windows; preprocess "
            "with --values counts --tail drop"
        )
