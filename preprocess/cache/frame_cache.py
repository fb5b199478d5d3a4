"""A sealed frame cache, opened for reading."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import SnntxError, UsageError, nearest
from ..framing.options import FrameOptions
from .files import open_own
from .format import INDEX, STATIC, Index, checksum, shard_name
from .seal import read_seal
from .splits import PARTS


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


class FrameCache:
    """A sealed cache, opened for reading; safe across fork and spawn.

    File handles belong to the process that opened them and are opened on first use. Each
    recording's checksum is verified the first time it is read.

    Args:
        directory: the sealed cache.

    Raises:
        SnntxError: the directory is not a whole cache of this format version.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.key: str = read_seal(self.directory).key
        self.index = Index.read(self.directory / INDEX)
        rows = self.index.rows
        self.identities: list[str] = list(rows.identity)
        self.labels: NDArray[np.int64] = rows.label
        self.classes: list[str] = list(self.index.classes)
        self.frame_shape: tuple[int, ...] = tuple(
            int(n) for n in self.index.attributes["frame_shape"]
        )
        self._shards: dict[int, _OpenShard] = {}
        self._process = os.getpid()
        self._verified = np.zeros(len(self), np.bool_)
        self._held: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.identities)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}, "_held": None}

    def _shard(self, number: int) -> _OpenShard:
        if self._process != os.getpid():  # a forked child must not use its parent's handles
            self._shards, self._process = {}, os.getpid()
        if number not in self._shards:
            self._shards[number] = _OpenShard(self.directory / shard_name(number))
        return self._shards[number]

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

    @property
    def options(self) -> FrameOptions:
        """The framing options it was made with.

        Raises:
            SnntxError: made by another release.
        """
        try:
            table = json.loads(str(self.index.attributes["settings"]))["options"]
        except (KeyError, ValueError) as error:
            raise SnntxError(
                f"{self.directory}: does not hold its framing options; it was made by an earlier "
                "release: run snntx preprocess again"
            ) from error
        return FrameOptions.from_table(table)

    @property
    def protocols(self) -> list[str]:
        """Names of the protocols the cache has splits for."""
        return sorted(self.index.splits)

    def split(self, protocol: str, part: str) -> NDArray[np.int64]:
        """Return the indices of one part's recordings, in order of identity.

        Raises:
            UsageError: the cache has no such protocol, or no part has that name.
        """
        return np.flatnonzero(self._parts(self.index.splits, protocol, part))

    def static_split(self, protocol: str, part: str) -> NDArray[np.int64]:
        """Return the indices of one part's static images; ``train`` holds the partners."""
        return np.flatnonzero(self._parts(self.index.static_splits, protocol, part))

    def _parts(
        self, splits: Mapping[str, NDArray[np.uint8]], protocol: str, part: str
    ) -> NDArray[np.bool_]:
        if protocol not in splits:
            raise UsageError(
                f"unknown protocol '{protocol}'{nearest(protocol, self.protocols)} "
                f"(this cache has: {', '.join(self.protocols)})"
            )
        if part not in PARTS:
            raise UsageError(
                f"unknown part '{part}'{nearest(part, PARTS)} (known: {', '.join(PARTS)})"
            )
        chosen: NDArray[np.bool_] = splits[protocol] == PARTS.index(part)
        return chosen

    def static_images(self) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return all static images, ``(n, P, H, W)``, after checking each checksum.

        They are uint8, or float32 in [0, 1]; ``index.planes`` names the planes.

        Raises:
            SnntxError: an image's bytes do not match their checksum.
        """
        path = self.directory / STATIC
        try:
            with open_own(path) as file:
                images: NDArray[np.uint8] | NDArray[np.float32] = file["images"][()]
                sums = file["checksum"][()]
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise SnntxError(
                f"{path}: cannot be read; remove the cache and build it again"
            ) from error
        for i, image in enumerate(images):
            if checksum(image) != int(sums[i]):
                raise SnntxError(
                    f"{path}: static image {self.index.static_identity[i]} does not match its "
                    "checksum; remove the cache and build it again"
                )
        return images
