"""What ``snntx evaluate`` and ``snntx predict`` print for people.

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

    from ...train.assess.evaluate import Evaluation
    from ...train.assess.predict import Prediction
    from ...train.assess.published import PublishedEvaluation


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


def _print_rest(result: Evaluation | PublishedEvaluation) -> None:
    """Print how often the network fires, the notes, and classes and layers in tables."""
    firing = result.firing
    if firing is not None:
        click.echo(f"  NASFR      {firing.nasfr:.4f} (spikes per neuron and step)")
    for note in result.notes:
        click.echo(wrapped(note, "  note       ", " " * 13))
    click.echo()
    classes = result.metrics.per_class.items()
    rows = [[name, f"{n:,}", f"{share:.4f}"] for name, (n, share) in classes]
    print_table(["class", "recordings", "accuracy"], rows)
    if firing is not None:
        click.echo()
        layers = firing.layers.items()
        rows = [[name, f"{each.neurons:,}", f"{each.rate:.4f}"] for name, each in layers]
        print_table(["layer", "neurons", "firing rate"], rows)


def print_metrics(result: Evaluation) -> None:
    """Print a run's result on its test part."""
    metrics = result.metrics
    click.echo(plain(f"{result.checkpoint}: epoch {result.epoch} of card {result.card}"))
    chosen = f"chosen on {result.selected_on}"
    protocol = plain(result.protocol)
    click.echo(f"  protocol {protocol}, part {result.part}, {chosen}, seed {result.seed}")
    click.echo(f"  recordings {metrics.recordings:,}")
    click.echo(f"  top-1      {metrics.top1:.4f}")
    click.echo(f"  top-5      {metrics.top5:.4f}")
    click.echo(f"  loss       {metrics.loss:.4f}")
    if (votes := result.votes) is not None:
        told = f"by the majority of {votes.clips} clips; of single clips {votes.clip_top1:.4f}"
        click.echo(f"  majority   {votes.top1:.4f} ({told})")
    _print_rest(result)
    if result.cost is not None:
        print_cost(result.cost)


def print_predictions(results: Sequence[Prediction]) -> None:
    """Print the most probable classes of each file."""
    rows = []
    for result in results:
        best = list(result.probabilities.items())[:3]
        shown = ", ".join(f"{name} {probability:.3f}" for name, probability in best)
        rows.append([result.file, result.predicted, f"{result.events:,}", shown])
    print_table(["file", "class", "events", "probabilities"], rows, right=9)
