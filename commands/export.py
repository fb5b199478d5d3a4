"""``snntx export``: a trained checkpoint's weights for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import plain
from .options import FOLDER
from .words.misplaced import Worded
from .words.places import RUN, existing


@click.command(cls=Worded)
@click.argument("run", type=RUN)
@click.option(
    "--to",
    "kind",
    type=click.Choice(["safetensors", "torch"]),
    required=True,
    help="Weights with everything about them, or torch's plain state.",
)
@click.option("--out", type=FOLDER, help="The file [default: beside the checkpoint].")
def export(run: Path, kind: str, out: Path | None) -> None:
    """Write a run's weights for other programs.

    RUN is a run directory (its best.pt is used) or its name below runs/, a checkpoint file or a
    safetensors export.
    """
    from ..train.checkpoints.export import default_out
    from ..train.checkpoints.export import export as write
    from ..train.checkpoints.weights import open_weights

    weights = open_weights(existing(run))
    out = out or default_out(weights.path, kind)
    write(weights.trained(), kind, out)
    click.echo(f"wrote {plain(out)}")
