"""``snntx demo``: the whole job on simulated recordings of real handwritten digits."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import click

from ..errors import SnntxError, UsageError
from .options import FOLDER, say
from .words.misplaced import Worded

CARD = "simulated-digits"
SEED = 1
RECIPE = "few"
STEPS = 5
TRAINING_SEEDS = (1, 2, 3, 4)
EVENTS, TRANSFER = "events alone", "transfer from images"
CONTENDERS = ((EVENTS, "event-only"), (TRANSFER, "sliding"))
"""What is compared, and its method."""
SHOWN = ("0", "3", "5", "8")
"""Classes of the recordings in the picture."""


def run_demo(out: Path) -> None:
    """Simulate, preprocess, train on few labels with and without images, evaluate, draw.

    Every step is a public command, printed as it is run. Runs that are finished are kept,
    those that are not are gone on with.

    Args:
        out: receives ``data/``, ``cache/``, ``runs/`` and ``recordings.png``.

    Raises:
        SnntxError: a command failed; it has printed why.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from error
    data, cache = out / "data", out / "cache"
    from ..preprocess.digits import write_simulated_digits

    count = write_simulated_digits(data, seed=SEED, say=say)
    click.echo(f"{count:,} simulated recordings of real handwritten digits in {data}")
    _command("preprocess", CARD, "--raw", data / "raw", "--static", data / "static",
             "--cache", cache, "--steps", STEPS)  # fmt: skip
    scores: dict[str, dict[int, float]] = {title: {} for title, _ in CONTENDERS}
    for seed in TRAINING_SEEDS:
        for title, method in CONTENDERS:
            run = out / "runs" / f"{method}-seed{seed}"
            _command("train", CARD, "--recipe", RECIPE, "--set", f"method={method}",
                     "--set", f"seed={seed}", "--cache", cache, "--out", run,
                     "--resume")  # fmt: skip
            _command("evaluate", run, "--cache", cache, quiet=True)
            result = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
            scores[title][seed] = result["top1"]
    picture = out / "recordings.png"
    _draw(cache, picture)
    _table(scores, result)
    click.echo(f"picture of some simulated recordings and their twins: {picture}")


def _command(*arguments: object, quiet: bool = False) -> None:
    """Print and run one public command.

    Raises:
        SnntxError: its exit code is not 0.
    """
    words = [str(argument) for argument in arguments]
    click.echo(f"\n$ snntx {' '.join(words)}")
    hidden = io.StringIO() if quiet else None
    whole = click.get_current_context().find_root().command
    with contextlib.redirect_stdout(hidden) if hidden else contextlib.nullcontext():
        code = whole.main(words, prog_name="snntx", standalone_mode=False)
    if code in (130, 143):  # it was asked to end, and has said so
        click.get_current_context().exit(code)
    if code:
        raise SnntxError(f"the command 'snntx {' '.join(words)}' ended with exit code {code}")


def _draw(cache: Path, picture: Path) -> None:
    """Draw one training recording of some classes beside its twin."""
    import numpy as np

    from ..data_cards import load_card
    from ..draw.contact_sheet import contact_sheet
    from ..preprocess.cache.opening import open_cache
    from ..preprocess.upkeep.inspect import SheetRow

    frames = open_cache(cache, load_card(CARD), steps=STEPS, size=None, key=None)
    statics = frames.static_images()
    train = frames.split("holdout", "train")
    rows = []
    for name in SHOWN:
        i = int(train[frames.labels[train] == frames.classes.index(name)][0])
        twin = statics[frames.index.twin[i], 0].astype(np.float32) / 255
        rows.append(SheetRow(name, frames.identities[i], twin, frames.frames(i)))
    contact_sheet(rows, title="simulated recordings of real handwritten digits", path=picture)


def _table(scores: dict[str, dict[int, float]], result: dict[str, Any]) -> None:
    """Print the runs' test accuracy with everything it takes to read it."""
    from ..data_cards import load_card
    from ..train.recipe.sources import load_recipe
    from ..train.study.statistics import sample_of
    from .terminal.text import print_table

    shots = load_recipe(load_card(CARD), RECIPE).data.recordings_per_class
    click.echo(
        f"\ntest top-1 on {result['recordings']} simulated recordings, with {shots} labelled "
        f"{'recording' if shots == 1 else 'recordings'} a class;\n"
        f"protocol {result['protocol']}, epoch chosen on {result['selected_on']}"
    )
    rows = [
        [title, *(f"{value:.3f}" for value in values.values())] for title, values in scores.items()
    ]
    print_table(["", *(f"seed {seed}" for seed in TRAINING_SEEDS)], rows)
    for title, values in scores.items():
        click.echo(f"{title:20}  {sample_of(list(values.values())).mean:.3f}")
    gain = sample_of([scores[TRANSFER][seed] - scores[EVENTS][seed] for seed in TRAINING_SEEDS])
    interval = (
        "no interval: the seeds do not differ"
        if gain.low is None or gain.high is None
        else f"95 % interval {gain.low:+.3f} to {gain.high:+.3f}, {gain.n} seeds"
    )
    click.echo(f"{'difference':20} {gain.mean:+.3f} ({interval})")


@click.command(cls=Worded)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("snntx-demo"),
    show_default=True,
    help="Folder of the demonstration's data, cache, runs and picture.",
)
def demo(out: Path) -> None:
    """Run the whole job on simulated recordings of real handwritten digits."""
    run_demo(out)
