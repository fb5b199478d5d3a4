"""What building a cache costs, beside tonic's disk cache and beside reading the bytes.

    python benchmarks/build.py --work DIR [--few 300] [--many 2000] [--largest 10000]
                               [--rounds 3] [--jobs 2]

Writes recordings of N-Caltech101's size (60 to 170 thousand events on 180 x 240 pixels) below
``--work`` once, then in each round runs ``snntx preprocess`` on few and on many of them as
whole processes with nothing remembered. The marginal cost of a recording is the difference of
the two times over the difference in recordings; CPU time is given beside it, since it says
more where other programs run. In the same round tonic reads, frames and
caches a part of them (``DiskCachedDataset``, first pass), and a plain loop reads and sums
their bytes, each in a process of its own on one core. ``--largest`` adds a data set of more
recordings, hard links to the same ones, to see whether the cost of one stays what it is.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from generated import recording
from processes import build, link

from snntx.preprocess.readers.formats.atis import RECORD_BYTES, encode

DISTINCT = 200
PEER_RECORDINGS = 60

TONIC = """
import sys, time
from pathlib import Path
import numpy as np, tonic
from tonic.io import read_mnist_file
files = sorted(Path(sys.argv[1]).rglob("*.bin"))[: int(sys.argv[3])]
dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
class Recordings:
    def __len__(self):
        return len(files)
    def __getitem__(self, i):
        return read_mnist_file(files[i], dtype=dtype), 0
frame = tonic.transforms.ToFrame(sensor_size=(240, 180, 2), n_time_bins=10)
cached = tonic.DiskCachedDataset(Recordings(), cache_path=sys.argv[2], transform=frame)
cached[0]
for path in Path(sys.argv[2]).glob("*"):
    path.unlink()
started, cpu = time.perf_counter(), time.process_time()
for i in range(len(files)):
    cached[i]
print((time.perf_counter() - started) / len(files), (time.process_time() - cpu) / len(files))
"""

READ = """
import sys, time
from pathlib import Path
import numpy as np
files = sorted(Path(sys.argv[1]).rglob("*.bin"))
started, cpu = time.perf_counter(), time.process_time()
for path in files:
    np.frombuffer(path.read_bytes(), np.uint8).sum()
print((time.perf_counter() - started) / len(files), (time.process_time() - cpu) / len(files))
"""


def write_recordings(folder: Path, count: int) -> None:
    """Write ``count`` recordings in order of time, edges that move over a noisy background."""
    made = [path for path in folder.rglob("*.bin") if path.stat().st_size]
    if len(made) == count:
        return
    kinds = [
        np.frombuffer(encode(recording(seed)), np.uint8).reshape(-1, RECORD_BYTES)
        for seed in range(min(DISTINCT, count))
    ]
    classes = ("airplanes", "camera", "dolphin", "lamp", "panda")
    for i in range(count):
        records = np.roll(kinds[i % DISTINCT][:, :2], i, axis=0)  # same times, other places
        path = folder / f"Caltech101/{classes[i % 5]}/image_{i + 1:04d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(np.hstack([records, kinds[i % DISTINCT][:, 2:]]).tobytes())
        os.utime(path, (1_500_000_000, 1_500_000_000))


def measure(program: str, *arguments: object) -> tuple[float, float]:
    """Run a program of its own that prints seconds and CPU seconds per recording."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, cpu = map(float, done.stdout.split())
    return seconds, cpu


def subset(raw: Path, folder: Path, count: int) -> Path:
    """Link the first ``count`` recordings below a folder of their own."""
    files = sorted(raw.rglob("*.bin"), key=lambda path: path.name)
    link(files[:count], raw, folder)
    return folder


def repeated(raw: Path, folder: Path, count: int) -> Path:
    """Link the recordings in turn, under ``count`` names, below a folder of their own."""
    shutil.rmtree(folder, ignore_errors=True)
    files = sorted(raw.rglob("*.bin"), key=lambda path: path.name)
    for i in range(count):
        path = files[i % len(files)]
        place = folder / path.relative_to(raw).with_name(f"image_{i + 1:05d}.bin")
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, place)
    return folder


def row(name: str, values: Sequence[float], goal: str, digits: int = 2) -> None:
    spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    print(f"| {name} | {statistics.median(values):.{digits}f} | {spread} | {goal} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--few", type=int, default=300)
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--largest", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()

    work = options.work.resolve()
    raw = work / f"raw-{options.many}"
    write_recordings(raw, options.many)
    sizes = sorted({1, 100, options.few, (options.few + options.many) // 2, options.many})
    folders = {n: subset(raw, work / f"first-{n}", n) for n in sizes}
    if options.largest is not None:
        folders[options.largest] = repeated(raw, work / "largest", options.largest)
        sizes.append(options.largest)
    card, cache = "n-caltech101", work / "cache"
    build(card, folders[1], cache, 1)  # compiles the kernels once

    seconds: dict[int, list[float]] = {n: [] for n in sizes}
    marginal, cpu, tonic, tonic_cpu, read, read_cpu, smaller = [], [], [], [], [], [], []
    for _ in range(options.rounds):
        built = {n: build(card, folders[n], cache, options.jobs) for n in sizes}
        for n, one in built.items():
            seconds[n].append(one.seconds)
        few, many, more = built[options.few], built[options.many], options.many - options.few
        marginal.append((many.seconds - few.seconds) / more * 1e3)
        cpu.append((many.cpu - few.cpu) / more * 1e3)
        shutil.rmtree(work / "tonic", ignore_errors=True)
        took, used = measure(TONIC, folders[options.few], work / "tonic", PEER_RECORDINGS)
        tonic.append(took * 1e3 / marginal[-1])
        tonic_cpu.append(used * 1e3 / cpu[-1])
        took, used = measure(READ, folders[options.few])
        read.append(marginal[-1] / took / 1e3)
        read_cpu.append(cpu[-1] / used / 1e3)
        peer = sum(p.stat().st_size for p in (work / "tonic").rglob("*") if p.is_file())
        smaller.append((peer / PEER_RECORDINGS) / (many.size / options.many))
    peak = {n: build(card, folders[n], cache, options.jobs, watch=True).peak for n in sizes[1:]}

    print(f"{options.rounds} rounds, {options.jobs} jobs, {os.cpu_count()} cores\n")
    print("| figure | median | rounds | goal |")
    print("|---|---|---|---|")
    row("tonic's cold pass / a recording here", tonic, ">= 25")
    row("the same in CPU time", tonic_cpu, "")
    row("a recording here / reading and summing its bytes", read, "<= 6")
    row("the same in CPU time", read_cpu, "")
    row("marginal cost of a recording (ms)", marginal, "")
    row("the same in CPU time (ms)", cpu, "")
    row("one recording, whole process (s)", seconds[1], "< 2")
    for n, held in peak.items():
        row(f"peak PSS of parent and workers, {n} recordings (MiB)", [held], "< 1024", 0)
    row("bytes of tonic's cache / bytes here", smaller, "")
    for low, high in itertools.pairwise(sizes[1:]):
        steps = [
            (b - a) / (high - low) * 1e3 for a, b in zip(seconds[low], seconds[high], strict=True)
        ]
        row(f"ms for each recording from {low} to {high}", steps, "")


if __name__ == "__main__":
    main()
