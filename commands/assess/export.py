"""``snntx export``: a run's weights for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import UsageError, plain
from ..options import FOLDER
from ..words.misplaced import Worded
from ..words.places import RUN, existing


@click.command(cls=Worded)
@click.argument("run", type=RUN)
@click.option(
    "--to",
    "kind",
    type=click.Choice(["safetensors", "torch", "nir", "onnx"]),
    required=True,
    help="Weights by name with everything about them, or a graph of NIR or ONNX.",
)
@click.option("--out", type=FOLDER, help="The file [default: beside the checkpoint].")
def export(run: Path, kind: str, out: Path | None) -> None:
    """Write a run's weights for other programs.

    RUN is a run directory (its best.pt is used) or its name below runs/, a checkpoint file or a
    safetensors export. A graph of NIR is the event branch of a network that is a plain chain of
    layers (vgg, scnn, nmnist), its norms folded into its weights. A model of ONNX is the event
    branch of any network that computes with operators of ONNX.
    """
    from ...train.checkpoints.export import default_out
    from ...train.checkpoints.export import export as write
    from ...train.checkpoints.weights import open_weights

    weights = open_weights(existing(run))
    if kind in ("nir", "onnx"):
        from ...train.exchange import nir, onnx

        ending = nir.ENDING if kind == "nir" else onnx.ENDING
        out = out or weights.path.with_name(weights.path.stem + ending)
        try:
            (nir.export_nir if kind == "nir" else onnx.export_onnx)(weights.trained(), out)
        except UsageError as error:
            where = "" if str(error).startswith(str(out)) else f"{weights.path}: "
            raise UsageError(f"{where}{error}") from error
    else:
        out = out or default_out(weights.path, kind)
        write(weights.trained(), kind, out)
    click.echo(f"wrote {plain(out)}")
