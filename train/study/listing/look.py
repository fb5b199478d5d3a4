"""What a run directory is: its data, recipe, result and age, or what is wrong with it.

In: a directory. Out: one record; nothing in a directory is an error here, since a list has to show
damaged runs too. Imports no torch.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....data_cards import load_card
from ....errors import SnntxError, UsageError
from ....preprocess.disk.locks import Lock
from ...checkpoints.account import read_account
from ...checkpoints.names import BEST, DIVERGED, LAST, LOCK, LOG, METRICS, RECIPE, RUN
from ...checkpoints.started import Started, read_started
from ...checkpoints.way_on import measuring, training_again
from ...recipe.departures import departures
from ...recipe.whole import Recipe
from ..results import (
    MEASURED,
    Progress,
    UnfinishedError,
    check_finished,
    data_of,
    read_metrics,
    read_progress,
    read_recipe,
    read_records,
)
from .walk import is_run

STATES = ("running", "interrupted", "diverged", "trained", "tested", "broken", "no run")
"""``trained`` to the end and not measured, or measured too; ``no run`` is a folder of others."""
_FILES = (RECIPE, RUN, LOG, LAST, BEST, METRICS, DIVERGED)


@dataclass(frozen=True)
class Listed:
    """One directory; what it does not say is None.

    Attributes:
        path: where it lies.
        state: one of :data:`STATES`.
        card: the dataset.
        cache_key: of its frames.
        recipe: name of the recipe, or of its file.
        changed: what the run has other than the card's recipe: both values by the name.
        seed: of every draw.
        protocol: the split.
        epochs: finished.
        of: that are to be trained.
        best: epoch, from 1, part, top-1, top-5 and loss of the best epoch.
        tested: the same of the test part.
        modified: when something of it was last written, in seconds since 1970.
        problem: what is the matter, and the way out; empty for nothing.
    """

    path: Path
    state: str
    card: str | None = None
    cache_key: str | None = None
    recipe: str | None = None
    changed: dict[str, dict[str, Any]] | None = None
    seed: int | None = None
    protocol: str | None = None
    epochs: int | None = None
    of: int | None = None
    best: dict[str, Any] | None = None
    tested: dict[str, Any] | None = None
    modified: float = 0.0
    problem: str = ""

    def records(self) -> list[dict[str, Any]]:
        """Return its log: a record for each finished epoch, ``epoch`` from 1.

        Raises:
            SnntxError: the log is damaged.
        """
        return read_records(self.path)


def read_run(run: Path | str) -> Listed:
    """Return what a run directory says of its run.

    Raises:
        UsageError: it is no run directory.
    """
    path = Path(run)
    if not is_run(path):
        raise UsageError(f"{path}: no run directory of snntx train")
    return look_at(path)


def look_at(run: Path) -> Listed:
    """Return what a run directory is."""
    listed = Listed(run, "broken", modified=_modified(run))
    try:
        listed = _data(listed)
        recipe = read_recipe(run)
        if recipe is None:
            held = LAST if (run / LAST).is_file() else BEST
            raise SnntxError(
                f"{run}: holds {held} without {RECIPE}; train it again: "
                f"{training_again(run, recipe=False)}"
            )
        listed = replace(_settings(listed, recipe), state="broken")
        progress, metrics = read_progress(run, recipe), read_metrics(run)
        if metrics is not None and listed.card is None:
            listed = replace(listed, card=metrics["card"], cache_key=metrics["cache_key"])
        return _judged(listed, recipe, progress, metrics)
    except (SnntxError, OSError) as error:
        return replace(listed, problem=" ".join(str(error).split()))


def other(folder: Path, problem: str) -> Listed:
    """Return what a folder is that is no run."""
    return Listed(folder, "no run", modified=_modified(folder), problem=problem)


def _modified(run: Path) -> float:
    """Return when a run's files were last written; without any, the folder."""
    times = []
    for path in [run / name for name in _FILES]:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    with contextlib.suppress(OSError):
        times = times or [run.stat().st_mtime]
    return max(times, default=0.0)


def _data(listed: Listed) -> Listed:
    """Fill in what the run was made of: by its account, by its start, or by its checkpoint."""
    run, problem, account, started = listed.path, "", None, None
    try:
        account = read_account(run)
    except SnntxError as error:  # the run itself is whole
        problem = str(error)
    with contextlib.suppress(SnntxError):  # training alone cannot do without
        started = read_started(run)
    if account is not None:
        changed = account.get("differences")
        listed = replace(listed, recipe=account["recipe"], changed=changed)
    if started is not None:
        return replace(listed, card=started.card, cache_key=started.key, problem=problem)
    with contextlib.suppress(SnntxError):  # whether that is a fault shows afterwards
        card, key = data_of(run, None)
        listed = replace(listed, card=card, cache_key=key)
    return replace(listed, problem=problem)


def _settings(listed: Listed, recipe: Recipe) -> Listed:
    """Fill in the settings; one without an account is told from its card's default."""
    listed = replace(
        listed,
        seed=recipe.run.seed,
        protocol=recipe.data.protocol,
        of=recipe.optim.epochs,
    )
    if listed.changed is not None or listed.card is None:
        return listed
    started: Started | None = None
    with contextlib.suppress(SnntxError):
        started = read_started(listed.path)
    with contextlib.suppress(SnntxError):  # no such card here, or one of another layout
        root = None if started is None else Path(started.cache)
        card = load_card(listed.card if started is None else started.given, root)
        found = departures(card, "default", recipe)
        changed = {name: {"recipe": ours, "run": theirs} for name, (ours, theirs) in found.items()}
        return replace(listed, recipe=listed.recipe or "default", changed=changed)
    return listed


def _judged(
    listed: Listed, recipe: Recipe, progress: Progress, metrics: dict[str, Any] | None
) -> Listed:
    """Fill in how far the run is and what it gave."""
    run = listed.path
    best = None
    if progress.best is not None and progress.selection:
        best = {"epoch": progress.best, "part": progress.selection["part"]}
        best |= {name: progress.selection[name] for name in MEASURED}
    listed = replace(listed, epochs=progress.epochs, best=best)
    try:
        check_finished(run, recipe, progress, metrics)
    except UnfinishedError as error:
        if Lock(run / LOCK).is_held():
            return replace(listed, state="running")
        state = "diverged" if (run / DIVERGED).is_file() else "interrupted"
        return replace(listed, state=state, problem=str(error))
    if metrics is None:
        return replace(listed, state="trained")
    whose = (metrics["seed"], metrics["protocol"]) == (recipe.run.seed, recipe.data.protocol)
    if not whose or progress.best not in (None, metrics["epoch"]):
        problem = f"{run}: {METRICS} is of an earlier training; {measuring(run, 'measure it')}"
        return replace(listed, state="trained", problem=problem)
    tested = {"epoch": metrics["epoch"], "part": metrics["part"]}
    tested |= {name: metrics[name] for name in MEASURED}
    return replace(listed, state="tested", tested=tested)
