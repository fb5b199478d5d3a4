"""What the CUDA kernels compile to, for every variant of a training step of the VGG.

The compiler wants kernels that are not interpreted, so it runs in a process of its own.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[4] / "benchmarks" / "triton_code.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="Triton is not installed"
    ),
]


@pytest.fixture(scope="module")
def variants() -> list[dict[str, Any]]:
    """Return the table of ``benchmarks/triton_code.py``, a dictionary per row."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--json"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_every_kernel_is_compiled(variants: list[dict[str, Any]]) -> None:
    kernels = {"statistics", "forward", "backward, sums", "backward, gradient"}
    orders, types = {"channels-last", "contiguous"}, {"bfloat16", "float32"}
    found = {(row["kernel"], row["order"], row["type"], row["pool"], row["sm"]) for row in variants}
    for kernel in kernels:
        pools = {1} if kernel == "statistics" else {1, 2}
        wanted = {
            (kernel, order, kind, pool, sm)
            for order in orders
            for kind in types
            for pool in pools
            for sm in (80, 90)
        }
        assert wanted <= found


def test_nothing_is_spilled(variants: list[dict[str, Any]]) -> None:
    assert [row for row in variants if row["spilled"]] == []


def test_spikes_are_rounded_as_defined(variants: list[dict[str, Any]]) -> None:
    assert [row for row in variants if row["fused"]] == []


def test_loads_are_as_wide_as_the_lines_allow(variants: list[dict[str, Any]]) -> None:
    for row in variants:
        size = {"bfloat16": 2, "float32": 4}[row["type"]]
        if row["order"] == "channels-last":
            widest = 16
        else:
            # a pooled forward pass goes through rows of pixels, everything else through planes
            rows = row["kernel"] == "forward" and row["pool"] > 1
            line = row["columns"] if rows else row["height"] * row["columns"]
            widest = min(16, line * size & -(line * size))
        assert row["loads"] == [widest], row
        assert widest == 16 or row["height"] <= 12


def test_bytes_are_near_the_least() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--bytes"], capture_output=True, text=True, check=True
    )
    rows = json.loads(done.stdout)
    assert len(rows) == 8
    for row in rows:
        # codes, one byte per window, are the forward pass's; sums are the rest
        assert row["forward"] <= row["forward_least"] + 1.01
        for name in ("statistics", "backward"):
            assert row[name] <= 1.13 * row[f"{name}_least"], row
