"""``snntx demo``: the whole job on simulated recordings of real handwritten digits."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
from pathlib import Path
from typing import Any

import click

from ..errors import SnntxError, UsageError
from .options import FOLDER, say
from .words.misplaced import Worded

CARD = "simulated-digits"
SEED = 1
TRAINING_SEEDS = (1, 2, 3)
CONTENDERS = (("event-only baseline", "baseline"), ("knowledge transfer", "default"))
SHOWN = ("0", "3", "5", "8")
"""Classes of the recordings in the picture."""


def run_demo(out: Path) -> None:
    """Simulate, preprocess, train with and without transfer, evaluate, draw.

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
             "--cache", cache)  # fmt: skip
    scores: dict[str, list[float]] = {}
    for title, recipe in CONTENDERS:
        for seed in TRAINING_SEEDS:
            run = out / "runs" / f"{recipe}-seed{seed}"
            resume = ["--resume"] if (run / "last.pt").is_file() else []
            _command("train", CARD, "--recipe", recipe, "--set", f"seed={seed}",
                     "--cache", cache, "--out", run, *resume)  # fmt: skip
            _command("evaluate", run, "--cache", cache, quiet=True)
            result = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
            scores.setdefault(title, []).append(result["top1"])
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
    from ..preprocess.cache.opening import open_cache
    from ..preprocess.upkeep.contact_sheet import SheetRow, contact_sheet

    frames = open_cache(cache, load_card(CARD), steps=None, size=None, key=None)
    statics = frames.static_images()
    train = frames.split("holdout", "train")
    rows = []
    for name in SHOWN:
        i = int(train[frames.labels[train] == frames.classes.index(name)][0])
        twin = statics[frames.index.twin[i], 0].astype(np.float32) / 255
        rows.append(SheetRow(name, frames.identities[i], twin, frames.frames(i)))
    contact_sheet(rows, title="simulated recordings of real handwritten digits", path=picture)


def _table(scores: dict[str, list[float]], result: dict[str, Any]) -> None:
    """Print the runs' test accuracy with everything it takes to read it."""
    from ..data_cards import load_card
    from ..train.recipe.sources import load_recipe
    from .terminal.text import print_table

    shots = load_recipe(load_card(CARD)).data.recordings_per_class
    click.echo(
        f"\ntest top-1 on {result['recordings']} simulated recordings, {shots} labelled recordings "
        f"a class,\nprotocol {result['protocol']}, epoch chosen on {result['selected_on']}"
    )
    rows = [
        [title, *(f"{value:.3f}" for value in values), f"{statistics.fmean(values):.3f}"]
        for title, values in scores.items()
    ]
    print_table(["", *(f"seed {seed}" for seed in TRAINING_SEEDS), "mean"], rows)
    (first, baseline), (second, transfer) = scores.items()
    gains = [b - a for a, b in zip(baseline, transfer, strict=True)]
    click.echo(
        f"{second} minus {first}: {statistics.fmean(gains):+.3f} (by seed "
        f"{', '.join(f'{gain:+.3f}' for gain in gains)})"
    )


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
