"""Work spread over threads: every part once, errors heard, children without their parent's."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from snntx.train.network.backends.compiled import threads as numba_threads


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 8)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_every_part_is_done_once(threads: int, count: int) -> None:
    torch.set_num_threads(threads)
    done: list[int] = []
    rooms: list[Any] = []

    def kernel(what: str, work: Any, begin: int, end: int) -> None:
        assert what == "what"
        assert len(work) == 5
        rooms.append(work)
        done.extend(range(begin, end))

    numba_threads.spread(kernel, count, "what", room=5)
    assert sorted(done) == list(range(count))
    assert len({each.ctypes.data for each in rooms}) == max(1, min(threads, count))


def test_parts_run_at_the_same_time() -> None:
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=60)

    def kernel(work: Any, begin: int, end: int) -> None:
        both.wait()

    numba_threads.spread(kernel, 2, room=1)


@pytest.mark.parametrize("bad", [0, 2])
def test_an_error_in_any_part_is_raised(bad: int) -> None:
    torch.set_num_threads(3)

    def kernel(work: Any, begin: int, end: int) -> None:
        if begin == bad:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        numba_threads.spread(kernel, 3, room=1)


FORKED = """
import os, torch, numba
from snntx.train.network.backends.compiled import threads as numba_threads
torch.set_num_threads(2)
numba.config.NUMBA_NUM_THREADS = 2
done = []
kernel = lambda work, begin, end: done.append((begin, end))
numba_threads.spread(kernel, 2, room=1)
child = os.fork()
numba_threads.spread(kernel, 2, room=1)
assert len(done) == 4
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_has_threads_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)
