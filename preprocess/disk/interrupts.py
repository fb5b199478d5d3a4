"""Ctrl-C and SIGTERM held back while HDF5 works with a file, and heard between two records.

An exception that a signal raises inside HDF5's own calls leaves a half-open file behind, which
crashes the process when it ends. So while a file is written the signals are only noted;
:func:`check` hands the first one on where nothing is half-done, and the end of the context does
at the latest.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class _State:
    """Handlers that were in force before signals were held back, and the signals noted since."""

    before: dict[int, Any] | None = None
    noted: list[int] = []  # noqa: RUF012


def _note(number: int, _: object) -> None:
    _State.noted.append(number)


@contextmanager
def held_back() -> Iterator[None]:
    """Note signals instead of acting on them; only the main thread can, and hears them."""
    main = threading.current_thread() is threading.main_thread()
    if not main or _State.before is not None:
        yield
        return
    _State.noted.clear()
    _State.before = {}
    for number in SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            _State.before[number] = signal.signal(number, _note)
    try:
        yield
    finally:
        before, _State.before = _State.before, None
        for number, handler in before.items():
            signal.signal(number, handler)
        _deliver(before)


def check() -> None:
    """Act on a signal that was held back, where nothing is half-done.

    Raises:
        BaseException: whatever the handler that was in force raises, such as KeyboardInterrupt.
    """
    if _State.before is not None and _State.noted:
        _deliver(_State.before)


def _deliver(handlers: dict[int, Any]) -> None:
    """Hand the first signal that was noted to its handler; the rest said the same."""
    if not _State.noted:
        return
    number = _State.noted[0]
    _State.noted.clear()
    handler: Callable[[int, Any], Any] | signal.Handlers = handlers[number]
    if callable(handler):
        handler(number, None)
    else:  # the system's own: the process dies of it
        signal.signal(number, handler)
        os.kill(os.getpid(), number)


@contextmanager
def blocked() -> Iterator[None]:
    """Start processes that never see these signals; this one gets them a moment later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
