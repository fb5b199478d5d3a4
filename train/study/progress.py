"""What is left to do of a run of a sweep, read from its directory alone; imports no torch.

A directory belongs to a run whose recipe it holds, setting by setting, and whose checkpoint was
trained on the cache that is asked for. Whether the run was trained to its end is read from its
log, and whether its ``metrics.json`` measures that very result from the epoch it names, so that
a run evaluated half-way does not pass for finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import SnntxError, UsageError
from ...preprocess.disk.atomic import write_atomic
from ..checkpoints.names import LAST, RECIPE
from ..recipe.differences import differences
from ..recipe.whole import Recipe
from .results import data_of, read_metrics, read_progress, read_recipe
from .sweep import SweepRun

INDEX = "sweep.json"
"""What the runs of a sweep's folder stand for; for :mod:`snntx.train.study.runs`."""
FORMAT = 1


def differing(a: Recipe, b: Recipe) -> list[str]:
    """Return the names of the settings in which two recipes differ."""
    return list(differences(a, b))


def run_state(
    run: Path,
    recipe: Recipe,
    *,
    card: str | None = None,
    key: str | None = None,
    test: bool = True,
) -> str:
    """Return what is left to do: ``start``, ``resume``, ``evaluate`` or nothing (``done``).

    Args:
        run: the run's directory.
        recipe: what it has to hold.
        card: name of the dataset it has to be of, where that is known.
        key: of the cache it has to be of, where that is known.
        test: whether the test part is to be measured.

    Raises:
        UsageError: the directory holds another run, or one of another card or cache.
        SnntxError: a file in it is damaged.
    """
    if run.exists() and not run.is_dir():
        raise UsageError(f"{run}: exists already and is a file; choose another --out")
    held = read_recipe(run)
    if held is None:
        if (run / LAST).exists():
            raise UsageError(f"{run}: holds {LAST} without {RECIPE}; choose another --out")
        return "start"
    changed = differing(held, recipe)
    if changed:
        raise UsageError(
            f"{run}: holds a run of another recipe ({', '.join(changed)}); choose another --out, "
            "or remove that directory"
        )
    if not (run / LAST).exists():
        return "start"
    metrics = read_metrics(run)
    if card is not None or key is not None:
        _check_data(run, metrics, card, key)
    progress = read_progress(run, recipe)
    if not progress.whole:
        return "resume"
    return "done" if not test or _measured(metrics, progress.best, recipe) else "evaluate"


def _measured(metrics: dict[str, Any] | None, best: int | None, recipe: Recipe) -> bool:
    """Whether the metrics are of the test part of this very recipe, at its best epoch."""
    if metrics is None:
        return False
    found = metrics["epoch"], metrics["seed"], metrics["protocol"], metrics["part"]
    return found == (best, recipe.run.seed, recipe.data.protocol, "test")


def _check_data(
    run: Path, metrics: dict[str, Any] | None, card: str | None, key: str | None
) -> None:
    """Refuse a run of another card or cache; the run's own files say what it was trained on."""
    of_card, of_key = data_of(run, metrics)
    if card is not None and of_card != card:
        raise UsageError(f"{run}: holds a run of card {of_card}, not {card}; choose another --out")
    if key is not None and of_key != key:
        raise UsageError(
            f"{run}: holds a run on cache {of_key}, not {key}; choose another --out for runs on "
            f"{key}, or go on with these by --key {of_key}"
        )


def plan(
    runs: Sequence[SweepRun], out: Path, card: str, keys: Mapping[str, str], *, test: bool
) -> dict[str, str]:
    """Return the state of every run by name.

    Args:
        runs: of the sweep.
        out: folder of their directories.
        card: name of the dataset.
        keys: of the runs' caches by name, where known.
        test: whether the test part is to be measured.

    Raises:
        UsageError: a directory holds another run, or one of another card or cache.
        SnntxError: a file of a run is damaged.
    """
    return {
        run.name: run_state(
            out / run.name, run.recipe, card=card, key=keys.get(run.name), test=test
        )
        for run in runs
    }


def write_index(runs: Sequence[SweepRun], out: Path, card: str, keys: Mapping[str, str]) -> None:
    """Note in a sweep's folder what its runs stand for, beside the runs noted earlier.

    Args:
        runs: of the sweep.
        out: its folder.
        card: name of the dataset.
        keys: of the runs' caches by name.

    Raises:
        SnntxError: the folder cannot be written.
    """
    entries = read_index(out)
    for run in runs:
        entries[run.name] = {
            "base": run.base,
            "variant": run.variant,
            "point": run.point,
            "card": card,
            "cache_key": keys[run.name],
        }
    content = {"format": FORMAT, "runs": entries}
    try:
        write_atomic(out / INDEX, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise SnntxError(f"{out}: cannot be written: {error.strerror}") from error


def read_index(out: Path) -> dict[str, dict[str, Any]]:
    """Return what the runs of a sweep's folder stand for, by name; empty where none is noted.

    Raises:
        SnntxError: the file is damaged or of another release.
    """
    path = out / INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this release reads {FORMAT}")
        entries: dict[str, dict[str, Any]] = content["runs"]
        for entry in entries.values():
            str(entry["base"]), str(entry["variant"]), dict(entry["point"])
            str(entry["card"]), str(entry["cache_key"])
        return entries
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SnntxError(f"{path}: not what snntx sweep writes ({error}); remove it") from error
