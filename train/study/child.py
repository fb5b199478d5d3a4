"""One run of a sweep: a process of ``snntx train``, then one of ``snntx evaluate``.

Processes of their own, so that a run that fails, or that the system kills for its memory, ends
alone. They do not hear Ctrl-C; asked to end, ``train`` writes a checkpoint to go on from.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SnntxError
from ..recipe.whole import Recipe
from .progress import run_state
from .results import read_metrics, read_progress

STOP_SECONDS = 120
"""After this long a process that was asked to end is killed."""
LOGS = "logs"
STOPPED_CODES = (130, 143, -signal.SIGINT, -signal.SIGTERM)
_PARENT_DIES = 1
"""``PR_SET_PDEATHSIG`` of Linux."""


@dataclass(frozen=True)
class Job:
    """One run, for this machine or another that sees the same files. Paths are absolute.

    Attributes:
        name: of the run.
        run: its directory.
        card: as ``snntx train`` takes it.
        base: name of the recipe.
        overrides: of the recipe, each ``key=value``.
        recipe: what they resolve to.
        cache: root of all caches.
        key: of the cache; None where it is not known.
        device: ``auto``, ``cpu`` or ``cuda``.
        test: whether the test part is measured.
        threads: that it computes with; None leaves it to the environment.
        folder: the working directory, which relative paths in settings start from.
    """

    name: str
    run: Path
    card: str
    base: str
    overrides: tuple[str, ...]
    recipe: Recipe
    cache: Path
    key: str | None
    device: str
    test: bool
    threads: int | None
    folder: Path

    @property
    def log(self) -> Path:
        """Where the processes' output goes."""
        return self.run.parent / LOGS / f"{self.name}.txt"

    def commands(self) -> list[list[str]]:
        """Return the arguments of what is left to do, ``train`` and then ``evaluate``.

        Raises:
            UsageError: the directory holds another run.
            SnntxError: a file in it is damaged.
        """
        state = run_state(self.run, self.recipe, key=self.key, test=self.test)
        where = ["--cache", str(self.cache), "--device", self.device]
        words = []
        if state in ("start", "resume"):
            train = ["train", self.card, *where, "--recipe", self.base, "--out", str(self.run)]
            train += [word for each in self.overrides for word in ("--set", each)]
            train += ["--key", self.key] if self.key else []
            words.append(train + (["--resume"] if state == "resume" else []))
        if self.test and state != "done":
            words.append(["evaluate", str(self.run), *where])
        return words


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        name: of the run.
        state: ``finished``, ``failed`` or ``stopped``.
        problem: why it failed, in one line.
        part: what ``top1`` was measured on.
        top1: its accuracy; None unless it was finished.
    """

    name: str
    state: str
    problem: str = ""
    part: str = ""
    top1: float | None = None


def outcome_of(name: str, run: Path, recipe: Recipe, test: bool) -> Outcome:
    """Return the result that a finished run's files hold."""
    metrics = read_metrics(run) if test else None
    found: dict[str, Any] = metrics or read_progress(run, recipe).selection
    return Outcome(name, "finished", part=found.get("part", ""), top1=found.get("top1"))


class Child:
    """A run's processes, one after the other; the first one starts at once.

    Args:
        job: the run.
        gpu: value of ``CUDA_VISIBLE_DEVICES``; None leaves it as it is.
    """

    def __init__(self, job: Job, gpu: str | None = None) -> None:
        self.job = job
        self._gpu = gpu
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0.0
        self._outcome: Outcome | None = None
        self._log_start = 0
        self._ahead: deque[list[str]] = deque()
        try:
            self._ahead.extend(job.commands())
            job.log.parent.mkdir(parents=True, exist_ok=True)
            self._advance()
        except (SnntxError, OSError) as error:
            self._outcome = Outcome(job.name, "failed", " ".join(str(error).split()))

    def _advance(self) -> None:
        """Start the next process, or end with the run's result."""
        if not self._ahead:
            job = self.job
            self._outcome = outcome_of(job.name, job.run, job.recipe, job.test)
            return
        words = self._ahead.popleft()
        with self.job.log.open("ab") as log:
            log.write(f"$ snntx {shlex.join(words)}\n".encode())
            log.flush()
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "snntx", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.job.folder,
                env=self._environment(),
                start_new_session=True,
                preexec_fn=_end_with_parent if _libc else None,
            )

    def _environment(self) -> dict[str, str]:
        changed = {} if self._gpu is None else {"CUDA_VISIBLE_DEVICES": self._gpu}
        if self.job.threads is not None:
            changed["OMP_NUM_THREADS"] = str(self.job.threads)
        return {**os.environ, **changed}

    def poll(self) -> Outcome | None:
        """Return how the run ended, or None while it goes on."""
        if self._outcome is not None or self._process is None:
            return self._outcome
        code = self._process.poll()
        if code is None:
            if self._asked and time.monotonic() - self._asked > STOP_SECONDS:
                self._process.kill()
            return None
        name = self.job.name
        if self._asked and (code or self._ahead):
            self._outcome = Outcome(name, "stopped")
        elif code:
            self._outcome = Outcome(name, "failed", self._problem(code))
        else:
            try:
                self._advance()
            except (SnntxError, OSError) as error:
                self._outcome = Outcome(name, "failed", " ".join(str(error).split()))
        return self._outcome

    def _problem(self, code: int) -> str:
        """Return the process's own last words, or how it ended."""
        with self.job.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        marker = "snntx: error: "
        said = [line.partition(marker)[2] for line in lines if line.startswith(marker)]
        if code in STOPPED_CODES:
            return "was asked to end by a signal; the same command goes on with it"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name} (out of memory?)"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return said[-1] if said else f"ended with exit code {code}: {last or 'no message'}"

    def stop(self) -> None:
        """Ask the running process to end; asked again, kill it.

        One that the same signal has ended already was asked all the same.
        """
        again, self._asked = bool(self._asked), self._asked or time.monotonic()
        if self._process is None or self._process.poll() is not None:
            return
        if again:
            self._process.kill()
        else:
            self._process.terminate()


def _load_libc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


_libc = _load_libc()


def _end_with_parent() -> None:
    """Between fork and exec: let the system ask this process to end when its parent dies."""
    _libc.prctl(_PARENT_DIES, signal.SIGTERM)
