"""A first run, from nothing to its first epoch's line: this checkout and an older one in turn.

    python benchmarks/first_run.py [--old DIR] [--rounds 5] [--model nmnist]

Each run is a process of ``snntx train`` on the small cache that release 0.1 made, one epoch of
three steps, with an empty folder for compiled kernels; then the same again with the kernels kept.
``--old`` is a folder named ``snntx`` with a checkout of another commit, run by the same Python:

    git worktree add ../old/snntx b62aab6

CPU seconds are those of the process and of what it started and waited for, when the epoch's line
came; on a machine that does other work they say more than wall time. Prints Markdown: medians with
their spread, the old one's share, and where the CPU seconds go: importing torch (alone, in a
process of its own), compiling (what a first run takes more than the next), the rest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parents[1]
CACHE = HERE / "tests" / "fixtures" / "release-0.1" / "cache"
TICKS = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """Wall and CPU seconds until the first epoch's line, or until the end where none comes."""

    wall: float
    cpu: float


def cpu_of(pid: int) -> float:
    """Return user and system time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def until_line(parent: Path, kernels: Path, words: Sequence[str], marker: str) -> Run:
    """Run Python with ``snntx`` of a folder, and stop the clocks at a line with ``marker``."""
    environment = {**os.environ, "PYTHONPATH": str(parent), "NUMBA_CACHE_DIR": str(kernels)}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *words],
        env=environment,
        cwd=kernels.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        found, said = None, []
        for line in process.stdout:
            said.append(line)
            if found is None and line.startswith(marker):
                found = Run(time.perf_counter() - began, cpu_of(process.pid))
    if found is None or process.returncode:
        raise SystemExit(f"{parent}: no line '{marker}':\n{''.join(said)}")
    return found


def first_and_next(parent: Path, model: str) -> tuple[Run, Run]:
    """Return a run without compiled kernels, and the one after it."""
    runs = []
    with tempfile.TemporaryDirectory() as name:
        kernels = Path(name) / "kernels"
        kernels.mkdir()
        for number in range(2):
            words = ["-m", "snntx", "train", "simulated-digits", "--cache", str(CACHE)]
            words += ["--device", "cpu", "--out", str(Path(name) / f"run{number}")]
            settings = {"model": f'"{model}"', "steps": 2, "epochs": 1, "batch_size": 8}
            settings |= {"draws_per_epoch": 24, "backend": "numba", "width": 0.25}
            for key, value in settings.items():
                words += ["--set", f"{key}={value}"]
            runs.append(until_line(parent, kernels, words, "epoch "))
    return runs[0], runs[1]


def spread(values: Sequence[float], digits: int = 1) -> str:
    low, high = min(values), max(values)
    return f"{np.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--old", type=Path, help="a checkout of another commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="nmnist")
    options = parser.parse_args()
    names = {"this": HERE.parent}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "snntx").symlink_to(HERE)
        names["this"] = Path(folder)
        if options.old is not None:
            names["old"] = options.old.resolve().parent
        runs: dict[str, list[tuple[Run, Run]]] = {name: [] for name in names}
        torch = []
        for _ in range(options.rounds):
            for name, parent in names.items():
                runs[name].append(first_and_next(parent, options.model))
            words = ["-c", "import torch; print('done', flush=True)"]
            torch.append(until_line(parent, Path(folder) / "none", words, "done").cpu)
    print(f"{options.model}, {options.rounds} rounds, {os.cpu_count()} cores\n")
    print("| | first, CPU s | first, wall s | next, CPU s | compiling | torch | rest |")
    print("|---|---|---|---|---|---|---|")
    for name, pairs in runs.items():
        first, later = ([pair[i].cpu for pair in pairs] for i in range(2))
        compiling = [a - b for a, b in zip(first, later, strict=True)]
        rest = [b - t for b, t in zip(later, torch, strict=True)]
        cells = [first, [pair[0].wall for pair in pairs], later, compiling, torch, rest]
        print(f"| {name} | {' | '.join(map(spread, cells))} |")
    if "old" in runs:
        both = zip(runs["this"], runs["old"], strict=True)
        shares = [this[0].cpu / old[0].cpu for this, old in both]
        print(f"\nfirst run, this / old: {spread(shares, 2)} of the CPU seconds")


if __name__ == "__main__":
    main()
