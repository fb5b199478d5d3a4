"""Kernels that are not on disk yet are compiled by another process while the data open.

In: which kernels a run will call, and whether currents are bfloat16. Out: compiled kernels in
Numba's cache on disk, found there by whoever calls them. A process, since Numba compiles under one
lock that threads would wait for. It ends with this one; where it fails, kernels are compiled where
they are called. No kernel is compiled twice at a time on one machine.

    python -m snntx.train.network.backends.compiled.ahead float32|bfloat16 KERNEL...
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numba import types

from .....preprocess.disk.locks import waiting_for
from . import attention, counting, graded, gradients, kernels

KERNELS = {
    "sums": kernels.sums,
    "forward": kernels.forward,
    "through_time": gradients.through_time,
    "through_norm": gradients.through_norm,
    "run_graded": graded.run_graded,
    "through_graded": graded.through_graded,
    "summaries": attention.summaries,
    "pooled": attention.pooled,
    "gated": attention.gated,
    "by_spatial": attention.by_spatial,
    "through": attention.through,
    "arriving": counting.arriving,
    "firing": counting.firing,
    "counted_forward": counting.counted_forward,
}
NEURONS = ("forward", "through_time")
GRADED = ("run_graded", "through_graded")
NORM = ("sums", "through_norm")
ATTENTION = ("summaries", "pooled", "gated", "by_spatial", "through")
COUNTING = ("arriving", "firing", "counted_forward")
LINE = "compiling the kernels, once: "
_running: list[tuple[subprocess.Popen[bytes], Callable[[str], None]]] = []


def needed(
    *, trains: bool, normed: bool, attended: bool = False, graded: bool = False
) -> list[str]:
    """Return the kernels that a network calls; one that does not train runs forward alone.

    Graded neurons have kernels of their own, and their norm is torch's.
    """
    neurons = GRADED if graded else NEURONS
    if not trains:
        return [neurons[0], *(ATTENTION[:3] if attended else ())]
    norm = NORM if normed and not graded else ()
    called = {*neurons, *norm, *(ATTENTION if attended else ())}
    return [name for name in KERNELS if name in called]


def signature(name: str, kind: str) -> tuple[Any, ...]:
    """Return the types that a kernel is called with, for currents ``float32`` or ``bfloat16``."""
    f32, f64, whole, flag = types.float32, types.float64, types.int64, types.boolean
    numbers, exact, codes = (types.Array(each, 1, "C") for each in (f32, f64, types.uint8))
    current = types.Array(types.uint16, 1, "C") if kind == "bfloat16" else numbers
    rows, part = (numbers, numbers), (numbers, whole, whole)
    if name == "sums":
        return (current, numbers, exact, exact, types.UniTuple(whole, 3), *part)
    if name == "forward":
        out = (types.UniTuple(whole, 8), current, codes, numbers)
        return (current, *rows, f32, f32, flag, flag, *out, *part)
    if name == "through_time":
        neurons = (f32, f32, flag, flag, flag, whole, f32)
        arrived = (types.UniTuple(whole, 8), current, numbers, flag, current, exact)
        return (current, *rows, *rows, *neurons, *arrived, *part)
    if name in GRADED:
        return (current, *_of_graded(name, current), *part)
    if name in ATTENTION:
        return (current, *_of_attention(name, current), *part)
    if name in COUNTING:
        return (current, *_of_counting(name, rows, codes), *part)
    return (current, *rows, numbers, types.UniTuple(whole, 4), current, *part)


def _of_counting(name: str, rows: Any, codes: Any) -> tuple[Any, ...]:
    """Return what the counting kernels are called with, likewise; ``firing`` in float32 alone."""
    f32, whole, flag = types.float32, types.int64, types.boolean
    numbers, places = types.Array(f32, 1, "C"), types.Array(whole, 1, "C")
    two, three, eight = (types.UniTuple(whole, count) for count in (2, 3, 8))
    if name == "arriving":
        return (places, whole, two, places, places)
    if name == "firing":
        return (numbers, three, places, places, places)
    fired = types.Array(types.int32, 1, "C")
    return (*rows, f32, f32, flag, flag, eight, numbers, codes, fired, places, places)


def _of_graded(name: str, current: Any) -> tuple[Any, ...]:
    """Return what the graded neurons' kernels are called with, likewise."""
    f32, whole, flag = types.float32, types.int64, types.boolean
    numbers, exact = (types.Array(each, 1, "C") for each in (f32, types.float64))
    levels = (f32, f32, whole, types.UniTuple(whole, 3))
    if name == "run_graded":
        return (f32, f32, flag, flag, *levels, current, numbers)
    slope = (flag, whole, f32)
    return (f32, f32, flag, flag, *slope, *levels, current, numbers, current, exact)


def _of_attention(name: str, current: Any) -> tuple[Any, ...]:
    """Return what the attention's kernels are called with, between the maps and ``work``."""
    numbers, exact, places = (
        types.Array(each, 1, "C") for each in (types.float32, types.float64, types.int64)
    )
    two, three, five = (types.UniTuple(types.int64, count) for count in (2, 3, 5))
    found: dict[str, tuple[Any, ...]] = {
        "summaries": (exact, numbers, two),
        "pooled": (numbers, five, numbers, places),
        "gated": (numbers, numbers, three, current),
        "by_spatial": (current, numbers, five, numbers),
        "through": (current, numbers, numbers, numbers, three, current, numbers),
    }
    return found[name]


def is_kept(kernel: Any, kinds: tuple[Any, ...]) -> bool:
    """Say whether a kernel is compiled for these types, here or on disk."""
    if kinds in kernel.overloads:
        return True
    return kernel._cache.load_overload(kinds, kernel.targetctx) is not None


def compile_ahead(names: Sequence[str], kind: str, say: Callable[[str], None]) -> None:
    """Start a process that compiles what is not kept yet; the first call of a kernel waits for it.

    Args:
        names: of ``KERNELS``.
        kind: ``float32`` or ``bfloat16``, the currents' type.
        say: called with one line where something has to be compiled.
    """
    missing = [name for name in names if not is_kept(KERNELS[name], signature(name, kind))]
    if not missing:
        return
    say(LINE + ", ".join(missing))
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, kind, *missing],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is this process's to hear
        )
    except OSError as error:
        say(f"no process to compile in could be started ({error.strerror}); it is done here")
        return
    atexit.register(process.kill)
    _running.append((process, say))


def before_first_call(kernel: Any, arguments: Sequence[Any]) -> None:
    """Wait for what compiles a kernel; say so where it has to be compiled here after all."""
    while _running:
        process, say = _running.pop()
        code = process.wait()
        atexit.unregister(process.kill)
        if code:
            say(f"the process that compiled the kernels ended with code {code}; it is done here")
            return
    from numba import typeof

    if not is_kept(kernel, tuple(map(typeof, arguments))):
        print(f"snntx: {LINE}{kernel.__name__}", file=sys.stderr)


def main(kind: str, *names: str) -> None:
    """Compile kernels, and keep them on disk; wait for another process that does."""
    for name in names:
        place = Path(KERNELS[name].stats.cache_path)
        place.mkdir(parents=True, exist_ok=True)
        with waiting_for(place / f".{name}-{kind}.lock", "compiling", lambda line: None):
            KERNELS[name].compile(signature(name, kind))


if __name__ == "__main__":
    main(*sys.argv[1:])
