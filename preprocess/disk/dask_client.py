"""A connection to an existing Dask cluster whose workers see the same files."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import SnntxError, UsageError

CONNECT_SECONDS = 10


def _seen(token: Path, folders: Sequence[Path]) -> str:
    """Return what is wrong with a worker's view of the files, as that worker sees it."""
    missing = [str(path) for path in (token, *folders) if not path.exists()]
    return f"does not see {missing[0]}" if missing else ""


def _version() -> str:
    return __version__


@contextmanager
def dask_client(address: str, shared: Path, folders: Sequence[Path]) -> Iterator[Any]:
    """Yield a ``distributed.Client`` whose workers have this release and see the same files.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.
        shared: folder that this process writes to and the workers have to see.
        folders: others that they have to see.

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
        _check(client, address, shared, folders)
        yield client


async def _knock(address: str) -> None:
    """Connect once, since a client that cannot leaves a thread and its complaints behind."""
    import distributed

    security: Any = distributed.Security
    connect: Any = distributed.comm.core.connect
    options = security().get_connection_args("client")
    async with asyncio.timeout(CONNECT_SECONDS + 1):  # another kind of server may never answer
        connection = await connect(address, timeout=CONNECT_SECONDS, **options)
    connection.abort()


def _check(client: Any, address: str, shared: Path, folders: Sequence[Path]) -> None:
    token = shared / f".seen-{uuid.uuid4().hex}"
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
