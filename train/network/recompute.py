"""What is not kept for the backward pass, and made again there; running statistics move once.

A checkpointed stage keeps its input and runs again in the backward pass. While it does, layers
must not update their running statistics a second time: they ask ``recomputing()``. A single tensor
that is cheaper to make than to keep is left out by :func:`made_again`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_RECOMPUTING: ContextVar[bool] = ContextVar("recomputing", default=False)
_STAGED: ContextVar[bool] = ContextVar("staged", default=False)
Result = TypeVar("Result")


def recomputing() -> bool:
    """Return whether a checkpointed stage is being run again for its gradients."""
    return _RECOMPUTING.get()


@contextmanager
def _set(variable: ContextVar[bool]) -> Iterator[None]:
    token = variable.set(True)
    try:
        yield
    finally:
        variable.reset(token)


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return _set(_STAGED), _set(_RECOMPUTING)


def made_again(tensor: Tensor, make: Callable[[], Tensor]) -> AbstractContextManager[Any]:
    """Return a context in which a tensor is not kept for the backward pass, but made again there.

    In a stage that keeps nothing, which runs again as a whole, the context does nothing; nor does
    it where ``torch.compile`` traces.

    Args:
        tensor: what would be kept, by operations inside the context.
        make: makes it, equal to the bit and in the same order in memory; it is called without
            gradients, and while it is ``recomputing()`` is true.
    """
    if _STAGED.get() or _RECOMPUTING.get() or torch.compiler.is_compiling():
        return nullcontext()
    place, shape, strides = tensor.data_ptr(), tensor.shape, tensor.stride()

    def pack(saved: Tensor) -> Tensor | None:
        same = saved.data_ptr() == place and saved.shape == shape and saved.stride() == strides
        return None if same else saved

    def unpack(saved: Tensor | None) -> Tensor:
        if saved is not None:
            return saved
        with torch.no_grad(), _set(_RECOMPUTING):
            return make()

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def run_stage(stage: Callable[..., Result], *inputs: Any, keep: bool) -> Result:
    """Run a stage; without ``keep`` nothing inside it is kept for the backward pass."""
    if keep:
        return stage(*inputs)
    outcome = checkpoint(stage, *inputs, use_reentrant=False, context_fn=_contexts)
    return cast(Result, outcome)
