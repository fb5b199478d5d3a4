"""What is odd about one recording or picture that is used all the same, said while it is read.

In: :func:`remark`, called by whatever reads or frames it. Out: the remarks, in the hands of
whoever reads it inside :func:`hearing`; a build counts them and keeps them in the cache. Where
nobody hears them, they are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Remark(NamedTuple):
    """One remark.

    Attributes:
        kind: one word that programs tell it by, such as ``wrapped``.
        text: what follows "3 recordings", without numbers of its own, so that the same remark on
            many of them is one line: ``whose counter of time wrapped: it was unwrapped``.
        events: how many events of the recording it is about; 0 where it is about the whole.
    """

    kind: str
    text: str
    events: int = 0

    @property
    def whole(self) -> str:
        """The text, with the number of events where it is about single ones."""
        return f"{self.text}: {counted(self.events)}" if self.events else self.text


def counted(events: int) -> str:
    """Return a number of events in words."""
    return f"{events:,} event{'s' * (events != 1)}"


_heard: ContextVar[list[Remark] | None] = ContextVar("heard", default=None)


def remark(kind: str, text: str, events: int = 0) -> None:
    """Say what is odd about the recording or picture that is being read; see :class:`Remark`."""
    heard = _heard.get()
    if heard is not None and Remark(kind, text, events) not in heard:
        heard.append(Remark(kind, text, events))


@contextmanager
def hearing() -> Iterator[list[Remark]]:
    """Yield a list that every remark made inside comes into, each once.

    Who reads several things inside one ``with`` takes the remarks of each out of it before the
    next one is read.
    """
    heard: list[Remark] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)
