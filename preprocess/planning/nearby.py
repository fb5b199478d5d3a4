"""What lies near a folder that was named in place of another: some levels above it or below.

In: a folder, and the pattern of the files that were expected in it. Out: one such file and the
folder that should have been named. No disk is walked: at most :data:`LEVELS` levels below the
folder are looked at, :data:`IN_FOLDER` entries of each folder and :data:`IN_ALL` in all; of what
lies above, nothing but the way up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..disk.patterns import Component, is_junk

LEVELS = 3
"""How many folders deep below the one that was named others are tried."""
IN_FOLDER, IN_ALL = 500, 20_000
"""Most entries that are looked at, of one folder and of all."""
BOUND = f"{LEVELS} levels and {IN_ALL:,} entries"

Accept = Callable[[Mapping[str, str]], bool]
Example = Callable[[Path], "Path | None"]


class Place(NamedTuple):
    """A folder that could have been named, and one file that is looked for below it."""

    folder: Path
    example: Path


class Look:
    """One look around, whose entries are counted."""

    def __init__(self) -> None:
        self._left = IN_ALL

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Return entries of a folder, sorted by name; none where it cannot be listed any more."""
        if self._left <= 0:
            return []
        try:
            with os.scandir(folder) as listed:
                found = list(islice(listed, min(IN_FOLDER, self._left)))
        except OSError:  # what cannot be seen is not found
            return []
        self._left -= len(found)
        plain = (e for e in found if not e.name.startswith(".") and not is_junk(e.name))
        return sorted(plain, key=lambda e: e.name)

    def first(
        self,
        folder: Path,
        parts: Sequence[Component],
        accept: Accept,
        fields: Mapping[str, str] | None = None,
    ) -> Path | None:
        """Return a file below a folder that matches the components of a pattern.

        Args:
            folder: where the components start.
            parts: the components; none for the folder, or file, itself.
            accept: whether the fields of a match will do.
            fields: of the components before.
        """
        fields = fields or {}
        if not parts:
            return folder if folder.is_file() and accept(fields) else None
        for entry in self.entries(folder):
            match = parts[0].match(entry.name)
            if match is None or any(fields.get(k, v) != v for k, v in match.items()):
                continue
            if entry.is_dir() if len(parts) > 1 else entry.is_file():
                found = self.first(folder / entry.name, parts[1:], accept, {**fields, **match})
                if found is not None:
                    return found
        return None

    def folders(self, folder: Path) -> Iterator[list[Path]]:
        """Yield the folders below a folder, those of one level at a time."""
        level = [folder]
        for _ in range(LEVELS):
            level = [each / e.name for each in level for e in self.entries(each) if e.is_dir()]
            yield level

    def below(self, folder: Path, example: Example) -> list[Place]:
        """Return the folders below one that hold what is looked for, all of the highest level.

        Args:
            folder: the one that was named.
            example: returns a file that is looked for, of a folder that could have been named.
        """
        for level in self.folders(folder):
            found = [Place(each, file) for each in level if (file := example(each)) is not None]
            if found:
                return found
        return []

    def above(
        self, path: Path, root: str, parts: Sequence[Component], accept: Accept
    ) -> Place | None:
        """Return the folder above one, or above a file, that should have been named.

        Its way down to ``path`` has to match the pattern, and something in ``path`` the rest.

        Args:
            path: what was named.
            root: the place below the folder where the pattern starts.
            parts: the pattern's components.
            accept: whether the fields of a match will do.
        """
        names = [each for each in root.split("/") if each not in ("", ".")]
        for up in range(1, len(names) + len(parts) + 1):
            own = spelled(path, up)
            if len(own.parts) < up:
                break
            fields = _fields(own.parts[len(own.parts) - up :], names, parts)
            if fields is not None:
                rest = parts[max(0, up - len(names)) :]
                found = self.first(own.joinpath(*names[up:]), rest, accept, fields)
                if found is not None:
                    return Place(own.parents[up - 1], found)
        return None


def spelled(path: Path, up: int) -> Path:
    """Return a path as it is, or absolute where its text does not name ``up`` folders above it."""
    return path if len(path.parts) >= up and ".." not in path.parts else Path(os.path.abspath(path))


def _fields(
    way: Sequence[str], names: Sequence[str], parts: Sequence[Component]
) -> dict[str, str] | None:
    """Return the fields of names that start with a root and go on as a pattern; None for others."""
    if list(way[: len(names)]) != list(names[: len(way)]):
        return None
    fields: dict[str, str] = {}
    for name, part in zip(way[len(names) :], parts, strict=False):
        match = part.match(name)
        if match is None or any(fields.get(k, v) != v for k, v in match.items()):
            return None
        fields |= match
    return fields
