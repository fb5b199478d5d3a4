"""Labels in the lines of a list, checked against the numbers that the files' folders have.

HAR-DVS's lists have lines ``action_001/dvSave-2021_10_15_19_18_02 0``. Nobody said whether labels
count from 0 or from 1, so both will do, but one of them throughout: a label that is neither its
folder's number nor one less is of another file. In: lines. Out: the names in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import BadFileError, plain


class LabelCheck:
    """Takes the lines of all lists of a data set, one after the other.

    Args:
        numbers: name of each file here, as the lists have it → the number of its folder.
    """

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._numbers = numbers
        self._first: tuple[int, str] | None = None

    def name_of(self, line: str, path: Path, at: int) -> str:
        """Return the name in a line, whose label is checked where such a file is here.

        Args:
            line: its text.
            path: the list, for errors.
            at: the line's number.

        Raises:
            BadFileError: the line has no label, or one that is not its folder's.
        """
        name, _, label = line.rpartition(" ")
        name, label = name.strip(), label.strip()
        if not name or not (label.isascii() and label.isdigit()) or len(label) > 9:
            raise BadFileError(
                f"{path}: line {at} is '{plain(line)[:80]}', expected the name of a file, a blank "
                "and its label, a whole number"
            )
        number = self._numbers.get(name)
        if number is None:
            return name
        less = number - int(label)
        if self._first is None and less in (0, 1):
            self._first = less, f"line {at} of {path}"
        if self._first is None or less != self._first[0]:
            expected = f"{number} or {number - 1}"
            if self._first is not None:
                expected = f"{number - self._first[0]}, since {self._first[1]} has them so"
            raise BadFileError(
                f"{path}: line {at} gives {name} the label {int(label)}, but its folder has number "
                f"{number}: expected {expected}"
            )
        return name
