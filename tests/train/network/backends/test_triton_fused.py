"""The CUDA backend in Triton's interpreter, in processes of its own.

``TRITON_INTERPRET`` decides when Triton is imported, and for good: no other test may see it.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)

FILES = [Path(__file__).parents[3] / f"triton_{name}.py" for name in ("equality", "statistics")]
UNINTERPRETED = """
import torch
from snntx.errors import UsageError
from snntx.train.network.backends.names import fused_backend
try:
    fused_backend("triton").statistics(torch.zeros(1, 1, 1, 2, 2), 1)
except UsageError as error:
    print(error)
"""


def run(*arguments: str, interpret: bool) -> str:
    """Run Python with or without the interpreter of kernels and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    if interpret:
        environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=FILES[0].parents[1],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def interpreted(stage: str) -> str:
    return run(
        "-m",
        "pytest",
        "-q",
        "-m",
        stage,
        "-p",
        "no:cacheprovider",
        *map(str, FILES),
        interpret=True,
    )


def test_kernels_equal_the_definition() -> None:
    assert " passed" in interpreted("not slow")


@pytest.mark.slow
def test_kernels_equal_the_definition_over_a_grid() -> None:
    assert " passed" in interpreted("slow")


def test_the_cpu_needs_the_interpreter() -> None:
    assert "computes on CUDA, not on cpu" in run("-c", UNINTERPRETED, interpret=False)
