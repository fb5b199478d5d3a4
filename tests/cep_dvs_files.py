"""A small data set as the authors of CEP-DVS lay theirs out, and its frames restated plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from torch import from_numpy
from torch.nn.functional import interpolate

CLASSES = ("fish", "people")


def columns(number: int) -> dict[str, NDArray[Any]]:
    """Events of one recording, which reach neither the first nor the last pixel of the sensor."""
    draw = np.random.default_rng(number)
    n = 400 + 10 * number
    return {
        "x": draw.integers(20 + number, 300 + number, n).astype(np.uint16),
        "y": draw.integers(15, 180 + number, n).astype(np.uint16),
        "ts": np.sort(draw.integers(10**6, 10**6 + 150_000, n)).astype(np.int64),
        "p": draw.choice([-1, 1], n).astype(np.int8),
    }


def write(root: Path, count: int = 24) -> Path:
    """Write recordings, their table and their pictures."""
    for folder in ("data/MAT/img", "data/img"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        savemat(root / f"data/MAT/img/{i}.mat", {k: v[:, None] for k, v in columns(i).items()})
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"data/img/{i}.png")
    rows = [f"{i} a/b {i}.mat img {CLASSES[i % len(CLASSES)]} tail" for i in range(count)]
    (root / "pathFile.csv").write_text("\n".join(["index path mat kind class x", *rows, ""]))
    return root


def published_frames(number: int, *, steps: int = 6, size: int = 48) -> NDArray[np.float32]:
    """What the published code makes of a recording, event by event.

    Its sensor is as large as the largest coordinates ask for, and starts at pixel (0, 0). Windows
    are a whole number of microseconds; what follows the last one is dropped.
    """
    events = columns(number)
    t = events["ts"] - events["ts"][0]
    window = t[-1] // steps
    counts = np.zeros((steps, 2, int(events["y"].max()) + 1, int(events["x"].max()) + 1), np.int16)
    for x, y, time, polarity in zip(events["x"], events["y"], t, events["p"], strict=True):
        if time < window * steps:
            counts[time // window, 0 if polarity == -1 else 1, y, x] += 1
    frames = from_numpy(counts).float()
    resized = interpolate(frames, size=[size, size], mode="bilinear", align_corners=True)
    return np.asarray(resized.numpy(), np.float32)
