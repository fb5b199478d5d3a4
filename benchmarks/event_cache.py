"""The event cache: reading a window, bytes an event, and what windows cost beside a training step.

    OMP_NUM_THREADS=1 python benchmarks/event_cache.py [--real DIR] [--rounds 7] [--parts all]

Parts, each printed as a Markdown table:

- ``window``: 0.9 s of a recording of 60 s and 2e6 events (AEDAT 2.0, made) from the event cache,
  and by tonic's ``read_davis_346`` and a slice, in turn in one process; wall time, all files in the
  system's memory. Goal: 20 times as fast.
- ``bytes``: bytes an event of the chunks, of the whole cache, of the raw file, and of HDF5 with
  gzip 4 (columns x, y, t, p, chunks of 8,192); on real N-MNIST and DVXplorer recordings (goal 2.8)
  where ``--real`` is their folder, and on noise beside its entropy.
- ``loader``: CPU seconds of making a batch of windows and of the training step on it: ``asa3`` with
  attention, batch 4, 60 steps of 15 ms, 128 x 128 down-sampled by 4. Goal: 10 % of the step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from processes import spread
from tonic.io import read_davis_346

from snntx.data_cards import load_card
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.events.event_cache import EventCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.reading import read_events
from snntx.train import Recipe
from snntx.train.batches.training import TrainingData
from snntx.train.method.choice import make_method
from snntx.train.recipe.networks import build_model
from snntx.train.run.distributed import Group
from snntx.train.run.objective import Objective
from snntx.train.run.updates import Updater

SECONDS, EVENTS, WINDOW_US = 60, 2_000_000, 900_000
HEADER = b"#!AER-DAT2.0\r\n"
BATCH, STEPS, STEPS_TIMED = 4, 60, 6
PARTS = ("window", "bytes", "loader")


def noise(seed: int, count: int, seconds: float, sensor: tuple[int, int]) -> Events:
    """Return events everywhere alike: what no compression can shrink below its entropy."""
    draw = np.random.default_rng(seed)
    steps = draw.geometric(count / (seconds * 1e6), count)
    y, x = (draw.integers(0, side, count).astype(np.int16) for side in sensor)
    return Events(x, y, np.cumsum(steps), draw.integers(0, 2, count).astype(np.int8))


def noise_entropy(count: int, seconds: float, sensor: tuple[int, int]) -> float:
    """Return the entropy of that noise in bytes an event."""
    p = count / (seconds * 1e6)  # of the geometric distribution of steps
    steps = (-(1 - p) * np.log2(1 - p) - p * np.log2(p)) / p
    return float(steps + np.log2(sensor[0] * sensor[1]) + 1) / 8


def write_aedat2(path: Path, events: Events, *, davis: bool) -> Path:
    """Write AEDAT 2.0 with the addresses of a DAVIS, or of a DVS128."""
    x, y, p = (column.astype(np.int64) for column in (events.x, events.y, events.p))
    address = y << 22 | x << 12 | p << 11 if davis else y << 8 | x << 1 | p
    pairs = np.stack([address, events.t], -1).astype(">u4")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(HEADER + pairs.tobytes())
    return path


def cache_of(card: str, raw: Path, root: Path) -> EventCache:
    request = make_request(load_card(card), raw=raw, static=None, cache=root, kind="events")
    return EventCache(preprocess(request).directory)


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    work()
    return clock() - began


def window(root: Path, rounds: int) -> None:
    """Read a window by either way, in turn, at random places."""
    events = noise(1, EVENTS, SECONDS, (260, 346))
    path = write_aedat2(root / "raw/walk/one.aedat", events, davis=True)
    cache = cache_of("daily-action", root / "raw", root / "cache")
    starts = np.random.default_rng(2).integers(0, SECONDS * 10**6 - WINDOW_US, rounds + 1)

    def ours(start: int) -> Events:
        return cache.events(0, start, start + WINDOW_US)

    def tonics(start: int) -> NDArray[np.void]:
        _, _, held = read_davis_346(str(path))
        first = int(held["t"][0])
        inside = (held["t"] >= first + start) & (held["t"] < first + start + WINDOW_US)
        windowed: NDArray[np.void] = held[inside]
        return windowed

    times: dict[str, list[float]] = {"ours": [], "tonic": [], "frames": []}
    options = cache.options.changed(steps=STEPS, window_ms=15.0, downsample=4)
    for start in starts.tolist():
        theirs = tonics(start)
        own = ours(start)  # the chunks' checksums are verified now
        np.testing.assert_array_equal(own.x, 345 - theirs["x"])
        np.testing.assert_array_equal(own.y, 259 - theirs["y"])
        cache.window(0, start, start + WINDOW_US, options)
        times["tonic"].append(seconds(partial(tonics, start), time.perf_counter))
        times["ours"].append(seconds(partial(ours, start), time.perf_counter))
        framed = partial(cache.window, 0, start, start + WINDOW_US, options)
        times["frames"].append(seconds(framed, time.perf_counter))
    ratios = [b / a for a, b in zip(times["ours"], times["tonic"], strict=True)]
    print(f"\n{WINDOW_US / 1e6} s of {SECONDS} s and {EVENTS:,} events, {len(ratios)} places\n")
    print("| contender | ms a window | times as fast |")
    print("|---|---|---|")
    print(f"| tonic `read_davis_346`, slice | {spread([1e3 * t for t in times['tonic']])} | 1 |")
    ms = spread([1e3 * t for t in times["ours"]], 3)
    print(f"| snntx, events | {ms} | {spread(ratios, 1)}; goal 20 |")
    ms = spread([1e3 * t for t in times["frames"]], 3)
    print(f"| snntx, frames of {STEPS} steps | {ms} | |")


def gzip_bytes(recordings: list[Events]) -> int:
    """Return the bytes of the columns of recordings in HDF5 with gzip."""
    total = 0
    for events in recordings:
        with h5py.File("held", "w", driver="core", backing_store=False) as file:
            for name, column in zip("xytp", events, strict=True):
                size = min(8192, events.size)
                data = file.create_dataset(
                    name, data=column, chunks=(size,), compression="gzip", compression_opts=4
                )
                total += data.id.get_storage_size()
    return total


def sizes(name: str, cache: EventCache, raw_bytes: int, goal: str) -> None:
    """Print a line on one data set."""
    held = [cache.events(i) for i in range(len(cache))]
    count = sum(each.size for each in held)
    shards = sorted(cache.directory.glob("events-*.h5"))
    chunks = 0
    for path in shards:
        with h5py.File(path, locking=False) as file:
            chunks += file["bytes"].shape[0]
    whole = sum(path.stat().st_size for path in cache.directory.iterdir())
    figures = (chunks, whole, raw_bytes, gzip_bytes(held))
    cells = " | ".join(f"{each / count:.2f}" for each in figures)
    print(f"| {name} | {count:,} | {cells} | {goal} |")


def bytes_an_event(root: Path, real: Path | None) -> None:
    """Print bytes an event of real recordings, where they are at hand, and of noise."""
    print("\n| recordings | events | chunks | whole cache | raw file | HDF5, gzip 4 | goal |")
    print("|---|---|---|---|---|---|---|")
    if real is not None:
        cache = cache_of("n-mnist", real / "n_mnist", root / "cache")
        sizes("N-MNIST, real", cache, _raw_bytes(cache), "2.8")
        events = read_events(real / "aedat4/dvxplorer_sample.aedat4", "aedat4")
        zero = events._replace(t=events.t - events.t[0])
        write_aedat2(root / "dvx/walk/one.aedat", zero, davis=True)
        cache = cache_of("daily-action", root / "dvx", root / "dvx-cache")
        raw = (real / "aedat4/dvxplorer_sample.aedat4").stat().st_size
        sizes("DVXplorer, real (raw: AEDAT 4)", cache, raw, "2.8")
    count, sensor = EVENTS // 4, (260, 346)
    write_aedat2(root / "noise/walk/one.aedat", noise(3, count, SECONDS / 4, sensor), davis=True)
    cache = cache_of("daily-action", root / "noise", root / "noise-cache")
    entropy = noise_entropy(count, SECONDS / 4, sensor)
    sizes("noise", cache, _raw_bytes(cache), f"entropy {entropy:.2f}")


def _raw_bytes(cache: EventCache) -> int:
    return sum(size for size, _ in cache.index.manifest.values())


def loader(root: Path, rounds: int) -> None:
    """Make batches of windows and train on them, each timed by its CPU seconds."""
    for i in range(12):
        events = noise(i, 200_000, 6, (128, 128))
        name = f"{('airplane', 'cat')[i % 2]}"
        write_aedat2(root / f"windows/{name}/cifar10_{name}_{i}.aedat", events, davis=False)
    cache = cache_of("cifar10-dvs", root / "windows", root / "windows-cache")
    recipe = Recipe.of(
        model="asa3",
        epochs=1,
        method="event-only",
        attention="asa",
        batch_size=BATCH,
        draws_per_epoch=BATCH * STEPS_TIMED,
        slice="random",
        steps=STEPS,
        dt_ms=15.0,
        downsample=4,
        crop_padding=0,
        rotation=0.0,
    )
    data, cpu = TrainingData(cache, recipe), torch.device("cpu")
    size = data.cache.frame_shape[2:]
    model = build_model(
        recipe, num_classes=len(cache.classes), steps=STEPS, size=(size[0], size[1])
    )
    update = Updater(Objective(model, make_method(recipe)), recipe, cpu, Group(device=cpu))
    made, stepped = [], []
    for epoch in range(max(1, rounds // 3) + 1):
        order = data.order(epoch)
        for number in range(data.batches):
            places = order[number * BATCH :][:BATCH]
            began = time.process_time()
            batch = data.batch(places, epoch, number)
            made.append(time.process_time() - began)
            began = time.process_time()
            update(batch)
            stepped.append(time.process_time() - began)
    made, stepped = made[1:], stepped[1:]  # the first step compiles
    share = statistics.median(made) / statistics.median(stepped)
    met = "met" if share <= 0.1 else "missed"
    print(f"\n{len(made)} batches of {BATCH}, {STEPS} steps of 15 ms, {size[0]} x {size[1]}\n")
    print("| part | CPU ms |")
    print("|---|---|")
    print(f"| a batch of windows | {spread([1e3 * t for t in made])} |")
    print(f"| training step | {spread([1e3 * t for t in stepped], 0)} |")
    print(f"| share, goal 10 %: {met} | {share:.2%} |")
    rate = BATCH / statistics.median(made)
    print(f"| windows a second of CPU | {rate:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--real", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if "window" in options.parts:
            window(root / "window", options.rounds)
        if "bytes" in options.parts:
            bytes_an_event(root / "bytes", options.real)
        if "loader" in options.parts:
            loader(root / "loader", options.rounds)


if __name__ == "__main__":
    main()
