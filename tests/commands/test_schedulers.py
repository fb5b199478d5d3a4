"""The script of ``docs/schedulers.md`` under a scheduler that stops and kills what it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snntx.cli import run

PAGE = Path(__file__).resolve().parents[2] / "docs/schedulers.md"
CARD = "simulated-digits"
SETTINGS = ("steps=3", "epochs=12", "width=0.125", "draws_per_epoch=20", "batch_size=10",
            "backend=torch", "tensorboard=false")  # fmt: skip
SHORT = [word for each in SETTINGS for word in ("--set", each)]
PATIENCE = 600.0
"""Seconds that a process may take to come to its first epoch."""


@pytest.fixture
def night(small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's script for a small run, and a scheduler's programs: a step is what it runs."""
    [script] = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```$", PAGE.read_text(), re.M | re.S)
    line = "srun snntx train n-mnist --out runs/night --resume\n"
    assert script.count(line) == 1
    path = tmp_path / "night.sh"
    path.write_text(
        script.replace(line, f"{line[:-1].replace('n-mnist', CARD)} {' '.join(SHORT)}\n")
    )
    programs = {
        "snntx": f'exec "{sys.executable}" -m snntx "$@"',
        "srun": 'echo $$ > step.pid\nexec "$@"',
        "scontrol": 'echo "$@" >> requeued.txt',
    }
    for name, text in programs.items():
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return path


def epochs() -> int:
    """Epochs that the run's log has."""
    log = Path("runs/night/log.jsonl")
    return log.read_text().count("\n") if log.is_file() else 0


def job(script: Path, number: signal.Signals | None) -> int:
    """Run the script as a job, whose step gets a signal after some more epochs."""
    before = epochs()
    with subprocess.Popen(["sh", str(script)]) as process:
        if number is not None:
            limit = time.monotonic() + PATIENCE
            while epochs() < before + 2:
                assert process.poll() is None, "the job ended before it could be stopped"
                assert time.monotonic() < limit
                time.sleep(0.01)
            os.kill(int(Path("step.pid").read_text()), number)
        return process.wait(PATIENCE)


@pytest.mark.slow
def test_the_same_script_ends_the_run_however_it_is_stopped(
    night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job(night, signal.SIGTERM) == 0
    assert Path("requeued.txt").read_text() == "requeue 7\n"
    assert not Path("runs/night/metrics.json").exists()
    assert run(["runs"]) == 0
    assert "interrupted" in capsys.readouterr().out
    assert job(night, signal.SIGKILL) == 128 + signal.SIGKILL
    assert Path("requeued.txt").read_text() == "requeue 7\n"  # it asks for nothing itself
    assert job(night, None) == 0
    assert (epochs(), Path("runs/night/metrics.json").is_file()) == (12, True)
    assert job(night, None) == 0  # what is finished stays as it is
    assert epochs() == 12
    starts = json.loads(Path("runs/night/run.json").read_text())["starts"]
    assert [each["how"] for each in starts if each["end"]] == ["stopped", "finished"]

    whole = [sys.executable, "-m", "snntx", "train", CARD, "--out", "runs/whole", *SHORT]
    subprocess.run(whole, check=True, capture_output=True)
    for name in ("best.pt", "last.pt"):
        assert Path("runs/night", name).read_bytes() == Path("runs/whole", name).read_bytes()


def test_a_failure_is_not_queued_again(night: Path) -> None:
    night.write_text(night.read_text().replace("epochs=12", "epochs=none"))
    assert job(night, None) == 2
    assert not Path("requeued.txt").exists()
