"""Compile the CUDA kernels without a GPU, and read from the code what it costs.

Launches are planned for tensors on the ``meta`` device, exactly as for real ones, and compiled
for named architectures. Registers and stack come from the machine code, widths of loads from
PTX. Bytes are counted from the sizes of the tensors that a launch reads and writes.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from triton import compile as compile_source
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ..neurons import Dynamics
from .interface import Affine, Arrived, Layer, Normalised, Population
from .order import empty
from .triton_launch import OPTIONS, Launch
from .triton_plans import Share, Task, plan_backward, plan_forward, plan_statistics

POINTERS = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.uint8: "*u8",
}
TWICE = {"starts", "sum_one", "sum_two", "total", "spread", "by_leak", "by_threshold"}
"""Arguments that are written by one and read by another step of the same pass."""


class Shape(NamedTuple):
    """A layer's current, ``(T, B, C, H, W)``, its order and type, and the pooling behind it."""

    steps: int
    batch: int
    channels: int
    height: int
    columns: int
    last: bool
    dtype: torch.dtype
    pool: int


class Code(NamedTuple):
    """What compiled code costs.

    Attributes:
        registers: per thread.
        stack: bytes per thread of memory for what the registers do not hold.
        widths: bytes that the loads of the current take at a time.
        fused: multiplications and additions rounded once.
    """

    registers: int
    stack: int
    widths: set[int]
    fused: int


def plan_layer(shape: Shape) -> dict[str, Launch]:
    """Return the launches of a training step of a layer with batch statistics of each step."""
    steps, batch, channels, height, columns, last, dtype, pool = shape
    any_size = torch.empty(steps, batch, channels, 1, 1, device="meta")
    current = empty(any_size, height, columns, dtype, last=last)
    rows = torch.empty(steps, channels, device="meta")
    scalar = torch.empty((), device="meta")
    population = Population(scalar, scalar, Dynamics(), 0, 2.0)
    affine = Affine(rows, rows.clone())
    layer = Layer(current, affine, population, pool)
    forward, fired = plan_forward(layer, False)
    normalised = Normalised(rows.clone(), rows.clone(), rows[0], True)
    grad_values = torch.empty_like(fired.values)
    task = Task(layer, Arrived(grad_values, None), normalised)
    grad, share = torch.empty_like(current), Share(rows.clone(), rows.clone())
    return {
        "statistics": plan_statistics(current)[0],
        "forward": forward,
        "backward, sums": plan_backward(task, None, sums=True, scalars=False)[0],
        "backward, gradient": plan_backward(task, grad, sums=False, scalars=False, share=share)[0],
    }


def compile_launch(launch: Launch, capability: int) -> Code:
    """Compile a launch's kernel for an architecture (80 for sm_80) and read its code."""
    names = launch.kernel.arg_names
    signature = {
        name: "constexpr" if name in launch.constants else _type(launch.arguments[name])
        for name in names
    }
    constants = {(names.index(name),): value for name, value in launch.constants.items()}
    aligned = {
        (names.index(name),): [["tt.divisibility", 16]]
        for name, value in launch.arguments.items()
        if isinstance(value, Tensor)
    }
    source = ASTSource(launch.kernel, signature, constants, aligned)
    built = compile_source(source, target=GPUTarget("cuda", capability, 32), options=OPTIONS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(built.asm["cubin"])
        usage = subprocess.run(
            [knobs.nvidia.cuobjdump.path, "-res-usage", str(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = {name: int(number) for name, number in re.findall(r"(\w+):(\d+)", usage)}
    ptx = built.asm["ptx"]
    return Code(
        found["REG"], found["STACK"] + found["LOCAL"], load_widths(ptx), ptx.count("fma.rn.f32")
    )


def load_widths(ptx: str, parameter: int = 0) -> set[int]:
    """Return in how many bytes at a time PTX loads from the pointer of a parameter."""
    addresses: set[str] = set()
    widths = set()
    for line in ptx.splitlines():
        load = re.search(r"\bld\.global[\w.:]*?(?:\.v(\d))?\.[bfus](\d+)\s.*\[\s*(%rd\d+)", line)
        if load:
            if load[3] in addresses:
                widths.add(int(load[1] or 1) * int(load[2]) // 8)
        elif re.search(rf"ld\.param.*_param_{parameter}\]", line):
            addresses.update(re.findall(r"%rd\d+", line))
        else:
            written, *read = re.findall(r"%rd\d+", line) or [""]
            if addresses.intersection(read) and "st." not in line:
                addresses.add(written)
    return widths


def moved(launch: Launch) -> int:
    """Return the bytes that a launch reads and writes, each tensor once.

    A tile's second look at the current, some microseconds after the first, is taken to hit
    the cache. Sums and membranes that are written to be read again count twice.
    """
    tensors = {
        id(value): value.nbytes * (2 if name in TWICE else 1)
        for name, value in reversed(launch.arguments.items())
        if isinstance(value, Tensor)
    }
    return sum(tensors.values())


def least(shape: Shape) -> dict[str, float]:
    """Return the bytes per neuron and step that nothing can do without.

    Forward: the current in, the spikes out. Backward: the current and the spikes' gradient
    in, the current's gradient out; since batch statistics couple all of them, what comes in
    comes twice where a layer is larger than the caches.
    """
    size = shape.dtype.itemsize
    spikes = size / shape.pool**2
    return {
        "statistics": size,
        "forward": size + spikes,
        "backward": 3 * size + 2 * spikes,
    }


def _type(value: object) -> str:
    if isinstance(value, Tensor):
        return POINTERS[value.dtype]
    return "i32" if isinstance(value, int) else "fp32"
