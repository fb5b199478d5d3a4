"""Which folders below some are run directories, and which are none.

In: folders. Out: paths below them as they were given, in the order of their names. What is hidden
is passed over, and so are the logs that a sweep keeps beside its runs. A folder without any run
below it stands for all that is in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ....errors import UsageError
from ...checkpoints.names import BEST, LAST, RECIPE
from ..child import LOGS
from ..progress import INDEX


@dataclass
class Found:
    """What lies below some folders.

    Attributes:
        runs: run directories.
        others: folders that hold none, each with why it cannot be read, or nothing.
    """

    runs: list[Path] = field(default_factory=list)
    others: dict[Path, str] = field(default_factory=dict)


def is_run(path: Path) -> bool:
    """Return whether a directory is one of ``snntx train``, be it damaged."""
    return any((path / name).is_file() for name in (RECIPE, LAST, BEST))


def find(folders: Sequence[Path]) -> Found:
    """Return the run directories among and below some folders.

    Raises:
        UsageError: one is no folder.
    """
    found, seen = Found(), set[tuple[int, int]]()
    for folder in folders:
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "no such folder"
            raise UsageError(f"{folder}: {what}; give a folder of runs, or a run directory")
        _look(folder, found, seen, named=True)
    return found


def _look(folder: Path, found: Found, seen: set[tuple[int, int]], *, named: bool = False) -> None:
    """Add what lies in a folder that was not looked at yet, by whichever path."""
    before = len(found.runs)
    try:
        about = folder.stat()
        if (place := (about.st_dev, about.st_ino)) in seen:
            return
        seen.add(place)
        run = is_run(folder)
        with os.scandir(folder) as entries:
            names = sorted(each.name for each in entries if each.is_dir())
    except OSError as error:
        found.others[folder] = f"cannot be read: {error.strerror or error}"
        return
    if run:
        found.runs.append(folder)
    inner = Found(found.runs)
    for name in names:
        logs = name == LOGS and (folder / INDEX).is_file()
        if not name.startswith(".") and not logs:
            _look(folder / name, inner, seen)
    if len(found.runs) > before or named:
        found.others |= {} if run else inner.others
    elif not run:
        found.others[folder] = ""
