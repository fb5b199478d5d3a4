"""How far a run of a sweep is, read from its directory alone; imports no torch.

A directory belongs to a run whose recipe it holds, setting by setting. Whether the run was
trained to its end is read from its log, and whether its ``metrics.json`` measures that very
result from the epoch it names, so that a run evaluated half-way does not pass for finished.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SnntxError, UsageError
from ...preprocess.disk.atomic import write_atomic
from ..checkpoints.names import LAST, LOG, METRICS, RECIPE
from ..recipe.sources import recipe_from_table
from ..recipe.whole import Recipe
from .sweep import SweepRun

INDEX = "sweep.json"
"""What the runs of a sweep's folder stand for; for :mod:`snntx.train.study.runs`."""
FORMAT = 1


@dataclass(frozen=True)
class Progress:
    """What a run's log says.

    Attributes:
        epochs: finished.
        best: number of the best epoch, from 0; None before the first one.
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
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, UsageError) as error:
        raise SnntxError(f"{path}: not a readable recipe: {error}") from error


def read_metrics(run: Path) -> dict[str, Any] | None:
    """Return what ``snntx evaluate`` wrote of a run, or None where it did not.

    Raises:
        SnntxError: its file is damaged.
    """
    path = run / METRICS
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for key, kind in (("card", str), ("protocol", str), ("part", str), ("top1", float)):
            if not isinstance(content[key], kind):
                raise ValueError(f"{key} = {content[key]!r}")
        content["seed"], content["epoch"] = int(content["seed"]), int(content["epoch"])
        return content
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnntxError(
            f"{path}: not what snntx evaluate writes ({error}); run snntx evaluate {run}"
        ) from error


def read_progress(run: Path, recipe: Recipe) -> Progress:
    """Return how far a run was trained; a line that a crash cut off counts for nothing."""
    records: list[dict[str, Any]] = []
    try:
        lines = (run / LOG).read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        try:
            record = json.loads(line)
            int(record["epoch"]), int(record["best_epoch"]), dict(record["selection"])
        except (ValueError, KeyError, TypeError):
            break
        records.append(record)
    if not records:
        return Progress(0, None, {}, False)
    epoch, best = records[-1]["epoch"], records[-1]["best_epoch"]
    waited = bool(recipe.run.patience) and epoch - best >= recipe.run.patience
    chosen = [each["selection"] for each in records if each["epoch"] == best]
    return Progress(
        epoch + 1, best, chosen[-1] if chosen else {}, waited or epoch + 1 >= recipe.optim.epochs
    )


def differing(a: Recipe, b: Recipe) -> list[str]:
    """Return the names of the settings in which two recipes differ."""
    ours, theirs = a.settings(), b.settings()
    return [name for name in ours if name in theirs and ours[name] != theirs[name]]


def run_state(run: Path, recipe: Recipe, *, key: str | None = None, test: bool = True) -> str:
    """Return what is left to do: ``start``, ``resume``, ``evaluate`` or nothing (``done``).

    Args:
        run: the run's directory.
        recipe: what it has to hold.
        key: of the cache it has to be of, where that is known.
        test: whether the test part is to be measured.

    Raises:
        UsageError: the directory holds another run.
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
    progress = read_progress(run, recipe)
    if not progress.whole:
        return "resume"
    metrics = read_metrics(run) if test else None
    if metrics is not None and key is not None and metrics.get("cache_key") != key:
        raise UsageError(
            f"{run}: holds a run on cache {metrics.get('cache_key')}, not {key}; choose another "
            "--out, or that cache with --key"
        )
    measured = metrics is not None and metrics["epoch"] == progress.best
    return "done" if measured or not test else "evaluate"


def plan(
    runs: Sequence[SweepRun], out: Path, keys: Mapping[str, str], *, test: bool
) -> dict[str, str]:
    """Return the state of every run by name.

    Args:
        runs: of the sweep.
        out: folder of their directories.
        keys: of the runs' caches by name, where known.
        test: whether the test part is to be measured.

    Raises:
        UsageError: a directory holds another run.
        SnntxError: a file of a run is damaged.
    """
    return {
        run.name: run_state(out / run.name, run.recipe, key=keys.get(run.name), test=test)
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnntxError(f"{path}: not what snntx sweep writes ({error}); remove it") from error
