"""Runs of a sweep forked from a process that is kept: fresh ones' results, replaced at its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snntx.data_cards import load_card
from snntx.train.run.warm import HAS_FORK, Forked, Warm
from snntx.train.study import child, jobs
from snntx.train.study.sweep import sweep_from_table
from snntx.train.study.sweeps.expand import expand

pytestmark = pytest.mark.skipif(not HAS_FORK, reason="runs are forked on Linux alone")

CARD = "simulated-digits"
SETTINGS = {
    "steps": 3,
    "width": 0.25,
    "epochs": 2,
    "batch_size": 16,
    "recordings_per_class": 2,
    "draws_per_epoch": 32,
    "tensorboard": False,
}
OFTEN = {"seconds", "recordings_per_second", "peak_memory_mib"}
"""What a record says of time and memory."""


def _until(happened: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def _code(forked: Forked) -> int:
    _until(lambda: forked.poll() is not None)
    code = forked.poll()
    assert code is not None
    return code


@pytest.fixture
def warm(tmp_path: Path) -> Iterator[Warm]:
    (tmp_path / "log.txt").touch()
    made = Warm(os.environ, ["snntx.cli"], None)
    yield made
    made.close()
    assert not made.lives


@pytest.mark.parametrize("words", [["cards"], ["cards", "nope"], ["--version"], ["train", "--x"]])
def test_a_command_is_what_a_process_of_its_own_is(
    warm: Warm, tmp_path: Path, words: list[str]
) -> None:
    fresh = subprocess.run(
        [sys.executable, "-m", "snntx", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        check=False,
        timeout=120,
    )
    for number in range(1, 3):
        assert _code(warm.run(words, tmp_path / "log.txt", tmp_path)) == fresh.returncode
        assert (tmp_path / "log.txt").read_bytes() == number * fresh.stdout


def _settle(tmp_path: Path, name: str, cache: Path, **settings: Any) -> list[child.Job]:
    read = sweep_from_table(
        {"seeds": [1], "recipes": ["default", "baseline"], "set": {**SETTINGS, **settings}}, name
    )
    return jobs.make_jobs(
        expand(read, load_card(CARD), name),
        tmp_path / "out",
        card=CARD,
        cache=cache / "cache",
        keys={},
        device="cpu",
        test=True,
        threads=1,
    )


def _files(out: Path) -> dict[str, Any]:
    """Every file of the runs, without what it says of time, memory and the process."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        data: Any = path.read_bytes()
        if path.suffix == ".txt":
            data = re.sub(rb"\d+\.\d+ s\b", b"", data)
        elif path.name == "log.jsonl":
            lines = [json.loads(line) for line in data.splitlines()]
            data = [{k: v for k, v in each.items() if k not in OFTEN} for each in lines]
        elif path.name == "run.json":
            data = re.sub(rb'"(start|end|commit)": ".*?"', b"", data)
        found[str(path.relative_to(out))] = data
    return found


@pytest.mark.slow
def test_a_sweep_is_to_the_byte_that_of_fresh_processes(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _settle(tmp_path, "s.toml", small_cache)
    found = []
    for fork in (True, False):
        monkeypatch.setattr(child, "HAS_FORK", fork)
        ended = jobs.run_jobs(made, jobs.Here(1), jobs.Asked())
        assert [(each.state, each.problem) for each in ended] == [("finished", "")] * 2
        found.append(_files(tmp_path / "out"))
        (tmp_path / "out").rename(tmp_path / f"forked-{fork}")
    warm, fresh = found
    assert warm.keys() == fresh.keys()
    assert {"default-seed1/best.pt", "baseline-seed1/metrics.json"} <= warm.keys()
    assert [name for name in warm if warm[name] != fresh[name]] == []


class _Watched:
    """What is done to the first run once it has trained an epoch."""

    def __init__(self, host: jobs.Here, out: Path, harm: Callable[[child.Child], None]) -> None:
        self._host, self._log, self._harm = host, out / "default-seed1" / "log.jsonl", harm
        self.places: set[int] = set()
        self.done = False
        start = host.start

        def started(job: child.Job) -> jobs.Handle:
            self._first = start(job)
            return self._first

        host.start = started  # type: ignore[method-assign]

    def __call__(self, names: list[str]) -> None:
        for place in self._host._places:
            if place._warm is not None:
                self.places.add(place._warm.pid)
        if not self.done and self._log.is_file() and self._log.read_text():
            assert isinstance(self._first, child.Child)
            self._harm(self._first)
            self.done = True


def _kill_run(run: child.Child) -> None:
    assert isinstance(run._process, Forked)
    os.kill(_until(lambda: run._process.poll() is None and run._process._pid), signal.SIGKILL)  # type: ignore[union-attr]


def _kill_kept(run: child.Child) -> None:
    assert run._place._warm is not None
    os.kill(run._place._warm.pid, signal.SIGKILL)


@pytest.mark.parametrize(("harm", "kept"), [(_kill_run, 1), (_kill_kept, 2)])
def test_what_is_killed_fails_alone_and_is_replaced(
    small_cache: Path, tmp_path: Path, harm: Callable[[child.Child], None], kept: int
) -> None:
    made = _settle(tmp_path, "s.toml", small_cache, epochs=100_000)
    last = _settle(tmp_path, "s.toml", small_cache)[1]
    host = jobs.Here(1)
    watched = _Watched(host, tmp_path / "out", harm)
    killed, other = jobs.run_jobs([made[0], last], host, jobs.Asked(), waiting=watched)
    assert killed.state == "failed"
    assert killed.problem == "was killed by SIGKILL (out of memory?)"
    assert other.state == "finished"
    assert len(watched.places) == kept
    assert not any((Path("/proc") / str(pid)).exists() for pid in watched.places)
    if harm is _kill_kept:  # the system asked the run to end, and it could
        assert (tmp_path / "out" / "default-seed1" / "last.pt").is_file()


def test_where_none_can_be_kept_processes_are_fresh(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "MODULES", ("snntx.no_such_module",))
    (job,) = _settle(tmp_path, "s.toml", small_cache, epochs=1)[:1]
    (ended,) = jobs.run_jobs([job], jobs.Here(1), jobs.Asked())
    assert ended.state == "finished"
