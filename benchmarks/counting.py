"""What counting adds to classifying: spikes alone, and operations with membranes and neurons.

    python benchmarks/counting.py [--models vgg nmnist asa3] [--batch 8] [--rounds 7]

Each network classifies one batch of drawn frames (T = 10, its own size, weights of seed 0): as it
is, with spikes counted (what ``snntx evaluate`` always does), and with operations counted too (what
``--energy`` adds), in turn in one process on the CPU. Time is the process's CPU time over all
threads, since others may compute on the machine; ratios are taken round by round. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from snntx.train.measure.firing import SpikeCounts
from snntx.train.measure.operations import OperationCounts
from snntx.train.network.create import create_model

STEPS, CLASSES = 10, 101
WAYS = {"nothing": (), "spikes": (SpikeCounts,), "operations": (OperationCounts, SpikeCounts)}


def seconds(name: str, batch: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each way in each round; a first round is left out."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=CLASSES, steps=STEPS).eval()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(1)
    shape = batch, STEPS, 2, *model.size
    frames = torch.poisson(torch.full(shape, 0.3), generator=generator)
    counters = {way: [each(model) for each in kinds] for way, kinds in WAYS.items()}
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for way, used in counters.items():
                with ExitStack() as stack:
                    for each in used:
                        stack.enter_context(each)
                    began = time.process_time()
                    model.forward_event(frames)
                    taken = time.process_time() - began
                if number:
                    found[way].append(taken)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", default=["vgg", "asa3", "nmnist"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"batch {options.batch}, T = {STEPS}; {torch.get_num_threads()} threads,", end=" ")
    print(f"{torch.backends.cpu.get_cpu_capability()}\n")
    print("| network | CPU ms a recording | with spikes | with operations |")
    print("|---|---|---|---|")
    for name in options.models:
        found = seconds(name, options.batch, options.rounds)
        plain = found["nothing"]
        row = [name, f"{1000 * np.median(plain) / options.batch:.1f}"]
        for way in ("spikes", "operations"):
            ratios = [each / base for each, base in zip(found[way], plain, strict=True)]
            row.append(f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
