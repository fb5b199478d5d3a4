"""How much memory is free, and whether a cache's frames are held in it.

In: a frame cache. Out: the cache, its frames in memory where they fit. Linux tells how much is
free; elsewhere psutil does where it is installed (the extra ``dask`` brings it). Where nobody
tells, frames of up to :data:`UNKNOWN_BYTES` are held, and a line says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ...preprocess.cache.contents import SealedCache

MEMORY_SHARE = 0.5
"""Frames are held in memory when they fit into this share of what is free."""
UNKNOWN_BYTES = 1 << 30
"""Taken for that share where nobody tells how much is free."""


def free_memory() -> int | None:
    """Return the bytes of memory that are free, None where nobody tells."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no sysconf, or no such name in it
        pass
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def hold_in_memory(cache: SealedCache, say: Callable[[str], None] = lambda line: None) -> bool:
    """Hold a cache's frames in memory where they fit; say whether they do.

    Args:
        cache: the cache.
        say: called with a line where the free memory is not known.
    """
    free = free_memory()
    if free is None:
        say(
            "the free memory of this machine is not known: frames of up to "
            f"{UNKNOWN_BYTES >> 30} GiB are held in it, others read from the disk; "
            "pip install psutil to know"
        )
    return cache.hold(UNKNOWN_BYTES if free is None else int(free * MEMORY_SHARE))
