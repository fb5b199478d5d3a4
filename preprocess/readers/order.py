"""Whether a recording's times may be framed as they are: never going back, or mended by name.

In: columns of events and what the card allows. Out: the same, sorted or with the turns of the
format's timer undone, and a remark on what was done; or one line that says what to set.

A timer of ``c`` microseconds that starts over shows as a step back of nearly ``c``. Undoing it
(``[events] wraps``) takes each step of more than three quarters of ``c``, back or forth, for a
turn: forth, where events around a turn stand in the wrong order, which is then a step back of
its own size again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import BadFileError
from ..disk.remarks import remark
from ..framing.events import Events

NEARLY = 0.75
"""Least share of a timer's range that a step is taken for a turn of it."""
DAMAGED = 100
"""So many steps back are no recording's: the bytes are damaged, or of another format."""
UNSORTED = "whose times went back: sorted by time ([events] sort)"
UNWRAPPED = "whose timer started over: counted on from there ([events] wraps)"
SUSPECT = (
    "sorted by time ([events] sort) although their timer seems to have started over: if it did, "
    "set wraps = true in [events] of the card"
)


def checked(
    events: Events,
    path: Path | str,
    *,
    sort: bool = False,
    wraps: bool = False,
    timers: Sequence[int] = (),
) -> Events:
    """Return events whose times never go back, or say where they do.

    Args:
        events: columns as decoded.
        path: names the file in errors.
        sort: sort by time instead (stable: ties keep their file order).
        wraps: undo the turns of the format's timer first.
        timers: ranges in microseconds that timers of the format have.

    Raises:
        BadFileError: no event at all, or a timestamp smaller than the one before it.
    """
    if events.size == 0:
        raise BadFileError(f"{path}: no events; a recording needs at least one")
    back = np.flatnonzero(events.t[1:] < events.t[:-1])
    if back.size == 0:
        return events
    timer = timer_of(events.t, timers)
    if timer is not None and wraps:
        events = events._replace(t=unwrapped(events.t, timer))
        remark("unwrapped", UNWRAPPED)
        back = np.flatnonzero(events.t[1:] < events.t[:-1])
        if back.size == 0:
            return events
        timer = None
    if not sort:
        raise _went_back(events.t, back, path, timer)
    remark("wrapped", SUSPECT) if timer is not None else remark("sorted", UNSORTED)
    return events.take(np.argsort(events.t, kind="stable"))


def timer_of(t: NDArray[np.int64], timers: Sequence[int]) -> int | None:
    """Return the range of the timer that the largest step back is a turn of, None for none."""
    largest = int((t[:-1] - t[1:]).max(initial=0))
    return next((timer for timer in timers if NEARLY * timer <= largest <= timer), None)


def unwrapped(t: NDArray[np.int64], timer: int) -> NDArray[np.int64]:
    """Return times that go on where a timer of that range, in microseconds, started over."""
    steps = np.diff(t)
    turns = (steps <= -NEARLY * timer).astype(np.int64) - (steps >= NEARLY * timer)
    whole = t.astype(np.int64, copy=True)
    whole[1:] += timer * np.cumsum(turns)
    return whole


def _went_back(
    t: NDArray[np.int64], back: NDArray[np.intp], path: Path | str, timer: int | None
) -> BadFileError:
    """Return the error of times that go back, with what would mend them."""
    at = int(back[0]) + 1
    turns = 0 if timer is None else int(np.count_nonzero(t[back] - t[back + 1] >= NEARLY * timer))
    if back.size - turns >= DAMAGED:
        advice = "it is damaged or of another format; copy or download it again"
    elif turns:
        at = int(back[np.argmax(t[back] - t[back + 1])]) + 1
        advice = (
            f"as of a timer of {timer} us that started over; set wraps = true in [events] of the "
            "card to count on from there"
        )
    else:
        advice = "set sort = true in the card to sort by time"
    return BadFileError(
        f"{path}: time goes back at event {at}, from {t[at - 1]} to {t[at]} us "
        f"({back.size} such places); {advice}"
    )
