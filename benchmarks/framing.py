"""Framing speed: raw ATIS file to 48 x 48 frames, against tonic and a NumPy version.

    OMP_NUM_THREADS=1 python benchmarks/framing.py [--recordings 300] [--rounds 5]

Generates recordings of N-Caltech101's size (60,000 to 170,000 events in 300 ms, at most
240 x 180 pixels), and in every round the contenders frame them in turns of 25 recordings, in
this one process and thread, from the file to the float32 tensor. Prints a Markdown table for
docs/results.md: milliseconds of processor time a recording (so that other programs count for
little), and ratios taken within a round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from generated import write_recordings
from tonic.io import events_struct, read_mnist_file
from tonic.transforms import ToFrame

from snntx.preprocess.disk.files import read_file
from snntx.preprocess.framing.frames import frames_from_events, frames_from_records
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.framing.records import plain_records
from snntx.preprocess.readers.reading import read_events

STEPS, SIZE = 10, 48
TURN = 25
OPTIONS = FrameOptions(steps=STEPS, size=(SIZE, SIZE), zero_origin=True)
Frames = np.ndarray


def resized(counts: Frames) -> Frames:
    frames = torch.from_numpy(counts.astype(np.float32))
    return torch.nn.functional.interpolate(
        frames, size=(SIZE, SIZE), mode="bilinear", align_corners=True
    ).numpy()


def with_tonic(path: Path) -> Frames:
    events = read_mnist_file(str(path), dtype=events_struct)
    for axis in "xy":
        events[axis] -= events[axis].min()
    sensor = (int(events["x"].max()) + 1, int(events["y"].max()) + 1, 2)
    return resized(ToFrame(sensor_size=sensor, n_time_bins=STEPS)(events))


def with_numpy(path: Path) -> Frames:
    raw = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y = raw[:, 0] - raw[:, 0].min(), raw[:, 1] - raw[:, 1].min()
    t = ((raw[:, 2] & 127) << 16) | (raw[:, 3] << 8) | raw[:, 4]
    step = (t - t[0]) // ((t[-1] - t[0]) // STEPS)
    height, width = int(y.max()) + 1, int(x.max()) + 1
    place = ((step * 2 + (raw[:, 2] >> 7)) * height + y) * width + x
    cells = STEPS * 2 * height * width
    counts = np.bincount(place[step < STEPS], minlength=cells)
    return resized(counts.reshape(STEPS, 2, height, width))


def with_snntx(path: Path) -> Frames:
    records = plain_records(read_file(path))
    assert records is not None
    return frames_from_records(records, OPTIONS)


def with_columns(path: Path) -> Frames:
    return frames_from_events(*read_events(path, "atis"), steps=STEPS, size=SIZE, zero_origin=True)


def read_and_sum(path: Path) -> Frames:
    total: Frames = np.frombuffer(read_file(path), np.uint8).sum(keepdims=True)
    return total


CONTENDERS: dict[str, Callable[[Path], Frames]] = {
    "tonic `read_mnist_file`, `ToFrame`, torch `interpolate`": with_tonic,
    "NumPy `bincount`, torch `interpolate`": with_numpy,
    "snntx, decoded columns (`frames_from_events`)": with_columns,
    "snntx (`snntx preprocess`)": with_snntx,
    "only reading and summing the bytes": read_and_sum,
}


def spread(values: list[float], digits: int) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_recordings(Path(folder), options.recordings)
        for path in paths[:3]:  # compiles, and shows that all contenders do the same work
            expected, ours = with_tonic(path), with_snntx(path)
            np.testing.assert_allclose(with_numpy(path), expected, atol=1e-5)
            np.testing.assert_allclose(ours, expected, rtol=2e-6, atol=1e-5)
            np.testing.assert_array_equal(with_columns(path), ours)
        times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(options.rounds):
            spent = dict.fromkeys(CONTENDERS, 0.0)
            for first in range(0, len(paths), TURN):
                for name, contender in CONTENDERS.items():
                    start = time.thread_time()
                    for path in paths[first : first + TURN]:
                        contender(path)
                    spent[name] += time.thread_time() - start
            for name, seconds in spent.items():
                times[name].append(seconds / len(paths) * 1000)
    *_, ours_name, _ = CONTENDERS
    print(f"{options.recordings} recordings, {options.rounds} rounds; median (min to max)\n")
    print("| from file to frames | ms a recording | times snntx's |")
    print("|---|---|---|")
    for name, values in times.items():
        ratios = [value / ours for value, ours in zip(values, times[ours_name], strict=True)]
        print(f"| {name} | {spread(values, 3)} | {spread(ratios, 2)} |")


if __name__ == "__main__":
    main()
