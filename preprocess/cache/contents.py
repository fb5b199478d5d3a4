"""What a sealed cache of either kind holds beside its recordings: index, protocols, images."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...data_cards.vocabulary import Kind
from ...errors import SnntxError, UsageError, nearest
from ..framing.events import Events
from ..framing.options import FrameOptions
from ..framing.windows import Windows
from .files import open_own
from .format import EVENT_VERSION, INDEX, STATIC, Index, checksum
from .seal import read_seal
from .splits import PARTS

Change = Callable[[int, Events], Events]
"""Changes the events of a window; its first argument is the window's place in the batch, or the
recording's in the cache."""


class SealedCache(ABC):
    """A sealed cache, opened for reading; safe across fork and spawn.

    File handles belong to the process that opened them and are opened on first use.

    Args:
        directory: the sealed cache.

    Attributes:
        kind: what it holds of its recordings.
        key: its name.
        identities: of the recordings, in order.
        labels: class index of each, ``(n,)``.
        classes: class names in label order.
        frame_shape: ``(T, C, H, W)`` of its recordings' frames.
        windows: parts of recordings that are shown, instead of the whole; None in a frame cache.

    Raises:
        SnntxError: the directory is not a whole cache of this kind and format version.
    """

    kind: ClassVar[Kind]

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        seal = read_seal(self.directory)
        found = kind_of(seal.version)
        if found != self.kind:
            raise SnntxError(
                f"{self.directory}: holds {found}, expected {self.kind}; open it with "
                "snntx.preprocess.open_cache, which takes either"
            )
        self.key: str = seal.key
        self.index = Index.read(self.directory / INDEX)
        rows = self.index.rows
        self.identities: list[str] = list(rows.identity)
        self.labels: NDArray[np.int64] = rows.label
        self.classes: list[str] = list(self.index.classes)
        self.frame_shape: tuple[int, ...] = tuple(
            int(n) for n in self.index.attributes["frame_shape"]
        )
        self.windows: Windows | None = None
        self._shards: dict[int, Any] = {}
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self.identities)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}}

    @abstractmethod
    def frames(self, which: int | Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """Return one frame tensor ``(T, 2, H, W)``, or ``(n, T, 2, H, W)`` for ``n`` indices.

        Raises:
            SnntxError: a recording's bytes do not match their checksum.
        """

    def clips(self, which: Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """Return what a test shows of ``n`` recordings: ``(n, clips, T, 2, H, W)``.

        Of whole recordings that is one clip each.

        Raises:
            SnntxError: a recording's bytes do not match their checksum.
        """
        return self.frames(np.asarray(which, np.int64))[:, None]

    def framed(self, options: FrameOptions, windows: Windows | None = None) -> SealedCache:
        """Return the same cache with frames of other options, and of windows where given.

        Raises:
            UsageError: its frames are what they are; an event cache makes others.
        """
        raise UsageError(
            f"{self.directory}: holds frames, of which no others can be made; run snntx preprocess "
            f"{self.index.attributes['card']} --as events"
        )

    def changed(self, change: Change) -> SealedCache:
        """Return the same cache with the events of recordings changed before they are framed.

        Args:
            change: gets the recording's number in the cache, and the events of it, or of a
                window of it, in order of time; returns others, in order, one at least.

        Raises:
            UsageError: it holds frames.
        """
        raise UsageError(
            f"{self.directory}: holds frames, whose events are gone; run snntx preprocess "
            f"{self.index.attributes['card']} --as events"
        )

    def slices(
        self,
        which: Sequence[int] | NDArray[Any],
        uniform: NDArray[np.float64],
        change: Change | None = None,
    ) -> NDArray[np.float32]:
        """Return frames of a window of each of ``n`` recordings, as training is shown them.

        Args:
            which: the recordings.
            uniform: draws in [0, 1) that say where each window starts, ``(n,)``.
            change: what to do to each window's events first, such as drop some.

        Returns:
            float32 ``(n, T, C, H, W)``.

        Raises:
            SnntxError: a recording's bytes do not match their checksum.
            UsageError: it shows whole recordings.
        """
        raise UsageError(f"{self.directory}: no windows were asked for, only whole recordings")

    @property
    def clip_count(self) -> int:
        """Clips of each recording that a test shows."""
        return 1 if self.windows is None else self.windows.clips

    @abstractmethod
    def hold(self, budget_bytes: int) -> bool:
        """Read all recordings into memory if they fit into it; say whether they did."""

    def _own_shards(self) -> dict[int, Any]:
        """Return the shards that this process has open."""
        if self._process != os.getpid():  # a forked child must not use its parent's handles
            self._shards, self._process = {}, os.getpid()
        return self._shards

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


def kind_of(version: int) -> Kind:
    """Return what a cache of a format version holds."""
    return "events" if version == EVENT_VERSION else "frames"
