"""Whether the ``static.h5`` that an interrupted build left may be kept as it is.

Beside the build lie the digests of the files it was made from, by size and time, as those of a
shard do, and what the file itself cannot tell: the images passed over, and a digest of the
pixels that were already in memory, which come from files of many digits. The name of the build
stands for everything else, such as the size of the images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from ...errors import SnntxError
from ..cache import format as fmt
from ..cache.files import open_own
from ..cache.notes import Noted
from ..disk.atomic import write_atomic
from ..disk.digests import digest_or_none
from ..disk.hdf5 import read_text
from ..disk.memo import DigestMemo
from ..statics.images import StaticImage


class Written(NamedTuple):
    """What ``static.h5`` holds.

    Attributes:
        images: those in it.
        skipped: name and reason of each that was passed over.
        noted: remarks on single images.
        checksums: of the pixels of each image in it.
    """

    images: list[StaticImage]
    skipped: list[tuple[str, str]]
    noted: list[Noted]
    checksums: list[int]


class StaticNotes:
    """Notes on one ``static.h5``, taken while it is written and read by the next build.

    Args:
        folder: where the notes lie.
        files: all files the images come from.
        images: all images, in order.
    """

    def __init__(self, folder: Path, files: Iterable[Path], images: Sequence[StaticImage]) -> None:
        self._digests = folder / f"{fmt.STATIC}.json"
        self._rest = folder / f"{fmt.STATIC}.rest.json"
        self._files = list(dict.fromkeys(files))
        self._images = images
        self._memo = DigestMemo(self._digests)
        self._states: dict[Path, os.stat_result] = {}

    @property
    def memo(self) -> DigestMemo:
        """The digests of the files."""
        return self._memo

    def begin(self) -> None:
        """Forget an earlier file; to be called before any image is decoded."""
        for path in (self._digests, self._rest):
            path.unlink(missing_ok=True)
        self._memo = DigestMemo(self._digests)
        self._states = {path: path.stat() for path in self._files if path.exists()}

    def read(self, path: Path, digest: str, status: os.stat_result) -> None:
        """Note the digest of a file that was read; ``status`` was taken before."""
        self._memo.put(path, digest, status)
        self._states.pop(path, None)

    def finish(self, skipped: Sequence[tuple[str, str]], noted: Sequence[Noted]) -> None:
        """Write the notes; to be called before the file comes into place.

        Args:
            skipped: name and reason of each image passed over.
            noted: remarks on single images.
        """
        for path, status in self._states.items():  # archives, and files of many digits
            if (known := digest_or_none(path)) is not None:
                self._memo.put(path, known, status)
        self._memo.save()
        rest = {"pixels": self._pixels(), "skipped": skipped, "noted": noted}
        write_atomic(self._rest, json.dumps(rest))

    def resume(
        self, path: Path, label: Callable[[StaticImage], int], *, skip: bool
    ) -> Written | None:
        """Return what writing ``static.h5`` again would return, or None where it has to be.

        Args:
            path: the file.
            label: class index of an image.
            skip: images passed over are accepted.
        """
        try:
            with open_own(path) as file:
                labels, sums = file["label"][()].tolist(), file["checksum"][()].tolist()
                held = dict(zip(read_text(file, "identity"), labels, strict=True))
                whole = file["images"].shape[0] == len(labels) == len(held) == len(sums)
            rest: Any = json.loads(self._rest.read_text(encoding="utf-8"))
            skipped = [(str(name), str(reason)) for name, reason in rest["skipped"]]
            noted = [Noted(str(n), str(kind), str(text)) for n, kind, text, _ in rest["noted"]]
            pixels = rest["pixels"]
        except (SnntxError, OSError, KeyError, ValueError, TypeError, RuntimeError):
            return None  # damaged, or not there
        if not whole or (skipped and not skip) or None in map(self._memo.get, self._files):
            return None
        kept = [image for image in self._images if image.identity in held]
        if len(kept) + len(skipped) != len(self._images) or pixels != self._pixels():
            return None
        found = [(image.identity, label(image)) for image in kept]
        return Written(kept, skipped, noted, sums) if found == list(held.items()) else None

    def _pixels(self) -> str:
        """Return a digest of all images that are in memory."""
        state = xxhash.xxh3_128()
        for image in self._images:
            if image.pixels is not None:
                state.update(f"{image.pixels.shape}".encode())
                state.update(image.pixels.tobytes())
        return state.hexdigest()
