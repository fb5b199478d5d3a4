"""A run directory: free, claimed by one recipe, or left by a run to go on from."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import UsageError
from ...preprocess.cache.frame_cache import FrameCache
from ...preprocess.disk.atomic import write_atomic
from ..recipe.whole import Recipe
from .names import BEST, DIVERGED, EVENTS, LAST, LOCK, LOG, RECIPE
from .state import Checkpoint, load_checkpoint

OWN = (RECIPE, LOG, DIVERGED, LOCK)
"""What a training may leave before its first epoch is finished, beside TensorBoard's files."""


def previous_checkpoint(
    out: Path, recipe: Recipe, cache: FrameCache, resume: bool
) -> Checkpoint | None:
    """Read where an earlier run stopped, or check that the run directory is free.

    A run that was stopped within its first epoch left nothing to go on from, so its
    directory is free.

    Raises:
        UsageError: the directory is taken, or there is nothing that this recipe and cache
            can go on from.
        SnntxError: the checkpoint is damaged.
    """
    last = out / LAST
    if resume:
        if not last.is_file():
            raise UsageError(f"{out}: nothing to resume (no {LAST}); leave out --resume")
        previous = load_checkpoint(last)
        if previous.recipe != recipe:
            asked = recipe.settings()
            changed = [
                name
                for name, value in previous.recipe.settings().items()
                if name in asked and asked[name] != value
            ]
            raise UsageError(
                f"{out}: was trained with other settings ({', '.join(changed)}); resume with the "
                "same, or choose another --out"
            )
        if previous.cache_key != cache.key:
            raise UsageError(
                f"{out}: was trained on cache {previous.cache_key}, not {cache.key}; "
                f"choose it with --key {previous.cache_key}"
            )
        return previous
    if last.is_file():
        raise UsageError(f"{out}: exists already; go on with --resume, or choose another --out")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: exists already and is a file; choose another --out")
    if out.is_dir():
        names = {path.name for path in out.iterdir() if not _is_leftover(path.name)}
        own = {name for name in names if name in OWN or name.startswith(EVENTS)}
        if names != own:
            raise UsageError(
                f"{out}: exists already, with no {LAST} to go on from; choose another --out"
            )
    return None


def _is_leftover(name: str) -> bool:
    """Whether this is the temporary file of a process that was killed while writing."""
    return name.startswith(tuple(f".{own}." for own in (RECIPE, LOG, BEST, LAST, DIVERGED)))


def claim_directory(out: Path, recipe: Recipe, previous: Checkpoint | None) -> FileLock:
    """Make the run directory hold this recipe and the log of the epochs finished so far.

    Returns:
        The directory's lock, held; the system gives it back when the process ends.

    Raises:
        UsageError: the directory cannot be written, or another training has it.
    """
    epochs = 0 if previous is None else previous.epoch
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        lock.acquire(timeout=0)
        if previous is None and (out / LAST).exists():  # since it was looked at
            raise UsageError(f"{out}: another training was here first; choose another --out")
        for path in out.iterdir():
            stale = not epochs and path.name.startswith(EVENTS)  # of a first epoch not finished
            if _is_leftover(path.name) or path.name == DIVERGED or stale:
                path.unlink()
        write_atomic(out / RECIPE, recipe.to_toml())
    except Timeout as error:
        raise UsageError(
            f"{out}: another training is writing here; choose another --out"
        ) from error
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from error
    _trim_log(out / LOG, epochs)
    return lock


def _trim_log(path: Path, epochs: int) -> None:
    """Drop log lines of epochs that no checkpoint holds, or a line cut off by a crash."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["epoch"] < epochs:
                kept.append(line)
        except (ValueError, KeyError):
            break
    write_atomic(path, "".join(f"{line}\n" for line in kept))
