"""How accuracy falls as recordings get worse: drop, noise, jitter, fewer steps.

In: a cache as the recipe sees it, kinds and severities. Out: what to classify instead. On an event
cache the events themselves are changed, those of a window before it is framed:

========== ============================== ==================================================
kind       severity                       what is done
========== ============================== ==================================================
drop       share of events, [0, 1)        each event goes with this probability
noise      events per event of the        as many more, Poisson; place, time and polarity uniform
           recording, from 0 up           over what the recording covers
jitter     pixels, from 0 up              each coordinate moves by a normal number of this
                                          deviation, rounded; what leaves the sensor is lost
time       milliseconds, from 0 up        each time likewise; within the recording, sorted anew
steps      frames, 1 to T                 as many of the T frames, evenly placed, keep their
                                          events; the others are empty
========== ============================== ==================================================

On a frame cache of counts, drop thins every count binomially and noise adds Poisson counts, the
same in distribution as on events but for their times within a frame; jitter and time want events.
Every draw is a function of :data:`SEED`, the kind, the severity and the recording.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...preprocess.cache.contents import SealedCache
from ...preprocess.framing.events import Events
from ..measure.answers import FrameChange
from .as_events import with_events

SEED = 0
SEVERITIES: dict[str, tuple[float, ...]] = {
    "drop": (0.1, 0.3, 0.5, 0.7, 0.9),
    "noise": (0.1, 0.3, 1.0, 3.0),
    "jitter": (0.5, 1.0, 2.0, 4.0),
    "time": (1.0, 5.0, 20.0, 50.0),
    "steps": (),
}
"""What is tried of a kind unless severities are named; of steps, every number from 1 to T."""
UNITS = {
    "drop": "share of the events dropped",
    "noise": "events added per event",
    "jitter": "px of jitter",
    "time": "ms of jitter",
    "steps": "frames with events",
}


@dataclass(frozen=True)
class Corruption:
    """One kind at one severity."""

    kind: str
    severity: float


@dataclass(frozen=True)
class Corrupted:
    """What to classify: a cache, and what to do to its frames first."""

    cache: SealedCache
    change: FrameChange | None


def parse_corruption(text: str, steps: int) -> list[Corruption]:
    """Return the kind and severities that ``KIND`` or ``KIND=S,S,…`` names, in growing order.

    Args:
        text: as a user wrote it.
        steps: T, of the frames.

    Raises:
        UsageError: no such kind, or a severity outside of its range.
    """
    kind, given, values = text.partition("=")
    if kind not in SEVERITIES:
        raise UsageError(
            f"--corruption {text}: no such kind; the kinds are {', '.join(SEVERITIES)}"
        )
    if not given:
        return [Corruption(kind, s) for s in SEVERITIES[kind] or range(1, steps + 1)]
    try:
        found = sorted({float(value) for value in values.split(",")})
    except ValueError:
        raise UsageError(f"--corruption {text}: expected numbers, such as {kind}=0.1,0.5") from None
    if not all(_allowed(kind, value, steps) for value in found):
        spans = {"steps": f"whole numbers from 1 to {steps}", "drop": "shares from 0 to below 1"}
        span = spans.get(kind, f"numbers of {UNITS[kind]} from 0")
        raise UsageError(f"--corruption {text}: expected {span}")
    return [Corruption(kind, severity) for severity in found]


def _allowed(kind: str, severity: float, steps: int) -> bool:
    if kind == "steps":
        return severity.is_integer() and 1 <= severity <= steps
    return 0 <= severity < (1 if kind == "drop" else np.inf)


def corrupted(cache: SealedCache, what: Corruption) -> Corrupted:
    """Return what to classify at one severity.

    Raises:
        UsageError: the kind wants events and the cache holds frames, or frames of no counts.
    """
    if what.kind == "steps":
        return Corrupted(cache, _fewer(int(what.severity)))
    if cache.kind == "events":
        return Corrupted(cache.changed(_changer(cache, what)), None)
    if what.kind in ("jitter", "time"):
        raise UsageError(
            f"{cache.directory}: holds frames, and {what.kind} moves events; {with_events(cache)}"
        )
    if cache.options.values != "counts":
        raise _no_counts(cache, f"{cache.options.values} and")
    return Corrupted(cache, _counts(cache, what))


def _no_counts(cache: SealedCache, values: str) -> UsageError:
    return UsageError(
        f"{cache.directory}: its frames hold {values} no counts, of which no events can be taken "
        f"or added; {with_events(cache)}"
    )


def _draw(what: Corruption, *place: int) -> np.random.Generator:
    kind = zlib.crc32(f"{what.kind}={what.severity!r}".encode())
    return np.random.default_rng([SEED, kind, *place])


def _changer(cache: SealedCache, what: Corruption) -> Callable[[int, Events], Events]:
    """Return what changes the events of a recording, or of a window of it."""

    def change(i: int, events: Events) -> Events:
        if not events.size:
            return events
        draw = _draw(what, i, int(events.t[0]))
        return EVENTS[what.kind](events, what.severity, _sensor(cache, i), draw)

    return change


def _sensor(cache: SealedCache, i: int) -> tuple[int, int, int, int]:
    """Return first row and column and the ones behind the last: the sensor, or what was reached."""
    if cache.options.sensor is not None:
        return (0, 0, *cache.options.sensor)
    rows = cache.index.rows
    assert rows.corner is not None  # an event cache has it
    (y, x), (height, width) = rows.corner[i].tolist(), rows.extent[i].tolist()
    return y, x, y + height, x + width


Area = tuple[int, int, int, int]


def drop(events: Events, share: float, area: Area, draw: np.random.Generator) -> Events:
    """Return the events that stay; where none would, the first does."""
    stay = draw.random(events.size) >= share
    return events.take(np.flatnonzero(stay)) if stay.any() else events.take(slice(1))


def noise(events: Events, rate: float, area: Area, draw: np.random.Generator) -> Events:
    """Return the events and Poisson noise among them, in order of time."""
    count = int(draw.poisson(rate * events.size))
    top, left, bottom, right = area
    added = Events(
        draw.integers(left, right, count).astype(np.int16),
        draw.integers(top, bottom, count).astype(np.int16),
        draw.integers(events.t[0], events.t[-1] + 1, count),
        draw.integers(0, 2, count).astype(np.int8),
    )
    both = Events(
        np.concatenate((events.x, added.x)),
        np.concatenate((events.y, added.y)),
        np.concatenate((events.t, added.t)),
        np.concatenate((events.p, added.p)),
    )
    return both.take(np.argsort(both.t, kind="stable"))


def jitter(events: Events, pixels: float, area: Area, draw: np.random.Generator) -> Events:
    """Return the events at moved places; those that leave the sensor are lost, but one."""
    top, left, bottom, right = area
    y, x = (
        column + np.rint(draw.normal(0, pixels, events.size)).astype(np.int64)
        for column in (events.y, events.x)
    )
    inside = np.flatnonzero((y >= top) & (y < bottom) & (x >= left) & (x < right))
    if not inside.size:
        return events.take(slice(1))
    return Events(x.astype(np.int16), y.astype(np.int16), events.t, events.p).take(inside)


def time(events: Events, milliseconds: float, area: Area, draw: np.random.Generator) -> Events:
    """Return the events at moved times, in their order."""
    moved = events.t + np.rint(draw.normal(0, milliseconds * 1e3, events.size)).astype(np.int64)
    t = np.clip(moved, events.t[0], events.t[-1])
    order = np.argsort(t, kind="stable")
    return Events(events.x, events.y, t, events.p).take(order)


EVENTS = {"drop": drop, "noise": noise, "jitter": jitter, "time": time}


def _fewer(count: int) -> FrameChange:
    def change(_: NDArray[np.int64], clips: NDArray[np.float32]) -> NDArray[np.float32]:
        chosen = np.arange(count) * clips.shape[2] // count
        left = np.zeros_like(clips)
        left[:, :, chosen] = clips[:, :, chosen]
        return left

    return change


def _counts(cache: SealedCache, what: Corruption) -> FrameChange:
    def change(recordings: NDArray[np.int64], clips: NDArray[np.float32]) -> NDArray[np.float32]:
        if (clips < 0).any() or (clips != np.floor(clips)).any():
            raise _no_counts(cache, "values that are")
        out = np.empty_like(clips)
        for place, i in enumerate(recordings.tolist()):
            draw, counts = _draw(what, i), clips[place].astype(np.int64)
            if what.kind == "drop":
                out[place] = draw.binomial(counts, 1 - what.severity)
            else:
                out[place] = counts + draw.poisson(what.severity * counts.mean(), counts.shape)
        return out

    return change


def curves(texts: Sequence[str], steps: int) -> list[Corruption]:
    """Return every kind and severity that a user asked for, each once."""
    asked = [each for text in texts for each in parse_corruption(text, steps)]
    return list(dict.fromkeys(asked))
