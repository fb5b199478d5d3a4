"""Path patterns with named fields, such as ``{class}/{stem}.bin``, and the names that match them.

In: a pattern, names. Out: the fields and their values. A field takes at least one character of
one path component, and of several in a component an earlier one takes as much as it can. Literal
text is matched from the right, its last occurrence first, which gives just that without trying
anything twice: a name of any length takes one pass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_FIELD = re.compile(r"{(\w+)}")
_JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini"})
_LOWER_JUNK = frozenset(name.lower() for name in _JUNK)


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name was left by a file manager, and is no data."""
    return name.startswith("._") or name.lower() in _LOWER_JUNK


class Component:
    """One path component of a pattern.

    Args:
        pattern: its text; the case of what follows its last field is ignored (``.JPG``).
        suffixes: without dots, one of which follows the pattern, in any case.
    """

    def __init__(self, pattern: str, suffixes: Sequence[str] = ()) -> None:
        self._fields = _FIELD.findall(pattern)
        *self._literals, end = _FIELD.split(pattern)[::2]
        ends = [f"{end}.{suffix}" for suffix in suffixes] if suffixes else [end]
        self._ends = [re.compile(f"(?i:{re.escape(each)})") for each in ends]
        self._lengths = [len(each) for each in ends]

    def match(self, name: str) -> dict[str, str] | None:
        """Return the fields of a whole name, None where it does not match.

        A name that matches in another composition of its letters alone (NFC, NFD) has its fields
        from that.
        """
        found = self._match(name)
        if found is None and not name.isascii():
            others = (self._match(unicodedata.normalize(form, name)) for form in ("NFC", "NFD"))
            found = next((other for other in others if other is not None), None)
        return found

    def _match(self, name: str) -> dict[str, str] | None:
        for end, length in zip(self._ends, self._lengths, strict=True):
            start = len(name) - length
            if start >= 0 and end.fullmatch(name, start):
                found = self._before(name, start)
                if found is not None:
                    return found
        return None

    def _before(self, name: str, end: int) -> dict[str, str] | None:
        """Match fields and the literals before them to ``name[:end]``, from the right."""
        found: dict[str, str] = {}
        for place in range(len(self._fields) - 1, 0, -1):
            literal = self._literals[place]
            start = name.rfind(literal, 0, max(0, end - 1))
            if start < 0 or end < 1:
                return None
            found[self._fields[place]] = name[start + len(literal) : end]
            end = start
        if not self._fields:
            return {} if end == 0 else None
        first = len(self._literals[0])
        if end <= first or not name.startswith(self._literals[0]):
            return None
        found[self._fields[0]] = name[first:end]
        return {field: found[field] for field in self._fields}


def components(pattern: str, suffixes: Sequence[str] = ()) -> list[Component]:
    """Return the components of a pattern; ``suffixes`` belong to the last one."""
    *above, last = pattern.split("/")
    return [*map(Component, above), Component(last, suffixes)]


def junk_in(names: Iterable[str]) -> list[str]:
    """Return what file managers left among names (paths with forward slashes), sorted.

    A folder of theirs, such as ``__MACOSX``, is named once for all that lies in it.
    """
    found = set()
    for name in names:
        pieces = name.split("/")
        left = next((i for i, piece in enumerate(pieces, 1) if is_junk(piece)), None)
        if left is not None:
            found.add("/".join(pieces[:left]))
    return sorted(found)


def match_names(
    names: Iterable[str], pattern: str, suffixes: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the names (paths with forward slashes) that match a pattern, and their fields.

    As in a folder, names with a component that starts with a dot, or that a file manager left,
    are passed over.
    """
    parts = components(pattern, suffixes)
    for name in names:
        pieces = name.split("/")
        if len(pieces) != len(parts) or any(c.startswith(".") or is_junk(c) for c in pieces):
            continue
        fields: dict[str, str] = {}
        for part, piece in zip(parts, pieces, strict=True):
            found = part.match(piece)
            if found is None or any(fields.get(k, v) != v for k, v in found.items()):
                break
            fields |= found
        else:
            yield name, fields
