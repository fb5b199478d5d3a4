"""The runs of a sweep on a Dask cluster whose workers see the same files.

A worker starts the same two processes as this machine would, so it needs snntx and the cache
alone. Dask cannot end a task that has begun; the workers look for a file instead, and ask
their processes to end when it is gone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import SnntxError
from ...preprocess.disk.dask_client import dask_client
from .child import Child, Job, Outcome
from .jobs import Handle

LOOK_SECONDS = 0.5


def run_on_worker(job: Job, token: Path) -> Outcome:
    """Run one job on the worker this is called on, for as long as ``token`` is there."""
    if not token.exists():
        return Outcome(job.name, "stopped")
    child, asked = Child(job), False
    while (outcome := child.poll()) is None:
        if not asked and not token.exists():
            child.stop()
            asked = True
        time.sleep(LOOK_SECONDS)
    return outcome


class _Task:
    """A run on the cluster."""

    def __init__(self, name: str, future: Any, token: Path) -> None:
        self._name, self._future, self._token = name, future, token
        self._asked = False

    def poll(self) -> Outcome | None:
        """Return how it ended, or None while it goes on."""
        import distributed

        if self._future.status == "pending":
            return None
        if self._future.status == "finished":
            outcome: Outcome = self._future.result()
            return outcome
        if self._future.status == "cancelled":
            gone = "stopped" if self._asked else "failed"
            return Outcome(self._name, gone, "" if self._asked else "the cluster gave it up")
        error = self._future.exception()
        if isinstance(error, distributed.KilledWorker):
            return Outcome(
                self._name, "failed", "the cluster's workers died in it (out of memory?)"
            )
        text = " ".join(str(error).split())
        return Outcome(self._name, "failed", f"the cluster lost it: {text or type(error).__name__}")

    def stop(self) -> None:
        """Ask the worker to end it; asked again, do not wait for it."""
        self._token.unlink(missing_ok=True)
        if self._asked:
            self._future.cancel()
        self._asked = True


class Cluster:
    """The workers of a ``distributed.Client``, each with as many runs as it has threads."""

    free = True

    def __init__(self, client: Any, token: Path) -> None:
        self._client, self._token = client, token

    def start(self, job: Job) -> Handle:
        """Hand a run to the cluster, which starts it when a worker is free."""
        future = self._client.submit(run_on_worker, job, self._token, pure=False)
        return _Task(job.name, future, self._token)

    def release(self, handle: Handle) -> None:
        """Nothing: the cluster counts for itself."""

    def close(self) -> None:
        """Nothing: each run's processes are fresh ones."""


@contextmanager
def cluster_at(address: str, out: Path, folders: Sequence[Path]) -> Iterator[Cluster]:
    """Connect to a cluster and check that its workers can do these runs.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.
        out: folder of the run directories.
        folders: that the workers have to see besides.

    Raises:
        UsageError: Dask is not installed, or nothing answers at the address.
        SnntxError: no worker, another release of snntx there, or other files.
    """
    token = out / f".running-{uuid.uuid4().hex}"
    with dask_client(address, out, folders) as client:
        try:
            token.touch()
        except OSError as error:
            raise SnntxError(f"{out}: cannot be written: {error.strerror}") from error
        try:
            yield Cluster(client, token)
        finally:
            token.unlink(missing_ok=True)
