"""Activation checkpointing that moves running statistics once.

A checkpointed stage keeps its input and runs again in the backward pass. While it does, layers
must not update their running statistics a second time: they ask ``recomputing()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from torch.utils.checkpoint import checkpoint

_RECOMPUTING: ContextVar[bool] = ContextVar("recomputing", default=False)
Result = TypeVar("Result")


def recomputing() -> bool:
    """Return whether a checkpointed stage is being run again for its gradients."""
    return _RECOMPUTING.get()


@contextmanager
def _again() -> Iterator[None]:
    token = _RECOMPUTING.set(True)
    try:
        yield
    finally:
        _RECOMPUTING.reset(token)


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _again()


def run_stage(stage: Callable[..., Result], *inputs: Any, keep: bool) -> Result:
    """Run a stage; without ``keep`` nothing inside it is kept for the backward pass."""
    if keep:
        return stage(*inputs)
    outcome = checkpoint(stage, *inputs, use_reentrant=False, context_fn=_contexts)
    return cast(Result, outcome)
