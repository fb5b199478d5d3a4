"""The same tasks on an existing Dask cluster whose workers see the same files."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from ...errors import SnntxError
from ..disk.dask_client import dask_client
from ..disk.interrupts import check
from .tasks import Crew, Task
from .workers import HEAR_SECONDS, throttled

AHEAD = 4


def _run(task: Task, number: int, topic: str) -> Any:
    """Run one task on a worker; counts go back as events of the task's own topic."""
    from distributed import get_worker

    worker = get_worker()
    return task.run(throttled(lambda n: worker.log_event(topic, (number, n))))


def _next(finished: Queue[Any]) -> Any:
    """Return the next finished future; signals that were held back are heard meanwhile."""
    while True:
        check()
        try:
            return finished.get(timeout=HEAR_SECONDS)
        except Empty:
            continue


class DaskCrew:
    """Runs tasks on the workers of a ``distributed.Client``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(
        self, tasks: Sequence[Task], done: Callable[[int, int], None], least: int = 0
    ) -> Iterator[tuple[int, Any]]:
        """Yield number and result of each task as it is finished; see ``tasks.Crew``.

        Raises:
            SnntxError: the cluster lost a worker too often.
            Exception: whatever a task raised.
        """
        import distributed

        if not tasks:
            return
        topic = f"snntx-{uuid.uuid4().hex}"
        number_of: dict[Any, int] = {}
        finished: Queue[Any] = Queue()

        def heard(event: tuple[Any, tuple[int, int]]) -> None:
            done(*event[1])

        def submit() -> None:
            number = len(number_of)
            future = self._client.submit(_run, tasks[number], number, topic, pure=False)
            number_of[future] = number
            future.add_done_callback(finished.put)

        window = AHEAD * max(1, sum(self._client.nthreads().values()))
        self._client.subscribe_topic(topic, heard)
        try:
            for _ in tasks[:window]:
                submit()
            for _ in tasks:
                future = _next(finished)
                if len(number_of) < len(tasks):
                    submit()
                try:
                    result = future.result()
                except distributed.KilledWorker as error:
                    raise SnntxError(
                        f"the cluster's workers died while making {tasks[number_of[future]].title} "
                        "(out of memory?); finished shards are kept: run the same command again"
                    ) from error
                yield number_of[future], result
                future.release()
        finally:
            self._client.cancel(list(number_of))
            self._client.unsubscribe_topic(topic)


@contextmanager
def dask_crew(address: str, building: Path, folders: Sequence[Path]) -> Iterator[Crew]:
    """Connect to a cluster and check that its workers can do this build.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.
        building: folder the shards go to.
        folders: folders of raw files.

    Raises:
        UsageError: Dask is not installed, or nothing answers at the address.
        SnntxError: no worker, another release of snntx there, or other files.
    """
    with dask_client(address, building, folders) as client:
        yield DaskCrew(client)
