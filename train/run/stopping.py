"""Stopping a run between two steps when the system asks the process to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import SnntxError


class StoppedError(SnntxError):
    """The run was asked to end, and left a checkpoint to go on from."""


class StopRequest:
    """Whether the process was asked to end; true from the first SIGTERM on."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, *_: Any) -> None:
        """Ask."""
        self.asked = True


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn SIGTERM into a request while the context lasts; only the main thread can."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
