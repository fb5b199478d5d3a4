"""Recordings and images that are copies of others, and the parts that keep them together.

Copies are recordings of the same bytes, and static images of the same pixels as the network sees
them. ``copy_of`` holds, for each, the position of the first of its group; -1 for what is no copy,
and for the first itself.

Where the rule of a protocol chooses the parts itself (``hash``, ``leading``), all copies of a
recording take the part of the first. Where others have chosen (``field``, the data set's own
folders; ``window``, a published list of counts), every recording stays in its published part,
and copies that stand apart are noted. A static image is held out, under every rule, where any
copy of it is the twin of a recording that is held out.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...data_cards.schema import SplitRule

TOGETHER = ("hash", "leading")
"""Rules whose parts copies are moved between."""


def copies(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """Return the position of the first equal key before each, -1 where there is none."""
    first: dict[Hashable, int] = {}
    places = (first.setdefault(key, i) for i, key in enumerate(keys))
    return np.array([-1 if place == i else place for i, place in enumerate(places)], np.int64)


def none_of(count: int) -> NDArray[np.int64]:
    """Return ``copy_of`` of things none of which is a copy."""
    return np.full(count, -1, np.int64)


def kept_together(
    rule: SplitRule, parts: NDArray[np.uint8], copy_of: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return the parts with every copy in that of the first, where the rule allows it."""
    if rule.rule not in TOGETHER:
        return parts
    return np.where(copy_of >= 0, parts[copy_of], parts).astype(np.uint8)


def apart(parts: NDArray[np.uint8], copy_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of copies that lie in another part than the first of their group."""
    return np.flatnonzero((copy_of >= 0) & (parts[copy_of] != parts))
