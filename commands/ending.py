"""How every command ends when it is asked to: one line, and the exit code of the signal.

Ctrl-C and SIGTERM both interrupt a command; what has more to say of it (``train``, ``sweep``)
hears them itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, taken as Ctrl-C is."""


def _terminated(_: int, __: object) -> NoReturn:
    raise TerminatedError


def _forget() -> None:
    """In a process that was forked off: die of SIGTERM, as its parent expects."""
    if signal.getsignal(signal.SIGTERM) is _terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM interrupt what runs in the context; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def code_of(stopped: KeyboardInterrupt) -> int:
    """Return the exit code: 128 and the signal's number."""
    term = isinstance(stopped, TerminatedError)
    return 128 + (signal.SIGTERM if term else signal.SIGINT)
