"""Names and sizes of the shards of an event cache; imports no compiler and no compression."""

from __future__ import annotations

BLOCK_BYTES = 1 << 14
"""Of the chunks of a shard, as HDF5 lays them out: not compressed once more, to be read in part."""
EVENT_SHARD_BYTES = 1 << 27
"""Most bytes of raw files in a shard, unless one file has more."""


def shard_name(number: int) -> str:
    """Return the file name of a shard of events."""
    return f"events-{number:05d}.h5"
