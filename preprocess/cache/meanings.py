"""What every dataset of a cache means, written beside it as attributes for ``h5dump -A``.

In: an open HDF5 file of a cache. Out: the file with ``about`` on its root, and ``meaning`` (and
``axes`` and ``units`` where there are any) on each dataset. A dataset that has no entry here
is an error, so that none goes unexplained.
"""

from __future__ import annotations

from typing import NamedTuple

import h5py


class Meaning(NamedTuple):
    """What one dataset holds.

    Attributes:
        text: one sentence.
        axes: what its axes are, in order.
        units: of its values.
    """

    text: str
    axes: str
    units: str = ""


_PARTS = "part of the protocol named as this dataset: train, validation, test or unused (an enum)"
_FILTER = "/%s is compressed by Zstandard, HDF5 filter 32015: import hdf5plugin to read it"

ABOUT = {
    "frames": "snntx frame cache, one shard of recordings: /frames[i] are the frames of the "
    "recording in row i of /recordings. " + _FILTER % "frames",
    "bytes": "snntx event cache, one shard of recordings: chunk i is /bytes[chunks/offset[i] : "
    "chunks/offset[i + 1]], and has events of the recording in row chunks/row[i] of /recordings; "
    "docs/cache.md has the program that reads them",
    "images": "snntx frame cache, the static images: row i of every dataset is static image i. "
    + _FILTER % "images",
    "classes": "snntx frame cache, the index: frames-*.h5 hold /frames (recording, time step, "
    "polarity off/on, row, column); recording i of this index is row[i] of shard[i], where "
    "shard 3 is frames-00003.h5. The attributes here are the options it was built with",
}
"""What a file is, by the dataset that only such a file has at its root."""

OF_EVENTS = {
    "classes": "snntx event cache, the index: events-*.h5 hold the events of recordings in chunks; "
    "recording i of this index is row[i] of shard[i], where shard 3 is events-00003.h5. The "
    "attributes here are the options it was built with",
}
"""The same in an event cache, where it is another."""

MEANINGS = {
    "bytes": Meaning("the chunks, one after the other, each with Zstandard frames", "byte"),
    "chunks/row": Meaning("row of /recordings that each chunk belongs to, rising", "chunk"),
    "chunks/start_us": Meaning(
        "time of the chunk's first event after the recording's first", "chunk", "microseconds"
    ),
    "chunks/events": Meaning("events in each chunk", "chunk", "events"),
    "chunks/checksum": Meaning("64-bit XXH3 of each chunk's bytes", "chunk"),
    "chunks/offset": Meaning(
        "where each chunk begins in /bytes; last, where the last one ends", "chunk", "bytes"
    ),
    "recordings/corner": Meaning(
        "smallest coordinates of the recording's events", "recording, (y, x)", "pixels"
    ),
    "recordings/first_us": Meaning(
        "timestamp of the recording's first event in its raw file", "recording", "microseconds"
    ),
    "frames": Meaning(
        "events of each pixel in each time step, as the options bins, values and size of "
        "index.h5 say",
        "recording, time step, polarity (off, on; merged: one), row, column",
        "events per pixel, interpolated where resized (values counts)",
    ),
    "images": Meaning(
        "static images fitted to the frame size; planes are named in statics/planes of index.h5",
        "static image, plane, row, column",
        "brightness: uint8 from 0 (black) to 255, or float32 from 0 to 1",
    ),
    "identity": Meaning("identity of each static image: its path without suffix", "static image"),
    "label": Meaning("class of each static image: position in classes of index.h5", "static image"),
    "checksum": Meaning("64-bit XXH3 of images[i], its bytes in C order", "static image"),
    "classes": Meaning("class names; a label is a position in this list", "label"),
    "recordings/identity": Meaning(
        "identity of each recording: its path below --raw without suffix, sorted", "recording"
    ),
    "recordings/label": Meaning(
        "class of each recording: position in classes of index.h5", "recording"
    ),
    "recordings/events": Meaning("events in the whole recording", "recording", "events"),
    "recordings/duration_us": Meaning(
        "time from the first to the last event", "recording", "microseconds"
    ),
    "recordings/extent": Meaning(
        "size of the smallest rectangle that holds all events",
        "recording, (height, width)",
        "pixels",
    ),
    "recordings/checksum": Meaning(
        "64-bit XXH3 of the recording's frame tensor: little-endian float32 in C order", "recording"
    ),
    "recordings/digest": Meaning(
        "128-bit XXH3 of the raw file the recording lies in, hexadecimal", "recording"
    ),
    "recordings/shard": Meaning("number of the shard: 3 is frames-00003.h5", "recording"),
    "recordings/row": Meaning("row of /frames in that shard", "recording"),
    "recordings/twin": Meaning(
        "static image it was recorded from: a row of static.h5, -1 for none", "recording"
    ),
    "recordings/copy_of": Meaning(
        "first recording whose raw bytes are the same; -1 where it is no copy, or the first",
        "recording",
    ),
    "recordings/split/*": Meaning(_PARTS, "recording"),
    "skipped/file": Meaning("raw files that were passed over", "file"),
    "skipped/reason": Meaning("why each of them was passed over", "file"),
    "noted/name": Meaning("recordings and static images with something odd about them", "remark"),
    "noted/kind": Meaning("one word for what is odd about each", "remark"),
    "noted/text": Meaning("what is odd about each, and what was done", "remark"),
    "noted/events": Meaning(
        "events of the recording that each is about, 0 for the whole; absent where all are 0",
        "remark",
        "events",
    ),
    "notes/kind": Meaning("one word for what each note is about", "note"),
    "notes/count": Meaning("how many files, recordings, images or classes it is about", "note"),
    "notes/text": Meaning("the note, with its count and examples", "note"),
    "statics/identity": Meaning(
        "identity of each static image: its path without suffix", "static image"
    ),
    "statics/label": Meaning("class of each static image: position in classes", "static image"),
    "statics/copy_of": Meaning(
        "first static image of the same pixels; -1 where it is no copy, or the first",
        "static image",
    ),
    "statics/planes": Meaning(
        "names of the planes of an image: L, or R, G, B, or V, R, G, B", "plane"
    ),
    "statics/split/*": Meaning(
        f"{_PARTS}; an image takes the part of the recordings that it, or a copy, is the twin of",
        "static image",
    ),
    "manifest/file": Meaning(
        "every raw file the cache was made from: raw/ or static/, then its path below the folder",
        "file",
    ),
    "manifest/bytes": Meaning("size of each raw file", "file", "bytes"),
    "manifest/digest": Meaning("128-bit XXH3 of each raw file, hexadecimal", "file"),
}
"""Path of a dataset → its meaning; ``*`` stands for any protocol's name."""
MEANINGS_OF_EVENTS = {
    "recordings/checksum": Meaning(
        "64-bit XXH3 of the recording's columns t (int64, the first 0), x, y (int16) and p (int8), "
        "little-endian, one after the other",
        "recording",
    ),
    "recordings/shard": Meaning("number of the shard: 3 is events-00003.h5", "recording"),
    "recordings/row": Meaning("row of /recordings in that shard", "recording"),
}
"""The same in an event cache, where it is another."""


def explain(file: h5py.File) -> None:
    """Write the meaning of the file and of each of its datasets as attributes.

    Raises:
        KeyError: a dataset has no entry in :data:`MEANINGS`.
    """
    events = "recordings/first_us" in file
    for own, about in {**ABOUT, **(OF_EVENTS if events else {})}.items():
        if own in file:
            file.attrs["about"] = about
    meanings = {**MEANINGS, **(MEANINGS_OF_EVENTS if events else {})}

    def describe(path: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        folder, _, _ = path.rpartition("/")
        meaning = meanings.get(path) or meanings[f"{folder}/*"]
        item.attrs["meaning"] = meaning.text
        item.attrs["axes"] = meaning.axes
        if meaning.units:
            item.attrs["units"] = meaning.units

    file.visititems(describe)
