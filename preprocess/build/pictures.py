"""Static images on their way into ``static.h5``: decoded in chunks, written as they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import BadFileError
from ..cache import format as fmt
from ..cache.meanings import explain
from ..cache.notes import Noted
from ..disk.digests import digest, digest_or_none
from ..disk.files import read_file, state_of
from ..disk.hdf5 import creating, write_column
from ..disk.memo import DigestMemo
from ..disk.remarks import hearing
from ..raw.reasons import reason_of
from ..statics.decoding import decode_picture
from ..statics.images import StaticImage, plane_type, planes_of, value_planes
from ..statics.zips import Archives
from .static_notes import StaticNotes, Written
from .tasks import Crew, Done, in_order

LEAST_CHUNKS = 8
"""Fewer chunks of photographs than this are decoded sooner than a worker starts."""


class Decoded(NamedTuple):
    """What became of one chunk.

    Attributes:
        images: uint8 or float32 ``(k, P, H, W)``.
        kept: place of each in the chunk.
        skipped: name and reason of each image passed over.
        noted: remarks on single images.
        read: path, digest and state before reading, of each file read.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    kept: list[int]
    skipped: list[tuple[str, str]]
    noted: list[Noted]
    read: list[tuple[Path, str, os.stat_result]]


@dataclass(frozen=True)
class PictureTask:
    """One chunk of static images.

    Attributes:
        images: what to decode.
        names: name of each one's file in the manifest.
        size: ``(H, W)`` of the result.
        fit: ``stretch`` or ``pad``.
        planes: names of the ``P`` planes.
        antialias: how planes are resized whose V is taken at full size.
        skip: pass over a bad image, with its reason, instead of raising.
    """

    images: tuple[StaticImage, ...]
    names: tuple[str, ...]
    size: tuple[int, int]
    fit: str
    planes: tuple[str, ...]
    antialias: bool = False
    skip: bool = False

    @property
    def title(self) -> str:
        """The first of the images."""
        return f"static images from {self.images[0].identity} on"

    def run(self, done: Done) -> Decoded:
        """Decode and fit every image."""
        out = np.empty((len(self.images), len(self.planes), *self.size), plane_type(self.planes))
        decoded = Decoded(out, [], [], [], [])
        with Archives() as archives, hearing() as heard:
            for place, (image, name) in enumerate(zip(self.images, self.names, strict=True)):
                alone = image.pixels is None and not image.member
                entry = name if alone else f"{name} ({image.identity})"
                heard.clear()
                try:
                    out[len(decoded.kept)] = self._one(image, decoded, archives)
                    decoded.kept.append(place)
                    decoded.noted.extend(Noted(entry, *each) for each in heard)
                except BadFileError as error:
                    if not self.skip:
                        raise
                    decoded.skipped.append((entry, reason_of(error, image.path, name)))
                done(place + 1)
        return decoded._replace(images=out[: len(decoded.kept)])

    def _one(
        self, image: StaticImage, decoded: Decoded, archives: Archives
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        if image.pixels is not None:
            return planes_of(Image.fromarray(image.pixels), self.size, self.fit, image)
        if image.member:
            data = archives.read(image.path, image.member)
            return self._fitted(data, image, image.path / image.member)
        status = state_of(image.path)
        try:
            data = read_file(image.path)
        except BadFileError:
            if (known := digest_or_none(image.path)) is not None:
                decoded.read.append((image.path, known, status))
            raise
        decoded.read.append((image.path, digest(data), status))
        return self._fitted(data, image, image.path)

    def _fitted(
        self, data: bytes, image: StaticImage, path: Path
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Decode and fit one picture file; ``path`` names it in errors."""
        picture = decode_picture(data, path)
        if "V" in self.planes:
            return value_planes(picture, self.size, antialias=self.antialias)
        if self.planes == ("L",):
            picture = picture.convert("L")
        return planes_of(picture, self.size, self.fit, image)


class StaticsWriter:
    """Writes ``static.h5`` piece by piece; the pieces' sizes do not change the bytes.

    ``checksums`` are those of the images added so far.

    Args:
        file: the new file.
        count: most images there can be.
        shape: ``(P, H, W)`` of every image.
        dtype: uint8, or float32 for values in [0, 1].
    """

    def __init__(
        self,
        file: h5py.Group,
        count: int,
        shape: Sequence[int],
        dtype: np.dtype[Any] = np.dtype(np.uint8),  # noqa: B008
    ) -> None:
        self._file = file
        chunks = (min(fmt.STATICS_PER_CHUNK, count), *shape) if count else None
        filters = hdf5plugin.Zstd(clevel=fmt.COMPRESSION_LEVEL) if count else {}
        self._images = file.create_dataset(
            "images",
            (count, *shape),
            dtype.newbyteorder("<"),
            maxshape=(count, *shape) if count else None,
            chunks=chunks,
            **filters,
        )
        self._waiting: NDArray[Any] = np.empty((0, *shape), dtype)
        self._written = 0
        self.checksums: list[int] = []

    def add(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> None:
        """Append images ``(n, P, H, W)`` of the file's type."""
        self.checksums += [fmt.checksum(image) for image in images]
        self._waiting = np.concatenate([self._waiting, images])
        self._flush(len(self._waiting) // fmt.STATICS_PER_CHUNK * fmt.STATICS_PER_CHUNK)

    def finish(self, identities: Sequence[str], labels: Sequence[int]) -> None:
        """Write what remains and the columns of all images added."""
        self._flush(len(self._waiting))
        if len(self._images) > self._written:
            self._images.resize(self._written, axis=0)
        write_column(self._file, "identity", identities, "text")
        write_column(self._file, "label", labels, "<i8")
        write_column(self._file, "checksum", self.checksums, "<u8")

    def _flush(self, count: int) -> None:
        if count:
            self._images[self._written : self._written + count] = self._waiting[:count]
            self._waiting = self._waiting[count:]
            self._written += count


def write_pictures(
    path: Path,
    tasks: Sequence[PictureTask],
    label: Callable[[StaticImage], int],
    crew: Crew,
    memo: DigestMemo,
    notes: StaticNotes,
    done: Callable[[int, int], None],
) -> Written:
    """Write ``static.h5``; returns the images in it, and those passed over with the reason.

    Args:
        path: where it goes.
        tasks: the images in order, at least one chunk, which may be empty.
        label: class index of an image.
        crew: runs the tasks.
        memo: learns the digest of every file read.
        notes: what a later build needs to keep the file, written before it comes into place.
        done: called with a chunk's number and its count of images finished.

    Raises:
        BadFileError: an image cannot be used and the tasks do not skip, or none can be used.
    """
    count = sum(len(task.images) for task in tasks)
    photographs = count and tasks[0].images[0].pixels is None
    kept: list[StaticImage] = []
    skipped: list[tuple[str, str]] = []
    noted: list[Noted] = []
    path.unlink(missing_ok=True)  # of an earlier state of the files
    notes.begin()
    with creating(path, explain) as file:
        planes = tasks[0].planes
        shape = (len(planes), *tasks[0].size)
        writer = StaticsWriter(file, count, shape, plane_type(planes))
        results: Iterator[Decoded] = in_order(
            crew.run(tasks, done, least=LEAST_CHUNKS if photographs else len(tasks) + 1)
        )
        for number, (task, decoded) in enumerate(zip(tasks, results, strict=True)):
            done(number, len(task.images))
            writer.add(decoded.images)
            kept += [task.images[place] for place in decoded.kept]
            skipped += decoded.skipped
            noted += decoded.noted
            for file_path, known, status in decoded.read:
                notes.read(file_path, known, status)
        if count and not kept:
            raise BadFileError(
                f"all {count} static images are bad, the first: {skipped[0][0]}: {skipped[0][1]}"
            )
        writer.finish([image.identity for image in kept], [label(image) for image in kept])
        notes.finish(skipped, noted)
        memo.take(notes.memo)
        memo.save()
    return Written(kept, skipped, noted, writer.checksums)
