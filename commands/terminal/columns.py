"""How wide the terminal is, and tables that fit it.

In: rows of text. Out: lines. A table that is too wide first has its texts broken over several
lines of their cells, and then, if need be, its columns told in several tables below one another,
each of which begins with the first column. Where output goes to no terminal nothing is broken.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

GAP = "  "
NARROWEST = 8
"""Columns that a cell of text keeps when a table is made to fit."""


def terminal_width() -> int | None:
    """Return the columns of the terminal, or what ``COLUMNS`` says; None where there is neither."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def prose_width(most: int) -> int:
    """Return the columns for text: the terminal's, and no more than are good to read."""
    return min(terminal_width() or most, most)


def table_lines(
    rows: Sequence[Sequence[str]], *, right: int = 1, width: int | None = None
) -> list[str]:
    """Return aligned columns.

    Args:
        rows: the header first; one visible line a cell.
        right: columns from this index on are set right.
        width: that the lines may have; None for any.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is None or _sum(widths) <= width:
        return _drawn(rows, widths, right)
    words = [_longest(rows, i) if i < right else natural for i, natural in enumerate(widths)]
    shrunk = _shrunk(widths, words, width)
    if _sum(shrunk) <= width:
        return _drawn(rows, shrunk, right)
    if right:
        widths[0] = min(widths[0], max(words[0], width // 2))
    lines: list[str] = []
    for chosen in _groups(widths, width):
        part = [[row[i] for i in chosen] for row in rows]
        kept = sum(i < right for i in chosen)
        lines += ["", *_drawn(part, [widths[i] for i in chosen], kept)]
    return lines[1:]


def _shrunk(widths: Sequence[int], words: Sequence[int], width: int) -> list[int]:
    """Return the widths with the widest made narrower, to their longest word, while that helps."""
    shrunk = list(widths)
    while _sum(shrunk) > width:
        able = [i for i, each in enumerate(shrunk) if each > max(words[i], NARROWEST)]
        if not able:
            break
        shrunk[max(able, key=lambda i: shrunk[i])] -= 1
    return shrunk


def _sum(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _longest(rows: Sequence[Sequence[str]], column: int) -> int:
    """Return the letters of a column's longest word, which is not broken."""
    return max(len(word) for row in rows for word in (row[column].split() or [""]))


def _groups(widths: Sequence[int], width: int) -> list[list[int]]:
    """Return which columns stand in one table; the first one stands in each."""
    groups = [[0]]
    for i in range(1, len(widths)):
        if len(groups[-1]) > 1 and _sum([widths[j] for j in [*groups[-1], i]]) > width:
            groups.append([0])
        groups[-1].append(i)
    return groups


def _drawn(rows: Sequence[Sequence[str]], widths: Sequence[int], right: int) -> list[str]:
    lines = []
    for row in rows:
        cells = [_broken(value, width) for value, width in zip(row, widths, strict=True)]
        for k in range(max(map(len, cells))):
            parts = [cell[k] if k < len(cell) else "" for cell in cells]
            aligned = [
                text.rjust(width) if i >= right else text.ljust(width)
                for i, (text, width) in enumerate(zip(parts, widths, strict=True))
            ]
            lines.append(GAP.join(aligned).rstrip())
    return lines


def _broken(text: str, width: int) -> list[str]:
    """Return a cell's lines; what follows the first is set in, and no word is broken."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
