"""Which AEDAT a file is, by its first line: four formats of one suffix have little in common.

In: the bytes of a file that should begin with a format's first line. Out: nothing, or one line
that says what it begins with, and which format reads that.
"""

from __future__ import annotations

from pathlib import Path

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
