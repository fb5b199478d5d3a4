"""Whole processes of ``snntx preprocess``, timed and watched, shared by the benchmarks."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

WATCH_SECONDS = 0.05


class Built(NamedTuple):
    """What one whole process took and made.

    Attributes:
        seconds: from start to end.
        cpu: user and system time of it and its workers, seconds.
        peak: largest memory of it and its workers, pages shared counted once, in MiB; 0 where it
            was not watched.
        size: bytes of the cache.
        recordings: in the cache.
        statics: static images in the cache.
    """

    seconds: float
    cpu: float
    peak: float
    size: int
    recordings: int
    statics: int


def cpu_seconds() -> float:
    """Return user and system time of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def pss_mib(pid: int) -> float:
    """Return the memory of a process and its children, pages shared counted once, in MiB."""
    total = 0
    pids = [pid]
    for one in pids:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += next(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # it has just ended
    return total / 1024


def build(
    card: str,
    raw: Path,
    cache: Path,
    jobs: int,
    *,
    static: Path | None = None,
    watch: bool = False,
) -> Built:
    """Run ``snntx preprocess`` with nothing remembered; ``watch`` measures its memory.

    Raises:
        SystemExit: it failed.
    """
    shutil.rmtree(cache, ignore_errors=True)
    command = ["preprocess", card, "--raw", raw, "--cache", cache, "--jobs", jobs, "--json"]
    command += ["--static", static] if static is not None else []
    started, before = time.perf_counter(), cpu_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", "snntx", *map(str, command)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=cache.parent,
    )
    peak = 0.0
    while watch and process.poll() is None:
        peak = max(peak, pss_mib(process.pid))
        time.sleep(WATCH_SECONDS)
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"snntx preprocess {card} ended with {process.returncode}")
    summary = json.loads(output)
    counts = (int(summary[name]) for name in ("cache_bytes", "recordings", "statics"))
    return Built(seconds, cpu_seconds() - before, peak, *counts)


def link(files: Iterable[Path], source: Path, folder: Path) -> None:
    """Link files below ``source`` into a new folder, at the same places."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in files:
        place = folder / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, place)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return median and, of several values, smallest and largest, as text."""
    median = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):.{digits}f} to {max(values):.{digits}f})"
