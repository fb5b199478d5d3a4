"""What a cache says of itself: what was passed over, unpaired, a copy, or odd, counted and named.

In: counts and names of one kind. Out: a :class:`Note`, one line for people with up to
:data:`EXAMPLES` names in it. The notes of a build lie in ``/notes`` of ``index.h5``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..disk.remarks import counted

EXAMPLES = 3
"""Names in a note's text."""
PASSED_OVER = ("suffix", "class", "unclassed", "dropped")
"""Kinds of notes on files that are no part of the cache, nor of its manifest."""


@dataclass(frozen=True)
class Note:
    """One kind of thing that a user should know of.

    Attributes:
        kind: one word that programs tell it by.
        count: how many there are.
        text: one line for people, with the count and examples.
    """

    kind: str
    count: int
    text: str


class Noted(NamedTuple):
    """A remark that was made on one recording or static image.

    Attributes:
        name: its file, and which of many it is.
        kind: one word, as of a note.
        text: the remark.
        events: how many events of the recording it is about; 0 where it is about the whole.
    """

    name: str
    kind: str
    text: str
    events: int = 0


def such_as(names: Sequence[str]) -> str:
    """Return the first names of some, and how many more there are."""
    shown = ", ".join(names[:EXAMPLES])
    return shown + (f" and {len(names) - EXAMPLES:,} more" if len(names) > EXAMPLES else "")


def note(kind: str, names: Sequence[str], what: str, end: str = "") -> list[Note]:
    """Return the note on some names, none where there are none.

    Args:
        kind: of the note.
        names: of what it is about, the first of which are the examples.
        what: follows the count, such as ``recordings without a twin``.
        end: what follows from it, after the examples.
    """
    if not names:
        return []
    text = f"{len(names):,} {what}, such as {such_as(names)}" + (f": {end}" if end else "")
    return [Note(kind, len(names), text)]


def of_remarks(noted: Iterable[Noted], what: str) -> list[Note]:
    """Return one note for each remark, in order of the first recording or image it was made on.

    A remark on single events says how many they are in all.

    Args:
        noted: remarks on single recordings or images.
        what: these are, such as ``recordings``.
    """
    same: dict[tuple[str, str], list[Noted]] = {}
    for each in noted:
        same.setdefault((each.kind, each.text), []).append(each)
    notes = []
    for (kind, text), members in same.items():
        events = sum(each.events for each in members)
        end = f"{counted(events)} in all" if events else ""
        notes += note(kind, [each.name for each in members], f"{what} {text}", end)
    return notes
