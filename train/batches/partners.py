"""Static partners: which image stands beside which recording.

``pairing = "class"`` draws any image of the recording's class; ``"instance"`` takes the
recording's own twin, and an image of the class where the training part has no twin for it. Only
images of the training part are used: never the twin of a held-out recording.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import SnntxError
from ...preprocess.cache.contents import SealedCache
from ..augment.draws import Purpose, generator
from ..recipe.whole import Recipe
from .images import shown_images


def nested_subset(
    order: NDArray[np.int64], labels: NDArray[np.int64], fraction: float, most: int = 0
) -> NDArray[np.int64]:
    """Return the first part of each class in an order: a smaller part lies within a larger.

    Args:
        order: indices, as drawn.
        labels: of every index, ``(n,)``.
        fraction: of each class, rounded down, but at least one of each.
        most: of each class; 0 sets no limit.

    Returns:
        The chosen indices, sorted.
    """
    kept = []
    for label in np.unique(labels[order]):
        members = order[labels[order] == label]
        count = max(1, int(members.size * fraction + 1e-9))  # 0.29 · 100 is below 29
        kept.append(members[: min(count, most) if most else count])
    return np.sort(np.concatenate(kept))


def training_statics(cache: SealedCache, recipe: Recipe) -> NDArray[np.int64]:
    """Return the static images of the training part: all, or ``static_fraction`` of each class.

    The images that a fraction leaves are those that a transfer run of the same seed may show.
    """
    statics = cache.static_split(recipe.data.protocol, "train")
    fraction = recipe.data.static_fraction
    if fraction < 1 and statics.size:
        order = generator(recipe.run.seed, Purpose.STATIC_SUBSET).permutation(statics)
        statics = nested_subset(order, cache.index.static_label, fraction)
    return statics


class Partners:
    """The static images that recordings may be paired with.

    Args:
        cache: the frame cache.
        recipe: protocol, channel, pairing, static fraction and seed.
        indices: the training recordings in the cache.

    Raises:
        SnntxError: a class has no image, or no recording has a twin to be paired with.
    """

    def __init__(self, cache: SealedCache, recipe: Recipe, indices: NDArray[np.int64]) -> None:
        statics = training_statics(cache, recipe)
        classes = cache.index.static_label
        needed = np.unique(cache.labels[indices])
        lonely = [cache.classes[c] for c in needed if c not in classes[statics]]
        if lonely:
            raise SnntxError(
                f"{cache.directory}: no static partner for class {', '.join(lonely[:5])}"
                f"{' and others' if len(lonely) > 5 else ''}; preprocess with --static, or train "
                "the event branch alone with --set method=event-only"
            )
        self.statics = statics[np.argsort(classes[statics], kind="stable")]
        self._begin = np.searchsorted(classes[self.statics], np.arange(len(cache.classes)))
        self._count = np.bincount(classes[self.statics], minlength=len(cache.classes))
        self._twin = np.full(len(cache), -1)
        if recipe.data.pairing == "instance":
            twin = cache.index.twin
            allowed = np.isin(twin, statics) & (twin >= 0)
            self._twin[allowed] = twin[allowed]
            if not allowed[indices].any():
                raise SnntxError(
                    f"{cache.directory}: pairing = instance, but no training recording has a twin "
                    "among the static images; use --set pairing=class"
                )
        self.images = shown_images(cache, recipe)

    def choose(
        self, recordings: NDArray[np.int64], labels: NDArray[np.int64], draw: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Return the partners' positions in :attr:`images`, ``(B,)``.

        Args:
            recordings: indices in the cache, ``(B,)``.
            labels: theirs, ``(B,)``.
            draw: uniform in [0, 1), ``(B,)``.
        """
        place = self._begin[labels] + (draw * self._count[labels]).astype(np.int64)
        twin = self._twin[recordings]
        return np.where(twin >= 0, twin, self.statics[place])
