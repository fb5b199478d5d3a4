"""An epoch of N-Caltech101's size, and how much of it is waiting for the loader.

In: the machine. Out: for float32 and bfloat16, with batches made in the process itself and by
workers, the seconds of an epoch, recordings a second and the share of the time in which the
device had no batch. A step ends when its loss is known, so what is waited for between two steps
is the loader alone. Recordings are generated (200 distinct ones under 8,709 names), and each
goes through the recipe of the card: crop, static partners, sliding replacement.
"""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

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
from snntx.train.method.choice import make_method
from snntx.train.recipe.whole import Recipe
from snntx.train.run.distributed import Group
from snntx.train.run.running import Running

from .machine import Machine
from .outcome import Outcome, table

CARD = "n-caltech101"
RECORDINGS, DISTINCT = 8709, 200
TINY = {"model": "nmnist", "batch_size": 4, "width": 0.1, "draws_per_epoch": 8}
WARM_UP = 3
"""Batches before the clock starts."""


def measure(machine: Machine) -> Outcome:
    """Return the table of an epoch."""
    found, rows = Outcome(), []
    # batches are made ahead by at most four: the recipe's own setting takes no more to keep up
    ahead = 1 if machine.tiny else min(4, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as name:
        cache = build(Path(name), machine)
        for precision in ("float32", "bfloat16"):
            for workers in (0, ahead):
                what = f"{precision}, {workers} workers"
                once = partial(epoch, cache, Path(name) / "run", precision, workers, machine)
                took = machine.fitting(once)
                machine.free()
                if took is None:
                    found.full.append(what)
                    rows.append([precision, workers, "out of memory", "-", "-"])
                    continue
                seconds, waited, drawn = took
                rate, share = f"{drawn / seconds:,.0f}", f"{waited / seconds:.1%}"
                rows.append([precision, workers, f"{seconds:.2f}", rate, share])
                found.passed.append(what)
        found.lines = [f"{len(cache.labels):,} recordings, {cache.frame_shape} each.", ""]
    titles = ("type", "workers", "s an epoch", "recordings a second", "loader's share")
    found.lines += table(titles, rows)
    return found


def build(root: Path, machine: Machine) -> FrameCache:
    """Return a cache of as many recordings as N-Caltech101 has, with a picture for each."""
    count, distinct = (24, 4) if machine.tiny else (RECORDINGS, DISTINCT)
    files = write_recordings(root / "raw", distinct)
    pictures = root / "static" / files[0].parent.name
    pictures.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for file in files:
        picture = Image.fromarray(draw.integers(0, 256, (180, 240, 3), np.uint8))
        picture.save(pictures / f"{file.stem}.jpg")
    for number in range(distinct, count):
        like, name = files[number % distinct], f"image_{number + 1:04d}"
        os.link(like, like.with_stem(name))
        os.link(pictures / f"{like.stem}.jpg", pictures / f"{name}.jpg")
    framing: dict[str, Any] = {"steps": 2, "size": 16} if machine.tiny else {}
    request = make_request(
        load_card(CARD),
        raw=root / "raw",
        static=root / "static",
        cache=root / "cache",
        **framing,
    )
    return FrameCache(preprocess(request, jobs=os.cpu_count() or 1).directory)


def epoch(
    cache: FrameCache, out: Path, precision: str, workers: int, machine: Machine
) -> tuple[float, float, int]:
    """Return seconds, seconds without a batch, and recordings of an epoch after a warm-up."""
    changes: dict[str, Any] = {"epochs": 2, "precision": precision, "backend": "triton"}
    whole = {"model": "vgg", "batch_size": 120, "crop_padding": 4, **changes}
    recipe = Recipe.of(**{**whole, **(TINY if machine.tiny else {})})
    group = Group(device=machine.device)
    data = TrainingData(cache, recipe, None if workers else machine.device)
    run = Running(load_card(CARD), cache, recipe, out, data, make_method(recipe), group, fresh=True)
    run.updater.set_rate(1e-4)
    run.model.train()
    for number, batch in enumerate(epoch_batches(data, 0, device=machine.device)):
        run.step(batch)
        if number + 1 == WARM_UP:
            break
    if machine.device.type == "cuda":
        torch.cuda.synchronize(machine.device)
    waited, drawn = 0.0, 0
    began = ended = time.perf_counter()
    for batch in epoch_batches(data, 1, workers=workers, device=machine.device):
        waited += time.perf_counter() - ended
        run.step(batch)
        drawn += len(batch.labels)
        ended = time.perf_counter()
    return ended - began, waited, drawn
