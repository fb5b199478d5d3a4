"""CSV that a spreadsheet may open: foreign names in it are text and never formulas.

In: rows of cells. Out: CSV. Text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage
return, which a spreadsheet would calculate, gets an apostrophe before it; numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of what spreadsheets take for a formula."""


def cell(value: Any) -> Any:
    """Return a value as a cell of CSV; text that would be a formula is defused."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def sheet_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows of cells as CSV, ended by line feeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return text.getvalue()
