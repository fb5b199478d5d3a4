"""Which static image each recording was recorded from: its twin, found by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...data_cards.schema import Card
from ...errors import BadFileError
from ..cache.notes import Note, note
from .plan import Plan


class Pairs(NamedTuple):
    """The pairing of a plan.

    Attributes:
        twin: index of each recording's twin among the static images, -1 for none.
        static_label: class index of each static image.
    """

    twin: NDArray[np.int64]
    static_label: NDArray[np.int64]


def pair(plan: Plan, card: Card) -> Pairs:
    """Pair recordings and static images by the card's twin rule, never by position.

    Raises:
        BadFileError: a twin is of another class than its recording, so the two folders do
            not belong together.
    """
    place = {image.identity: i for i, image in enumerate(plan.statics)}
    template = card.static.twin if card.static else ""
    twin = np.array([place.get(template.format(**f.fields), -1) for f in plan.recordings], np.int64)
    wrong = [
        (recording, plan.statics[i])
        for recording, i in zip(plan.recordings, twin, strict=True)
        if i >= 0 and recording.class_name != plan.statics[i].class_name
    ]
    if wrong:
        recording, image = wrong[0]
        raise BadFileError(
            f"{recording.path}: class {recording.class_name}, but its twin {image.identity} in "
            f"{image.path} is of class {image.class_name} ({len(wrong)} such pairs); "
            "the recordings and the static images do not belong together"
        )
    label = {name: i for i, name in enumerate(plan.classes)}
    return Pairs(twin, np.array([label[s.class_name] for s in plan.statics], np.int64))


def pairing_notes(plan: Plan, pairs: Pairs) -> Iterator[Note]:
    """Yield notes on what has no other half, and on classes without images.

    Args:
        plan: what is in the cache.
        pairs: its pairing.
    """
    if not plan.statics:
        return
    alone = [r for r, twin in zip(plan.recordings, pairs.twin, strict=True) if twin < 0]
    open_classes = {recording.class_name for recording in alone}
    paired = set(pairs.twin.tolist())
    lost = [s for i, s in enumerate(plan.statics) if s.may_be_twin and i not in paired]
    doubtful = sum(image.class_name in open_classes for image in lost)
    promise = (
        f"for {doubtful:,} of them, whose classes have recordings without a twin, it cannot be "
        "promised that no twin of a test recording is shown in training"
    )
    yield from note(
        "unpaired-static",
        [image.identity for image in lost],
        "static images have no recording of their name and are class partners",
        promise if doubtful else "",
    )
    yield from note("unpaired", [r.identity for r in alone], "recordings have no twin")
    pictured = {image.class_name for image in plan.statics}
    present = {r.class_name for r in plan.recordings}
    bare = [name for name in plan.classes if name in present - pictured]
    yield from note("bare-class", bare, "classes with recordings have no static image")
