"""``snntx landscape``: the loss around a run's weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from ..options import FOLDER, cache_option, device_option, part_option, root_for, say
from ..words.misplaced import Worded
from ..words.places import RUN, existing

if TYPE_CHECKING:
    from ...train.assess.elsewhere import Part


@click.command(cls=Worded)
@click.argument("run", type=RUN)
@click.option("--out", type=FOLDER, required=True, help="The .json to write, or to go on with.")
@click.option("--plot", type=FOLDER, help="Also draw it, as .png.")
@click.option(
    "--points", type=click.IntRange(min=2), default=21, show_default=True, help="On each axis."
)
@click.option(
    "--range",
    "ends",
    type=(float, float),
    default=(-1.0, 1.0),
    show_default=True,
    help="Least and greatest coordinate; 1 is as far as the weights are long.",
)
@click.option("--two", is_flag=True, help="Along two directions: a surface.")
@part_option("Whose recordings")
@click.option(
    "--recordings",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Shown at each point; of more, so many are drawn.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of draws.")
@click.option("--norm-directions", is_flag=True, help="Move the norms' scale and shift too.")
@click.option(
    "--norm-statistics",
    type=click.Choice(["kept", "recompute"]),
    default="kept",
    show_default=True,
    help="Of batch norms: the run's, or made anew of training batches at each point.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@cache_option
@device_option
def landscape(
    run: Path,
    out: Path,
    plot: Path | None,
    points: int,
    ends: tuple[float, float],
    two: bool,
    part: Part,
    recordings: int,
    seed: int,
    norm_directions: bool,
    norm_statistics: str,
    workers: int,
    cache: Path | None,
    device: str,
) -> None:
    """Compute the loss around a run's weights, along random directions.

    RUN is a run directory, its name below runs/, a checkpoint file or a safetensors export. The
    directions are filter-normalised (Li et al., 2018). Every point is kept as soon as it is
    computed: the same command again goes on where this one was ended.
    """
    for option, path, suffix in (("--out", out, ".json"), ("--plot", plot, ".png")):
        if path is not None and path.suffix != suffix:
            raise UsageError(f"{option} {path}: the name has to end with {suffix}")
    if plot is not None:
        from ...draw.style import need_matplotlib

        need_matplotlib("--plot")
    from tqdm import tqdm

    from ...train.insight.landscape import landscape as compute
    from ...train.insight.landscape_file import Asked
    from ...train.run.distributed import pick_device

    existing(run)
    root = root_for(cache, run)
    asked = Asked(points, *ends, two, part, recordings, seed, norm_directions, norm_statistics)
    with tqdm(total=len(asked.grid), unit="point", delay=2, leave=False) as bar:

        def on_point(done: int, of: int) -> None:
            bar.update(done - bar.n)

        found = compute(
            run,
            out,
            root,
            pick_device(device).type,
            asked,
            workers=workers,
            on_point=on_point,
            on_note=say,
        )
    say(f"wrote {out}: {found.loss.size} points, norm statistics {norm_statistics}")
    if plot is not None:
        from ...draw.landscape import draw_landscape

        draw_landscape(found, plot)
        say(f"wrote {plot}")
