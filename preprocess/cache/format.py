"""The frame cache on disk: names, dtypes and version, written and read here alone.

One directory, sealed once::

    frames-00000.h5 …   shards of up to 512 recordings
        /frames         float32 (n, T, 2, H, W), one chunk a recording, Zstandard
        /recordings/…   identity, label, events, duration_us, extent, checksum, digest
        /skipped/…      files passed over, with the reason
        /noted/…        what is odd about single recordings
    static.h5           /images uint8 (n, P, H, W), identity, label, checksum
    index.h5            every recording's row in every shard, twins, copies, splits, classes,
                        options, notes, and the manifest: name, size and digest of every raw file
    SEALED              JSON, written last: key, and size and digest of every file
                        (:mod:`~snntx.preprocess.cache.seal`); without it, no cache

An event cache has shards ``events-00000.h5 …`` instead, of the chunks of
:mod:`snntx.preprocess.cache.events.shard`; all else is the same.

Numbers are little-endian, since that is what every machine that trains is; text is UTF-8
of fixed length, since HDF5's variable-length heap is not reproducible byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import xxhash
from numpy.typing import NDArray

from ..disk.hdf5 import creating, read_text, write_column
from .copies import none_of
from .files import open_own
from .meanings import explain
from .notes import Note, Noted
from .splits import PARTS

VERSION = 2
EVENT_VERSION = 3
"""Of an event cache; what reads frames alone says that it does not read this."""
SHARD_RECORDINGS = 512
SEALED, INDEX, STATIC = "SEALED", "index.h5", "static.h5"
FRAMES = np.dtype("<f4")
COMPRESSION_LEVEL = 1
STATICS_PER_CHUNK = 64
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

_EVENT_COLUMNS = {"corner": "<i4", "first_us": "<i8"}
"""Of an event cache alone."""
_NOTED = ("name", "kind", "text")
_PLACES = {"shard": "<i4", "row": "<i4", "twin": "<i8", "copy_of": "<i8"}


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"frames-{number:05d}.h5"


def checksum(array: NDArray[Any]) -> int:
    """Return the 64-bit XXH3 checksum of an array's bytes in C order."""
    return int(xxhash.xxh3_64_intdigest(np.ascontiguousarray(array).data))


@dataclass(frozen=True)
class Rows:
    """Columns of some recordings, in order of identity.

    Attributes:
        identity: identity of each recording.
        label: class index, ``(n,)`` int64.
        events: number of events, ``(n,)`` int64.
        duration_us: first to last event in microseconds, ``(n,)`` int64.
        extent: ``(height, width)`` that the events span, ``(n, 2)`` int32.
        checksum: of the frame tensor's bytes, or of the events' columns, ``(n,)`` uint64.
        digest: XXH3-128 of the raw file, in hexadecimal.
        skipped: file name and reason of each file passed over.
        noted: remarks on single recordings (in the index, on static images too).
        corner: smallest ``(y, x)`` of the events, ``(n, 2)`` int32; None in a frame cache.
        first_us: timestamp of the first event in microseconds, ``(n,)`` int64; likewise.
    """

    identity: Sequence[str]
    label: NDArray[np.int64]
    events: NDArray[np.int64]
    duration_us: NDArray[np.int64]
    extent: NDArray[np.int32]
    checksum: NDArray[np.uint64]
    digest: Sequence[str]
    skipped: Sequence[tuple[str, str]] = ()
    noted: Sequence[Noted] = ()
    corner: NDArray[np.int32] | None = None
    first_us: NDArray[np.int64] | None = None

    @property
    def columns(self) -> dict[str, str]:
        """Names and types of its columns."""
        return _COLUMNS if self.corner is None else {**_COLUMNS, **_EVENT_COLUMNS}

    def write(self, file: h5py.Group) -> None:
        """Write the columns below ``/recordings``, ``/skipped`` and ``/noted``."""
        group = file.create_group("recordings")
        for name, kind in self.columns.items():
            write_column(group, name, getattr(self, name), kind)
        skipped = file.create_group("skipped")
        write_column(skipped, "file", [name for name, _ in self.skipped], "text")
        write_column(skipped, "reason", [reason for _, reason in self.skipped], "text")
        noted = file.create_group("noted")
        for name in _NOTED:
            write_column(noted, name, [getattr(each, name) for each in self.noted], "text")
        if any(each.events for each in self.noted):
            write_column(noted, "events", [each.events for each in self.noted], "<i8")

    @classmethod
    def read(cls, file: h5py.Group) -> Rows:
        """Read what :meth:`write` wrote."""
        group, skipped = file["recordings"], file["skipped"]
        kinds = {**_COLUMNS, **(_EVENT_COLUMNS if "corner" in group else {})}
        columns: dict[str, Any] = {
            name: read_text(group, name) if kind == "text" else group[name][()]
            for name, kind in kinds.items()
        }
        pairs = zip(read_text(skipped, "file"), read_text(skipped, "reason"), strict=True)
        noted: Iterable[Noted] = ()
        if "noted" in file:
            held = file["noted"]
            texts = [read_text(held, name) for name in _NOTED]
            counts = held["events"][()].tolist() if "events" in held else [0] * len(texts[0])
            noted = map(Noted, *texts, counts)
        return cls(**columns, skipped=tuple(pairs), noted=tuple(noted))

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Rows:
        """Concatenate the rows of several shards."""
        columns: dict[str, Any] = {}
        for name, kind in (parts[0].columns if parts else _COLUMNS).items():
            values = [getattr(part, name) for part in parts]
            joined: Any = [v for part in values for v in part]
            columns[name] = joined if kind == "text" else np.concatenate(values)
        return cls(
            **columns,
            skipped=tuple(s for part in parts for s in part.skipped),
            noted=tuple(n for part in parts for n in part.noted),
        )


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
        manifest: name below ``raw/`` or ``static/`` → size and digest of each raw file.
        copy_of: first recording of the same bytes, -1 for what is no copy, ``(n,)`` int64.
        static_copy_of: first static image of the same pixels, -1 likewise, ``(m,)`` int64.
        notes: what was passed over, unpaired, a copy or odd, for people.
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
    manifest: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    copy_of: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    static_copy_of: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    notes: Sequence[Note] = ()

    def write(self, path: Path) -> None:
        """Write ``index.h5``."""
        with creating(path, explain) as file:
            for name, value in self.attributes.items():
                file.attrs[name] = value
            write_column(file, "classes", self.classes, "text")
            self.rows.write(file)
            group = file["recordings"]
            for name, kind in _PLACES.items():
                write_column(group, name, getattr(self, name), kind)
            statics = file.create_group("statics")
            write_column(statics, "identity", self.static_identity, "text")
            write_column(statics, "label", self.static_label, "<i8")
            write_column(statics, "copy_of", self.static_copy_of, "<i8")
            write_column(statics, "planes", self.planes, "text")
            for parent, splits in ((group, self.splits), (statics, self.static_splits)):
                parent.create_group("split")
                for protocol, parts in splits.items():
                    write_column(parent["split"], protocol, parts, _PART)
            manifest = file.create_group("manifest")
            write_column(manifest, "file", self.manifest, "text")
            write_column(manifest, "bytes", [size for size, _ in self.manifest.values()], "<i8")
            write_column(manifest, "digest", [each for _, each in self.manifest.values()], "text")
            notes = file.create_group("notes")
            write_column(notes, "kind", [each.kind for each in self.notes], "text")
            write_column(notes, "count", [each.count for each in self.notes], "<i8")
            write_column(notes, "text", [each.text for each in self.notes], "text")

    @classmethod
    def read(cls, path: Path) -> Index:
        """Read ``index.h5``; that of release 0.1 has no notes, and knows of no copies."""
        with open_own(path) as file:
            group, statics = file["recordings"], file["statics"]
            count, images = len(group["label"]), len(statics["label"])
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
                manifest=_read_manifest(file["manifest"]) if "manifest" in file else {},
                copy_of=group["copy_of"][()] if "copy_of" in group else none_of(count),
                static_copy_of=statics["copy_of"][()] if "copy_of" in statics else none_of(images),
                notes=_read_notes(file["notes"]) if "notes" in file else (),
            )


def _read_manifest(group: h5py.Group) -> dict[str, tuple[int, str]]:
    contents = zip(group["bytes"][()].tolist(), read_text(group, "digest"), strict=True)
    return dict(zip(read_text(group, "file"), contents, strict=True))


def _read_notes(group: h5py.Group) -> tuple[Note, ...]:
    counts = group["count"][()].tolist()
    return tuple(map(Note, read_text(group, "kind"), counts, read_text(group, "text")))


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


def write_frames(dataset: h5py.Dataset, row: int, tensor: NDArray[np.float32]) -> None:
    """Write one recording's frames, past h5py's selections, which cost as much as framing."""
    space = dataset.id.get_space()
    space.select_hyperslab((row, 0, 0, 0, 0), (1, *tensor.shape))
    memory = h5py.h5s.create_simple((1, *tensor.shape))
    dataset.id.write(memory, space, np.ascontiguousarray(tensor, FRAMES))
