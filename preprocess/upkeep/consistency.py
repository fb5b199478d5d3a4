"""What does not fit together in an index: rows, labels, twins, copies and the parts of images.

In: an index whose bytes are those that were sealed. Out: place, found and expected of each
contradiction, such as a faulty writer would leave.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..cache import format as fmt
from ..cache.splits import split_statics


def index_problems(index: fmt.Index) -> Iterator[tuple[str, str, str]]:
    """Yield place, found and expected of what does not fit together in an index."""
    rows, count = index.rows, len(index.static_identity)
    places = set(zip(index.shard.tolist(), index.row.tolist(), strict=True))
    if len(places) != len(rows.identity):
        yield "shard and row", f"{len(places)} places", f"{len(rows.identity)}, one a recording"
    if len(set(rows.identity)) != len(rows.identity):
        yield "recordings/identity", "an identity twice", "each once"
    if rows.label.size and not 0 <= rows.label.min() <= rows.label.max() < len(index.classes):
        yield "recordings/label", "a label without a class", f"0 to {len(index.classes) - 1}"
        return
    if index.twin.size and not -1 <= index.twin.min() <= index.twin.max() < count:
        yield "recordings/twin", "a row that is not there", f"-1 to {count - 1}"
        return
    for column, copy_of in (("recordings", index.copy_of), ("statics", index.static_copy_of)):
        if copy_of.size and not (copy_of.min() >= -1 and (copy_of < np.arange(copy_of.size)).all()):
            yield f"{column}/copy_of", "a row that does not come before", "an earlier one, or -1"
            return
    copied = np.flatnonzero(index.copy_of >= 0)
    for i, first in zip(copied.tolist(), index.copy_of[copied].tolist(), strict=True):
        if rows.digest[i] != rows.digest[first]:
            place = f"copy_of of {rows.identity[i]}"
            yield place, rows.identity[first], "a recording of the same digest"
    paired = np.flatnonzero(index.twin >= 0)
    for i in paired[index.static_label[index.twin[paired]] != rows.label[paired]]:
        wrong = index.classes[index.static_label[index.twin[i]]]
        place = f"twin of {rows.identity[i]}"
        yield place, f"an image of class {wrong}", f"class {index.classes[rows.label[i]]}"
    for name, parts in index.splits.items():
        own = split_statics(count, index.twin, parts, index.static_copy_of)
        if not np.array_equal(index.static_splits[name], own):
            expected = "the part of the recordings they, or copies of them, are the twins of"
            yield f"statics/split/{name}", "images in another part", expected
