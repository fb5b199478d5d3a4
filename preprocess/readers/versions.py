"""What a file is, by its first bytes: four AEDAT formats of one suffix have little in common.

In: the start of a file that should be of a format. Out: nothing, or one line that says what it is
instead, and which format reads that; getting such a file again would not help.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...errors import BadFileError
from ..disk.files import refuse_text

START = b"#!AER-DAT"
READ_BY = {
    b"2.0": "aedat2-davis or aedat2-dvs128",
    b"3.1": "aedat3",
    b"4.0": "aedat4",
}
"""Version of a first line → the formats of a card that read it."""
AGAIN = "copy or download it again"
UNPACK = "unpack it and give the recordings"


class FileKind(NamedTuple):
    """What files are that begin with ``start``.

    ``formats`` are those of a card that are made to read them; ``advice`` is the way out where
    there are none.
    """

    start: bytes
    what: str
    formats: tuple[str, ...] = ()
    advice: str = "give recordings of that format"


PAGE = "a page of the web, saved instead of the file"
SAVE = "save what the page links to"
KINDS = (
    FileKind(b"#!AER-DAT2.0", "an AEDAT 2.0 file", ("aedat2-davis", "aedat2-dvs128")),
    FileKind(b"#!AER-DAT3.1", "an AEDAT 3.1 file", ("aedat3",)),
    FileKind(b"#!AER-DAT4.0", "an AEDAT 4.0 file", ("aedat4",)),
    FileKind(b"\x89HDF\r\n\x1a\n", "an HDF5 file", ("hdf5", "gesture-hdf5")),
    FileKind(b"\x93NUMPY", "an array of numpy", ("npy",)),
    FileKind(b"MATLAB 5.0 MAT-file", "a MATLAB 5 file", ("mat",)),
    FileKind(b"MATLAB 7.3 MAT-file", "a MATLAB 7.3 file, which is HDF5", ("hdf5",)),
    FileKind(b"PK\x03\x04", "a zip file, as numpy's archives of arrays are", ("npz",)),
    FileKind(b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    FileKind(b"\xff\xd8\xff", "a JPEG picture"),
    FileKind(b"#ROSBAG V", "a ROS bag"),
    FileKind(b"SQLite format 3\x00", "a database of SQLite, as ROS 2 bags are"),
    FileKind(b"% Date ", "a Prophesee recording"),
    FileKind(b"% Data file", "a Prophesee recording"),
    FileKind(b"% camera", "a Prophesee recording"),
    FileKind(b"% evt ", "a Prophesee recording"),
    FileKind(b"% format EVT", "a Prophesee recording"),
    FileKind(b"<!DOCTYPE html", PAGE, advice=SAVE),
    FileKind(b"<!doctype html", PAGE, advice=SAVE),
    FileKind(b"<html", PAGE, advice=SAVE),
    FileKind(b"<HTML", PAGE, advice=SAVE),
    FileKind(b"\x1f\x8b\x08", "a gzip archive", advice=UNPACK),
    FileKind(b"\xfd7zXZ\x00", "an xz archive", advice=UNPACK),
    FileKind(b"BZh", "a bzip2 archive", advice=UNPACK),
    FileKind(b"7z\xbc\xaf\x27\x1c", "a 7z archive", advice=UNPACK),
    FileKind(b"Rar!\x1a\x07", "a RAR archive", advice=UNPACK),
)
TOLD = frozenset({"atis", "csv", *(name for kind in KINDS for name in kind.formats)})
"""Formats whose files cannot begin as those of another kind do; others' files may."""
TAR_AT, TAR = 257, b"ustar"
LONGEST = TAR_AT + len(TAR)


def what_is(path: Path | str) -> FileKind | None:
    """Return what a file is by its first bytes; None where they tell nothing, or cannot be read."""
    try:
        with Path(path).open("rb") as file:
            first = file.read(LONGEST)
    except (OSError, ValueError):
        return None
    if first[TAR_AT:] == TAR:
        return FileKind(TAR, "a tar archive", advice=UNPACK)
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    for kind in KINDS:
        if first.startswith(kind.start) or (kind.what == PAGE and text.startswith(kind.start)):
            return kind
    return None


def told_apart(error: BadFileError, path: Path | str, format: str) -> BadFileError:
    """Return a reader's error, or a better one where it says to get a file of another kind again.

    Args:
        error: what the reader found wrong.
        path: the file.
        format: of the card.
    """
    name = format.partition("?")[0]
    if name not in TOLD or "download" not in str(error):
        return error
    kind = what_is(path)
    if kind is None or kind.what == PAGE or name in kind.formats:
        return error  # a page came in place of the file, which has to be got
    known = f"set format = {' or '.join(kind.formats)} in [events] of the card"
    return BadFileError(
        f"{path}: {kind.what}, expected one of format {name}; "
        f"{known if kind.formats else kind.advice}"
    )


def require_version(data: bytes, path: Path | str, version: bytes) -> None:
    """Refuse a file that does not begin with the first line of a version of AEDAT.

    Args:
        data: the file's bytes.
        path: names it in errors.
        version: such as ``b"3.1"``.

    Raises:
        BadFileError: it is of another version, or no AEDAT at all.
    """
    wanted = START + version + b"\r\n"
    if data.startswith(wanted):
        return
    if data.startswith(START):
        first = data[: len(wanted)].split(b"\r")[0]
        known = READ_BY.get(first.removeprefix(START))
        advice = f"set format = {known} in [events] of the card" if known else AGAIN
        raise BadFileError(f"{path}: starts with {first!r}, expected {wanted!r}; {advice}")
    refuse_text(data, path, f"an AEDAT {version.decode()} file")
    raise BadFileError(
        f"{path}: starts with {data[: len(wanted)]!r}, expected {wanted!r}: not an AEDAT "
        f"{version.decode()} file"
    )
