"""What a run's directory says of itself: recipe, log, metrics, and the cache it was trained on.

Imports no torch. Every file may be damaged or edited; whatever is not as ``snntx train`` and
``snntx evaluate`` write it is an error of one line that says how to go on. A last line of the
log that a crash cut off counts for nothing.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SnntxError, UsageError, shell_word
from ..checkpoints.names import BEST, DIVERGED, LAST, LOG, METRICS, RECIPE, from_one
from ..checkpoints.origin import Origin, read_origin
from ..checkpoints.way_on import going_on, lower_rate, measuring, training_again
from ..recipe.sources import recipe_from_table
from ..recipe.whole import Recipe

MEASURED = ("top1", "top5", "loss")
"""What a part's result holds, in the log and in the metrics."""
_WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""As a file that was damaged or edited shows itself."""


@dataclass(frozen=True)
class Progress:
    """How far a run was trained.

    Attributes:
        epochs: finished.
        best: number of the best epoch, from 1; None before the first one.
        selection: part, top-1, top-5 and loss of the best epoch.
        whole: every epoch was trained, or patience ran out.
    """

    epochs: int
    best: int | None
    selection: dict[str, Any]
    whole: bool


def read_recipe(run: Path) -> Recipe | None:
    """Return the recipe a run directory holds, or None where it holds none.

    Raises:
        SnntxError: its file is damaged.
    """
    path = run / RECIPE
    try:
        text = path.read_text(encoding="utf-8")
        return recipe_from_table(tomllib.loads(text), str(path))
    except FileNotFoundError:
        return None
    except (*_WRONG, UsageError) as error:
        if (run / LAST).is_file():  # which holds it too
            how = f"have it written again with: {going_on(run)}"
        else:
            how = f"its settings are lost; train it again: {training_again(run, recipe=False)}"
        raise SnntxError(f"{path}: not a readable recipe: {_reason(error)}; {how}") from error


def read_metrics(run: Path) -> dict[str, Any] | None:
    """Return what ``snntx evaluate`` wrote of a run, or None where it did not.

    Raises:
        SnntxError: its file is damaged.
    """
    path = run / METRICS
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for key in ("card", "cache_key", "protocol", "part"):
            if not isinstance(content[key], str):
                raise ValueError(f"{key} = {content[key]!r}")
        for key in ("seed", "epoch"):
            if int(content[key]) != content[key]:
                raise ValueError(f"{key} = {content[key]!r}")
        content = from_one(content)
        _check_measured(content)
        if "firing" in content and not math.isfinite(content["firing"]["nasfr"]):
            raise ValueError(f"nasfr = {content['firing']['nasfr']!r}")
        for name, (count, share) in content["per_class"].items():
            if int(count) != count or not math.isfinite(share):
                raise ValueError(f"per_class {name} = {[count, share]!r}")
        return content
    except FileNotFoundError:
        return None
    except _WRONG as error:
        raise SnntxError(
            f"{path}: not what snntx evaluate writes ({_reason(error)}); "
            f"{measuring(run, 'make it again with')}"
        ) from error


def without_firing(run: Path, recipe: Recipe) -> str:
    """Return why a run's metrics do not say how often its neurons fire, and what to do."""
    if recipe.network.graded:
        network = recipe.network
        how = "neuron = relu" if network.neuron == "relu" else f"sends = {network.sends}"
        return f"its neurons send graded values ({how}), which have no firing rate; leave it out"
    return (
        f"{METRICS} has no NASFR, being of an earlier release; "
        f"{measuring(run, 'make it again with')}"
    )


def _check_measured(values: dict[str, Any]) -> None:
    for key in MEASURED:
        if isinstance(values[key], bool) or not isinstance(values[key], int | float):
            raise ValueError(f"{key} = {values[key]!r}")


def read_records(run: Path) -> list[dict[str, Any]]:
    """Return the records of a run's log, one a finished epoch; ``epoch`` counts from 1.

    Raises:
        SnntxError: a line cannot be read, and it is not the last one, cut off.
    """
    path = run / LOG
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise SnntxError(f"{path}: cannot be read: {error.strerror or error}") from error
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break
            raise _damaged(path, number, error) from error
        try:
            for key in ("epoch", "best_epoch"):
                if isinstance(record[key], bool) or not isinstance(record[key], int):
                    raise ValueError(f"{key} = {record[key]!r}")
            str(record["selection"]["part"])
            _check_measured(record["selection"])
        except _WRONG as error:
            raise _damaged(path, number, error) from error
        try:
            records.append(from_one(record))
        except ValueError as error:
            raise SnntxError(
                f"{path}: line {number} is of {error}; read it by the release that wrote it"
            ) from error
    return records


def read_log(run: Path, recipe: Recipe) -> Progress:
    """Return how far a run was trained, as its log says.

    Raises:
        SnntxError: a line cannot be read, and it is not the last one, cut off.
    """
    records = read_records(run)
    if not records:
        return Progress(0, None, {}, False)
    best = records[-1]["best_epoch"]
    chosen = [each["selection"] for each in records if each["epoch"] == best]
    return _progress(records[-1]["epoch"], best, chosen[-1] if chosen else {}, recipe)


def _damaged(path: Path, number: int, error: Exception) -> SnntxError:
    return SnntxError(
        f"{path}: line {number} is not what snntx train writes ({_reason(error)}); remove "
        f"this line: sed -i {number}d {shell_word(path)}"
    )


def read_progress(run: Path, recipe: Recipe) -> Progress:
    """Return how far a run was trained: by its log, or by ``last.pt`` where that says more.

    Raises:
        SnntxError: a file is damaged.
    """
    logged = read_log(run, recipe)
    if (logged.whole and logged.selection) or not (run / LAST).is_file():
        return logged
    kept = origin_of(run)
    best = {name: value for name, value in kept.best.items() if name != "epoch"}
    if kept.best["epoch"] < 1 or kept.epochs < logged.epochs:
        return logged
    return _progress(kept.epochs, kept.best["epoch"], best, recipe)


def _progress(epochs: int, best: int, selection: dict[str, Any], recipe: Recipe) -> Progress:
    waited = bool(recipe.run.patience) and epochs - best >= recipe.run.patience
    return Progress(epochs, best, selection, waited or epochs >= recipe.optim.epochs)


def origin_of(run: Path) -> Origin:
    """Return what a run was trained on, as its last checkpoint says, or else its best.

    Raises:
        SnntxError: there is no checkpoint, or it is damaged.
    """
    path = run / (LAST if (run / LAST).is_file() else BEST)
    try:
        return read_origin(path)
    except SnntxError as error:
        if not path.is_file():
            raise SnntxError(
                f"{run}: which cache it was trained on cannot be told, since it has neither a "
                f"checkpoint nor {METRICS}; train it again: {training_again(run)}"
            ) from error
        raise SnntxError(
            f"{error}; train it again: {training_again(run)} (or remove {run}, and its sweep does)"
        ) from error


def data_of(run: Path, metrics: dict[str, Any] | None) -> tuple[str, str]:
    """Return the card and the key of the cache that a run was trained on, by its own files.

    Args:
        run: its directory.
        metrics: what was measured of it, where it was.

    Raises:
        SnntxError: it has no file that says so, or a damaged one.
    """
    if metrics is not None:
        return str(metrics["card"]), str(metrics["cache_key"])
    origin = origin_of(run)
    return origin.card, origin.cache_key


class UnfinishedError(SnntxError):
    """A run has no result yet."""


def check_finished(
    run: Path, recipe: Recipe, progress: Progress, metrics: dict[str, Any] | None
) -> None:
    """Refuse a run that was not trained to its end, with the command that goes on with it.

    Raises:
        UnfinishedError: it was not.
    """
    if progress.whole:
        return
    count = f"trained {progress.epochs} of {recipe.optim.epochs} epochs"
    lower, rate = lower_rate(recipe.optim.lr), f"a lower lr (it is {recipe.optim.lr:g})"
    if (run / DIVERGED).is_file():
        if (run / LAST).is_file():
            raise UnfinishedError(
                f"{run}: {count} and diverged; train it again with {rate}: "
                f"{training_again(run, lower)}"
            )
        raise UnfinishedError(
            f"{run}: diverged before its first epoch was finished; train it again with {rate}: "
            f"{going_on(run, lower)}"
        )
    if progress.best is not None and (run / LAST).is_file():
        raise UnfinishedError(f"{run}: {count}; go on with: {going_on(run)}")
    if progress.best is not None:
        raise UnfinishedError(
            f"{run}: {count} and has no {LAST} to go on from; train it again: {going_on(run)}"
        )
    if metrics is None and not (run / BEST).is_file():
        raise UnfinishedError(
            f"{run}: ended before its first epoch was finished; start it again with: "
            f"{going_on(run)} (and --set {lower}, if it diverged)"
        )


def _reason(error: Exception) -> str:
    """Return what is wrong in words; a missing key and a deep nesting have none of their own."""
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    if isinstance(error, RecursionError):
        return "nested too deep"
    return " ".join(str(error).split()) or type(error).__name__
