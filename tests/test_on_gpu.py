"""``make gpu`` as far as it goes without a GPU: the same script at tiny sizes, kernels interpreted.

The script's own modules are imported as running it would import them.
"""

from __future__ import annotations

import datetime
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from snntx.errors import SnntxError
from snntx.train.network.doors import MODELS

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "benchmarks" / "on_gpu.py"
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
NO_NETWORK = """
import socket

def refused(*_, **__):
    raise AssertionError("reached for the network")

socket.getaddrinfo = socket.create_connection = refused
"""


class Gpu:
    """The modules of the script, by name."""

    def __getattr__(self, name: str) -> ModuleType:
        return __import__(f"gpu.{name}", fromlist=["_"])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    yield Gpu()
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(SCRIPT.parent)):
            del sys.modules[name]


@pytest.fixture
def machine(gpu: Any) -> Any:
    return gpu.machine.Machine(torch.device("cpu"), rounds=1, steps=1)


@pytest.fixture
def steps(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The part of steps with ``backend=torch`` in place of interpreted kernels."""
    found = gpu.steps
    monkeypatch.setattr(found, "setting_of", _with("torch", found.setting_of))
    return found


def _with(backend: str, original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: original(*arguments)._replace(backend=backend)


def script(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


# ---------------------------------------------------------------- the command


def test_without_cuda_one_line_says_how_to_go_on(tmp_path: Path) -> None:
    done = script("--out", str(tmp_path / "out"), CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("gpu: needs a CUDA device, and torch ")
    assert line.endswith(f"{SCRIPT} --device cpu")
    assert not (tmp_path / "out").exists()
    advised = shlex.split(line.rpartition("tiny: ")[2])
    wrong = [*advised, "--parts", "nonsense"]
    done = subprocess.run(wrong, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("gpu: --parts nonsense, expected some of tests, step-asa3, ")


def test_make_gpu_runs_the_script_and_installs_nothing() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "gpu", "GPU=--rounds 3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    [line] = done.stdout.splitlines()
    assert line.endswith(" benchmarks/on_gpu.py --rounds 3")


@pytest.mark.slow
def test_the_whole_way_on_the_cpu(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    words = ["--device", "cpu", "--rounds", "1", "--out", str(tmp_path / "out")]
    done = script(*words, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert "; failed: none; " in last
    passed = last.partition("; failed")[0]
    assert re.search(r"tests \d\d+ kernels against their definition", passed)
    for name in MODELS.shipped():
        assert f"step-{name} float32, step-{name} bfloat16" in passed
    assert "epoch bfloat16, 1 workers" in passed
    [report] = (tmp_path / "out").iterdir()
    text = report.read_text()
    assert "the times mean nothing" in text
    assert text.count("| convolutions alone |") == 2 * len(MODELS.shipped())
    assert last in text
    assert f"cat {report} >> " in done.stdout


def test_a_part_that_ends_early_is_told(gpu: Any) -> None:
    assert gpu.outcome.Outcome().failed == []
    on_gpu = __import__("on_gpu")
    found = on_gpu.alone("nonsense", "cpu", 1)
    [told] = found.failed
    assert told.startswith("ended with 1: gpu: --parts nonsense, expected some of")


# ---------------------------------------------------------------- parts


def test_every_network_has_a_part(gpu: Any, machine: Any) -> None:
    parts = gpu.parts.parts()
    assert list(parts) == [
        "tests",
        *(f"step-{name}" for name in MODELS.shipped()),
        "attention",
        "epoch",
    ]
    assert set(MODELS.shipped()) == set(gpu.steps.FULL)


@pytest.mark.slow
def test_a_step_of_a_network(gpu: Any, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = gpu.steps
    monkeypatch.setattr(steps, "setting_of", _with("numba", steps.setting_of))
    found = steps.measure("nmnist", machine)
    assert (found.passed, found.failed, found.full) == (["float32", "bfloat16"], [], [])
    rows = [line for line in found.lines if line.startswith("| snntx")]
    assert len(rows) == 6
    plain = [row for row in rows if "readable" in row]
    assert all("| 1.00 (1.00 to 1.00) |" in row for row in plain)
    saved = [float(row.split("|")[5]) for row in rows[:3]]
    assert saved[0] > saved[1] > saved[2] > 0  # plain, fused, checkpointed


@pytest.mark.slow
def test_what_does_not_fit_is_a_row_and_the_others_go_on(
    steps: Any, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = steps.training_step

    def large(contender: str, setting: Any) -> Any:
        if contender == "snntx, fused" and setting.dtype == torch.float32:
            raise FULL
        return original(contender, setting)

    monkeypatch.setattr(steps, "training_step", large)
    found = steps.measure("nmnist", machine)
    assert found.full == ["float32 snntx, fused"]
    assert (found.passed, found.failed) == (["bfloat16"], [])
    [row] = [line for line in found.lines if "out of memory" in line]
    assert row.startswith("| snntx, fused | out of memory | - | - |")
    assert not [each for each in found.slower if each.startswith("float32")]


@pytest.mark.slow
@pytest.mark.parametrize("contender", ["snntx, fused", "snntx, checkpointed"])
def test_a_kernel_that_fails_is_told_and_the_other_type_goes_on(
    steps: Any, machine: Any, monkeypatch: pytest.MonkeyPatch, contender: str
) -> None:
    original = steps.training_step

    def broken(name: str, setting: Any) -> Any:
        if name == contender and setting.dtype == torch.float32:
            raise RuntimeError("misaligned address\nmore")
        return original(name, setting)

    monkeypatch.setattr(steps, "training_step", broken)
    found = steps.measure("nmnist", machine)
    assert found.failed == [f"float32 {contender}: RuntimeError: misaligned address"]
    assert found.passed == ["bfloat16"]


def test_a_loss_that_is_no_number_fails(
    steps: Any, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        steps, "training_step", lambda *_: lambda: torch.tensor(float("nan"), requires_grad=False)
    )
    found = steps.measure("nmnist", machine)
    assert "float32 snntx, fused: ArithmeticError: the loss is nan" in found.failed
    assert found.passed == []


def test_slower_than_the_plain_network(steps: Any) -> None:
    times = {"plain": [8.0, 8.0], "snntx, readable": [12.0, 12.0], "snntx, fused": [10.0, 10.0]}
    assert steps._slower("float32", times) == ["float32 (0.80 times as fast as plain.py)"]
    assert steps._slower("float32", {**times, "plain": [], "snntx, fused": [12.0, 13.0]}) == [
        "float32 (0.96 times as fast as backend=torch)"
    ]
    assert steps._slower("float32", {**times, "snntx, fused": []}) == []


def test_tests_are_counted(gpu: Any, tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(
        "import os, pytest\n"
        "def test_right(): assert os.environ['TRITON_INTERPRET'] == '1'\n"
        "def test_wrong(): assert 1 == 2, 'one is two'\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError('no device')\n"
        "def test_broken(broken): pass\n"
        "@pytest.mark.skip\n"
        "def test_left(): pass\n"
    )
    counts, failures = gpu.kernel_tests.run([str(file)], interpret=True)
    assert counts == {"passed": 1, "failed": 2, "skipped": 1}
    assert failures[0].startswith("test_wrong: AssertionError: one is two")
    assert "no device" in failures[1]
    counts, [told] = gpu.kernel_tests.run([str(tmp_path / "none.py")], interpret=True)
    assert not counts["passed"]
    assert "none.py" in told


# ---------------------------------------------------------------- the machine


def test_memory_that_ran_out_is_known_by_what_caused_it(gpu: Any, machine: Any) -> None:
    def told() -> None:
        try:
            raise FULL
        except RuntimeError as error:
            raise SnntxError("a batch does not fit") from error

    assert machine.fitting(told) is None
    assert machine.fitting(lambda: 7) == 7
    with pytest.raises(SnntxError, match="other"):
        machine.fitting(lambda: (_ for _ in ()).throw(SnntxError("other")))


class Clock:
    """CUDA events and memory, made up: a step takes as long as it says."""

    def __init__(self) -> None:
        self.now, self.most, self.waited = 0.0, 0, 0

    def event(self, enable_timing: bool) -> Any:
        clock = self

        class Event:
            at = 0.0

            def record(self) -> None:
                self.at = clock.now

            def elapsed_time(self, end: Any) -> float:
                assert clock.waited, "read before the device was done"
                return float(end.at - self.at)

        return Event()

    def wait(self, device: torch.device) -> None:
        self.waited += 1


def test_cuda_is_timed_by_events_after_a_step_that_warms_up(
    gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(torch.cuda, "Event", clock.event)
    monkeypatch.setattr(torch.cuda, "synchronize", clock.wait)
    durations = iter([1000.0, 5.0, 3.0, 4.0])

    def step() -> None:
        clock.now += next(durations)

    machine = gpu.machine.Machine(torch.device("cuda"), rounds=1, steps=3)
    assert machine.milliseconds(step) == 4.0
    assert next(durations, None) is None


def test_the_peak_is_what_was_allocated_beyond_what_was_there(
    gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name, value in {"memory_allocated": 1 << 20, "max_memory_allocated": 4 << 20}.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, name=name: done.append(name))
    machine = gpu.machine.Machine(torch.device("cuda"))
    assert machine.peak_mib(lambda: done.append("work")) == 3.0
    assert done.index("reset_peak_memory_stats") < done.index("work") == len(done) - 2


# ---------------------------------------------------------------- the report


def test_the_report_names_the_card_and_ends_in_one_line(gpu: Any, tmp_path: Path) -> None:
    outcome = gpu.outcome
    versions = {"torch": "2.13.0", "triton": "3.7.1", "driver": "570.86"}
    where = outcome.Where(
        "NVIDIA H100 80GB HBM3", datetime.date(2026, 1, 2), False, versions, "abc", 79.6
    )
    found = {
        "tests": outcome.Outcome(["| a |"], ["137 kernels"], ["test_x: wrong"]),
        "step-vgg": outcome.Outcome([], ["float32"], [], ["float32 (0.9)"], ["bfloat16 plain"]),
    }
    text = outcome.report(where, found)
    assert text.startswith("## On NVIDIA H100 80GB HBM3, 2026-01-02\n\n```sh\nmake gpu\n```\n")
    assert "NVIDIA H100 80GB HBM3, 80 GiB: driver 570.86, cuda -, torch 2.13.0, triton" in text
    assert "\n### tests\n\n| a |\n\nFailed: test_x: wrong\n" in text
    assert text.splitlines()[-1] == outcome.last_line(found)
    assert outcome.last_line(found) == (
        "passed: tests 137 kernels, step-vgg float32; failed: tests test_x: wrong; "
        "out of memory: step-vgg bfloat16 plain; "
        "slower than the plain network: step-vgg float32 (0.9)"
    )
    assert outcome.last_line({}) == (
        "passed: none; failed: none; slower than the plain network: none"
    )
    first = where.file(tmp_path)
    assert first.name == "2026-01-02-nvidia-h100-80gb-hbm3.md"
    first.touch()
    assert where.file(tmp_path).name == "2026-01-02-nvidia-h100-80gb-hbm3-2.md"


def test_an_outcome_is_read_as_it_was_written(gpu: Any, tmp_path: Path) -> None:
    outcome = gpu.outcome.Outcome(["| é |"], ["a"], ["b"], ["c"], ["d"])
    outcome.write(tmp_path / "outcome.json")
    assert gpu.outcome.Outcome.read(tmp_path / "outcome.json") == outcome
