"""What names a part of a file of many recordings in errors: the table beside it, and the row."""

from __future__ import annotations

import glob
from pathlib import Path


def row_of(part: tuple[int, ...], path: Path) -> str:
    """Name the table beside a file, ``STEM.csv`` or ``STEM_….csv``, and the row of a part in it.

    Args:
        part: start and end in microseconds, and the number of the row where it is known.
        path: the file.
    """
    alike = sorted(path.parent.glob(f"{glob.escape(path.stem)}*.csv"))
    own = path.with_suffix(".csv")
    named = [each for each in alike if not each.stem[len(path.stem) :][:1].isalnum()]
    table = own if own in alike else next(iter(named), None)
    where = f"{table}:" if table is not None else f"{path}: the table beside it:"
    return f"{where} row {part[2]}" if len(part) > 2 else f"{path}: the part"
