"""Events of one recording in, a frame tensor ``(T, C, H, W)`` out; no file is opened here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .frames import frames_from_events as frames_from_events

__all__ = ["frames_from_events"]


def __getattr__(name: str) -> Any:
    """Forward the path that release 0.1 named."""
    if name == "frames_from_events":
        from .frames import frames_from_events

        return frames_from_events
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
