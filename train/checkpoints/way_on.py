"""The command that goes on with a run, measures it or trains it again, as a reader may paste it.

In: a run directory. Out: whole commands, paths quoted for a shell. What a run was started on is
taken from its own files; a run of release 0.1 that has no checkpoint does not name its card, and
the command then has the word CARD in its place. Imports no torch.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

from ...errors import SnntxError, UsageError, shell_word
from .free import check_free
from .names import BEST, LAST, RECIPE
from .origin import read_origin
from .started import Started, read_started

SURE_RATE = 1e-3
"""A learning rate that does not diverge, as far as anybody knows."""


def lower_rate(rate: float) -> str:
    """Return the setting of a rate that is worth a try where ``rate`` diverged."""
    lower = min(rate / 10, SURE_RATE)
    return f"lr={lower if math.isfinite(lower) and lower > 0 else SURE_RATE:g}"


def going_on(run: Path, *settings: str) -> str:
    """Return the command that goes on with a run, or starts it again where it has not begun.

    Args:
        run: its directory.
        settings: of a run that has not begun, each ``key=value``, in place of its own.
    """
    if not (run / LAST).is_file():
        try:
            check_free(run)
        except UsageError:
            return training_again(run, *settings)
        if _started(run) is None:
            return _training(run, run, settings)
    return " ".join(["snntx train --resume", shell_word(run), *_sets(settings)])


def training_again(run: Path, *settings: str, recipe: bool = True) -> str:
    """Return the command that trains a run from the start, in a directory beside it.

    Args:
        run: its directory.
        settings: in place of its own, each ``key=value``.
        recipe: whether its recipe can be read; or else the card's default takes its place.
    """
    where = run if run.name not in ("", "..") else run.resolve()
    names = (f"{where.name}-again{'' if n == 1 else n}" for n in itertools.count(1))
    out = next(where.with_name(name) for name in names if not where.with_name(name).exists())
    return _training(run, out, settings, recipe=recipe)


def measuring(run: Path, how: str) -> str:
    """Return what to do for a result of the test part, with the best checkpoint or without.

    Args:
        run: its directory.
        how: goes before the command that measures it, such as ``make it with``.
    """
    if (run / BEST).is_file():
        return f"{how}: snntx evaluate {shell_word(run)}"
    return f"it has no {BEST} to make it from, so train it again: {training_again(run)}"


def _training(run: Path, out: Path, settings: tuple[str, ...], *, recipe: bool = True) -> str:
    started = _started(run)
    words = ["snntx train", shell_word(_card(run) if started is None else started.given)]
    if recipe and (run / RECIPE).is_file():
        words += ["--recipe", shell_word(run / RECIPE)]
    words += _sets(settings)
    if started is not None:
        words += ["--cache", shell_word(started.cache), "--key", shell_word(started.key)]
    return " ".join([*words, "--out", shell_word(out)])


def _sets(settings: tuple[str, ...]) -> list[str]:
    return [word for each in settings for word in ("--set", shell_word(each))]


def _started(run: Path) -> Started | None:
    try:
        return read_started(run)
    except SnntxError:  # who goes on with the run by its directory is told of it
        return None


def _card(run: Path) -> str:
    for name in (LAST, BEST):
        try:
            return read_origin(run / name).card
        except SnntxError:
            continue
    return "CARD"


def checkpoint_path(run: Path) -> Path:
    """Return the checkpoint a user means: the file itself, or a run directory's best.

    Raises:
        UsageError: neither a checkpoint nor a run directory with one.
    """
    if run.is_dir():
        if (run / BEST).is_file():
            return run / BEST
        if (run / RECIPE).is_file():
            raise UsageError(
                f"{run}: a run with no {BEST}, since it ended before its first epoch was finished; "
                f"start it again with: {going_on(run)} (with a lower --set lr=, if it diverged)"
            )
        inside = sorted(path.parent.name for path in run.glob(f"*/{BEST}"))
        what = f"; it holds runs, give one of them, such as {run / inside[0]}" if inside else ""
        raise UsageError(
            f"{run}: no {BEST} in this directory{what or '; is it a run of snntx train?'}"
        )
    if not run.is_file():
        raise UsageError(f"{run}: no such run directory or checkpoint")
    return run
