"""Which recordings a folder holds: names, classes and identities, from the card's pattern.

The walk follows the pattern component by component, so it never goes deeper than the
pattern does: a symlink loop cannot hold it, and other folders are not read. Names that
start with a dot, or that a file manager left, are passed over. The result is sorted by identity,
or, where a field is said to be a number, by its value.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import UsageError
from .patterns import Component, components, is_junk

DEAD_LINK = "is a link that leads nowhere"


class NothingFoundError(UsageError):
    """A folder holds no file that matches."""


@dataclass(frozen=True)
class Found:
    """One file that matches a pattern.

    Attributes:
        path: the file.
        relative: its path below the root, with forward slashes.
        fields: the pattern's fields and their values.
        suffix: suffix of the files, if the pattern gives one, such as ``.bin``.
        name: the identity, where it is not the path (numbers: ``007`` is 7).
    """

    path: Path
    relative: str
    fields: Mapping[str, str]
    suffix: str = ""
    name: str = ""

    @property
    def identity(self) -> str:
        """Path below the root without the pattern's suffix, such as ``airplanes/image_0001``."""
        return self.name or self.relative[: len(self.relative) - len(self.suffix)]

    @property
    def class_name(self) -> str:
        """Value of the pattern's ``class`` field."""
        return self.fields["class"]

    @property
    def root(self) -> Path:
        """The folder that ``relative`` is below."""
        return self.path.parents[self.relative.count("/")]


@dataclass
class Passed:
    """What a listing passed over; given empty, it is filled.

    Attributes:
        skip: pass over links that lead nowhere, instead of raising.
        junk: paths below the root of what file managers left, such as ``a/.DS_Store``.
        links: files that match, but are links that lead nowhere.
        folders: paths of folders that match, but are such links.
        others: paths of what matches and is no file, such as a folder ``7.bin``.
    """

    skip: bool = False
    junk: list[str] = field(default_factory=list)
    links: list[Found] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def notes(self, what: str) -> tuple[str, ...]:
        """Return a line each on what it passed over; ``what`` names where, such as ``--raw``."""
        lines = junk_notes(self.junk, what)
        if self.folders:
            lines += (
                f"links below {what} that lead to no folder passed over: {len(self.folders)}, "
                f"such as {min(self.folders)}",
            )
        if self.others:
            lines += (
                f"names below {what} that match and are no files passed over: "
                f"{len(self.others)}, such as {min(self.others)}",
            )
        return lines

    def forget(self) -> None:
        """Forget everything, as of a root that holds no recording."""
        for each in (self.junk, self.links, self.folders, self.others):
            each.clear()

    def skipped(self, place: str) -> tuple[tuple[str, str], ...]:
        """Return name in the manifest and reason of each link, below ``raw`` or ``static``."""
        links = sorted(self.links, key=lambda link: link.relative)
        return tuple((f"{place}/{link.relative}", DEAD_LINK) for link in links)


def junk_notes(junk: Sequence[str], what: str) -> tuple[str, ...]:
    """Return a line on the files and folders that file managers left, if there are any."""
    if not junk:
        return ()
    count = f"{len(junk)}, such as {min(junk)}"
    return (f"files that file managers left below {what} passed over: {count}",)


def _walk(
    folder: Path,
    parts: Sequence[Component],
    suffix: str | None,
    fields: Mapping[str, str],
    below: str,
    passed: Passed,
) -> Iterator[Found]:
    """Yield the files below ``folder`` that match the remaining pattern components."""
    try:
        with os.scandir(folder) as entries:
            children = [(entry.name, entry) for entry in entries]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed: {error.strerror}") from error
    last = len(parts) == 1
    for name, entry in children:
        if is_junk(name):
            passed.junk.append(below + name)
            continue
        match = None if name.startswith(".") else parts[0].match(name)
        if match is None or any(fields.get(k, v) != v for k, v in match.items()):
            continue
        found = {**fields, **match}
        path = folder / name
        if entry.is_symlink() and not path.exists():
            if last and not passed.skip:
                raise UsageError(
                    f"{path}: {DEAD_LINK}; remove or mend it, or pass over it with --bad-files skip"
                )
            if last:
                ending = path.suffix if suffix is None else suffix
                passed.links.append(Found(path, below + name, found, ending))
            else:
                passed.folders.append(below + name)
            continue
        _require_utf8(path, name)
        if last and entry.is_file():
            yield Found(path, below + name, found, path.suffix if suffix is None else suffix)
        elif not last and entry.is_dir():
            yield from _walk(folder / name, parts[1:], suffix, found, f"{below}{name}/", passed)
        elif last:
            passed.others.append(below + name)


def _require_utf8(path: Path, name: str) -> None:
    """A cache stores identities as UTF-8 text, which a name of other bytes cannot become."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{os.fsencode(path)!r}: the name is not UTF-8; rename the file or folder"
        ) from error


def whole_number(text: str, what: str, path: Path) -> int:
    """Return a field's value as the number it is said to be.

    Raises:
        UsageError: it is anything but decimal digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError(
            f"{path}: {what} is '{text}', expected a whole number; move the file elsewhere or "
            "rename it"
        )
    return int(text)


def _numbered(found: Found, number: str, stem: str) -> Found:
    """Return a file with its number in one spelling, in fields and identity."""
    value = str(whole_number(found.fields[number], number, found.path))
    fields = {**found.fields, number: value}
    return replace(found, fields=fields, name=stem.format(**fields))


def _by_number(found: Found, number: str, stem: str) -> str:
    """Return a key that sorts as the identity does, but numbers by value."""
    return stem.format(**{**found.fields, number: found.fields[number].zfill(18)})


def find_files(
    folder: Path,
    roots: Sequence[str],
    pattern: str,
    what: str,
    *,
    suffixes: Sequence[str] = (),
    number: str = "",
    passed: Passed | None = None,
) -> list[Found]:
    """List the files below the first of ``roots`` that holds any, sorted by identity.

    Args:
        folder: what the user gave as ``--raw`` or ``--static``.
        roots: places below it to look in.
        pattern: path pattern with named fields.
        what: names the option in errors, such as ``--raw``.
        suffixes: suffixes without dots, where the pattern ends without one.
        number: the field that is a whole number and gives the order.
        passed: takes what is passed over, and says whether dead links are.

    Raises:
        UsageError: the folder is missing, nothing in it matches, two files are one, or a
            number is none.
    """
    require_folder(folder, what)
    parts = components(pattern, suffixes)
    passed = passed or Passed()
    suffix = None if suffixes else Path("x" + pattern.rpartition("}")[2]).suffix
    stem = pattern.removesuffix(suffix or "")
    for root in roots:
        start = folder_there(folder, root)
        if start is not None:
            passed.forget()
            walk = _walk(start, parts, suffix, {}, "", passed)
            files = sorted(walk, key=lambda f: f.identity)
            if number:
                files = [_numbered(f, number, stem) for f in files]
                files.sort(key=lambda f: _by_number(f, number, stem))
            if files:
                _refuse_twice(files, start)
                return files
    places = ", ".join(str(folder / root) for root in roots)
    ending = f".{{{','.join(suffixes)}}}" if suffixes else ""
    raise NothingFoundError(
        f"{what} {folder}: no file matches {pattern}{ending} (looked in {places})"
    )


def folder_there(folder: Path, root: str) -> Path | None:
    """Return a folder below another, its letters composed in any way; None where it is none."""
    if (folder / root).is_dir():
        return folder / root
    if root.isascii():
        return None
    for name in root.split("/"):
        wanted = unicodedata.normalize("NFC", name)
        try:
            held = sorted(os.listdir(folder))
        except OSError:
            return None
        alike = [each for each in held if unicodedata.normalize("NFC", each) == wanted]
        folder /= name if name in held or not alike else alike[0]
    return folder if folder.is_dir() else None


def require_folder(folder: Path, what: str) -> None:
    """Raise a UsageError unless ``folder`` is a folder that can be listed."""
    if not folder.exists():
        raise UsageError(f"{what} {folder}: no such folder")
    if not folder.is_dir():
        raise NothingFoundError(f"{what} {folder}: is a file, expected a folder")
    try:
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
    except OSError as error:
        raise UsageError(f"{what} {folder}: cannot be listed: {error.strerror}") from error
    if empty:
        raise NothingFoundError(f"{what} {folder}: the folder is empty")


def _refuse_twice(files: Sequence[Found], root: Path) -> None:
    """Two files of one identity (``a.jpg`` and ``a.JPG``) cannot both be it."""
    twice = [name for name, n in Counter(f.identity for f in files).items() if n > 1]
    if twice:
        both = sorted(f.relative for f in files if f.identity == twice[0])
        raise UsageError(f"{root}: {' and '.join(both)} have one identity; remove one of them")
