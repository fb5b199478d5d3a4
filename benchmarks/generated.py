"""Generated recordings of N-Caltech101's size, shared by the benchmarks.

60 to 170 thousand events within 300 ms on 240 x 180 pixels, in a dozen moving clouds: dense
where edges would be, so that frames compress as real ones do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode

HEIGHT, WIDTH = 180, 240
DURATION_US = 300_000
CLOUDS = 12


def recording(seed: int) -> Events:
    """Return one recording; its content is a function of the seed."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(60_000, 170_000))
    t = np.sort(draw.integers(0, DURATION_US, count))
    centre = draw.uniform((20, 20), (WIDTH - 20, HEIGHT - 20), (CLOUDS, 2))
    cloud = draw.integers(0, CLOUDS, count)
    place = centre[cloud] + draw.normal(0, 1, (count, 2)) * draw.uniform(4, 25, (CLOUDS, 1))[cloud]
    place[:, 0] += 8 * np.sin(t / 50_000)
    return Events(
        np.clip(place[:, 0], 0, WIDTH - 1).astype(np.int16),
        np.clip(place[:, 1], 0, HEIGHT - 1).astype(np.int16),
        t,
        draw.integers(0, 2, count).astype(np.int8),
    )


def write_recordings(folder: Path, count: int) -> list[Path]:
    """Write ``count`` ATIS files of one class, ``airplanes``, and return their paths."""
    files = [folder / "airplanes" / f"image_{number + 1:04d}.bin" for number in range(count)]
    (folder / "airplanes").mkdir(parents=True, exist_ok=True)
    for seed, path in enumerate(files):
        path.write_bytes(encode(recording(seed)))
    return files
