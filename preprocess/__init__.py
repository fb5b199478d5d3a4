"""Stage one: raw recordings and their static twins in, a sealed cache out (no torch)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache.events.event_cache import EventCache as EventCache
    from .cache.frame_cache import FrameCache as FrameCache
    from .cache.opening import open_cache as open_cache
    from .framing.frames import frames_from_events as frames_from_events
    from .readers.reading import read_events as read_events

__all__ = ["EventCache", "FrameCache", "frames_from_events", "open_cache", "read_events"]

_MODULES = {
    "EventCache": "cache.events.event_cache",
    "FrameCache": "cache.frame_cache",
    "frames_from_events": "framing.frames",
    "open_cache": "cache.opening",
    "read_events": "readers.reading",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    """Return the public names beside what is loaded."""
    return sorted({*globals(), *__all__})
