"""The training run: data, model, optimizer, loop, validation, checkpoints.

Reads top to bottom. Every draw is a function of the seed, the epoch and the batch, so a run
that was killed goes on from its last checkpoint to the same weights, bit for bit on the CPU.
``last.pt`` is written after every epoch and where the run is asked to end; ``best.pt`` when
the selection part's top-1 accuracy rises (on a tie, when its loss falls). Rates and replacement
are closed forms of the epoch and of ``epochs``; a run that is trained on for more epochs has,
from the epoch it is taken up in, those of a run of that many.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from ...data_cards import load_card
from ...data_cards.schema import Card
from ...errors import SnntxError, UsageError, shell_word
from ...preprocess.cache.contents import SealedCache
from ..batches.drawing import Drawn
from ..batches.loader import epoch_batches, is_worker_end
from ..batches.seen import seen_by
from ..batches.static_only import StaticOnlyData
from ..batches.training import TrainingData
from ..checkpoints.names import LAST
from ..checkpoints.run_directory import claim_directory, is_finished, previous_checkpoint
from ..checkpoints.started import started_on
from ..checkpoints.state import Checkpoint
from ..method.choice import make_method
from ..recipe.whole import Recipe
from .account import Called, begin
from .distributed import Group, pick_device
from .gap import GAP, gap_line
from .logs import RunLog, wants_tensorboard
from .objective import chosen_backend
from .running import Running
from .schedule import rate_lines, recipe_rate
from .stopping import StoppedError, StopRequest, listening
from .values import checked_selection

Report = Callable[[dict[str, Any]], None]


def train(
    card: Card | str,
    cache: SealedCache,
    recipe: Recipe,
    out: Path | str,
    *,
    device: torch.device | str = "auto",
    workers: int = 0,
    resume: bool = False,
    given: str | None = None,
    group: Group | None = None,
    called: Called | None = None,
    on_claim: Callable[[bool], None] = lambda fresh: None,
    on_note: Callable[[str], None] = lambda note: None,
    on_step: Report = lambda record: None,
    on_epoch: Report = lambda record: None,
) -> dict[str, Any]:
    """Train one network and return the best epoch's record.

    Args:
        card: the dataset, or how :func:`~snntx.data_cards.load_card` finds it; names the raw
            format for ``predict``.
        cache: its cache, of frames or events.
        recipe: every setting.
        out: run directory; must not hold another run unless ``resume``.
        device: where to compute; ``auto`` takes CUDA where there is one.
        workers: processes that make batches ahead; the result is the same for any number.
        resume: go on from ``last.pt``, or start where there is none; the recipe, the cache and the
            number of processes must be the same, but ``epochs`` may be more.
        given: how the user named the card, where that was the path of a file.
        group: the processes that share each batch; the first one writes.
        called: the command line and the recipe's name, for ``run.json``.
        on_claim: called, in the first process alone, once the run directory is this run's and
            steps are to be taken; told whether the run begins.
        on_note: called with what a user should know before the first step, and with a gap that the
            norms' running statistics make (:mod:`.gap`), once, after the epoch that shows it.
        on_step: called after each step with epoch and step, from 1, loss, accuracy, replacement.
        on_epoch: called after each epoch with its record, as ``log.jsonl`` has it.

    Raises:
        SnntxError: the cache lacks what the recipe needs, the loss is not finite, or the
            disk fails.
        StoppedError: the process was asked to end; ``last.pt`` holds all that was done.
        UsageError: a value cannot be, the run directory is taken, or does not match on resume.
    """
    if isinstance(card, str):
        given, card = given or card, load_card(card, cache.directory.absolute().parents[1])
    out, device = Path(out), pick_device(device) if isinstance(device, str) else device
    group = group or Group(device=device)
    if chosen_backend(recipe, group.device) == "numba":
        from ..network.backends.compiled.ahead import compile_ahead, needed

        normed, attended = recipe.network.norm != "none", recipe.network.attention != "none"
        graded = recipe.network.graded
        names = needed(trains=True, normed=normed, attended=attended, graded=graded)
        compile_ahead(names, recipe.optim.precision, on_note)
    cache = seen_by(cache, recipe)
    method = make_method(recipe)
    boards = group.first and wants_tensorboard(recipe.run.tensorboard, on_note)
    selection = checked_selection(recipe, cache, method, group)
    previous = previous_checkpoint(out, recipe, cache, resume)
    if previous is not None:
        recipe = _going_on(previous, recipe, out, group, on_note)
    # workers have no part of the device: what they make ahead is augmented where they run
    where = None if workers else group.device
    data: Drawn = (
        StaticOnlyData(cache, recipe, say=on_note)
        if method.draws == "images"
        else TrainingData(cache, recipe, where, on_note)
    )
    run = Running(card, cache, recipe, out, data, method, group, fresh=previous is None)
    for note in run.notes:
        on_note(f"initial weights: {note}")
    if previous is not None:
        run.take_up(previous)
    if previous is None or not is_finished(previous):
        for line in rate_lines(recipe.optim, data.batch_size):
            on_note(line)
    group.wait()
    lock, account = None, None
    if group.first:
        lock = claim_directory(out, recipe, previous, started_on(card, given or card.name, cache))
        run.log = RunLog(out, run.epoch, tensorboard=boards)
    try:
        if group.first and run.epoch < recipe.optim.epochs and not run.finished:
            account = begin(
                out,
                card,
                cache,
                recipe,
                run.model,
                called=called or Called(),
                group=group,
                workers=workers,
                epochs=run.epoch,
                goes_on=previous is not None,
            )
            on_claim(previous is None)
        with listening() as request:
            while run.epoch < recipe.optim.epochs and not run.finished:
                began = time.perf_counter()
                rate = recipe_rate(recipe.optim, run.epoch, data.batch_size)
                run.updater.set_rate(rate)
                run.model.train()
                first = run.batch
                _train_epoch(run, data, workers, out, group, request, on_step)
                record = run.finish_epoch(selection, rate, began, first, request)
                if group.first:
                    on_epoch(record)
                    if GAP in record:
                        on_note(gap_line(record, recipe, out))
        if account is not None:
            account.end(run.epoch)
    except BaseException as error:
        if account is not None:
            with contextlib.suppress(OSError):  # what ended the training is told
                account.end(run.epoch, error)
        raise
    finally:
        if run.log is not None:
            run.log.close()
        if lock is not None:
            lock.release()
    return run.best


def _going_on(
    previous: Checkpoint,
    recipe: Recipe,
    out: Path,
    group: Group,
    on_note: Callable[[str], None],
) -> Recipe:
    """Check the processes; return the run's own recipe, with the epochs that are asked for."""
    if previous.processes not in (0, group.size):
        start = f"torchrun --nproc-per-node {previous.processes} -m snntx"
        raise UsageError(
            f"{out}: was trained by {previous.processes} processes, not {group.size}, and norms "
            "are over the part of each; go on with: "
            f"{'snntx' if previous.processes == 1 else start} train --resume {shell_word(out)}"
        )
    if not previous.processes:
        on_note(
            f"{out}: does not say how many processes it was trained by (it is of an older "
            f"release); goes on with {group.size}"
        )
    asked, had = recipe.optim.epochs, previous.recipe.optim.epochs
    if asked == had:
        if is_finished(previous):
            on_note(
                f"{out}: was finished after {previous.epoch} epochs; to train it on: snntx train "
                f"--resume {shell_word(out)} --set epochs=N"
            )
        return previous.recipe
    on_note(f"{out}: trains on for {asked} epochs instead of {had}")
    on_note(
        f"from epoch {previous.epoch + 1} on, learning rate and replacement are those of a run of "
        f"{asked}"
    )
    return previous.recipe.changed(epochs=asked)


def _train_epoch(
    run: Running,
    data: Drawn,
    workers: int,
    out: Path,
    group: Group,
    request: StopRequest,
    on_step: Report,
) -> None:
    """Take the steps of one epoch that are left.

    Raises:
        StoppedError: the process was asked to end; ``last.pt`` has what was done.
        SnntxError: a process that makes batches ahead has ended.
    """
    whole = True  # between two steps, where the weights can be kept
    try:
        for batch in epoch_batches(
            data, run.epoch, first=run.batch, workers=workers, device=group.device
        ):
            whole = False
            record = run.step(batch)
            whole = True
            on_step(record)
            asked = cast(int, group.same(request.asked))
            if asked:
                run.save()
                raise StoppedError(
                    f"{out}: stopped in epoch {run.epoch + 1}, after step {run.batch}",
                    128 + asked,
                )
    except RuntimeError as error:
        if not is_worker_end(error):
            raise
        if not request.asked:
            how = "go on with --resume" if (out / LAST).is_file() else "run the command again"
            raise SnntxError(
                f"{out}: a process that makes batches ahead was ended from outside (out of "
                f"memory?); {how}, perhaps with fewer --workers"
            ) from error
        if whole and run.batch:
            run.save()
        raise StoppedError(
            f"{out}: stopped in epoch {run.epoch + 1}", 128 + request.asked
        ) from error
