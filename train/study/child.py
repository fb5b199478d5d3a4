"""One run of a sweep: a process of ``snntx train``, then one of ``snntx evaluate``.

Processes of their own, so that a run that fails, or that the system kills for its memory, ends
alone. They do not hear Ctrl-C; asked to end, ``train`` writes a checkpoint to go on from.
"""

from __future__ import annotations

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
from ..run.warm import HAS_FORK, Forked, Warm, end_with_parent
from .progress import run_state
from .results import read_metrics, read_progress

STOP_SECONDS = 120
"""After this long a process that was asked to end is killed."""
LOGS = "logs"
MODULES = ("snntx.cli", "torch._dynamo", "snntx.train.run.fit", "snntx.train.assess.evaluate")
"""What every run imports, ``torch._dynamo`` for its optimizer."""
STOPPED_CODES = (130, 143, -signal.SIGINT, -signal.SIGTERM)


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


class Place:
    """Where one run at a time starts its processes: forked from one that is kept warm.

    It is replaced when it has ended; where it cannot be had, processes are fresh ones.
    """

    def __init__(self) -> None:
        self._warm: Warm | None = None
        self._environment: dict[str, str] = {}
        self.usable = HAS_FORK

    def start(self, words: list[str], job: Job, environment: dict[str, str]) -> Forked | None:
        """Start a command of a run, or return None where that takes a fresh process."""
        if not self.usable:
            return None
        if self._warm is not None and (not self._warm.lives or self._environment != environment):
            self.close()
        if self._warm is None:
            computes = job.device != "cuda" and job.recipe.network.backend in ("auto", "numba")
            self._environment = environment
            self._warm = Warm(environment, MODULES, job.cache if computes else None)
        return self._warm.run(words, job.log, job.folder)

    def close(self) -> None:
        """End the process that is kept."""
        if self._warm is not None:
            self._warm.close()
            self._warm = None


class Child:
    """A run's processes, one after the other; the first one starts at once.

    Args:
        job: the run.
        gpu: value of ``CUDA_VISIBLE_DEVICES``; None leaves it as it is.
        place: where they start; None for fresh processes.
    """

    def __init__(self, job: Job, gpu: str | None = None, place: Place | None = None) -> None:
        self.job = job
        self._gpu = gpu
        self._place = place or Place()
        self._place.usable &= place is not None
        self._process: subprocess.Popen[bytes] | Forked | None = None
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
        self._start(self._ahead.popleft())

    def _start(self, words: list[str]) -> None:
        with self.job.log.open("ab") as log:
            log.write(f"$ snntx {shlex.join(words)}\n".encode())
            log.flush()
            self._log_start = log.tell()
            self._words, environment = words, self._environment()
            self._process = self._place.start(words, self.job, environment)
            if self._process is not None:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-m", "snntx", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.job.folder,
                env=environment,
                start_new_session=True,
                preexec_fn=end_with_parent if HAS_FORK else None,
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
        if isinstance(self._process, Forked) and self._process.never_began and not self._asked:
            self._place.usable = False
            self._start(self._words)
            return None
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
