"""Print what the CUDA kernels of the VGG compile to, and the bytes they move: no GPU needed.

    python benchmarks/triton_code.py            Markdown
    python benchmarks/triton_code.py --json     compiled variants
    python benchmarks/triton_code.py --bytes    counted bytes

Columns: registers per thread; spilled: bytes of stack per thread; loads: bytes per load of the
current; fused: multiplications and additions that are rounded once. Bytes are per neuron and
step.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import torch

from snntx.train.network.backends.triton_ahead import (
    Shape,
    compile_launch,
    least,
    moved,
    plan_layer,
)
from snntx.train.network.backends.triton_launch import Launch

CAPABILITIES = (80, 90)
TYPES = (torch.bfloat16, torch.float32)
STEPS, BATCH = 10, 120
LAYERS = (
    (64, 48, 1),
    (128, 48, 2),
    (256, 24, 1),
    (256, 24, 2),
    (512, 12, 1),
    (512, 12, 2),
    (512, 6, 1),
    (512, 6, 2),
)
"""Channels, rows (as many as columns) and pooling of the VGG's layers."""


def shapes() -> list[Shape]:
    """Return every layer of the VGG in every order and type."""
    return [
        Shape(STEPS, BATCH, channels, side, side, last, dtype, pool)
        for last in (True, False)
        for dtype in TYPES
        for channels, side, pool in LAYERS
    ]


def variants() -> list[tuple[Shape, str, Launch]]:
    """Return one launch, and the first layer that makes it, of every variant of the kernels."""
    found: dict[tuple[object, ...], tuple[Shape, str, Launch]] = {}
    for shape in shapes():
        for name, launch in plan_layer(shape).items():
            key = (name, shape.dtype, *launch.constants.items())
            found.setdefault(key, (shape, name, launch))
    return list(found.values())


def describe(shape: Shape) -> dict[str, Any]:
    return {
        "order": "channels-last" if shape.last else "contiguous",
        "type": str(shape.dtype).removeprefix("torch."),
        "pool": shape.pool,
    }


def compiled() -> Iterator[dict[str, Any]]:
    """Yield a row per variant and architecture."""
    for shape, name, launch in variants():
        for capability in CAPABILITIES:
            code = compile_launch(launch, capability)
            yield {
                "kernel": name,
                **describe(shape),
                "height": shape.height,
                "columns": shape.columns,
                "sm": capability,
                "registers": code.registers,
                "spilled": code.stack,
                "loads": sorted(code.widths),
                "fused": code.fused,
            }


def counted() -> Iterator[dict[str, Any]]:
    """Yield a row of bytes per order and type, for layers of 48 x 48 pixels."""
    for shape in shapes():
        if shape.height != LAYERS[0][1]:
            continue
        plan = plan_layer(shape)
        neurons = plan["forward"].arguments["current"].numel()
        each = {name: moved(launch) / neurons for name, launch in plan.items()}
        each["backward"] = each["backward, sums"] + each["backward, gradient"]
        row = describe(shape)
        for name, bound in least(shape).items():
            row[name], row[f"{name}_least"] = each[name], bound
        yield row


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as Markdown."""

    def cell(value: object) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    lines = [list(rows[0]), ["---"] * len(rows[0]), *([*map(cell, row.values())] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bytes", action="store_true")
    options = parser.parse_args()
    if options.bytes:
        print(json.dumps(list(counted())))
    elif options.json:
        print(json.dumps(list(compiled())))
    else:
        print(table(list(compiled())), table(list(counted())), sep="\n\n")


if __name__ == "__main__":
    main()
