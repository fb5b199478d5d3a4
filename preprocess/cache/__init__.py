"""The frame cache: its format on disk, its splits, and reading it again.

In: columns and frame tensors from a build. Out: ``FrameCache`` for training and upkeep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .frame_cache import FrameCache as FrameCache

__all__ = ["FrameCache"]


def __getattr__(name: str) -> Any:
    """Forward the path that release 0.1 named."""
    if name == "FrameCache":
        from .frame_cache import FrameCache

        return FrameCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
