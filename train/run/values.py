"""Values that go badly together or with a cache: refused before a run directory is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...preprocess.cache.contents import SealedCache
from ..batches.partners import training_statics
from ..batches.training import training_subset
from ..method.base import Method
from ..recipe.whole import Recipe
from .distributed import Group


def checked_selection(
    recipe: Recipe, cache: SealedCache, method: Method[Any], group: Group
) -> NDArray[np.int64]:
    """Check a run's values, and return the recordings that choose its best epoch.

    Raises:
        UsageError: there are none, or the batch cannot be shared by the processes or cut into
            micro-batches; the error names the setting and the value that would do.
        SnntxError: the cache lacks what the recipe needs.
    """
    protocol = recipe.data.protocol
    selection: NDArray[np.int64] = cache.split(protocol, recipe.selection)
    if selection.size == 0:
        others = [name for name in cache.protocols if cache.split(name, recipe.selection).size]
        ways = [f"--set protocol={name}" for name in others] or [
            f"write {recipe.selection} = 0.1 below [splits.{protocol}] of the card, with rule = "
            "'hash', and run snntx preprocess again"
        ]
        raise UsageError(
            f"protocol {protocol} has no {recipe.selection} recordings in this cache to choose the "
            f"best epoch by; {' or '.join(ways)}"
        )
    statics = method.draws == "images"
    drawn = training_statics(cache, recipe) if statics else training_subset(cache, recipe)
    check_shares(recipe, int(drawn.size), group.size)
    return selection


def check_shares(recipe: Recipe, things: int, processes: int) -> None:
    """Refuse a batch that leaves a process or a micro-batch fewer than two samples.

    Args:
        recipe: its ``batch_size``, ``accumulate``, ``draws_per_epoch`` and ``last_batch``.
        things: that there are to draw.
        processes: that share each batch.

    Raises:
        UsageError: it does, or the processes cannot have equal parts.
    """
    batch, cuts = min(recipe.optim.batch_size, things), recipe.optim.accumulate
    least = 2 * processes * cuts
    ways = []
    if batch >= least and batch % processes:
        ways = [f"batch_size={batch - batch % processes}"]
        problem = f"cannot be shared by {processes} processes in equal parts"
    elif batch < least and (processes, cuts) != (1, 1):
        parts = [f"shared by {processes} processes"] * (processes > 1)
        parts += [f"cut into {cuts} micro-batches"] * (cuts > 1)
        problem = (
            f"{' and '.join(parts)} leaves fewer than two samples to each, and norms are over them"
        )
        most = batch // processes // 2
        ways += [f"accumulate={most}"] * (cuts > 1 and most > 0 and not batch % processes)
        ways += [f"batch_size={least}"] * (least <= things)
        if not ways:
            fits = max((n for n in range(1, batch // 2 + 1) if batch % n == 0), default=1)
            ways = [f"accumulate=1 and --nproc-per-node {fits}"]
    if ways:
        what = f"a batch of {batch}"
        if batch < recipe.optim.batch_size:
            what += f" (there are no more for batch_size = {recipe.optim.batch_size})"
        raise UsageError(f"{what} {problem}; set {' or '.join(ways)}")
    draws = recipe.data.draws_per_epoch or things
    last = draws % batch if recipe.data.last_batch == "keep" else 0
    if last and (last < least or last % processes):
        problem = "norms are over two samples or more"
        if (processes, cuts) != (1, 1):
            split = f"{processes} processes and {cuts} micro-batches in each"
            problem = f"for {split} it has to be of equal parts of two samples or more"
        raise UsageError(
            f"last_batch = keep ends an epoch of {draws} with a batch of {last}, but {problem}; "
            "set last_batch=drop"
        )
