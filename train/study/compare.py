"""Groups of runs and their paired differences from a baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import UsageError, nearest
from ..recipe.layout import known_settings
from .runs import Group, Run, group_runs, read_runs
from .statistics import Paired, Sample, holm, paired_test, sample_of
from .sweep import setting_words


@dataclass(frozen=True)
class Row:
    """One group's result.

    Attributes:
        group: its runs.
        sample: their mean and spread.
        baseline: label of the group it is compared with; empty for none.
        paired: the comparison; None without a baseline or a shared seed.
    """

    group: Group
    sample: Sample
    baseline: str
    paired: Paired | None

    @property
    def nasfr(self) -> float:
        """Spikes per neuron and step of the whole network, the mean of its runs."""
        noted = [run.nasfr for run in self.group.runs.values() if run.nasfr is not None]
        return sum(noted) / len(noted)


@dataclass(frozen=True)
class Comparison:
    """Groups of runs on the same part of the same data.

    Attributes:
        card: the dataset.
        protocol: its split.
        part: what was measured.
        recordings: in that part; None where that is not noted.
        metric: ``top1``, ``top5``, ``loss`` or ``nasfr``.
        baseline: as it was asked for; empty for none.
        rows: one a group.
        left_out: why which unfinished runs are not among them.
        notes: what else a reader has to know.
        firing: whether every run notes how often its neurons fire, as was asked for.
    """

    card: str
    protocol: str
    part: str
    recordings: int | None
    metric: str
    baseline: str
    rows: tuple[Row, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    firing: bool = False

    def change(self, row: Row) -> float | None:
        """Return how a group's NASFR changed from its baseline's, as a share; None without one."""
        base = next((each for each in self.rows if each.group.label == row.baseline), None)
        return None if base is None or not base.nasfr else row.nasfr / base.nasfr - 1

    @property
    def comparisons(self) -> int:
        """How many groups have a baseline to be compared with."""
        return sum(row.paired is not None for row in self.rows)


def compare(
    paths: Sequence[Path],
    *,
    baseline: str = "",
    part: str = "test",
    metric: str = "top1",
    firing: bool = False,
) -> Comparison:
    """Read, group and compare runs.

    Args:
        paths: run directories, or folders that hold some.
        baseline: a group's label, the name of a variant or recipe of a sweep, or
            ``key=value`` of a setting. Where that is several groups, each other group is
            compared with the one that equals it in all settings in which these differ.
        part: ``test``, or ``validation`` of the best epoch.
        metric: ``top1``, ``top5``, ``loss`` or ``nasfr``.
        firing: say of each group how often its neurons fire; of the test part alone.

    Raises:
        UsageError: runs that cannot be compared, or an unknown baseline.
        SnntxError: a file of a run is damaged.
    """
    if part != "test" and (firing or metric == "nasfr"):
        raise UsageError("NASFR is measured on the test part; leave out --part validation")
    runs, left_out = read_runs(paths, part=part, metric=metric, firing=firing)
    groups = group_runs(runs)
    bases = find_baseline(groups, baseline) if baseline else []
    kept = [name for name in groups[0].varying if len({repr(b.varying[name]) for b in bases}) > 1]
    rows = []
    for group in groups:
        match = next(
            (b for b in bases if all(b.varying[name] == group.varying[name] for name in kept)), None
        )
        if group in bases or match is None:
            rows.append(Row(group, sample_of(list(group.values.values())), "", None))
            continue
        found = paired_test(group.values, match.values)
        rows.append(Row(group, sample_of(list(group.values.values())), match.label, found))
    first = runs[0]
    return Comparison(
        card=first.card,
        protocol=first.recipe.data.protocol,
        part=first.part,
        recordings=None if first.counts is None else sum(first.counts.values()),
        metric=metric,
        baseline=baseline,
        rows=_corrected(rows),
        left_out=tuple(left_out),
        notes=tuple(_notes(runs, rows, bases, kept)),
        firing=firing,
    )


def _corrected(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Fill in Holm's p over all comparisons."""
    compared = [row for row in rows if row.paired is not None]
    adjusted = iter(holm([row.paired.p for row in compared if row.paired is not None]))
    return tuple(
        row
        if row.paired is None
        else replace(row, paired=replace(row.paired, p_holm=next(adjusted)))
        for row in rows
    )


def _notes(
    runs: Sequence[Run], rows: Sequence[Row], bases: Sequence[Group], kept: Sequence[str]
) -> list[str]:
    notes = []
    if kept:
        notes.append(f"each group is compared with the baseline of its own {' and '.join(kept)}")
    caches = Counter(run.cache_key for run in runs)
    if len(caches) > 1:
        each = [f"{key} ({n} run{'s' * (n > 1)})" for key, n in sorted(caches.items())]
        notes.append(
            f"the runs are of {len(caches)} caches, which may hold other recordings: "
            f"{', '.join(each)}"
        )
    alone = [row for row in rows if bases and not row.baseline and row.group not in bases]
    notes += [f"{row.group.label}: no baseline has its {' and '.join(kept)}" for row in alone]
    notes += [
        f"{row.group.label}: no seed in common with {row.baseline}"
        for row in rows
        if row.baseline and row.paired is None
    ]
    return notes


def find_baseline(groups: Sequence[Group], baseline: str) -> list[Group]:
    """Return the groups that a user means by ``baseline``.

    Raises:
        UsageError: there is none, or they are all groups.
    """
    key, equals, value = (word.strip() for word in baseline.partition("="))
    tests: list[Callable[[Run, str], bool]] = [
        lambda run, label: label == baseline,
        lambda run, label: run.entry is not None and run.entry["variant"] == baseline,
        lambda run, label: run.entry is not None and run.entry["base"] == baseline,
    ]
    if equals:
        tests.append(lambda run, label: _has(run, key, value))
    for test in tests:
        chosen = [group for group in groups if test(group.first, group.label)]
        if len(chosen) == len(groups):
            raise UsageError(f"--baseline {baseline}: that is every group; none is left to compare")
        if chosen:
            return chosen
    labels = [group.label for group in groups]
    raise UsageError(
        f"--baseline {baseline}: no group is called so or has this setting"
        f"{nearest(baseline, labels)} (groups: {'; '.join(labels)})"
    )


def _has(run: Run, key: str, text: str) -> bool:
    """Whether a run has a setting, or stands for a recipe or variant in its sweep."""
    if key in ("recipe", "variant"):
        return run.entry is not None and run.entry["base" if key == "recipe" else key] == text
    if key == "transfer":  # as release 0.1 called it
        return text == str(run.recipe.transfer).lower()
    key = key.rpartition(".")[2] if key != "method.name" else "method"
    settings = run.recipe.settings()
    known = known_settings(run.recipe.method.name)
    if key not in settings and key not in known_settings():
        raise UsageError(f"--baseline {key}={text}: unknown setting '{key}'{nearest(key, known)}")
    value = settings.get(key)
    if value is None:
        return text == "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    return setting_words(value) == text.strip("\"'")
