"""Where caches lie when nobody says: ``SNNTX_CACHE``, or the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def user_root() -> Path:
    """Return the root of all caches that is implied."""
    if named := os.environ.get("SNNTX_CACHE"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("snntx"))
