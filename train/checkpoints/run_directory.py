"""A run directory: free, claimed by one recipe, or left by a run to go on from.

Files are written in this order: what the run is (recipe, card and cache), then for each epoch
its line of the log, ``best.pt`` and ``last.pt``. A process that ends between any two of them
leaves a directory that is gone on with, or free where no ``last.pt`` was written: a ``best.pt``
without one is then the first epoch's left-over, and known as that.
"""

from __future__ import annotations

import json
from pathlib import Path

from ...errors import UsageError, shell_word
from ...preprocess.cache.contents import SealedCache
from ...preprocess.disk.atomic import write_atomic
from ...preprocess.disk.locks import BusyError, Lock
from ..recipe.differences import differences, told
from ..recipe.whole import Recipe
from .free import check_free, is_temporary
from .names import BEST, DIVERGED, EVENTS, LAST, LOCK, LOG, METRICS, RECIPE, from_one
from .started import Started, write_started
from .state import Checkpoint, load_checkpoint


def previous_checkpoint(
    out: Path, recipe: Recipe, cache: SealedCache, resume: bool
) -> Checkpoint | None:
    """Read where an earlier run stopped, or check that the run directory is free.

    A run that was killed within its first epoch left nothing to go on from, so its directory is
    free; ``resume`` starts there.

    Raises:
        UsageError: the directory is taken, or holds what this recipe and cache cannot go on from.
        SnntxError: the checkpoint is damaged.
    """
    if not (out / LAST).is_file():
        check_free(out)
        return None
    previous = load_checkpoint(out / LAST)
    same_run(out, previous.recipe, recipe, more=resume)
    if previous.cache_key != cache.key:
        raise UsageError(
            f"{out}: was trained on cache {previous.cache_key}, not {cache.key}; "
            f"choose it with --key {previous.cache_key}, or choose another --out"
        )
    if resume:
        return previous
    if is_finished(previous):
        word = shell_word(out)
        raise UsageError(
            f"{out}: exists already and is finished, after {previous.epoch} epochs; measure it: "
            f"snntx evaluate {word}, train it on: snntx train --resume {word} --set epochs=N, or "
            "choose another --out"
        )
    raise UsageError(f"{out}: exists already; go on with --resume, or choose another --out")


def same_run(out: Path, held: Recipe, asked: Recipe, *, more: bool) -> Recipe:
    """Return the recipe that a run goes on with: its own, perhaps for more epochs.

    Args:
        out: its directory.
        held: its recipe.
        asked: what it shall be.
        more: whether more epochs may be asked for.

    Raises:
        UsageError: another setting differs; the error has the value of either side.
    """
    found, word = differences(held, asked), shell_word(out)
    had, wanted = held.optim.epochs, asked.optim.epochs
    if found.keys() - {"epochs"} or wanted < had or (wanted > had and not more):
        on = f", train it on by --resume {word} --set epochs={wanted}" if wanted > had else ""
        raise UsageError(
            f"{out}: was trained with other settings: {told(found)}; go on with its own: "
            f"snntx train --resume {word}{on}, or choose another --out"
        )
    return held.changed(epochs=wanted) if found else held


def is_finished(checkpoint: Checkpoint) -> bool:
    """Return whether a run was trained to its end: all epochs, or patience ran out."""
    recipe = checkpoint.recipe
    waited = has_waited(recipe, checkpoint.epoch, checkpoint.batch, checkpoint.best["epoch"])
    return checkpoint.epoch >= recipe.optim.epochs or waited


def has_waited(recipe: Recipe, epoch: int, batch: int, best: int) -> bool:
    """Return whether patience has run out, between two epochs.

    Args:
        recipe: of the run.
        epoch: epochs finished.
        batch: batches trained of the next one.
        best: number of the best epoch, from 1; 0 before there is one.
    """
    patience = recipe.run.patience
    return bool(patience) and batch == 0 and epoch - best >= patience


def claim_directory(
    out: Path, recipe: Recipe, previous: Checkpoint | None, started: Started | None = None
) -> Lock:
    """Make the run directory hold this recipe and the log of the epochs finished so far.

    Args:
        out: the directory.
        recipe: of the run.
        previous: what it goes on from.
        started: card and cache, where they are known by names that a command takes.

    Returns:
        The directory's lock, held; the system gives it back when the process ends.

    Raises:
        UsageError: the directory cannot be written, or another training has it.
    """
    epochs = 0 if previous is None else previous.epoch
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = Lock(out / LOCK)
        lock.acquire()
        if previous is None and (out / LAST).exists():  # since it was looked at
            raise UsageError(f"{out}: another training was here first; choose another --out")
        for path in out.iterdir():
            stale = not epochs and path.name.startswith(EVENTS)  # of a first epoch not finished
            lost = previous is None and path.name in (BEST, METRICS)
            if is_temporary(path.name) or path.name == DIVERGED or stale or lost:
                path.unlink()
        write_atomic(out / RECIPE, recipe.to_toml())
        if started is not None:
            write_started(out, started)
    except BusyError as busy:
        raise UsageError(
            f"{out}: another training is writing here, {busy}; choose another --out, or "
            f"{lock.way_out()}"
        ) from None
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from error
    _trim_log(out / LOG, epochs)
    return lock


def _trim_log(path: Path, epochs: int) -> None:
    """Drop log lines of epochs that no checkpoint holds, or a line cut off by a crash.

    Lines of release 0.1 become those of this one, so that a run that it began has one format.
    """
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
            now = from_one(record)
            if now["epoch"] <= epochs:
                kept.append(line if now == record else json.dumps(now))
        except (ValueError, KeyError, TypeError, RecursionError):
            break
    write_atomic(path, "".join(f"{line}\n" for line in kept))
