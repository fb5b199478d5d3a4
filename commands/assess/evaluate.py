"""``snntx evaluate``: what trained checkpoints are good for, measured on recordings of a cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from ..options import (
    FOLDER,
    cache_option,
    cache_root,
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
from .sheets import check_sheet, csv_text, prediction_rows, result_row, write_sheet

if TYPE_CHECKING:
    from ...train.assess.evaluation import Evaluation


@click.command(cls=Worded)
@click.argument("runs", metavar="RUN...", type=RUN, nargs=-1, required=True)
@cache_option
@click.option("--card", help="Another dataset of the run's classes; a published checkpoint's own.")
@key_option
@part_option("Of the run's protocol")
@click.option("--protocol", help="Whose test part, for a published checkpoint [default: paper].")
@click.option("--static", is_flag=True, help="Measure the static branch too, on the twins.")
@click.option(
    "--corruption",
    multiple=True,
    metavar="KIND[=S,S,…]",
    help="Measure under drop, noise, jitter, time or steps too; repeatable.",
)
@click.option("--energy", is_flag=True, help="Count operations, and estimate their energy.")
@click.option("--pj-mac", type=float, help="Picojoules of a multiply-accumulate [default: 4.6].")
@click.option("--pj-ac", type=float, help="Picojoules of an accumulation [default: 0.9].")
@click.option(
    "--predictions",
    type=FOLDER,
    metavar="FILE",
    help="Write every recording's classes and probabilities, as .csv or .parquet.",
)
@device_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row a run.")
@json_option
def evaluate(
    runs: tuple[Path, ...],
    cache: Path | None,
    card: str | None,
    protocol: str | None,
    predictions: Path | None,
    device: str,
    as_csv: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Measure runs, or checkpoints, on the protocol's test split.

    RUN is a run directory (its best.pt is used) or its name below runs/, a checkpoint file or an
    export to safetensors, torch or ONNX, all of which know their data and protocol; or a
    checkpoint that the authors of the method published (.pth.tar), with --card. With --key it is
    another cache of the run's card, such as one of new recordings: preprocess them, and take
    --part all. With --card it is another dataset of the same classes.
    """
    for run in runs:
        existing(run)
    if as_csv and as_json:
        raise UsageError("--csv and --json: choose one of them")
    if predictions is not None:
        check_sheet(predictions)
    if card is not None and not _knows_its_data(runs[0]):
        given = {**asked, "predictions": predictions, "csv": as_csv, "other": runs[1:]}
        _published(runs[0], cache_root(cache), card, protocol, device, as_json, given)
        return
    if protocol is not None:
        raise UsageError(
            f"{runs[0]}: a run knows its protocol; --protocol is of published ones alone"
        )
    results: list[Evaluation] = []
    alone = len(runs) == 1
    try:
        for run in runs:
            _measure(run, cache, card, device, asked, alone and not as_csv, as_json, results)
            if not alone:
                say(f"{run}: top-1 {results[-1].metrics.top1:.4f}")
    finally:
        _print(results, alone, as_csv, as_json)
    if predictions is not None:
        write_sheet(predictions, [row for each in results for row in prediction_rows(each)])
        say(f"predictions of {sum(each.metrics.recordings for each in results):,} recordings are "
            f"in {predictions}")  # fmt: skip


def _knows_its_data(path: Path) -> bool:
    """Return whether weights are a run's, which say what they were trained on."""
    from ...train.checkpoints.weights import open_weights

    return open_weights(path).kind not in ("published", "state")


def _measure(
    run: Path,
    cache: Path | None,
    card: str | None,
    device: str,
    asked: dict[str, Any],
    shown: bool,
    as_json: bool,
    results: list[Evaluation],
) -> None:
    """Measure one run and append its result; print it first where it is the only one."""
    from ...train.assess.evaluate import UnwrittenError, evaluate_run
    from ...train.run.distributed import pick_device
    from ..terminal.evaluation import print_metrics

    def take(result: Evaluation) -> None:
        results.append(result)
        if shown:
            print_json(result.to_json()) if as_json else print_metrics(result)

    try:
        evaluate_run(
            run,
            root_for(cache, run),
            pick_device(device),
            card=card,
            key=asked["key"],
            part=asked["part"],
            static=asked["static"],
            corruption=asked["corruption"],
            picojoules=_picojoules(run, asked),
            on_result=take,
        )
    except UnwrittenError as error:
        how = "" if as_json else "; --json prints what belongs into that file"
        raise UnwrittenError(
            f"{error}; the result went to standard output and nowhere else{how}"
        ) from error


def _picojoules(run: Path, asked: dict[str, Any]) -> tuple[float, float] | None:
    """Return the energy of a MAC and of an AC, None where operations are not to be counted."""
    from ...train.measure.energy import PJ_AC, PJ_MAC

    mac, ac = asked["pj_mac"], asked["pj_ac"]
    if not asked["energy"]:
        if (mac, ac) != (None, None):
            raise UsageError(f"{run}: --pj-mac and --pj-ac belong to --energy; add it")
        return None
    return (PJ_MAC if mac is None else mac, PJ_AC if ac is None else ac)


def _print(results: list[Evaluation], alone: bool, as_csv: bool, as_json: bool) -> None:
    """Print what was not printed one by one: several results, or CSV."""
    from ..terminal.evaluation import print_several

    if not results or (alone and not as_csv):
        return
    if as_csv:
        click.echo(csv_text([result_row(each) for each in results]), nl=False)
    elif as_json:
        print_json([each.to_json() for each in results])
    else:
        print_several(results)


def _published(
    run: Path,
    root: Path,
    card: str,
    protocol: str | None,
    device: str,
    as_json: bool,
    given: dict[str, Any],
) -> None:
    """Measure a checkpoint that the authors of a method published."""
    from ...data_cards import load_card
    from ...train.assess.published import evaluate_published
    from ...train.run.distributed import pick_device
    from ..terminal.evaluation import print_published

    key, part = given.pop("key"), given.pop("part")
    if part != "test":
        raise UsageError(
            f"{run}: a published checkpoint is measured on the test part alone; leave out --part"
        )
    if given.pop("other"):
        raise UsageError(f"{run}: published checkpoints are measured one at a time")
    more = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if more:
        raise UsageError(
            f"{run}: {', '.join(more)}: of runs alone; train from this checkpoint with --set "
            "initial=PATH, or leave it out"
        )
    result = evaluate_published(
        run,
        load_card(card, root),
        root,
        pick_device(device),
        protocol=protocol or "paper",
        key=key,
        given=card,
    )
    print_json(result.to_json()) if as_json else print_published(result)
