"""The same tasks on an existing Dask cluster whose workers see the same files."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import SnntxError, UsageError
from .tasks import Crew, Task
from .workers import throttled

CONNECT_SECONDS = 10
AHEAD = 4


def _seen(token: Path, folders: Sequence[Path]) -> str:
    """Return what is wrong with a worker's view of the files, as that worker sees it."""
    missing = [str(path) for path in (token, *folders) if not path.exists()]
    return f"does not see {missing[0]}" if missing else ""


def _version() -> str:
    return __version__


def _run(task: Task, number: int, topic: str) -> Any:
    """Run one task on a worker; counts go back as events of the task's own topic."""
    from distributed import get_worker

    worker = get_worker()
    return task.run(throttled(lambda n: worker.log_event(topic, (number, n))))


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

        as_completed: Any = distributed.as_completed
        if not tasks:
            return
        topic = f"snntx-{uuid.uuid4().hex}"
        number_of: dict[Any, int] = {}

        def heard(event: tuple[Any, tuple[int, int]]) -> None:
            done(*event[1])

        def submit() -> Any:
            number = len(number_of)
            future = self._client.submit(_run, tasks[number], number, topic, pure=False)
            number_of[future] = number
            return future

        window = AHEAD * max(1, sum(self._client.nthreads().values()))
        self._client.subscribe_topic(topic, heard)
        try:
            finished = as_completed([submit() for _ in tasks[:window]], loop=self._client.loop)
            for future in finished:
                if len(number_of) < len(tasks):
                    finished.add(submit())
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
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask, which is not installed: pip install 'snntx[dask]'"
        ) from error
    connect: Any = distributed.Client
    try:
        with ThreadPoolExecutor(1) as thread:  # the caller's may have an event loop of its own
            thread.submit(lambda: asyncio.run(_knock(address))).result()
        client = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"--scheduler {address}: no Dask scheduler answers there, expected one such as "
            f"tcp://host:8786 ({' '.join(str(error).split()) or type(error).__name__})"
        ) from error
    with client:
        _check(client, address, building, folders)
        yield DaskCrew(client)


async def _knock(address: str) -> None:
    """Connect once, since a client that cannot leaves a thread and its complaints behind."""
    import distributed

    security: Any = distributed.Security
    connect: Any = distributed.comm.core.connect
    options = security().get_connection_args("client")
    async with asyncio.timeout(CONNECT_SECONDS + 1):  # another kind of server may never answer
        connection = await connect(address, timeout=CONNECT_SECONDS, **options)
    connection.abort()


def _check(client: Any, address: str, building: Path, folders: Sequence[Path]) -> None:
    token = building / f".seen-{uuid.uuid4().hex}"
    token.touch()
    try:
        versions: dict[str, str] = client.run(_version)
        seen: dict[str, str] = client.run(_seen, token, list(folders))
    except Exception as error:
        raise SnntxError(
            f"--scheduler {address}: its workers cannot run snntx {__version__}; install it there "
            f"({' '.join(str(error).split()) or type(error).__name__})"
        ) from error
    finally:
        token.unlink()
    if not versions:
        raise SnntxError(f"--scheduler {address}: the cluster has no worker; start one")
    for worker, version in versions.items():
        if version != __version__:
            raise SnntxError(
                f"--scheduler {address}: worker {worker} has snntx {version}, this is "
                f"{__version__}; install the same release"
            )
    for worker, complaint in seen.items():
        if complaint:
            raise SnntxError(
                f"--scheduler {address}: worker {worker} {complaint}; every worker must see the "
                "raw files and the cache folder under the same paths"
            )
