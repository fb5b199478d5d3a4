"""Text files as editors of any system save them: marks at the start, and ends of lines.

In: bytes. Out: the text, its lines ended by ``\\n``; or one line of what else it is.
"""

from __future__ import annotations

import codecs
import csv
import tomllib
from typing import Any

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16's, which it starts with
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def decoded(data: bytes) -> str:
    """Return the text of a file in UTF-8, without the mark at its start, if it has one.

    Raises:
        ValueError: the bytes are no UTF-8; says what they are and what to do.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise ValueError(f"text in {name}, expected UTF-8; save it as UTF-8")
    if b"\0" in data[:4]:
        raise ValueError("zero bytes at its start, expected text in UTF-8; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"byte {error.start} is not UTF-8 (in line {line}); save it as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed_toml(data: bytes) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises:
        ValueError: no text, or no TOML; says what is wrong where.
    """
    try:
        return tomllib.loads(decoded(data))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid TOML: {error}") from error


def table_rows(data: bytes) -> list[list[str]]:
    """Return the rows of a CSV file, apart by commas, semicolons or tabs; none for its last end.

    Raises:
        ValueError: no text, or no table; says what is wrong.
    """
    lines = decoded(data).split("\n")
    mark = next((each for each in ",;\t" if any(each in line for line in lines)), ",")
    try:
        rows = list(csv.reader(lines, delimiter=mark))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return rows[:-1] if rows and not rows[-1] else rows
