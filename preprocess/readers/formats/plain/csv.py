"""Text of one event a line (``.csv``, ``.txt``): apart by commas, semicolons, tabs or blanks.

Columns are named by the first line, whose ``#`` is passed over; or, where the card gives numbers,
counted from 1 in a file without such a line. The text is UTF-8 and ends with an end of line:
without it, the last number may be cut off.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....declared.texts import decoded
from .....errors import BadFileError, plain
from ....disk.files import refuse_page
from ....framing.events import Events
from ...base import READERS, Reader
from ...chosen import TIMERS, WHERE, chosen_events

_MARKS = ",;\t"
_AGAIN = "copy or download it again"


class _Table:
    """The columns of a text, each made numbers once it is asked for."""

    def __init__(self, data: bytes, path: Path | str, *, named: bool) -> None:
        self._path = path
        try:
            text = decoded(data)
        except ValueError as error:
            raise BadFileError(f"{path}: {error}") from error
        refuse_page(data, path, "events, one a line")
        if not text.endswith("\n"):
            raise BadFileError(
                f"{path}: its last line, {text.count(chr(10)) + 1}, has no end: cut off? {_AGAIN}, "
                "or add an end of line where it is whole"
            )
        self._lines = text[:-1].split("\n")
        first = next((i for i, line in enumerate(self._lines) if line.strip(" #")), 0)
        self._mark = next((m for m in _MARKS if m in self._lines[first]), None)
        self._from = first + named
        cells = self._cells(self._lines[first].lstrip("# "))
        self._names = cells if named else [str(i + 1) for i in range(len(cells))]

    def names(self) -> Sequence[str]:
        return self._names

    def array(self, name: str) -> NDArray[Any] | None:
        if name not in self._names:
            return None
        column = self._names.index(name)
        for kind in (np.int64, np.float64):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", DeprecationWarning)  # of 1.0 as a whole number
                    warnings.simplefilter("ignore", UserWarning)  # of a table without rows
                    return np.loadtxt(
                        self._lines[self._from :],
                        kind,
                        delimiter=self._mark,
                        usecols=column,
                        quotechar='"',
                        ndmin=1,
                    )
            except (ValueError, DeprecationWarning, OverflowError):
                continue
        raise self._unreadable(column)

    def _cells(self, line: str) -> list[str]:
        if self._mark is None:
            return line.replace('"', "").split()
        return [cell.strip() for cell in next(csv.reader([line], delimiter=self._mark), [])]

    def _unreadable(self, column: int) -> BadFileError:
        """Return the error of the first line without a number in a column."""
        name = self._names[column]
        for number, line in enumerate(self._lines[self._from :], self._from + 1):
            cells = self._cells(line.split("#")[0])
            if not cells or cells == [""]:
                continue
            where = f"{self._path}: line {number}"
            if column >= len(cells):
                return BadFileError(
                    f"{where} has {len(cells)} columns, expected a number in column {column + 1} "
                    f"('{plain(name)[:40]}'); {_AGAIN}"
                )
            try:
                float(cells[column])
            except ValueError:
                advice = f"; set the names of the first line {WHERE}" if number == 1 else ""
                return BadFileError(
                    f"{where}, column {column + 1} holds '{plain(cells[column])[:40]}', expected a "
                    f"number{advice}"
                )
        return BadFileError(f"{self._path}: column '{plain(name)[:40]}' is no column of numbers")


@READERS.register("csv")
class Csv(Reader):
    """Reads text of one event a line: one recording a file."""

    record_bytes = len("0,0,0,0\n")
    timers = TIMERS
    takes_columns = True

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        named = not all(name.isdigit() for name in self.columns.names.values())
        table = _Table(data, path, named=named)
        return chosen_events(table, self.columns, path, drops=self.drops)
