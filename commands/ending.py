"""How every command ends when it is asked to: one line, and the exit code of the signal.

Ctrl-C and SIGTERM both interrupt a command; what has more to say of it (``train``, ``sweep``)
hears them itself. Before a command begins there is nothing to put in order, so the program ends at
once, and nothing that is being imported can swallow the interrupt; once its exit code is decided,
a signal changes neither that nor what was printed. Imports no more than it needs.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

INTERRUPTED = "interrupted; run the same command again to go on"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, taken as Ctrl-C is."""


def _terminated(_: int, __: object) -> NoReturn:
    raise TerminatedError


def _at_once(number: int, _: object) -> NoReturn:
    with suppress(OSError):
        os.write(2, f"snntx: {INTERRUPTED}\n".encode())
    os._exit(128 + number)


def end_at_once() -> None:
    """From here to the first command, let a signal end the program in one line."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _at_once)


def decided(code: int) -> None:
    """From here to the process's end, let a signal hurry it and change nothing."""

    def leave(_: int, __: object) -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, RuntimeError, AttributeError):
                stream.flush()
        os._exit(code)

    for number in SIGNALS:
        if signal.getsignal(number) is _at_once:
            signal.signal(number, leave)


def _forget() -> None:
    """In a process that was forked off: die of SIGTERM, as its parent expects."""
    if signal.getsignal(signal.SIGTERM) in (_terminated, _at_once):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM interrupt what runs in the context; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _terminated)}
    if signal.getsignal(signal.SIGINT) is _at_once:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def code_of(stopped: KeyboardInterrupt) -> int:
    """Return the exit code: 128 and the signal's number."""
    term = isinstance(stopped, TerminatedError)
    return 128 + (signal.SIGTERM if term else signal.SIGINT)
