"""One training step of arch A with Advance Spatial Attention, against a plain restatement.

    python benchmarks/asa_step.py [--batch 4] [--steps 60] [--rounds 3] [--bytes-only]

Both networks of ``asa3`` and of ``plain_asa.py`` do forward, the squared loss, backward and an Adam
step on one batch of frames ``(B, T, 2, 32, 32)``, with attention (reduction 4, as published) and
without, in turn in one process on the CPU. The attention's share is what its steps take more. Time
is the process's CPU time over all threads, since others may compute on the machine; ratios are
taken round by round. Bytes saved for backward: unique storages without the parameters. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from contenders import kept_mib
from plain_asa import PlainA
from torch import Tensor, nn
from torch.nn import functional

from snntx.train.method.losses import squared_loss
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model

CLASSES, REDUCTION = 11, 4
PLAIN, OURS = "plain", "this"


def make(
    contender: str, steps: int, *, attended: bool, device: torch.device | None = None
) -> nn.Module:
    """Return a contender's network, with the weights that seed 0 draws."""
    torch.manual_seed(0)
    if contender == PLAIN:
        network: nn.Module = PlainA(steps, CLASSES, REDUCTION if attended else None)
        return network.to(device)
    attention = Attention(mode="reference", reduction=REDUCTION) if attended else None
    model = create_model("asa3", num_classes=CLASSES, steps=steps, attention=attention)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def batch_of(batch: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return frames ``(B, T, 2, 32, 32)`` and labels."""
    generator = torch.Generator().manual_seed(1)
    shape = batch, steps, 2, 32, 32
    frames = torch.poisson(torch.full(shape, 0.3), generator=generator)
    return frames, torch.arange(batch) % CLASSES


def loss_of(contender: str, model: nn.Module, frames: Tensor, labels: Tensor) -> Tensor:
    """Return the squared loss of one batch, 0-d."""
    if contender == PLAIN:
        return functional.mse_loss(model(frames), functional.one_hot(labels, CLASSES).float())
    return squared_loss(model.forward_event(frames), labels)  # type: ignore[operator]


def step_of(contender: str, model: nn.Module, frames: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return a function that takes one step of Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(contender, model, frames, labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def spread(ratios: list[float]) -> str:
    return f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bytes-only", action="store_true")
    options = parser.parse_args()
    frames, labels = batch_of(options.batch, options.steps)
    print(f"arch A: batch {options.batch}, T = {options.steps}, 32x32;", end=" ")
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    names = [(contender, attended) for attended in (True, False) for contender in (PLAIN, OURS)]
    saved, times = {}, {each: list[float]() for each in names}
    for contender, attended in names:
        model = make(contender, options.steps, attended=attended)
        saved[contender, attended] = kept_mib(
            model, lambda c=contender, m=model: loss_of(c, m, frames, labels)
        )
    if not options.bytes_only:
        steps = {
            each: step_of(each[0], make(each[0], options.steps, attended=each[1]), frames, labels)
            for each in names
        }
        for number in range(options.rounds + 1):
            for each, step in steps.items():
                began = time.process_time()
                step()
                if number:  # the first round warms up
                    times[each].append(time.process_time() - began)
    print(
        "| attention | contender | saved MiB | this / plain, bytes | CPU s a step | this / plain |"
    )
    print("|---|---|---|---|---|---|")
    for contender, attended in names:
        row = [f"{saved[contender, attended]:.0f}", "", "", ""]
        if contender == OURS:
            row[1] = f"{saved[OURS, attended] / saved[PLAIN, attended]:.2f}"
        if not options.bytes_only:
            own = times[contender, attended]
            row[2] = f"{np.median(own):.2f}"
            if contender == OURS:
                pairs = zip(own, times[PLAIN, attended], strict=True)
                row[3] = spread([a / b for a, b in pairs])
        print(f"| {'asa' if attended else 'none'} | {contender} | {' | '.join(row)} |")
    for contender in () if options.bytes_only else (PLAIN, OURS):
        pairs = zip(times[contender, True], times[contender, False], strict=True)
        print(
            f"\nattention's share of a step, {contender}: {spread([1 - b / a for a, b in pairs])}"
        )


if __name__ == "__main__":
    main()
