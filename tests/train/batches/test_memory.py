"""How much memory is free, on systems that tell it and on others."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from snntx.train.batches import memory
from snntx.train.batches.memory import free_memory, hold_in_memory


class Cache:
    """Notes how many bytes it may hold."""

    budget = 0

    def hold(self, budget: int) -> bool:
        self.budget = budget
        return True


def on_another_system(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "windows":
        monkeypatch.delattr(os, "sysconf")
    else:

        def unknown(name: str) -> int:
            raise ValueError("unrecognized configuration name")

        monkeypatch.setattr(os, "sysconf", unknown)


def held(cache: Any, lines: list[str]) -> bool:
    return hold_in_memory(cache, lines.append)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells it itself")
def test_linux_tells() -> None:
    free, lines, cache = free_memory(), list[str](), Cache()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert held(cache, lines)
    assert 0 < cache.budget <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    assert lines == []


@pytest.mark.parametrize("kind", ["macos", "windows"])
def test_elsewhere_psutil_tells(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    on_another_system(monkeypatch, kind)
    told = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=1000))
    monkeypatch.setitem(sys.modules, "psutil", told)
    cache, lines = Cache(), list[str]()
    assert held(cache, lines)
    assert (cache.budget, lines) == (500, [])


@pytest.mark.parametrize("kind", ["macos", "windows"])
def test_where_nobody_tells_a_line_says_so(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    on_another_system(monkeypatch, kind)
    monkeypatch.setitem(sys.modules, "psutil", None)
    cache, lines = Cache(), list[str]()
    assert held(cache, lines)
    assert cache.budget == memory.UNKNOWN_BYTES
    (line,) = lines
    assert "free memory of this machine is not known: frames of up to 1 GiB are held" in line
    assert line.endswith("pip install psutil to know")
