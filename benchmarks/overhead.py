"""What a training step costs beside the model: loader, augmentation, bar, logs.

    python benchmarks/overhead.py [--steps 8] [--recordings 60] [--threads 2]

Trains the VGG at batch 8, T = 10, 48 x 48, on generated recordings of N-Caltech101's size, with
crop, flip, rotation, partners, replacement and EventDrop, through the function and the display
that ``snntx train`` uses, in an epoch of ``--steps`` steps. Each step is cut into the model's
share (forward, loss, backward, optimizer) and the time from its end to the next step's begin.
Prints both, their ratio with its spread over the steps, and the goal of 5 %; then what an epoch
adds once: validation, checkpoints and logs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from loading import WHOLE, build

from snntx.commands.terminal.text import TrainingDisplay
from snntx.data_cards import load_card
from snntx.train.recipe.whole import Recipe
from snntx.train.run import fit
from snntx.train.run.updates import Updater

GOAL = 0.05
BATCH = 8


class Timed(Updater):
    """An updater that notes when its steps begin and end."""

    times: list[tuple[float, float]]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        Timed.times = []

    def __call__(self, batch: Any) -> dict[str, float]:
        began = time.perf_counter()
        values = super().__call__(batch)
        Timed.times.append((began, time.perf_counter()))
        return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--recordings", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = Recipe.of(
        model="vgg",
        epochs=1,
        batch_size=BATCH,
        draws_per_epoch=BATCH * options.steps,
        **{**WHOLE, "augment": "eventdrop"},
    )
    with patch.object(fit, "Updater", Timed), tempfile.TemporaryDirectory() as name:
        cache = build(Path(name), options.recordings)
        with TrainingDisplay(recipe.optim.epochs, True) as display:
            fit.train(
                load_card("n-caltech101"),
                cache,
                recipe,
                Path(name) / "run",
                device=torch.device("cpu"),
                on_step=display.step,
                on_epoch=display.epoch,
            )
        ended = time.perf_counter()
    begins, ends = np.array(Timed.times[1:]).T  # the first step compiles
    model, outside = (ends - begins)[:-1], begins[1:] - ends[:-1]
    share = outside / model
    print(f"{len(share)} steps of batch {BATCH}, {options.threads} threads\n")
    print("| part | median | smallest to largest |")
    print("|---|---|---|")
    print(f"| model (s) | {np.median(model):.2f} | {model.min():.2f} to {model.max():.2f} |")
    print(
        f"| outside (ms) | {1e3 * np.median(outside):.1f} "
        f"| {1e3 * outside.min():.1f} to {1e3 * outside.max():.1f} |"
    )
    met = "met" if np.median(share) <= GOAL else "missed"
    print(
        f"| outside / model, goal {GOAL:.0%}: {met} | {np.median(share):.2%} "
        f"| {share.min():.2%} to {share.max():.2%} |"
    )
    print(f"| once an epoch: validation, checkpoints, logs (s) | {ended - ends[-1]:.2f} | |")


if __name__ == "__main__":
    main()
