"""Raw event files in, columns of events out: a reader of ``formats`` for each raw format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .reading import read_events as read_events

__all__ = ["read_events"]


def __getattr__(name: str) -> Any:
    """Forward the path that release 0.1 named."""
    if name == "read_events":
        from .reading import read_events

        return read_events
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
