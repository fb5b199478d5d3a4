"""Which recordings a folder holds: names, classes and identities, from the card's pattern.

The walk follows the pattern component by component, so it never goes deeper than the
pattern does: a symlink loop cannot hold it, and other folders are not read. Names that
start with a dot are passed over. The result is sorted by identity.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

_FIELD = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Found:
    """One file that matches a pattern.

    Attributes:
        path: the file.
        relative: its path below the root, with forward slashes.
        fields: the pattern's fields and their values.
        suffix: suffix of the files, if the pattern gives one, such as ``.bin``.
    """

    path: Path
    relative: str
    fields: Mapping[str, str]
    suffix: str = ""

    @property
    def identity(self) -> str:
        """Path below the root without the pattern's suffix, such as ``airplanes/image_0001``."""
        return self.relative[: len(self.relative) - len(self.suffix)]

    @property
    def class_name(self) -> str:
        """Value of the pattern's ``class`` field."""
        return self.fields["class"]


def _component(pattern: str) -> re.Pattern[str]:
    """Compile one path component of a pattern; suffix case is ignored (``.JPG``)."""
    pieces, end = [], 0
    for match in _FIELD.finditer(pattern):
        pieces += [re.escape(pattern[end : match.start()]), f"(?P<{match.group(1)}>.+)"]
        end = match.end()
    return re.compile("".join(pieces) + f"(?i:{re.escape(pattern[end:])})")


def _walk(
    folder: Path,
    parts: Sequence[re.Pattern[str]],
    suffix: str,
    fields: Mapping[str, str],
    below: str,
) -> Iterator[Found]:
    """Yield the files below ``folder`` that match the remaining pattern components."""
    try:
        with os.scandir(folder) as entries:
            children = [(entry.name, entry) for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed: {error.strerror}") from error
    last = len(parts) == 1
    for name, entry in children:
        match = parts[0].fullmatch(name)
        if match is None:
            continue
        found = {**fields, **match.groupdict()}
        if any(fields.get(k, v) != v for k, v in match.groupdict().items()):
            continue
        path = folder / name
        if entry.is_symlink() and not path.exists():
            if last:
                raise UsageError(f"{path}: is a link that leads nowhere; remove or mend it")
            continue
        _require_utf8(path, name)
        if last and entry.is_file():
            yield Found(path, below + name, found, suffix)
        elif not last and entry.is_dir():
            yield from _walk(folder / name, parts[1:], suffix, found, f"{below}{name}/")


def _require_utf8(path: Path, name: str) -> None:
    """A cache stores identities as UTF-8 text, which a name of other bytes cannot become."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{os.fsencode(path)!r}: the name is not UTF-8; rename the file or folder"
        ) from error


def find_files(folder: Path, roots: Sequence[str], pattern: str, what: str) -> list[Found]:
    """List the files below the first of ``roots`` that holds any, sorted by identity.

    Args:
        folder: what the user gave as ``--raw`` or ``--static``.
        roots: places below it to look in.
        pattern: path pattern with named fields.
        what: names the option in errors, such as ``--raw``.

    Raises:
        UsageError: the folder is missing, or nothing in it matches.
    """
    require_folder(folder, what)
    parts = [_component(part) for part in pattern.split("/")]
    suffix = Path("x" + pattern.rpartition("}")[2]).suffix
    for root in roots:
        if (folder / root).is_dir():
            walk = _walk(folder / root, parts, suffix, {}, "")
            files = sorted(walk, key=lambda f: f.identity)
            if files:
                _refuse_twice(files, folder / root)
                return files
    places = ", ".join(str(folder / root) for root in roots)
    raise UsageError(f"{what} {folder}: no file matches {pattern} (looked in {places})")


def require_folder(folder: Path, what: str) -> None:
    """Raise a UsageError unless ``folder`` is a folder that can be listed."""
    if not folder.exists():
        raise UsageError(f"{what} {folder}: no such folder")
    if not folder.is_dir():
        raise UsageError(f"{what} {folder}: is a file, expected a folder")
    try:
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
    except OSError as error:
        raise UsageError(f"{what} {folder}: cannot be listed: {error.strerror}") from error
    if empty:
        raise UsageError(f"{what} {folder}: the folder is empty")


def _refuse_twice(files: Sequence[Found], root: Path) -> None:
    """Two files of one identity (``a.jpg`` and ``a.JPG``) cannot both be it."""
    twice = [name for name, n in Counter(f.identity for f in files).items() if n > 1]
    if twice:
        both = sorted(f.relative for f in files if f.identity == twice[0])
        raise UsageError(f"{root}: {' and '.join(both)} have one identity; remove one of them")
