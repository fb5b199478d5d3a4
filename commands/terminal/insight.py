"""What ``snntx diagnose`` prints for people, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ...errors import plain
from .text import print_table, wrapped

if TYPE_CHECKING:
    from ...train.insight.diagnostics import Diagnosis
    from ...train.insight.trajectories import Trajectories

SHOWN_STEPS, SHOWN_EPOCHS = 6, 8
"""Columns and rows of a table; of more, so many evenly spaced, the first and the last included."""


def print_diagnosis(found: Diagnosis, went: Trajectories | None) -> None:
    """Print the likeness of both branches, the terms before and after, and how the run went."""
    click.echo(plain(f"{found.checkpoint}: epoch {found.epoch} of card {found.card}"))
    protocol = plain(found.protocol)
    click.echo(f"  protocol {protocol}, part {found.part}, seed {found.seed}")
    pairs = found.alignment.pairs
    batch = f"in batches of {found.alignment.batch} at most"
    click.echo(f"  twins    {pairs:,} of {found.twins:,}, {batch}")
    for note in found.notes:
        click.echo(wrapped(note, "  note     ", " " * 11, 80))
    click.echo("\ndebiased CKA of the branches, by time step")
    print_table(*_likeness(found), right=1)
    likenesses = found.alignment.layers.values()
    if any(value is None for each in likenesses for value in each.debiased):
        click.echo("- where one of the branches does not vary over the twins")
    if found.alignment.left_out:
        names = ", ".join(found.alignment.left_out)
        click.echo(wrapped(f"left out, of one branch alone: {names}", "", "  ", 80))
    if found.after is not None:
        click.echo(f"\nloss of method {plain(found.method)} on these twins, by its terms")
        before = found.before
        rows = [
            [name, "-" if before is None else f"{before[name]:.4f}", f"{value:.4f}"]
            for name, value in found.after.items()
            if not name.rpartition(".")[2].isdigit()
        ]
        print_table(["term", "before", "after"], rows, right=1)
    if went is not None:
        click.echo(f"\nin training{'' if went.moved else ' (the coefficients did not move)'}")
        print_table(*_epochs(went), right=0)


def _likeness(found: Diagnosis) -> tuple[list[str], list[list[str]]]:
    layers = found.alignment.layers
    steps = spaced(len(next(iter(layers.values())).debiased), SHOWN_STEPS)
    rows = [
        [name, *(_number(each.debiased[step]) for step in steps), _number(_mean(each.debiased))]
        for name, each in layers.items()
    ]
    return ["layer", *(f"{step + 1}" for step in steps), "mean"], rows


def _epochs(went: Trajectories) -> tuple[list[str], list[list[str]]]:
    chosen = spaced(len(went.epochs), SHOWN_EPOCHS)
    steps = spaced(len(went.coefficients[0]), SHOWN_STEPS - 1)
    rows = [
        [
            f"{went.epochs[at]}",
            f"{went.probability[at]:.3f}",
            *(f"{went.coefficients[at][step]:.3f}" for step in steps),
            _number(_mean(went.cka[at])),
        ]
        for at in chosen
    ]
    return ["epoch", "P", *(f"g {step + 1}" for step in steps), "CKA of the loss"], rows


def spaced(count: int, most: int) -> list[int]:
    """Return at most so many of ``range(count)``, evenly spaced, with its first and last."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
