"""Classes that stand in a table beside the recordings instead of in their paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...data_cards.found import LabelTable
from ...declared.texts import decoded
from ...errors import BadFileError, UsageError
from ..disk.files import first_file, read_file
from ..disk.listing import Found, whole_number


def classes_from_table(table: LabelTable, found: Sequence[Found]) -> tuple[Path, list[str]]:
    """Return the table's path and the class of each recording.

    Row N after the header belongs to the recording whose ``key`` field is N; its class is the
    ``column``-th token between blanks.

    Args:
        table: where the classes stand.
        found: the recordings, at least one.

    Raises:
        UsageError: no such table, a key that is no number, or two recordings of one number.
        BadFileError: the table is not text, lacks a row, or a row lacks the column.
    """
    path = first_file([found[0].root / table.file])
    if path is None:
        path = found[0].root / table.file
        raise UsageError(
            f"{path}: no such file; the classes of the recordings in {found[0].path.parent} stand "
            "in it, so put it there"
        )
    try:
        lines = decoded(read_file(path)).split("\n")
    except ValueError as error:
        raise BadFileError(f"{path}: {error}") from error
    if not lines[-1].strip():
        lines.pop()
    rows = lines[table.header_rows :]
    owner: dict[int, Found] = {}
    names = []
    for recording in found:
        row = whole_number(recording.fields[table.key], table.key, recording.path)
        if row in owner:
            raise UsageError(
                f"{recording.path} and {owner[row].path}: both have {table.key} {row}; "
                "remove one of them"
            )
        owner[row] = recording
        if row >= len(rows):
            raise BadFileError(
                f"{path}: {len(rows)} rows after {table.header_rows} of header, but "
                f"{recording.path.name} needs row {row} (from 0); complete the table"
            )
        tokens = rows[row].split()
        if len(tokens) < table.column:
            raise BadFileError(
                f"{path}: line {table.header_rows + row + 1} has {len(tokens)} columns, expected "
                f"the class of {recording.path.name} in column {table.column}; mend the line"
            )
        names.append(tokens[table.column - 1])
    return path, names
