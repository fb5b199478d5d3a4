"""Which static image each recording was recorded from: its twin, found by name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...data_cards.schema import Card
from ...errors import BadFileError
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
