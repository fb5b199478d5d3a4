"""A sealed frame cache, opened for reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from ...data_cards.vocabulary import Kind
from ...errors import SnntxError
from .contents import SealedCache
from .files import open_own
from .format import checksum, shard_name


class _OpenShard:
    """A shard's frames, read one recording at a time with as little around it as HDF5 allows.

    h5py's own selection costs as much as decoding the recording, so the dataspaces are made
    once and only the selected row moves.
    """

    def __init__(self, path: Path) -> None:
        # a chunk is read whole, and once: no chunk cache
        self._file = open_own(path, rdcc_nbytes=0)
        frames = self._file["frames"]
        self._frames = frames.id
        self._count = (1, *frames.shape[1:])
        self._origin = (0,) * (frames.ndim - 1)
        self._in_file = frames.id.get_space()
        self._in_memory = h5py.h5s.create_simple(self._count)

    def read(self, row: int, out: NDArray[np.float32]) -> None:
        """Read one row into ``out``, ``(T, 2, H, W)`` and contiguous.

        Raises:
            ValueError: the row's shape is not that of ``out``; OSError: it cannot be decoded.
        """
        if out.shape != self._count[1:]:
            raise ValueError(f"frames are {self._count[1:]}, expected {out.shape}")
        self._in_file.select_hyperslab((row, *self._origin), self._count)
        self._frames.read(self._in_memory, self._in_file, out)


class FrameCache(SealedCache):
    """A sealed cache of frames; each recording's checksum is verified the first time it is read.

    Args:
        directory: the sealed cache.

    Raises:
        SnntxError: the directory is not a whole cache of this kind and format version.
    """

    kind: ClassVar[Kind] = "frames"

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self._verified = np.zeros(len(self), np.bool_)
        self._held: NDArray[np.float32] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_held": None}

    def _shard(self, number: int) -> _OpenShard:
        shards: dict[int, _OpenShard] = self._own_shards()
        if number not in shards:
            shards[number] = _OpenShard(self.directory / shard_name(number))
        return shards[number]

    def frames(self, which: int | Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """Return one frame tensor ``(T, 2, H, W)``, or ``(n, T, 2, H, W)`` for ``n`` indices.

        Raises:
            SnntxError: a recording's bytes do not match their checksum.
        """
        wanted = np.atleast_1d(np.asarray(which, np.int64))
        if self._held is not None:
            taken = self._held[wanted]
        else:
            taken = np.empty((wanted.size, *self.frame_shape), np.float32)
            for place, i in enumerate(wanted):
                self._read(int(i), taken[place])
        return taken[0] if np.ndim(which) == 0 else taken

    def _read(self, i: int, out: NDArray[np.float32]) -> None:
        shard, row = int(self.index.shard[i]), int(self.index.row[i])
        try:
            self._shard(shard).read(row, out)
            whole = self._verified[i] or checksum(out) == int(self.index.rows.checksum[i])
        except (OSError, KeyError, ValueError, RuntimeError):  # as HDF5 reports damage
            whole = False
        if not whole:
            raise SnntxError(
                f"{self.directory / shard_name(shard)}: recording {self.identities[i]} (row {row}) "
                "does not match its checksum; remove the cache and build it again"
            )
        self._verified[i] = True

    def hold(self, budget_bytes: int) -> bool:
        """Read all frames into memory if they fit into ``budget_bytes``; say whether they did."""
        if self._held is None and len(self) * int(np.prod(self.frame_shape)) * 4 <= budget_bytes:
            self._held = self.frames(np.arange(len(self)))
        return self._held is not None
