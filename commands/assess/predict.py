"""``snntx predict``: what a trained checkpoint takes new recordings to be."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import BadFileError, SnntxError, UsageError
from ..options import FOLDER, device_option, json_option, say
from ..words.misplaced import Worded
from ..words.places import RUN, existing


@click.command(cls=Worded)
@click.argument("checkpoint", type=RUN)
@click.argument("files", type=FOLDER, nargs=-1, required=True)
@click.option(
    "--bad-files",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="On files that cannot be used: end with exit code 1 after the others, or skip them.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "jsonl", "csv"]),
    help="How results are printed [default: table].",
)
@click.option("--out", type=FOLDER, metavar="FILE", help="Write results there, at the end.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Recordings that are classified at once.",
)
@device_option
@json_option
def predict(
    checkpoint: Path,
    files: tuple[Path, ...],
    bad_files: str,
    form: str | None,
    out: Path | None,
    batch_size: int,
    device: str,
    as_json: bool,
) -> None:
    """Classify new recordings in the card's raw format, framed as the cache was.

    FILES are recordings, or folders, of which every file at any depth is taken, but no hidden one.
    CHECKPOINT is a run directory (its best.pt is used) or its name below runs/, a checkpoint file
    or an export to safetensors, torch or ONNX. A file that cannot be used is named, and the others
    are classified all the same; with --bad-files skip that is no failure, unless there are no
    others. Lines of csv and jsonl are printed as they are found.
    """
    from ...train.assess.given import recordings_in
    from ...train.assess.predict import predictions
    from ...train.checkpoints.weights import open_weights
    from ...train.run.distributed import pick_device
    from ..terminal.predictions import Told, classifying

    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} are two forms of one output; leave out one")
    bad: list[BadFileError] = []
    trained, where = open_weights(existing(checkpoint)).trained(), pick_device(device)
    wanted = recordings_in(files)
    told = Told("json" if as_json else form or "table", trained.classes, out)
    with classifying(wanted) as counted:
        for result in predictions(
            trained, counted, where, batch=batch_size, on_bad=bad.append, on_note=say
        ):
            told.add(result)
    told.end()
    skip = bad_files == "skip" and bool(told.count)
    if len(bad) == 1 and not skip:
        raise bad[0]
    for error in bad:
        say(f"passed over {error}")
    if bad and skip:
        say(f"skipped {len(bad)} of {len(wanted)} files")
    elif bad:
        raise SnntxError(f"{len(bad)} of {len(wanted)} files could not be classified")
