"""The frame cache on disk: names, dtypes and version, written and read here alone.

One directory, sealed once::

    frames-00000.h5 …   shards of up to 512 recordings
        /frames         float32 (n, T, 2, H, W), one chunk a recording, Zstandard
        /recordings/…   identity, label, events, duration_us, extent, checksum, digest
        /skipped/…      files passed over, with the reason
    static.h5           /images uint8 (n, P, H, W), identity, label, digest, checksum
    index.h5            every recording's row in every shard, twins, splits, classes, options
    SEALED              JSON, written last: key and size of every file; without it, no cache

Numbers are little-endian, since that is what every machine that trains is; text is UTF-8
of fixed length, since HDF5's variable-length heap is not reproducible byte for byte.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import xxhash
from numpy.typing import NDArray

from ..errors import SnntxError
from .manifest import digest
from .splits import PARTS

VERSION = 1
SHARD_RECORDINGS = 512
SEALED, INDEX, STATIC = "SEALED", "index.h5", "static.h5"
FRAMES = np.dtype("<f4")
COMPRESSION_LEVEL = 1

_PART = h5py.enum_dtype({name: value for value, name in enumerate(PARTS)}, basetype="u1")
_COLUMNS = {
    "identity": "text",
    "label": "<i8",
    "events": "<i8",
    "duration_us": "<i8",
    "extent": "<i4",
    "checksum": "<u8",
    "digest": "text",
}


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"frames-{number:05d}.h5"


def checksum(array: NDArray[Any]) -> int:
    """Return the 64-bit XXH3 checksum of an array's bytes in C order."""
    return int(xxhash.xxh3_64_intdigest(np.ascontiguousarray(array).data))


@contextmanager
def creating(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that comes to ``path`` whole or not at all.

    It is composed in memory (a shard is tens of megabytes): HDF5 crashes the process when a
    full disk keeps it from closing a file, where a plain write raises an OSError.
    """
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        yield file
    write_whole(path, image.getbuffer())


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write and sync a file beside its final name, then rename it."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_column(group: h5py.Group, name: str, values: Any, kind: str) -> None:
    """Write one column; ``kind`` is a NumPy dtype string, ``text`` or ``part``."""
    if kind == "text":
        encoded = [str(value).encode() for value in values]
        width = max([1, *map(len, encoded)])
        dtype = h5py.string_dtype("utf-8", width)
        group.create_dataset(name, data=np.array(encoded, dtype), dtype=dtype)
    elif kind == "part":
        group.create_dataset(name, data=np.asarray(values, np.uint8), dtype=_PART)
    else:
        group.create_dataset(name, data=np.asarray(values, np.dtype(kind)))


def read_text(group: h5py.Group, name: str) -> list[str]:
    """Read a text column."""
    return [value.decode() for value in group[name][()]]


@dataclass(frozen=True)
class Rows:
    """Columns of some recordings, in order of identity.

    Attributes:
        identity: identity of each recording.
        label: class index, ``(n,)`` int64.
        events: number of events, ``(n,)`` int64.
        duration_us: first to last event in microseconds, ``(n,)`` int64.
        extent: ``(height, width)`` that the events span, ``(n, 2)`` int32.
        checksum: of the frame tensor's bytes, ``(n,)`` uint64.
        digest: XXH3-128 of the raw file, in hexadecimal.
        skipped: file name and reason of each file passed over.
    """

    identity: Sequence[str]
    label: NDArray[np.int64]
    events: NDArray[np.int64]
    duration_us: NDArray[np.int64]
    extent: NDArray[np.int32]
    checksum: NDArray[np.uint64]
    digest: Sequence[str]
    skipped: Sequence[tuple[str, str]] = ()

    def write(self, file: h5py.Group) -> None:
        """Write the columns below ``/recordings`` and ``/skipped``."""
        group = file.create_group("recordings")
        for name, kind in _COLUMNS.items():
            write_column(group, name, getattr(self, name), kind)
        group["extent"].attrs["columns"] = "height, width in pixels"
        group["checksum"].attrs["meaning"] = "64-bit XXH3 of the frame tensor's bytes"
        group["digest"].attrs["meaning"] = "128-bit XXH3 of the raw file"
        skipped = file.create_group("skipped")
        write_column(skipped, "file", [name for name, _ in self.skipped], "text")
        write_column(skipped, "reason", [reason for _, reason in self.skipped], "text")

    @classmethod
    def read(cls, file: h5py.Group) -> Rows:
        """Read what :meth:`write` wrote."""
        group, skipped = file["recordings"], file["skipped"]
        columns: dict[str, Any] = {
            name: read_text(group, name) if kind == "text" else group[name][()]
            for name, kind in _COLUMNS.items()
        }
        pairs = zip(read_text(skipped, "file"), read_text(skipped, "reason"), strict=True)
        return cls(**columns, skipped=tuple(pairs))

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Rows:
        """Concatenate the rows of several shards."""
        columns: dict[str, Any] = {}
        for name, kind in _COLUMNS.items():
            values = [getattr(part, name) for part in parts]
            joined: Any = [v for part in values for v in part]
            columns[name] = joined if kind == "text" else np.concatenate(values)
        return cls(**columns, skipped=tuple(s for part in parts for s in part.skipped))


@dataclass(frozen=True)
class Index:
    """Everything about a cache but its pixels.

    Attributes:
        attributes: card, key, version and every option, readable on their own.
        classes: class names in label order.
        rows: the recordings.
        shard: shard of each recording, ``(n,)`` int32.
        row: row within its shard, ``(n,)`` int32.
        twin: index of its static twin, -1 for none, ``(n,)`` int64.
        splits: protocol → part of each recording, ``(n,)`` uint8.
        static_identity: identity of each static image.
        static_label: class of each static image, ``(m,)`` int64.
        static_splits: protocol → part of each static image, ``(m,)`` uint8.
        planes: names of the planes of a static image.
    """

    attributes: Mapping[str, Any]
    classes: Sequence[str]
    rows: Rows
    shard: NDArray[np.int32]
    row: NDArray[np.int32]
    twin: NDArray[np.int64]
    splits: Mapping[str, NDArray[np.uint8]]
    static_identity: Sequence[str] = ()
    static_label: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    static_splits: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    planes: Sequence[str] = ()

    def write(self, path: Path) -> None:
        """Write ``index.h5``."""
        with creating(path) as file:
            file.attrs["about"] = (
                "snntx frame cache: frames-*.h5 hold /frames (recording, time step, polarity "
                "off/on, row, column); recording i of this index is row[i] of shard[i]"
            )
            for name, value in self.attributes.items():
                file.attrs[name] = value
            write_column(file, "classes", self.classes, "text")
            self.rows.write(file)
            group = file["recordings"]
            for name, kind in (("shard", "<i4"), ("row", "<i4"), ("twin", "<i8")):
                write_column(group, name, getattr(self, name), kind)
            statics = file.create_group("statics")
            write_column(statics, "identity", self.static_identity, "text")
            write_column(statics, "label", self.static_label, "<i8")
            write_column(statics, "planes", self.planes, "text")
            for parent, splits in ((group, self.splits), (statics, self.static_splits)):
                parent.create_group("split")
                for protocol, parts in splits.items():
                    write_column(parent["split"], protocol, parts, "part")

    @classmethod
    def read(cls, path: Path) -> Index:
        """Read ``index.h5``."""
        with h5py.File(path, "r") as file:
            group, statics = file["recordings"], file["statics"]
            return cls(
                attributes={k: v for k, v in file.attrs.items() if k != "about"},
                classes=read_text(file, "classes"),
                rows=Rows.read(file),
                shard=group["shard"][()],
                row=group["row"][()],
                twin=group["twin"][()],
                splits={name: data[()] for name, data in group["split"].items()},
                static_identity=read_text(statics, "identity"),
                static_label=statics["label"][()],
                static_splits={name: data[()] for name, data in statics["split"].items()},
                planes=read_text(statics, "planes"),
            )


def create_frames(file: h5py.File, count: int, shape: Sequence[int]) -> h5py.Dataset:
    """Create a shard's ``/frames``: one chunk a recording, shrinkable for skipped files."""
    return file.create_dataset(
        "frames",
        (count, *shape),
        FRAMES,
        maxshape=(count, *shape),
        chunks=(1, *shape),
        **hdf5plugin.Zstd(clevel=COMPRESSION_LEVEL),
    )


def write_statics(
    path: Path, images: NDArray[np.uint8], identities: Sequence[str], labels: Sequence[int]
) -> None:
    """Write ``static.h5``; ``images`` is uint8 ``(n, P, H, W)``."""
    with creating(path) as file:
        count = len(images)
        chunks = (min(64, count), *images.shape[1:]) if count else None
        filters = hdf5plugin.Zstd(clevel=COMPRESSION_LEVEL) if count else {}
        file.create_dataset("images", data=images, chunks=chunks, **filters)
        write_column(file, "identity", identities, "text")
        write_column(file, "label", labels, "<i8")
        write_column(file, "checksum", [checksum(image) for image in images], "<u8")


def seal(directory: Path, key: str, draft: str) -> None:
    """Write ``SEALED`` last and make every file read-only."""
    files = {path.name: path.stat().st_size for path in sorted(directory.glob("*.h5"))}
    text = json.dumps(
        {
            "format": "snntx frame cache",
            "version": VERSION,
            "key": key,
            "draft": draft,
            "files": files,
            "index": digest((directory / INDEX).read_bytes()),
        },
        indent=1,
    )
    write_whole(directory / SEALED, f"{text}\n".encode())
    for name in (*files, SEALED):
        (directory / name).chmod(0o444)


def read_seal(directory: Path) -> dict[str, Any]:
    """Return the content of ``SEALED`` after checking version and files.

    Raises:
        SnntxError: not sealed, of another version, a file is missing or cut short, or the
            index is damaged. (Shards are checked recording by recording as they are read.)
    """
    path = directory / SEALED
    if not path.is_file():
        raise SnntxError(
            f"{directory}: not a sealed frame cache (no file {SEALED}); run snntx preprocess again"
        )
    try:
        sealed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = sealed["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnntxError(
            f"{path}: damaged: {error}; remove the cache and build it again"
        ) from error
    if version != VERSION:
        raise SnntxError(
            f"{directory}: cache format {version}, this release reads {VERSION}; "
            "run snntx preprocess again"
        )
    if not {"key", "draft", "files", "index"} <= sealed.keys() or INDEX not in sealed["files"]:
        raise SnntxError(f"{path}: damaged: incomplete; remove the cache and build it again")
    for name, size in sealed["files"].items():
        file = directory / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            state = "is missing" if found is None else f"has {found} bytes"
            raise SnntxError(
                f"{file}: {state}, sealed with {size} bytes; remove the cache and build it again"
            )
    if digest((directory / INDEX).read_bytes()) != sealed["index"]:
        raise SnntxError(
            f"{directory / INDEX}: does not match its checksum; remove the cache and build it again"
        )
    return sealed
