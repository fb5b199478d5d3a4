"""Compiled loops spread over threads: each takes a part of the tiles, without Python's lock.

Threads of Python's own rather than Numba's: a function that Numba makes parallel takes four times
as long to compile. Their number follows ``torch.get_num_threads()``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import torch
from numba.core.dispatcher import Dispatcher

from .ahead import before_first_call

NUMPY: dict[torch.dtype, type[np.floating[Any]]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}
"""What the numbers beside an array are, by their type in torch."""
_pools: dict[int, ThreadPoolExecutor] = {}
"""Threads by their number; those that are idle wait without computing."""
_called: set[Any] = set()


def spread(
    kernel: Callable[..., None],
    count: int,
    *arguments: Any,
    room: int,
    kind: type[np.floating[Any]] = np.float32,
) -> None:
    """Call ``kernel(*arguments, work, begin, end)`` for parts of ``range(count)`` at once.

    Args:
        kernel: compiled, and free of Python's lock; what it writes depends on no other part.
        count: of tiles, or of other parts of the work.
        arguments: the same for every call.
        room: numbers that each call has for itself, as ``work``.
        kind: of these numbers.
    """
    if kernel not in _called and isinstance(kernel, Dispatcher):
        before_first_call(kernel, (*arguments, np.empty(0, kind), 0, 0))
        _called.add(kernel)
    parts = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS, count)
    ends = [count * (i + 1) // parts for i in range(parts)]

    def run(begin: int, end: int) -> None:
        kernel(*arguments, np.empty(room, kind), begin, end)

    if parts > 1:
        if parts not in _pools:
            _pools[parts] = ThreadPoolExecutor(parts - 1, thread_name_prefix="snntx-kernel")
        others = [_pools[parts].submit(run, *each) for each in itertools.pairwise(ends)]
    else:
        others = []
    run(0, ends[0] if parts else 0)
    for other in others:
        other.result()


os.register_at_fork(after_in_child=_pools.clear)  # a child has none of its parent's threads
