"""A gap between training and selection that the norms' running statistics make, told in one line.

Training normalises by the statistics of each batch, evaluation by running ones. Where the two
disagree, a network that has learnt looks as if it had not: the same weights are right where each
batch is normalised by its own statistics. In: an epoch's accuracy in training and on its
selection part. Out: what was found, for the log, and a line that says it. Nothing of the run
changes by it.

It is looked for until it is found, after the epochs 1, 2, 4, 8, … and the last one, at the cost
of a second validation each, and only where training is ahead at all. It is found where, of
``n`` recordings,

- training is ahead by more than ``WIDE``: less is common without it;
- batch statistics win back at least ``BACK`` of that: then they are most of it;
- they win more than ``1 / √n``, twice the largest standard error of a share of ``n``: on a small
  part a few recordings are chance.

Causes that mend themselves as training goes on count after the last epoch alone: statistics that
moved too seldom to have left their first values, and weights that move too fast to be followed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import shell_word
from ..checkpoints.names import LOG
from ..measure.batch_statistics import LEFT, ByBatch, first_share, running_norms
from ..measure.metrics import Metrics
from ..recipe.whole import Recipe

GAP = "norm_gap"
"""Its name in ``log.jsonl`` and ``metrics.json``."""
WIDE = 0.1
BACK = 0.5


def find_gap(
    model: nn.Module,
    recipe: Recipe,
    epochs: int,
    train: float | None,
    selection: Metrics,
    measure: Callable[[], ByBatch],
) -> dict[str, Any] | None:
    """Return what was found of a gap after an epoch, or None.

    Args:
        model: that was validated.
        recipe: of the run.
        epochs: finished, this one among them.
        train: accuracy of the epoch in training; None where its method has none.
        selection: result on the selection part.
        measure: gives the same part's result under batch statistics.

    Returns:
        ``train``, ``selection`` and ``batch_statistics``, top-1 accuracies; ``cause``; and
        ``updates``, how often a batch moves a set of running statistics, or ``epochs``, how many
        would do, where the cause is that.
    """
    last = epochs == recipe.optim.epochs
    if not (last or epochs & (epochs - 1) == 0) or not running_norms(model):
        return None
    if train is None or train - selection.top1 <= WIDE or selection.recordings < 2:
        return None
    left = first_share(model)
    if left > LEFT and not last:
        return None
    by_batch = measure()
    found = {
        "train": train,
        "selection": selection.top1,
        "batch_statistics": by_batch.top1,
        **_cause(model, recipe, epochs, left, by_batch.updates),
    }
    won = by_batch.top1 - selection.top1
    vanishes = won >= BACK * (train - selection.top1) and won > selection.recordings**-0.5
    return found if vanishes and (last or found["cause"] != "fast") else None


def _cause(
    model: nn.Module, recipe: Recipe, epochs: int, left: float, updates: float
) -> dict[str, Any]:
    if left > LEFT:
        return {"cause": "few", "epochs": math.ceil(epochs * math.log(LEFT) / math.log(left))}
    if updates > 1:
        own = any(isinstance(norm, _BatchNorm) for norm in running_norms(model))
        return {"cause": "modules" if own else "steps", "updates": updates}
    return {"cause": "pooled" if recipe.network.norm == "per-step-pooled" else "fast"}


def gap_line(record: Mapping[str, Any], recipe: Recipe, out: Path) -> str:
    """Return what :func:`find_gap` found, why it is so and what to do, in one line.

    Args:
        record: of the epoch that showed it.
        recipe: of the run.
        out: its directory.
    """
    gap, chosen = record[GAP], record["selection"]
    return (
        f"epoch {record['epoch']}: {gap['train']:.3f} right in training and "
        f"{gap['selection']:.3f} on {chosen['part']}, but {gap['batch_statistics']:.3f} there by "
        "each batch's own statistics: the norms' running statistics lose it; "
        f"{_reason(gap, recipe, out)}"
    )


def told_gap(run: Path, recipe: Recipe) -> tuple[dict[str, Any], str] | None:
    """Return the gap that a run's log tells of, with its epoch, and its line; None without one.

    A line that is damaged tells of none: what else is wrong with it is for those who need it.
    """
    path = run / LOG
    for each in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            record = json.loads(each)
            if GAP in record:
                return {"epoch": record["epoch"], **record[GAP]}, gap_line(record, recipe, run)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return None


def _reason(gap: Mapping[str, Any], recipe: Recipe, out: Path) -> str:
    """Return why running statistics do not fit, and what to do."""
    again = "train again with --set norm=per-step-own (a set for each step) or --set norm=merged"
    cause, norm, lr = gap["cause"], recipe.network.norm, recipe.optim.lr
    if cause == "steps":
        return (
            f"norm = {norm} moves one set of them {gap['updates']:g} times a batch, so that the "
            f"last steps of the last batches own it; {again}"
        )
    if cause == "modules":
        return (
            f"the network's own BatchNorm modules move theirs {gap['updates']:g} times a batch, "
            "so that the last steps of the last batches own them; normalise all steps at once "
            "there, or use snntx.train.network.layers with --set norm=merged"
        )
    if cause == "pooled":
        return f"norm = {norm} keeps one set of them for steps that differ; {again}"
    if cause == "few":
        return (
            "they moved too seldom to forget what they began with; go on with: snntx train "
            f"--resume {shell_word(out)} --set epochs={gap['epochs']}"
        )
    return (
        "they trail weights that move too fast at the end; train again with --set "
        f"lr={lr / 10:g} (it is {lr:g})"
    )
