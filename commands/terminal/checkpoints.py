"""What ``snntx evaluate`` prints for people of a published checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .text import print_table

if TYPE_CHECKING:
    from ...train.assess.published import PublishedEvaluation


def print_published(result: PublishedEvaluation) -> None:
    """Print a published checkpoint's result, and what keeps it from being the published one."""
    metrics = result.metrics
    epoch = "" if result.epoch is None else f", epoch {result.epoch + 1}"
    seed = "" if result.seed is None else f", seed {result.seed}"
    click.echo(f"{result.checkpoint}: published {result.model}{epoch}{seed}")
    click.echo(
        f"  card {result.card}, cache {result.cache_key}, protocol {result.protocol}, "
        f"part {result.part}"
    )
    click.echo(f"  recordings {metrics.recordings:,}")
    click.echo(f"  top-1      {metrics.top1:.4f}")
    click.echo(f"  top-5      {metrics.top5:.4f}")
    click.echo(f"  loss       {metrics.loss:.4f}")
    for note in result.notes:
        click.echo(click.wrap_text(note, 96, "  note       ", " " * 13))
    click.echo()
    rows = [[name, f"{n:,}", f"{share:.4f}"] for name, (n, share) in metrics.per_class.items()]
    print_table(["class", "recordings", "accuracy"], rows)
