"""The runs of a sweep, some at a time, until all have ended or this process is asked to end."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ...data_cards.schema import Card
from ...errors import SnntxError
from ...preprocess.cache.opening import open_cache
from ...preprocess.disk.locks import BusyError, Lock
from .child import Child, Job, Outcome, Place
from .sweep import SweepRun

POLL_SECONDS = 0.1


def cache_keys(
    root: Path,
    card: Card,
    runs: Sequence[SweepRun],
    *,
    key: str | None,
    given: str,
    on_note: Callable[[str], None] = lambda note: None,
) -> dict[str, str]:
    """Return the key of each run's cache by the run's name.

    Args:
        root: root of all caches.
        card: the dataset.
        runs: whose steps, sizes and fits of static images are looked for.
        key: choose by key, or the start of one.
        given: how the user named the card.
        on_note: called with one line about a cache that nobody named.

    Raises:
        SnntxError: there is no such cache.
        UsageError: several would do.
    """
    found: dict[tuple[Any, ...], str] = {}
    keys = {}
    for run in runs:
        data = run.recipe.data
        wanted = data.steps, data.size, data.static_fit, data.downsample, data.of_events
        if wanted not in found:
            cache = open_cache(
                root,
                card,
                steps=data.steps,
                size=data.size,
                key=key,
                static_fit=data.static_fit,
                downsample=data.downsample,
                of_events=data.of_events,
                given=given,
                on_note=on_note,
            )
            found[wanted] = cache.key
        keys[run.name] = found[wanted]
    return keys


def make_jobs(
    runs: Sequence[SweepRun],
    out: Path,
    *,
    card: str,
    cache: Path,
    keys: Mapping[str, str],
    device: str,
    test: bool,
    threads: int | None,
) -> list[Job]:
    """Return the jobs of runs; see :class:`~snntx.train.study.child.Job`."""
    return [
        Job(
            name=run.name,
            run=(out / run.name).absolute(),
            card=card,
            base=run.base,
            overrides=run.overrides,
            recipe=run.recipe,
            cache=cache.absolute(),
            key=keys.get(run.name),
            device=device,
            test=test,
            threads=threads,
            folder=Path.cwd(),
        )
        for run in runs
    ]


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold a sweep's folder, so that no second sweep runs in it.

    Raises:
        SnntxError: another one does, or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = Lock(out / ".sweep.lock")
        lock.acquire()
    except BusyError as busy:
        raise SnntxError(
            f"{out}: another sweep runs in this folder, {busy}; {lock.way_out()}"
        ) from None
    except OSError as error:
        raise SnntxError(f"{out}: cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


class Asked:
    """Signals that asked this process to end."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def __call__(self, number: int, _: object) -> None:
        """Note one."""
        self.signals.append(number)


@contextmanager
def hearing() -> Iterator[Asked]:
    """Note Ctrl-C and SIGTERM instead of dying of them; only the main thread can."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = [(number, signal.signal(number, asked)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield asked
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class Handle(Protocol):
    """A run that was started."""

    def poll(self) -> Outcome | None:
        """Return how it ended, or None while it goes on."""
        ...

    def stop(self) -> None:
        """Ask it to end; asked again, do not wait for it."""
        ...


class Host(Protocol):
    """Where runs are started: this machine, or a cluster."""

    @property
    def free(self) -> bool:
        """Whether another run may start now."""
        ...

    def start(self, job: Job) -> Handle:
        """Start a run."""
        ...

    def release(self, handle: Handle) -> None:
        """Take note that a run has ended."""
        ...

    def close(self) -> None:
        """Keep nothing for another run."""
        ...


class Here:
    """This machine, with a number of runs at a time, over GPUs in turn."""

    def __init__(self, jobs: int, gpus: Sequence[str] = ()) -> None:
        self._slots = [gpus[i % len(gpus)] if gpus else None for i in range(jobs)]
        self._places = [Place() for _ in self._slots]
        self._taken: dict[int, int] = {}

    @property
    def free(self) -> bool:
        """Whether another run may start now."""
        return len(self._taken) < len(self._slots)

    def start(self, job: Job) -> Handle:
        """Start a run in the first free slot."""
        slot = next(i for i in range(len(self._slots)) if i not in self._taken.values())
        child = Child(job, self._slots[slot], self._places[slot])
        self._taken[id(child)] = slot
        return child

    def release(self, handle: Handle) -> None:
        """Free a run's slot."""
        del self._taken[id(handle)]

    def close(self) -> None:
        """End the processes that are kept for the next run."""
        for place in self._places:
            place.close()


def run_jobs(
    jobs: Sequence[Job],
    host: Host,
    asked: Asked,
    *,
    ended: Callable[[Outcome], None] = lambda outcome: None,
    waiting: Callable[[list[str]], None] = lambda names: None,
) -> list[Outcome]:
    """Run jobs, in order as places become free, and return how each one ended.

    Args:
        jobs: what to run.
        host: where.
        asked: signals; upon the first one runs are asked to end, upon the second killed.
        ended: called with each run's end.
        waiting: called again and again with the names of the runs that go on.
    """
    try:
        return _run_jobs(jobs, host, asked, ended, waiting)
    finally:
        host.close()


def _run_jobs(
    jobs: Sequence[Job],
    host: Host,
    asked: Asked,
    ended: Callable[[Outcome], None],
    waiting: Callable[[list[str]], None],
) -> list[Outcome]:
    left, running = deque(jobs), dict[str, Handle]()
    outcomes: dict[str, Outcome] = {}
    heard = 0
    while left or running:
        if len(asked.signals) > heard:
            heard = len(asked.signals)
            for job in left:
                outcomes[job.name] = Outcome(job.name, "stopped")
            left.clear()
            for handle in running.values():
                handle.stop()
        while left and host.free and not asked.signals:
            job = left.popleft()
            running[job.name] = host.start(job)
        for name, handle in list(running.items()):
            outcome = handle.poll()
            if outcome is not None:
                del running[name]
                host.release(handle)
                outcomes[name] = outcome
                ended(outcome)
        waiting(list(running))
        if running:
            time.sleep(POLL_SECONDS)
    return [outcomes[job.name] for job in jobs]
