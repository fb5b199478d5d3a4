"""What a verification finds: problems, with the file, what was found, expected and to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import SnntxError
from ..cache.seal import REBUILD

DAMAGE = (SnntxError, OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError)
"""Whatever h5py and NumPy say of a damaged file."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: the file.
        place: where in it; empty for the whole file.
        found: what is there.
        expected: what should be.
        remedy: what to do.
    """

    file: Path
    place: str
    found: str
    expected: str
    remedy: str = REBUILD

    def __str__(self) -> str:
        """One line."""
        place = f": {self.place}" if self.place else ""
        return f"{self.file}{place}: found {self.found}, expected {self.expected}; {self.remedy}"


class Check:
    """The state of one verification."""

    def __init__(self, directory: Path, progress: Callable[[int, int], None]) -> None:
        self.directory, self._progress = directory, progress
        self.problems: list[Problem] = []
        self.shards = self.recordings = self.statics = self._total = 0

    def add(self, name: str, place: str, found: object, expected: object, remedy: str = "") -> None:
        """Add a problem of a file of the cache."""
        path = self.directory / name
        self.problems.append(Problem(path, place, str(found), str(expected), remedy or REBUILD))

    def expect(self, total: int) -> None:
        """Say how many recordings and images there are."""
        self._total = total
        self._progress(0, total)

    def tick(self) -> None:
        """Say that another one is checked."""
        self._progress(self.recordings + self.statics, self._total)
