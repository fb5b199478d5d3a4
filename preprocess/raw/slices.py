"""Slice tables: which recordings lie in a file of many, from the table of times beside it.

``PPPP.aedat4`` holds the recordings of one character one after the other; row ``i`` of
``PPPP.csv`` has the times, in microseconds, at which recording ``i`` starts and ends. What
the times mean among events that share them is told by the reader
(:mod:`snntx.preprocess.readers.formats.aedat4`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...data_cards.found import Slices
from ...declared.texts import table_rows
from ...errors import BadFileError
from ..disk.files import first_file

MAX_TABLE_BYTES = 1 << 24
MAX_TIME_US = 1 << 62


def table_name(path: Path, spec: Slices) -> Path:
    """Return where the table of a file of recordings should be."""
    return path.with_name(f"{path.stem}{spec.suffix}")


def table_of(path: Path, spec: Slices) -> Path:
    """Return the table beside a file of recordings.

    Raises:
        BadFileError: there is none.
    """
    wanted = table_name(path, spec)
    table = first_file([wanted])
    if table is None:
        raise BadFileError(
            f"{path}: the table of its recordings, {wanted.name}, is missing beside it; "
            "copy or download it again"
        )
    return table


def read_slices(table: Path, spec: Slices) -> Iterator[tuple[int, int, int]]:
    """Yield ``(start, end, row)`` of every recording, rows counted from 1 below the header.

    Raises:
        BadFileError: the table is unreadable or empty, has more or fewer rows than the card
            says, or a row lacks a time or ends before it starts.
    """
    for number, row in enumerate(_rows(table, spec), 1):
        start, end = (
            _time(row, column, f"{table}: row {number}")
            for column in (spec.start_column, spec.end_column)
        )
        if end <= start:
            raise BadFileError(
                f"{table}: row {number} starts at {start} us and ends at {end} us; expected an "
                "end after the start"
            )
        yield start, end, number


def read_classes(table: Path, spec: Slices, classes: Sequence[str]) -> list[str]:
    """Return the class of every recording, in order of the rows.

    Raises:
        BadFileError: as of :func:`read_slices`, or a row has no number of a class.
    """
    assert spec.class_column is not None
    column, first = spec.class_column, spec.class_first
    names = []
    for number, row in enumerate(_rows(table, spec), 1):
        cell = row[column - 1].strip() if column <= len(row) else ""
        label = int(cell) - first if re.fullmatch(r"[0-9]{1,9}", cell) else -1
        if not 0 <= label < len(classes):
            raise BadFileError(
                f"{table}: row {number}, column {column} holds {cell[:40]!r}, expected the number "
                f"of a class, {first} to {first + len(classes) - 1}"
            )
        names.append(classes[label])
    return names


def _rows(table: Path, spec: Slices) -> list[list[str]]:
    """Return the rows of a table below its header, blank ones left out."""
    try:
        if table.stat().st_size > MAX_TABLE_BYTES:
            raise BadFileError(
                f"{table}: {table.stat().st_size} bytes, expected a table of at most "
                f"{MAX_TABLE_BYTES}"
            )
        held = table_rows(table.read_bytes())
        rows = [row for row in held if any(cell.strip() for cell in row)]
    except OSError as error:
        raise BadFileError(f"{table}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise BadFileError(f"{table}: not a table of text: {error}") from error
    if len(rows) <= spec.header_rows:
        raise BadFileError(
            f"{table}: {len(rows)} rows, expected {spec.header_rows} of header and at least one "
            "recording; copy or download it again"
        )
    found = len(rows) - spec.header_rows
    if spec.recordings is not None and found != spec.recordings:
        raise BadFileError(
            f"{table}: {found} rows below the header, expected {spec.recordings}, one for each "
            "recording of a file; copy or download it again"
        )
    return rows[spec.header_rows :]


def _time(row: list[str], column: int, where: str) -> int:
    """Return one time of a row in microseconds."""
    if column > len(row):
        raise BadFileError(
            f"{where} has {len(row)} columns, expected a time in column {column}; the table may "
            "be cut off"
        )
    cell = row[column - 1].strip()
    if not (cell.isascii() and cell.isdigit()) or len(cell) > 19 or int(cell) > MAX_TIME_US:
        raise BadFileError(
            f"{where}, column {column} holds {cell[:40]!r}, expected a time in whole microseconds"
        )
    return int(cell)
