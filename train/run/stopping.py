"""Stopping a run between two steps when the system or the keyboard asks the process to end.

Validation, which may take long and changes nothing, is left at the next layer; what goes on from
there validates the epoch again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import SnntxError

if TYPE_CHECKING:
    from torch import nn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(SnntxError):
    """The run was asked to end.

    Attributes:
        code: exit code of a process that ends so: 128 and the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class LeftError(Exception):
    """A model's pass was left since the process was asked to end."""


class StopRequest:
    """Whether the process was asked to end: true from the first SIGTERM or Ctrl-C on."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def __call__(self, number: int, _: object = None) -> None:
        """Note one signal; whoever presses Ctrl-C again does not want to wait."""
        self.signals.append(number)
        if number == signal.SIGINT and len(self.signals) > 1:
            raise KeyboardInterrupt

    @property
    def asked(self) -> int:
        """The first signal's number; 0 before there was one."""
        return self.signals[0] if self.signals else 0


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn SIGTERM and Ctrl-C into a request while the context lasts; only the main thread can."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = [(number, signal.signal(number, request)) for number in SIGNALS]
    try:
        yield request
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def leaving(model: nn.Module, request: StopRequest) -> Iterator[None]:
    """Let passes of a model inside the context end at the next layer once the process is asked to.

    Raises:
        LeftError: one did.
    """

    def check(*_: object) -> None:
        if request.asked:
            raise LeftError

    hooks = [module.register_forward_pre_hook(check) for module in model.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
