"""``snntx diagnose``: what the transfer did in a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from ..options import (
    FOLDER,
    cache_option,
    device_option,
    json_option,
    key_option,
    part_option,
    print_json,
    root_for,
    say,
)
from ..words.misplaced import Worded
from ..words.places import RUN, existing

if TYPE_CHECKING:
    from ...train.assess.elsewhere import Part


@click.command(cls=Worded)
@click.argument("run", type=RUN)
@cache_option
@key_option
@part_option("Whose twins are shown")
@click.option(
    "--most",
    type=click.IntRange(min=4),
    default=512,
    show_default=True,
    help="Twins that are compared; of more, so many are drawn.",
)
@click.option("--plot", type=FOLDER, help="Also draw it, as .png.")
@click.option(
    "--features", type=FOLDER, help="Also draw both branches' features by t-SNE, as .png."
)
@device_option
@json_option
def diagnose(
    run: Path,
    cache: Path | None,
    key: str | None,
    part: Part,
    most: int,
    plot: Path | None,
    features: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Compare a run's branches on twins, by layer and step, and before and after training.

    RUN is a run directory (its best.pt is used) or its name below runs/, a checkpoint file or a
    safetensors export. Both branches are shown the same things: an image, and the recording of
    it. What is printed is the debiased CKA of what each layer sends on, from 0 to 1; --json has
    the one of the training loss too. P and the coefficients are read from a run's log.
    """
    for option, path in (("--plot", plot), ("--features", features)):
        if path is not None:
            from ...draw.style import need_matplotlib

            if path.suffix != ".png":
                raise UsageError(f"{option} {path}: the name has to end with .png")
            need_matplotlib(option)
    from ...train.insight.diagnostics import diagnose_run
    from ...train.insight.trajectories import trajectories
    from ...train.run.distributed import pick_device
    from ...train.study.results import read_records
    from ..terminal.insight import print_diagnosis

    existing(run)
    root = root_for(cache, run)
    found = diagnose_run(run, root, pick_device(device), key=key, part=part, most=most)
    went = trajectories(read_records(run)) if run.is_dir() else None
    if as_json:
        print_json({**found.to_json(), "trajectories": went and went.to_json()})
    else:
        print_diagnosis(found, went)
    if plot is not None:
        from ...draw.alignment import draw_alignment

        draw_alignment(found, went, plot)
        say(f"wrote {plot}")
    if features is not None:
        from ...draw.features import draw_features
        from ...train.insight.embedding import embed_run

        placed = embed_run(run, root, pick_device(device), key=key, part=part, most=most)
        draw_features(placed, features)
        say(f"wrote {features}")
