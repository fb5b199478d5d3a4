"""The recordings that a user means by files and folders, and files of another format among them.

In: paths, and the format that a run reads. Out: the files, or one line that says which format a
file is of, told by its first bytes, whatever its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...errors import BadFileError, UsageError
from ...preprocess.readers.base import READERS

KINDS: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (b"#!AER-DAT2.0", "an AEDAT 2.0 file", ("aedat2-davis", "aedat2-dvs128")),
    (b"#!AER-DAT3.1", "an AEDAT 3.1 file", ("aedat3",)),
    (b"#!AER-DAT4.0", "an AEDAT 4.0 file", ("aedat4",)),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", ("hdf5", "gesture-hdf5", "mat")),
    (b"\x93NUMPY", "an array of numpy", ("npy",)),
    (b"MATLAB 5.0 MAT-file", "a MATLAB 5 file", ("mat",)),
    (b"PK\x03\x04", "a zip file, as numpy's archives of arrays are", ("npz",)),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", ()),
    (b"\xff\xd8\xff", "a JPEG picture", ()),
    (b"#ROSBAG V", "a ROS bag", ()),
    (b"% Date ", "a Prophesee recording", ()),
    (b"% camera", "a Prophesee recording", ()),
    (b"% evt ", "a Prophesee recording", ()),
    (b"<!DOCTYPE html", "a page of the web, saved instead of the file", ()),
    (b"<!doctype html", "a page of the web, saved instead of the file", ()),
    (b"<html", "a page of the web, saved instead of the file", ()),
    (b"\xfd7zXZ\x00", "an xz archive", ()),
)
"""First bytes, what such a file is, and the formats of a card that are made to read it."""
TOLD = frozenset({"atis", "csv", *(name for _, _, formats in KINDS for name in formats)})
"""Formats whose files cannot begin as those of another kind do; others' files may."""
TAR_AT, TAR = 257, b"ustar"
LONGEST = TAR_AT + len(TAR)


def recordings_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files that paths stand for: themselves, and of a folder every file below it.

    Files of a folder come in the order of their names; hidden ones are left out, and a file that
    is meant twice comes twice.

    Raises:
        UsageError: a folder holds no file, or cannot be listed.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(_below(path))
        if not inside:
            raise UsageError(f"{path}: no file in this folder; give recordings, or their folder")
        found += inside
    return found


def _below(folder: Path) -> Iterable[Path]:
    def refuse(error: OSError) -> None:
        raise UsageError(
            f"{error.filename}: cannot be listed: {error.strerror}; make it readable, or give files"
        ) from error

    for where, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(where, name) for name in files if not name.startswith("."))


def refuse_other(path: Path, format: str) -> None:
    """Refuse a file that is of another format than a run reads, by its first bytes.

    Args:
        path: the file; one that cannot be read is left to the reader, who says why.
        format: of the run's card. Formats of one's own and tonic's may read any file.

    Raises:
        BadFileError: the file is of another format; which one, and what reads it.
    """
    name = format.partition("?")[0]
    if name not in TOLD or name not in READERS.shipped():
        return
    try:
        with path.open("rb") as file:
            first = file.read(LONGEST)
    except OSError:
        return
    for start, what, formats in KINDS:
        if first.startswith(start) and name not in formats:
            other = f", or a run of a card with format = {' or '.join(formats)}" * bool(formats)
            raise BadFileError(
                f"{path}: {what}, but the run reads files of format {name}; give recordings of "
                f"that format{other}"
            )
    if first[TAR_AT : TAR_AT + len(TAR)] == TAR:
        raise BadFileError(
            f"{path}: a tar archive, but the run reads files of format {name}; unpack it and give "
            "the recordings"
        )
