"""Several runs side by side: what each reached, groups over seeds, and their curves.

In: run directories, or folders of sweeps, and those runs of them that were measured for the page.
Out: a section. Groups, means, intervals and differences are those of ``snntx compare``, which
reads what ``snntx evaluate`` wrote of each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import SnntxError
from ..train.study.compare import Comparison, compare
from ..train.study.results import read_records
from ..train.study.statistics import Sample
from ..train.study.tables import footnotes, headline, p_text
from .blocks import Block, Cell, Figure, Figures, Missing, Section, Table, columns, notes, number
from .charts import MOST, Axis, Series, lines
from .dots import Dots, dots
from .gather import Found


def together(
    paths: Sequence[Path], runs: Sequence[tuple[Path, str]], found: Sequence[Found], baseline: str
) -> Section:
    """Return the section on several runs.

    Args:
        paths: as a user gave them.
        runs: every run directory, and what it is called.
        found: of the runs that were measured for this page.
        baseline: what groups are compared with; empty for nothing.

    Raises:
        UsageError: no group is the baseline.
    """
    blocks: list[Block] = []
    if found:
        blocks.append(_measured(found))
    told, reason = _told(paths, baseline)
    if told is None:
        blocks.append(Missing(f"Groups over seeds are not compared: {reason}."))
        blocks += _curves(runs)
    else:
        blocks += _compared(told)
        grouped = any(len(row.group.runs) > 1 for row in told.rows)
        blocks += _group_curves(told) if grouped else _curves(runs)
    return Section("together", "Runs side by side", tuple(blocks))


def _measured(found: Sequence[Found]) -> Table:
    rows = []
    for each in found:
        result = each.result
        low, high = result.interval
        energy = None if result.cost is None else result.cost.energy.total_pj / 1e6
        rows.append((
            Cell(each.name),
            number(result.metrics.top1),
            Cell(f"{low:.4f} to {high:.4f}", low),
            number(result.metrics.top5),
            number(result.metrics.loss),
            number(result.calibration.ece),
            number(None if result.firing is None else result.firing.nasfr),
            number(energy),
            number(result.epoch, "d"),
            number(result.seed, "d"),
        ))  # fmt: skip
    header = ("run", "top-1", "95 % interval", "top-5", "loss (nats)", "ECE", "NASFR",
              "energy (µJ)", "epoch", "seed")  # fmt: skip
    parts = ", ".join(dict.fromkeys(each.result.part for each in found))
    caption = f"Measured for this page on part {parts}; intervals by bootstrap over recordings"
    return Table(caption, header, tuple(rows))


def _told(paths: Sequence[Path], baseline: str) -> tuple[Comparison | None, str]:
    """Return groups over seeds; where they cannot be compared, why."""
    try:
        return compare(paths, baseline=baseline), ""
    except SnntxError as error:
        if baseline:
            raise
        return None, str(error)


def _compared(told: Comparison) -> list[Block]:
    header = ["group", "runs", "mean", "standard deviation", "95 % interval of the mean"]
    if told.baseline:
        header += ["difference", "95 % interval of the difference", "p (Holm)", "pairs"]
    rows = tuple(_row(told, i) for i in range(len(told.rows)))
    out: list[Block] = [Table(f"Groups: {headline(told)}", tuple(header), rows)]
    out.append(Figures(tuple(_means(told))))
    if not told.baseline:
        out.append(Missing("No differences: --baseline names the group to compare with."))
    out += notes(f"left out {each}" for each in told.left_out)
    out += notes(footnotes(told))
    return out


def _means(told: Comparison) -> list[Figure]:
    """Return the groups' means, and their differences where there is a baseline."""
    by = "group (name)"
    title = "Means of the groups"
    groups = [
        Dots(r.group.label, list(r.group.values.values()), r.sample.mean, r.sample.low,
             r.sample.high)
        for r in told.rows
    ]  # fmt: skip
    reading = "a diamond is their mean, the line its 95 % interval; the table has the numbers."
    figures = [
        Figure(title, dots(title, Axis("top-1 (share right, 0 to 1)", 0, 1), by, groups),
               f"Circles are runs, {reading}")
    ]  # fmt: skip
    pairs = [
        Dots(r.group.label, list(r.paired.differences.values()), r.paired.sample.mean,
             r.paired.sample.low, r.paired.sample.high)
        for r in told.rows if r.paired is not None
    ]  # fmt: skip
    if pairs:
        title = "Differences from the baseline"
        axis = Axis("difference of top-1 (share right)")
        figures.append(Figure(title, dots(title, axis, by, pairs),
                              f"Circles are pairs of runs of one seed, {reading}"))  # fmt: skip
    return figures


def _row(told: Comparison, i: int) -> tuple[Cell, ...]:
    row = told.rows[i]
    sample = row.sample
    cells = [Cell(row.group.label), number(sample.n, "d"), number(sample.mean), number(sample.sd)]
    cells.append(_interval(sample, ".4f"))
    if told.baseline:
        paired = row.paired
        if paired is None:
            cells += [Cell("–")] * 4
        else:
            cells.append(number(paired.sample.mean, "+.4f"))
            cells.append(_interval(paired.sample, "+.4f"))
            p = paired.p_holm
            cells += [Cell("–" if p is None else p_text(p), p), number(paired.sample.n, "d")]
    return tuple(cells)


def _interval(sample: Sample, form: str) -> Cell:
    if sample.low is None or sample.high is None:
        return Cell("–")
    return Cell(f"{sample.low:{form}} to {sample.high:{form}}", sample.low)


def _group_curves(told: Comparison) -> list[Block]:
    """Return the accuracy that epochs were chosen by, the mean of each group's runs."""
    series, parts, last = [], [], 0
    for row in told.rows[:MOST]:
        logs = [read_records(run.path) for run in row.group.runs.values()]
        parts += [log[0]["selection"]["part"] for log in logs if log]
        shortest = min(map(len, logs))
        means = [
            sum(log[e]["selection"]["top1"] for log in logs) / len(logs) for e in range(shortest)
        ]
        series.append((row.group.label, means))
        last = max(last, shortest)
    if not last:
        return [Missing("No curves: a run of each group has no log of a finished epoch.")]
    out: list[Block] = []
    if len(told.rows) > MOST:
        out.append(Missing(f"Curves of {MOST} groups; {len(told.rows) - MOST} are left out."))
    drawn = [Series(label, [*means, *[None] * (last - len(means))]) for label, means in series]
    where = " or ".join(dict.fromkeys(parts))
    caption = f"Top-1 of the {where} part after each epoch, the mean of each group's runs."
    return [Figures((_chosen_by(drawn, last, caption),)), *out]


def _chosen_by(series: Sequence[Series], last: int, caption: str) -> Figure:
    title = "Accuracy that the epoch was chosen by"
    epochs = [float(e) for e in range(1, last + 1)]
    x, y = Axis("epoch (number)", whole=True), Axis("share right (0 to 1)", 0, 1)
    header = ("epoch", *(each.name for each in series))
    numbers = columns(title, header, epochs, *(each.values for each in series))
    return Figure(title, lines(title, x, y, epochs, series), caption, numbers)


def _curves(runs: Sequence[tuple[Path, str]]) -> list[Block]:
    """Return the accuracy that each run's epoch was chosen by."""
    out: list[Block] = []
    logs = {name: read_records(run) for run, name in runs}
    empty = [name for name, records in logs.items() if not records]
    if empty:
        out.append(Missing(f"No curve, since no epoch is finished: {', '.join(empty)}."))
    logs = {name: records for name, records in logs.items() if records}
    shown = dict(list(logs.items())[:MOST])
    if len(shown) < len(logs):
        out.append(Missing(f"Curves of the first {MOST} runs; {len(logs) - MOST} are left out."))
    if not shown:
        return out
    last = max(len(records) for records in shown.values())
    series = [
        Series(name, [r["selection"]["top1"] for r in records] + [None] * (last - len(records)))
        for name, records in shown.items()
    ]
    parts = " or ".join(dict.fromkeys(r[0]["selection"]["part"] for r in shown.values()))
    figure = _chosen_by(series, last, f"Top-1 of the {parts} part after each epoch.")
    return [Figures((figure,)), *out]
