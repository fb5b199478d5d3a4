"""``snntx predict``: classes of new recordings by a trained checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import BadFileError, SnntxError, UsageError
from .options import FOLDER, device_option, json_option, say
from .words.misplaced import Worded
from .words.places import RUN, existing


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
@device_option
@json_option
def predict(
    checkpoint: Path,
    files: tuple[Path, ...],
    bad_files: str,
    form: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Classify new recordings in the card's raw format, framed as the cache was.

    FILES are recordings, or folders, of which every file at any depth is taken, but no hidden one.
    CHECKPOINT is a run directory (its best.pt is used) or its name below runs/, a checkpoint file
    or a safetensors export. A file that cannot be used is named, and the others are classified
    all the same; with --bad-files skip that is no failure, unless there are no others.
    """
    from ..train.assess.given import recordings_in
    from ..train.assess.predict import predict as classify
    from ..train.checkpoints.weights import open_weights
    from ..train.run.distributed import pick_device
    from .terminal.predictions import classifying, print_as

    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} are two forms of one output; leave out one")
    bad: list[BadFileError] = []
    trained, where = open_weights(existing(checkpoint)).trained(), pick_device(device)
    wanted = recordings_in(files)
    with classifying(wanted) as counted:
        results = classify(trained, counted, where, on_bad=bad.append, on_note=say)
    if results:
        print_as("json" if as_json else form or "table", results, trained.classes)
    skip = bad_files == "skip" and bool(results)
    if len(bad) == 1 and not skip:
        raise bad[0]
    for error in bad:
        say(f"passed over {error}")
    if bad and skip:
        say(f"skipped {len(bad)} of {len(wanted)} files")
    elif bad:
        raise SnntxError(f"{len(bad)} of {len(wanted)} files could not be classified")
