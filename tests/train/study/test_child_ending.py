"""A run of a sweep that the same signal ended before its sweep could ask it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from snntx.train.recipe.whole import Recipe
from snntx.train.study import child as module


@pytest.mark.parametrize("code", [130, 143, -signal.SIGTERM])
@pytest.mark.parametrize("asked", [True, False])
def test_a_run_that_ended_with_its_sweep_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, asked: bool
) -> None:
    program = f"import os, sys; os.kill(os.getpid(), {-code}) if {code} < 0 else sys.exit({code})"
    start = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda _, **how: start([sys.executable, "-c", program], **how)
    )
    job = module.Job(
        name="one",
        run=tmp_path / "all" / "one",
        card="n-mnist",
        base="default",
        overrides=(),
        recipe=Recipe.of(model="nmnist", epochs=1),
        cache=tmp_path,
        key=None,
        device="cpu",
        test=True,
        threads=None,
        folder=tmp_path,
    )
    running = module.Child(job)
    assert isinstance(running._process, start)
    running._process.wait()
    if asked:
        running.stop()
    outcome = running.poll()
    assert outcome is not None
    assert outcome.state == ("stopped" if asked else "failed")
    assert asked or outcome.problem.endswith("the same command goes on with it")
