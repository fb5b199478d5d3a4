"""What ``snntx evaluate`` prints for people: one result, or several side by side.

Names of files and classes are foreign text: they are printed on one line, without control
characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...errors import plain
from .energy import print_cost
from .text import print_table, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...train.assess.evaluation import CurvePoint, Evaluation
    from ...train.assess.published import PublishedEvaluation

MOST_CLASSES = 12
"""Classes that are printed; of more, the worst."""
MOST_MISTAKES = 5
MOST_STEPS = 10
SHORT = 4
"""Characters of a name that heads a column of the confusion matrix."""


def print_published(result: PublishedEvaluation) -> None:
    """Print a published checkpoint's result, and what keeps it from being the published one."""
    metrics = result.metrics
    epoch = "" if result.epoch is None else f", epoch {result.epoch}"
    seed = "" if result.seed is None else f", seed {result.seed}"
    click.echo(plain(f"{result.checkpoint}: published {result.model}{epoch}{seed}"))
    data = f"card {result.card}, cache {result.cache_key}, protocol {result.protocol}"
    click.echo(f"  {plain(data)}, part {result.part}")
    click.echo(f"  recordings {metrics.recordings:,}")
    click.echo(f"  top-1      {metrics.top1:.4f}")
    click.echo(f"  top-5      {metrics.top5:.4f}")
    click.echo(f"  loss       {metrics.loss:.4f}")
    _print_rest(result)


def print_metrics(result: Evaluation) -> None:
    """Print a run's result on some recordings."""
    from ...train.measure.calibration import BINS

    metrics, (low, high) = result.metrics, result.interval
    click.echo(plain(f"{result.checkpoint}: epoch {result.epoch} of card {result.card}"))
    chosen = f"chosen on {result.selected_on}"
    protocol = plain(result.protocol)
    click.echo(f"  protocol {protocol}, part {result.part}, {chosen}, seed {result.seed}")
    click.echo(f"  recordings {metrics.recordings:,}")
    click.echo(f"  top-1      {metrics.top1:.4f} (95 % interval {low:.4f} to {high:.4f})")
    click.echo(f"  top-5      {metrics.top5:.4f}")
    click.echo(f"  balanced   {result.balanced:.4f} (mean of the classes' accuracies)")
    if (votes := result.votes) is not None:
        told = f"by the majority of {votes.clips} clips; of single clips {votes.clip_top1:.4f}"
        click.echo(f"  majority   {votes.top1:.4f} ({told})")
    click.echo(f"  loss       {metrics.loss:.4f}")
    click.echo(
        f"  ECE        {result.calibration.ece:.4f} (confidence against accuracy, {BINS} bins)"
    )
    steps = _some_steps(result.by_step)
    click.echo(wrapped(f"top-1 after {steps}", "  by step    ", " " * 13))
    if (static := result.static) is not None:
        share = static.metrics.top1
        told = f"on {static.images:,} images, twins of {static.recordings:,} recordings"
        click.echo(f"  static     {share:.4f} ({told})")
    _print_rest(result)
    if result.corruption:
        click.echo()
        print_table(["corruption", "severity", "top-1", "95 % interval"], _curve(result.corruption))
    if result.cost is not None:
        print_cost(result.cost)


def print_several(results: Sequence[Evaluation]) -> None:
    """Print several results side by side, and the notes of each."""
    rows = []
    for result in results:
        low, high = result.interval
        firing = "" if result.firing is None else f"{result.firing.nasfr:.4f}"
        rows.append(
            [
                result.checkpoint,
                f"{result.metrics.recordings:,}",
                f"{result.metrics.top1:.4f}",
                f"{low:.4f} to {high:.4f}",
                f"{result.balanced:.4f}",
                f"{result.calibration.ece:.4f}",
                firing,
            ]
        )
    header = ["checkpoint", "recordings", "top-1", "95 % interval", "balanced", "ECE", "NASFR"]
    print_table(header, rows)
    for result in results:
        for note in result.notes:
            click.echo(wrapped(f"{plain(result.checkpoint)}: {note}", "note  ", " " * 6))


def _some_steps(by_step: Sequence[float]) -> str:
    count = len(by_step)
    shown: Sequence[int] = range(count)
    if count > MOST_STEPS:
        shown = sorted({round(i * (count - 1) / (MOST_STEPS - 1)) for i in range(MOST_STEPS)})
    return ", ".join(f"{t + 1}: {by_step[t]:.3f}" for t in shown)


def _curve(points: Sequence[CurvePoint]) -> list[list[str]]:
    from ...train.assess.corruption import UNITS

    return [
        [
            each.kind,
            f"{each.severity:g} {UNITS[each.kind]}",
            f"{each.top1:.4f}",
            f"{each.interval[0]:.4f} to {each.interval[1]:.4f}",
        ]
        for each in points
    ]


def print_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """Print the confusion matrix; columns of long names are numbered as their rows are."""
    short = max(map(len, classes)) <= SHORT
    heads = list(classes) if short else [str(i) for i, _ in enumerate(classes, 1)]
    firsts = heads if short else [f"{i} {name}" for i, name in zip(heads, classes, strict=True)]
    rows = [
        [first, *(f"{count:,}" if count else "·" for count in row)]
        for first, row in zip(firsts, counts, strict=True)
    ]
    print_table(["class taken for", *heads], rows)


def _print_rest(result: Evaluation | PublishedEvaluation) -> None:
    """Print mistakes, how often the network fires, the notes, classes and layers."""
    from ...train.measure.metrics import mistakes

    firing, metrics = result.firing, result.metrics
    if firing is not None:
        click.echo(f"  NASFR      {firing.nasfr:.4f} (spikes per neuron and step)")
    evidence = getattr(result, "evidence", None)
    if evidence is not None:
        told = ", ".join(
            f"{plain(each.true)} as {plain(each.taken)} ({each.count:,})"
            for each in mistakes(metrics, evidence.classes, MOST_MISTAKES)
        )
        click.echo(wrapped(told or "nothing", "  confused   ", " " * 13))
    for note in result.notes:
        click.echo(wrapped(note, "  note       ", " " * 13))
    click.echo()
    classes = list(metrics.per_class.items())
    title = "class"
    if len(classes) > MOST_CLASSES:
        title = f"class (the worst of {len(classes)})"
        classes = sorted(classes, key=lambda each: each[1][1])[:MOST_CLASSES]
    rows = [[name, f"{n:,}", f"{share:.4f}"] for name, (n, share) in classes]
    print_table([title, "recordings", "accuracy"], rows)
    if evidence is not None and len(evidence.classes) <= MOST_CLASSES:
        click.echo()
        print_matrix(metrics.confusion, evidence.classes)
    if firing is not None:
        click.echo()
        layers = firing.layers.items()
        rows = [[name, f"{each.neurons:,}", f"{each.rate:.4f}"] for name, each in layers]
        print_table(["layer", "neurons", "firing rate"], rows)
