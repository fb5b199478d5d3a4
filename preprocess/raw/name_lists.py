"""Lists of names beside the recordings that say which set each file is of.

DVS128 Gesture has ``trials_to_train.txt`` and ``trials_to_test.txt``, one file name a line. In:
the files that were found. Out: the same with one more field, the set whose list names the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ...data_cards.found import NameLists
from ...declared.texts import decoded
from ...errors import BadFileError, UsageError
from ..disk.files import first_file, read_file
from ..disk.listing import Found, whole_number
from .list_labels import LabelCheck


class Listed(NamedTuple):
    """What the lists say of the files that were found.

    Attributes:
        found: each file with its set, which is empty where no list names it.
        files: name below the root → path, of every list.
        notes: lines for people on names without a file, and files without a name.
    """

    found: list[Found]
    files: dict[str, Path]
    notes: tuple[str, ...]


def read_lists(lists: NameLists, found: Sequence[Found]) -> Listed:
    """Read the lists of names and give each file its set.

    Args:
        lists: where they lie, and what stands in them.
        found: the files of recordings, at least one.

    Raises:
        UsageError: a list is missing, or none of them names any of the files.
        BadFileError: a list is unreadable or no text, or a name stands in two of them.
    """
    files: dict[str, Path] = {}
    owner: dict[str, tuple[str, Path, int]] = {}
    entries = [lists.entry.format(**each.fields) for each in found]
    labels = None
    if lists.number:
        numbers = (
            whole_number(each.fields[lists.number], lists.number, each.path) for each in found
        )
        labels = LabelCheck(dict(zip(entries, numbers, strict=True)))
    with_label = " and its label" if lists.number else ""
    for name, file in lists.files.items():
        path = first_file([found[0].root / file])
        if path is None:
            raise UsageError(
                f"{found[0].root / file}: no such file; it holds the names of the files of "
                f"'{name}', one{with_label} a line, such as {entries[0]}: copy it there "
                "from the data set's archive"
            )
        files[file] = path
        for number, line in _lines(path):
            entry = line if labels is None else labels.name_of(line, path, number)
            other = owner.setdefault(entry, (name, path, number))
            if other[0] != name:
                raise BadFileError(
                    f"{path}: line {number} names {entry}, which line {other[2]} of {other[1]} "
                    "names too; expected every file in one list"
                )
    sets = [owner[entry][0] if entry in owner else "" for entry in entries]
    if not any(sets):
        held = ", ".join(sorted(owner)[:2]) or "nothing"
        raise UsageError(
            f"{', '.join(map(str, files.values()))}: none of their names is of a file here (found "
            f"names such as {held}; expected such as {entries[0]}); mend the lists"
        )
    marked = [
        replace(each, fields={**each.fields, lists.field: name})
        for each, name in zip(found, sets, strict=True)
    ]
    return Listed(marked, files, tuple(_notes(lists, entries, sets, owner)))


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return number and text of the lines of a list that are not blank."""
    try:
        lines = decoded(read_file(path)).split("\n")
    except ValueError as error:
        raise BadFileError(f"{path}: {error}") from error
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _notes(
    lists: NameLists, entries: list[str], sets: list[str], owner: dict[str, tuple[str, Path, int]]
) -> list[str]:
    """Return a line on the names without a file, and one on the files without a name."""
    said = []
    absent = sorted(owner.keys() - set(entries))
    names = ", ".join(lists.files.values())
    if absent:
        said.append(f"names in {names} that no file has: {len(absent)}, such as {absent[0]}")
    unnamed = sorted(entry for entry, name in zip(entries, sets, strict=True) if not name)
    if unnamed:
        said.append(
            f"files that none of {names} names, which no protocol by {lists.field} uses: "
            f"{len(unnamed)}, such as {unnamed[0]}"
        )
    return said
