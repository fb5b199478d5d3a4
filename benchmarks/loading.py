"""Recordings a minute of the input side: augmented, paired, batched, from a warm cache.

    python benchmarks/loading.py [--recordings 600] [--epochs 3] [--rounds 5] [--threads 2]

Frames of 10 steps and 48 x 48 pixels, held in memory, in batches of 120, each case in turn in
one process without workers: as they are; with random crop, flip and rotation; with static
partners and replacement beside that (half of the samples replaced on average), which is the
whole of a training batch; and then each further augmentation on top, of which the mixing ones
mix half of the samples. Prints a Markdown table, median (smallest to largest over the rounds),
and how often a case makes the 60,000 recordings a minute that are asked for.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from generated import write_recordings
from PIL import Image

from snntx.data_cards import load_card
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.planning.plan import make_request
from snntx.train.batches.loader import epoch_batches
from snntx.train.batches.training import TrainingData
from snntx.train.recipe.whole import Recipe

WANTED = 60_000
"""Recordings a minute."""
GEOMETRY = {"crop_padding": 4, "flip": True, "rotation": 15.0}
WHOLE = {**GEOMETRY, "transfer": True, "sliding_power": 1.0}
CASES: dict[str, dict[str, Any]] = {
    "frames alone": {"transfer": False},
    "crop": {"transfer": False, "crop_padding": 4},
    "crop, flip, rotation": {"transfer": False, **GEOMETRY},
    "crop, flip, rotation, partners, replacement": WHOLE,
    "… and nda": {**WHOLE, "augment": "nda"},
    "… and randaugment": {**WHOLE, "augment": "randaugment"},
    "… and eventdrop": {**WHOLE, "augment": "eventdrop"},
    "… and mixup": {**WHOLE, "augment": "mixup"},
    "… and cutmix": {**WHOLE, "augment": "cutmix"},
    "… and eventmix": {**WHOLE, "augment": "eventmix"},
    "… and noise": {**WHOLE, "snr_db": 10.0},
}


def build(root: Path, count: int) -> FrameCache:
    """A cache of generated recordings and pictures, with frames as those of N-Caltech101."""
    draw = np.random.default_rng(0)
    for path in write_recordings(root / "raw", count):
        picture = root / "static" / "airplanes" / path.with_suffix(".jpg").name
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (180, 240, 3), np.uint8)).save(picture)
    request = make_request(
        load_card("n-caltech101"),
        raw=root / "raw",
        static=root / "static",
        cache=root / "cache",
    )
    return FrameCache(preprocess(request).directory)


def per_minute(data: TrainingData, epochs: int) -> float:
    began = time.perf_counter()
    seen = 0
    for epoch in range(epochs):
        for batch in epoch_batches(data, epoch):
            seen += len(batch.labels)
    return 60 * seen / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recordings", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        cache = build(Path(name), options.recordings)
        data = {
            title: TrainingData(
                cache,
                Recipe.of(model="vgg", epochs=options.epochs, draws_per_epoch=600, **settings),
            )
            for title, settings in CASES.items()
        }
        rates: dict[str, list[float]] = {title: [] for title in CASES}
        for round_number in range(options.rounds + 1):
            for title, source in data.items():
                rate = per_minute(source, options.epochs)
                if round_number:  # the first round warms up
                    rates[title].append(rate)
    print(f"{options.recordings} recordings, {options.rounds} rounds, {options.threads} threads\n")
    print(f"| case | recordings a minute | of {WANTED:,} |")
    print("|---|---|---|")
    for title, values in rates.items():
        median = float(np.median(values))
        print(
            f"| {title} | {median:,.0f} ({min(values):,.0f} to {max(values):,.0f}) "
            f"| {median / WANTED:.1f} |"
        )


if __name__ == "__main__":
    main()
