"""Runs to compare: read, checked to be comparable, and grouped by all settings but the seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import SnntxError, UsageError
from ..checkpoints.names import LAST, LOG, METRICS, RECIPE
from ..checkpoints.way_on import measuring, training_again
from ..recipe.whole import Recipe
from .progress import read_index
from .results import (
    Progress,
    UnfinishedError,
    check_finished,
    data_of,
    read_metrics,
    read_progress,
    read_recipe,
    without_firing,
)
from .sweep import group_label, setting_words

METRIC_NAMES = {"top1": "top-1", "top5": "top-5", "loss": "loss", "nasfr": "NASFR"}


@dataclass(frozen=True)
class Run:
    """One run's result.

    Attributes:
        path: its directory.
        recipe: its settings.
        value: of the metric that is compared.
        card: the dataset.
        cache_key: of its frames.
        part: what was measured.
        counts: recordings of each class of that part; None where that is not noted.
        entry: what it stands for in its sweep; None outside of one.
        nasfr: spikes per neuron and step of the whole network; None where that is not noted.
    """

    path: Path
    recipe: Recipe
    value: float
    card: str
    cache_key: str
    part: str
    counts: dict[str, int] | None
    entry: dict[str, Any] | None
    nasfr: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """All settings but the seed, by their own names."""
        table = self.recipe.settings()
        del table["seed"]
        return table


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        label: what it is called.
        runs: by seed.
        varying: its settings, of those that differ among the groups.
        entry: what it stands for in a sweep, where that tells the groups apart.
    """

    label: str
    runs: dict[int, Run]
    varying: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] | None = None

    @property
    def first(self) -> Run:
        """Any of its runs."""
        return next(iter(self.runs.values()))

    @property
    def values(self) -> dict[int, float]:
        """The metric by seed."""
        return {seed: run.value for seed, run in self.runs.items()}


def find_runs(paths: Sequence[Path]) -> list[tuple[Path, bool]]:
    """Return run directories, those of a sweep's folder in its order.

    Args:
        paths: run directories, or folders that hold some.

    Returns:
        Each with whether it was named itself, and not its folder.

    Raises:
        UsageError: a path is neither.
        SnntxError: the index of a sweep's folder is damaged.
    """
    found: dict[Path, bool] = {}
    for path in paths:
        if (path / RECIPE).is_file():
            found[path] = True
            continue
        order = list(read_index(path))
        inside = sorted(each.parent for each in path.glob(f"*/{RECIPE}"))
        inside.sort(key=lambda run: order.index(run.name) if run.name in order else len(order))
        if not inside:
            raise UsageError(f"{path}: neither a run directory nor a folder with any")
        for run in inside:
            found.setdefault(run, False)
    return list(found.items())


def read_runs(
    paths: Sequence[Path], *, part: str = "test", metric: str = "top1", firing: bool = False
) -> tuple[list[Run], list[str]]:
    """Read runs and check that one can be compared with another.

    Args:
        paths: run directories, or folders that hold some.
        part: ``test``, as ``snntx evaluate`` measured it, or ``validation``, of the best epoch.
        metric: ``top1``, ``top5``, ``loss`` or ``nasfr``.
        firing: refuse runs that do not note how often their neurons fire.

    Returns:
        The runs, and for each unfinished one of a folder a line that says why it is left out.

    Raises:
        UsageError: a path is no run, one that was named is not finished, or runs differ in card,
            protocol or test part.
        SnntxError: a file of a run is damaged.
    """
    runs, left_out = [], []
    for path, named in find_runs(paths):
        try:
            runs.append(_read(path, part, metric, firing or metric == "nasfr"))
        except UnfinishedError as error:
            if named:
                raise UsageError(str(error)) from error
            left_out.append(str(error))
    if not runs:
        raise UsageError(f"no finished run to compare: {left_out[0]}")
    _check_comparable(runs)
    return runs, left_out


def _read(path: Path, part: str, metric: str, firing: bool) -> Run:
    recipe = read_recipe(path)
    if recipe is None:
        raise SnntxError(f"{path}: lost its {RECIPE} meanwhile; give the command again")
    progress, metrics = read_progress(path, recipe), read_metrics(path)
    check_finished(path, recipe, progress, metrics)
    entry = read_index(path.parent).get(path.name)
    if part == "validation":
        if recipe.selection != "validation":
            raise UsageError(
                f"{path}: protocol {recipe.data.protocol} chooses the epoch on its test part and "
                "has no validation part; leave out --part validation, or the run"
            )
        if progress.best is None:
            raise UnfinishedError(
                f"{path}: has neither {LOG} nor {LAST}, which hold what the validation part gave; "
                f"compare it without --part validation, or train it again: {training_again(path)}"
            )
        card, key = data_of(path, metrics)
        value = _selected(path, progress, metric)
        return Run(path, recipe, value, card, key, part, None, entry)
    if metrics is None:
        if _static_alone(recipe):
            raise UnfinishedError(
                f"{path}: was trained on static images alone, so that there is nothing to compare "
                "on the test part; compare it by --part validation, or leave it out"
            )
        raise UnfinishedError(f"{path}: has no {METRICS}; {measuring(path, 'make it with')}")
    if (metrics["seed"], metrics["protocol"]) != (recipe.run.seed, recipe.data.protocol) or (
        progress.best is not None and metrics["epoch"] != progress.best
    ):
        raise UnfinishedError(
            f"{path}: {METRICS} is of an earlier training; {measuring(path, 'make it again with')}"
        )
    counts = {name: int(count) for name, (count, _) in metrics["per_class"].items()}
    card, key = data_of(path, metrics)
    nasfr = metrics["firing"]["nasfr"] if "firing" in metrics else None
    if firing and nasfr is None:
        raise UnfinishedError(f"{path}: {without_firing(path, recipe)}")
    measured = float(metrics["firing"]["nasfr"] if metric == "nasfr" else metrics[metric])
    return Run(path, recipe, measured, card, key, metrics["part"], counts, entry, nasfr)


def _static_alone(recipe: Recipe) -> bool:
    """Whether a run's event branch is untrained."""
    from ..method.choice import make_method  # needs torch

    return make_method(recipe).judged == "static"


def _selected(path: Path, progress: Progress, metric: str) -> float:
    """Return the best epoch's value of a metric on the part that it was chosen on."""
    if metric not in progress.selection:
        raise SnntxError(
            f"{path}: {LOG} has no line of the best epoch, {progress.best}, and there is no {LAST} "
            f"that has its values; train it again: {training_again(path)}"
        )
    return float(progress.selection[metric])


def _check_comparable(runs: Sequence[Run]) -> None:
    def refuse(what: str, of: Callable[[Run], Any]) -> None:
        first = runs[0]
        other = next((run for run in runs if of(run) != of(first)), None)
        if other is not None:
            raise UsageError(
                f"runs of several {what} cannot be compared: {first.path} has {of(first)}, "
                f"{other.path} has {of(other)}"
            )

    refuse("cards", lambda run: run.card)
    refuse("protocols", lambda run: run.recipe.data.protocol)
    refuse("parts", lambda run: run.part)
    refuse("test parts", lambda run: "unknown" if run.counts is None else _sizes(run.counts))


def _sizes(counts: dict[str, int]) -> str:
    names = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    return f"{sum(counts.values())} recordings ({names})"


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Group runs that differ only in the seed, in the order in which they come.

    Raises:
        UsageError: two runs of a group have the same seed.
    """
    members: list[tuple[tuple[dict[str, Any], str], dict[int, Run]]] = []
    for run in runs:
        what = run.settings, run.cache_key
        group = next((each for key, each in members if key == what), None)
        if group is None:
            members.append((what, group := {}))
        if run.recipe.run.seed in group:
            raise UsageError(
                f"{group[run.recipe.run.seed].path} and {run.path} are the same run: they have the "
                "same settings and seed; leave one out"
            )
        group[run.recipe.run.seed] = run
    tables = [settings for (settings, _), _ in members]
    if any(table in tables[:i] for i, table in enumerate(tables)):
        tables = [{**settings, "cache": key} for (settings, key), _ in members]
    names = dict.fromkeys(name for table in tables for name in table)
    differing = [name for name in names if _differs(name, tables)]
    varying = [{name: table.get(name) for name in differing} for table in tables]
    groups = [each for _, each in members]
    entries = [run.entry for group in groups for run in group.values() if run.entry is not None]
    if len(entries) == len(runs):
        labels = [{group_label(e, entries) for e in _entries(group)} for group in groups]
        if _apart(labels):
            own = [next(_entries(group)) for group in groups]
            return [
                Group(*each)
                for each in zip([x.pop() for x in labels], groups, varying, own, strict=True)
            ]
    labels = [{stem(run) for run in group.values()} for group in groups]
    if not _apart(labels):
        labels = [{settings_label(each)} for each in varying]
    return [Group(*each) for each in zip([x.pop() for x in labels], groups, varying, strict=True)]


def _differs(name: str, tables: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a setting differs among the groups whose method takes it."""
    values = [table[name] for table in tables if name in table]
    return any(value != values[0] for value in values)


def _entries(group: Mapping[int, Run]) -> Iterator[dict[str, Any]]:
    return (run.entry for run in group.values() if run.entry is not None)


def _apart(labels: Sequence[set[str]]) -> bool:
    """Whether every group has one label and no two have the same."""
    return all(len(each) == 1 for each in labels) and len(set().union(*labels)) == len(labels)


def stem(run: Run) -> str:
    """Return the name of a run's directory without its seed."""
    return re.sub(rf"[-_]?seed[-_=]?{run.recipe.run.seed}$", "", run.path.absolute().name)


def settings_label(settings: Mapping[str, Any]) -> str:
    """Return settings such as ``lr=0.1, transfer=false``."""
    shown = {k: "none" if v is None else setting_words(v) for k, v in settings.items()}
    return ", ".join(f"{key}={value}" for key, value in shown.items())
