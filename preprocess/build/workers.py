"""Tasks in this process, or in worker processes that live as long as one build.

Each worker is spawned and joined to this process by one pipe, which carries tasks one way,
counts, results and errors the other. A pipe rather than an executor, because its end is all
one needs to know: a worker that dies closes it, so the build ends with a line that names the
shard; a parent that dies closes it, so no worker is left behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Self

from ...errors import SnntxError, UsageError
from ..disk.interrupts import blocked, check, held_back
from ..disk.kernel_cache import place_kernels
from .tasks import Task

REPORT_SECONDS = 0.1
"""Least time between two counts of one worker."""
AHEAD = 4
"""Tasks that may be begun, for each worker, before the first unfinished one is finished."""
CLOSE_SECONDS = 5
HEAR_SECONDS = 0.2
"""Between two looks for a signal that was held back."""


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Runs tasks in up to ``jobs`` processes, started when there is work for two.

    Args:
        jobs: most processes; 1 runs everything in this one.

    Raises:
        UsageError: ``jobs`` is not positive.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise UsageError(f"jobs must be at least 1, found {jobs}")
        self._jobs = jobs
        self._crew: dict[Connection, SpawnProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with held_back():
            self._end(kill=kind is not None)

    def _end(self, *, kill: bool) -> None:
        for connection, process in self._crew.items():
            if kill:
                process.kill()
            connection.close()  # a worker that reads its end ends
        deadline = time.monotonic() + CLOSE_SECONDS
        for process in self._crew.values():
            process.join(max(0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        self._crew = {}

    def run(
        self, tasks: Sequence[Task], done: Callable[[int, int], None], least: int = 2
    ) -> Iterator[tuple[int, Any]]:
        """Yield number and result of each task as it is finished; see ``tasks.Crew``.

        Raises:
            SnntxError: a worker died.
            Exception: whatever a task raised.
        """
        if not self._crew and (self._jobs == 1 or len(tasks) < least):
            for number, task in enumerate(tasks):
                check()
                yield number, task.run(_heard(done, number))
            return
        place_kernels()  # once for all of them
        while len(self._crew) < min(self._jobs, len(tasks)):
            self._start_one()
        running: dict[Connection, int] = {}
        begun, unfinished = 0, set(range(len(tasks)))
        while unfinished:
            for connection in self._crew.keys() - running.keys():
                if begun < min(len(tasks), min(unfinished) + AHEAD * len(self._crew)):
                    running[connection] = begun
                    self._send(connection, tasks[begun])
                    begun += 1
            finished: list[tuple[int, Any]] = []
            ready = wait(list(running), HEAR_SECONDS)
            check()
            for connection in [one for one in running if one in ready]:
                number = running[connection]
                kind, value = self._receive(connection, tasks[number])
                if kind == "count":
                    done(number, value)
                elif kind == "error":
                    raise value
                else:
                    del running[connection]
                    unfinished.remove(number)
                    finished.append((number, value))
            yield from finished

    def _start_one(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        resource_tracker.ensure_running()  # which would let the signals in again
        with held_back(), blocked():
            process = context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
        theirs.close()
        self._crew[ours] = process

    def _send(self, connection: Connection, task: Task) -> None:
        try:
            connection.send(task)
        except OSError as error:
            raise self._death(connection, task) from error

    def _receive(self, connection: Connection, task: Task) -> tuple[str, Any]:
        try:
            kind, value = connection.recv()
        except (EOFError, OSError) as error:
            raise self._death(connection, task) from error
        return kind, value

    def _death(self, connection: Connection, task: Task) -> SnntxError:
        process = self._crew[connection]
        process.join(CLOSE_SECONDS)
        check()  # whoever stops them all stops this process too
        code = process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return SnntxError(
            f"a worker process {how} while making {task.title} (out of memory?); finished shards "
            "are kept: run the same command again, perhaps with a smaller --jobs"
        )


def _heard(done: Callable[[int, int], None], number: int) -> Callable[[int], None]:
    """Return what a task in this process counts with: signals are heard between two counts."""

    def count(finished: int) -> None:
        check()
        done(number, finished)

    return count


class _Alone(BaseException):
    """The process that handed out the task is gone."""


def serve(connection: Connection) -> None:
    """Run tasks until the pipe ends: the whole life of a worker process."""
    try:
        while True:
            task: Task = connection.recv()
            try:
                answer = "result", task.run(throttled(lambda n: _tell(connection, n)))
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = "error", error
            try:
                connection.send(answer)
            except (TypeError, AttributeError, ValueError) as error:  # it cannot be pickled
                connection.send(("error", RuntimeError(f"{answer[1]!r}: {error}")))
    except (EOFError, OSError, _Alone):
        return


def _tell(connection: Connection, count: int) -> None:
    try:
        connection.send(("count", count))
    except OSError as error:
        raise _Alone from error


def throttled(tell: Callable[[int], None]) -> Callable[[int], None]:
    """Return ``tell`` at most every :data:`REPORT_SECONDS`."""
    last = time.monotonic()

    def count(number: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_SECONDS:
            last = now
            tell(number)

    return count
