"""The training run: data, model, optimizer, loop, validation, checkpoints.

Reads top to bottom. Every draw is a function of the seed, the epoch and the batch, so a run
that was killed goes on from its last checkpoint to the same weights, bit for bit on the CPU.
``last.pt`` is written after every epoch and where the run is asked to end; ``best.pt`` when
the selection part's top-1 accuracy rises (on a tie, when its loss falls).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ...data_cards.schema import Card
from ...errors import UsageError
from ...preprocess.cache.frame_cache import FrameCache
from ..batches.drawing import Drawn
from ..batches.loader import epoch_batches
from ..batches.static_only import StaticOnlyData
from ..batches.training import TrainingData
from ..checkpoints.run_directory import claim_directory, previous_checkpoint
from ..method.choice import make_method
from ..recipe.whole import Recipe
from .distributed import Group
from .logs import RunLog, wants_tensorboard
from .running import Running
from .schedule import rate_lines, recipe_rate
from .stopping import StoppedError, listening

Report = Callable[[dict[str, Any]], None]


def train(
    card: Card,
    cache: FrameCache,
    recipe: Recipe,
    out: Path,
    *,
    device: torch.device,
    workers: int = 0,
    resume: bool = False,
    group: Group | None = None,
    on_note: Callable[[str], None] = lambda note: None,
    on_step: Report = lambda record: None,
    on_epoch: Report = lambda record: None,
) -> dict[str, Any]:
    """Train one network and return the best epoch's record.

    Args:
        card: the dataset; names the raw format for ``predict``.
        cache: its frame cache.
        recipe: every setting.
        out: run directory; must not hold another run unless ``resume``.
        device: where to compute.
        workers: processes that make batches ahead; the result is the same for any number.
        resume: go on from ``last.pt``; the recipe and the cache must be the same.
        group: the processes that share each batch; the first one writes.
        on_note: called with what a user should know before the first step.
        on_step: called after each step with epoch, step, loss, accuracy, replacement.
        on_epoch: called after each epoch with its record.

    Raises:
        SnntxError: the cache lacks what the recipe needs, the loss is not finite, or the
            disk fails.
        StoppedError: the process was asked to end; ``last.pt`` holds all that was done.
        UsageError: the run directory is taken, or does not match on resume.
    """
    previous = previous_checkpoint(out, recipe, cache, resume)
    group = group or Group(device=device)
    method = make_method(recipe)
    boards = group.first and wants_tensorboard(recipe.run.tensorboard, on_note)
    # workers have no part of the device: what they make ahead is augmented where they run
    where = None if workers else group.device
    data: Drawn = (
        StaticOnlyData(cache, recipe)
        if method.draws == "images"
        else TrainingData(cache, recipe, where)
    )
    protocol = recipe.data.protocol
    selection = cache.split(protocol, recipe.selection)
    if selection.size == 0:
        raise UsageError(
            f"protocol {protocol} has no {recipe.selection} recordings in this cache "
            "to choose the best epoch by"
        )
    if data.batch_size % group.size:
        raise UsageError(
            f"a batch of {data.batch_size} cannot be shared by {group.size} processes; set "
            "batch_size to a multiple"
        )
    run = Running(card, cache, recipe, out, data, method, group, fresh=previous is None)
    for note in run.notes:
        on_note(f"initial weights: {note}")
    for line in rate_lines(recipe.optim, data.batch_size):
        on_note(line)
    if previous is not None:
        run.take_up(previous)
    group.wait()
    lock = None
    if group.first:
        lock = claim_directory(out, recipe, previous)
        run.log = RunLog(out, run.epoch, tensorboard=boards)
    try:
        with listening() as request:
            while run.epoch < recipe.optim.epochs and not run.finished:
                began = time.perf_counter()
                rate = recipe_rate(recipe.optim, run.epoch, data.batch_size)
                run.updater.set_rate(rate)
                run.model.train()
                first = run.batch
                for batch in epoch_batches(
                    data, run.epoch, first=first, workers=workers, device=device
                ):
                    on_step(run.step(batch))
                    if group.same(request.asked):
                        run.save()
                        raise StoppedError(
                            f"{out}: stopped in epoch {run.epoch}, after step {run.batch - 1}"
                        )
                record = run.finish_epoch(selection, rate, began, first)
                if group.first:
                    on_epoch(record)
    finally:
        if run.log is not None:
            run.log.close()
        if lock is not None:
            lock.release()
    return run.best
