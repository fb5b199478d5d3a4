"""Warm reads of cached frames: this cache and tonic's, in turn in one process.

    python benchmarks/reading.py [--recordings 300] [--rounds 5]

The peer is what its users write: ``DiskCachedDataset`` over ``ToFrame(n_time_bins=10)``, then
``torch.nn.functional.interpolate`` to 48 x 48, a recording at a time. Ours is
``FrameCache.frames`` in batches of 32 through HDF5, and again with the frames held in memory.
Prints a Markdown table of milliseconds a recording and ratios, median (smallest to largest
over the rounds), and the bytes of both caches.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from generated import write_recordings
from tonic import DiskCachedDataset
from tonic.io import make_structured_array, read_mnist_file
from tonic.transforms import ToFrame

from snntx.data_cards import load_card
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.planning.plan import make_request

BATCH = 32


class Frames:
    """tonic's frames of the files, before they are cached."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._dtype = make_structured_array([0], [0], [0], [0]).dtype

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        events = read_mnist_file(str(self._files[i]), dtype=self._dtype)
        size = (int(events["x"].max()) + 1, int(events["y"].max()) + 1, 2)
        return ToFrame(sensor_size=size, n_time_bins=10)(events), 0


def milliseconds(work: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3 / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files = write_recordings(root / "raw", options.recordings)
        count = len(files)
        theirs = DiskCachedDataset(Frames(files), cache_path=str(root / "tonic"))
        for i in range(count):
            theirs[i]
        request = make_request(
            load_card("n-caltech101"), raw=root / "raw", static=None, cache=root / "cache"
        )
        cache = FrameCache(preprocess(request).directory)
        held = FrameCache(cache.directory)
        held.hold(1 << 40)
        order = np.random.default_rng(1).permutation(count)
        batches = [order[i : i + BATCH] for i in range(0, count, BATCH)]

        def read_theirs() -> None:
            for i in order:
                frames = torch.from_numpy(theirs[int(i)][0]).float()
                torch.nn.functional.interpolate(
                    frames, size=(48, 48), mode="bilinear", align_corners=True
                )

        def read(source: FrameCache) -> Callable[[], None]:
            def work() -> None:
                for batch in batches:
                    source.frames(batch)

            return work

        contenders = {
            "tonic, DiskCachedDataset + interpolate": read_theirs,
            "snntx, HDF5": read(cache),
            "snntx, memory": read(held),
        }
        times: dict[str, list[float]] = {title: [] for title in contenders}
        for round_number in range(options.rounds + 1):
            for title, work in contenders.items():
                spent = milliseconds(work, count)
                if round_number:  # the first round warms up
                    times[title].append(spent)
        sizes = {
            "tonic": sum(f.stat().st_size for f in (root / "tonic").rglob("*") if f.is_file()),
            "snntx": sum(f.stat().st_size for f in cache.directory.iterdir()),
        }
    base = times["tonic, DiskCachedDataset + interpolate"]
    print(f"{count} recordings, {options.rounds} rounds\n")
    print("| contender | ms a recording | times as fast |")
    print("|---|---|---|")
    for title, values in times.items():
        ratios = [b / v for b, v in zip(base, values, strict=True)]
        print(
            f"| {title} | {np.median(values):.3f} | {np.median(ratios):.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f}) |"
        )
    share = sizes["snntx"] / sizes["tonic"]
    print(
        f"\nbytes a recording: tonic {sizes['tonic'] / count:,.0f}, "
        f"snntx {sizes['snntx'] / count:,.0f} ({share:.1%})"
    )


if __name__ == "__main__":
    main()
