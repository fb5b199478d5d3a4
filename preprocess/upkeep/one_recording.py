"""One recording of a sealed cache: found by its identity, and what the index knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UsageError, nearest
from ..cache.contents import SealedCache
from ..cache.splits import PARTS


def find_recording(cache: SealedCache, identity: str) -> int:
    """Return the index of a recording.

    Raises:
        UsageError: no recording has that identity; names the nearest one.
    """
    if identity in cache.identities:
        return cache.identities.index(identity)
    raise UsageError(
        f"{cache.directory}: no recording '{identity}'{nearest(identity, cache.identities)} "
        f"({len(cache):,} recordings, such as {cache.identities[0]})"
    )


@dataclass(frozen=True)
class RecordingFacts:
    """What the index knows of one recording.

    Attributes:
        identity: which recording.
        label: its class.
        twin: identity of its static twin; None for none.
        parts: protocol → part.
        events: number of events.
        duration_us: first to last event.
        extent: ``(height, width)`` in pixels that the events span.
    """

    identity: str
    label: str
    twin: str | None
    parts: dict[str, str]
    events: int
    duration_us: int
    extent: tuple[int, int]


def describe(cache: SealedCache, i: int) -> RecordingFacts:
    """Return what the index knows of recording ``i``."""
    index, rows = cache.index, cache.index.rows
    twin = int(index.twin[i])
    height, width = rows.extent[i].tolist()
    return RecordingFacts(
        identity=cache.identities[i],
        label=cache.classes[cache.labels[i]],
        twin=index.static_identity[twin] if twin >= 0 else None,
        parts={name: PARTS[parts[i]] for name, parts in sorted(index.splits.items())},
        events=int(rows.events[i]),
        duration_us=int(rows.duration_us[i]),
        extent=(height, width),
    )
