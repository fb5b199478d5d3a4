"""``snntx evaluate``, ``predict`` and ``export``: what a trained checkpoint is good for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ..errors import BadFileError, SnntxError, UsageError, plain
from .options import (
    FOLDER,
    cache_option,
    cache_root,
    device_option,
    json_option,
    key_option,
    print_json,
    say,
)
from .words.misplaced import Worded
from .words.places import RUN, existing

if TYPE_CHECKING:
    from ..train.assess.elsewhere import Part


@click.command(cls=Worded)
@click.argument("run", type=RUN)
@cache_option
@click.option("--card", help="The dataset that a published checkpoint is measured on.")
@key_option
@click.option(
    "--part",
    type=click.Choice(["test", "validation", "train", "all"]),
    default="test",
    show_default=True,
    help="Of the run's protocol; all takes every recording of the cache.",
)
@click.option("--protocol", help="Whose test part, for a published checkpoint [default: paper].")
@click.option("--energy", is_flag=True, help="Count operations, and estimate their energy.")
@click.option("--pj-mac", type=float, help="Picojoules of a multiply-accumulate [default: 4.6].")
@click.option("--pj-ac", type=float, help="Picojoules of an accumulation [default: 0.9].")
@device_option
@json_option
def evaluate(
    run: Path,
    cache: Path | None,
    card: str | None,
    key: str | None,
    part: Part,
    protocol: str | None,
    energy: bool,
    pj_mac: float | None,
    pj_ac: float | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure a run, or one checkpoint, on the protocol's test split (event branch only).

    RUN is a run directory (its best.pt is used) or its name below runs/, a checkpoint file or a
    safetensors export, all of which know their data and protocol; or a checkpoint that the
    authors of the method published (.pth.tar), with --card. With --key it is another cache of
    the run's card, such as one of new recordings: preprocess them, and take --part all.
    """
    from ..train.run.distributed import pick_device

    existing(run)
    root = cache_root(cache)
    if not energy and (pj_mac, pj_ac) != (None, None):
        raise UsageError(f"{run}: --pj-mac and --pj-ac belong to --energy; add it")
    if energy and card is not None:
        raise UsageError(
            f"{run}: --energy is of runs; train from this checkpoint with --set initial=PATH, or "
            "leave it out"
        )
    if card is not None:
        if part != "test":
            raise UsageError(
                f"{run}: a published checkpoint is measured on the test part alone; "
                "leave out --part"
            )
        from ..data_cards import load_card
        from ..train.assess.published import evaluate_published
        from .terminal.checkpoints import print_published

        published = evaluate_published(
            run,
            load_card(card, root),
            root,
            pick_device(device),
            protocol=protocol or "paper",
            key=key,
            given=card,
        )
        if as_json:
            print_json(published.to_json())
        else:
            print_published(published)
        return
    if protocol is not None:
        raise UsageError(f"{run}: a run knows its protocol; --protocol needs --card")
    from ..train.assess.evaluate import Evaluation, UnwrittenError, evaluate_run
    from ..train.checkpoints.started import root_of
    from ..train.measure.energy import PJ_AC, PJ_MAC
    from .terminal.checkpoints import print_metrics

    def show(result: Evaluation) -> None:
        if as_json:
            print_json(result.to_json())
        else:
            print_metrics(result)

    source = click.get_current_context().get_parameter_source("cache")
    if source is not ParameterSource.COMMANDLINE:
        root = root_of(run, root)
    each = (PJ_MAC if pj_mac is None else pj_mac, PJ_AC if pj_ac is None else pj_ac)
    try:
        evaluate_run(
            run,
            root,
            pick_device(device),
            key=key,
            part=part,
            picojoules=each if energy else None,
            on_result=show,
        )
    except UnwrittenError as error:
        how = "" if as_json else "; --json prints what belongs into that file"
        raise UnwrittenError(
            f"{error}; the result went to standard output and nowhere else{how}"
        ) from error


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
