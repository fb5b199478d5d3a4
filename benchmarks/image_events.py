"""Images made into events (static_view = i2e), as a share of a training step that shows them.

    python benchmarks/image_events.py [--batch 8] [--steps 10] [--rounds 5] [--model vgg]

In each round a batch of images of 48 x 48 is converted, with placements drawn, and the network
then takes one step of sliding training on it: forward of both branches, loss, backward. Both
grow with the batch alike, so a small one tells the share of a large one. Time is the process's CPU
time over all threads. Prints the share, its spread over rounds and the goal of 2 %.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from snntx.train.batches.views import Moving
from snntx.train.method.losses import TransferLoss
from snntx.train.network.create import create_model

GOAL = 0.02
SIDE, CLASSES = 48, 101


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="vgg")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = create_model(options.model, num_classes=CLASSES, steps=options.steps).train()
    cost, view, draw = TransferLoss(), Moving(0.12), np.random.default_rng(0)
    images = torch.rand(options.batch, SIDE, SIDE)
    events = torch.poisson(torch.full((options.batch, options.steps, 2, SIDE, SIDE), 0.1))
    labels = torch.arange(options.batch) % CLASSES

    def converted() -> torch.Tensor:
        return view.frames(images, options.steps, draw)

    def step(static: torch.Tensor) -> None:
        model.zero_grad(set_to_none=True)
        cost(model(static, events), labels, model.coefficient).total.backward()  # type: ignore[no-untyped-call]

    step(converted())  # compiles
    shares, conversions = [], []
    for _ in range(options.rounds):
        began = time.process_time()
        static = converted()
        between = time.process_time()
        step(static)
        conversions.append(between - began)
        shares.append((between - began) / (time.process_time() - began))
    print(
        f"{options.batch} images: {np.median(conversions) * 1e3:.1f} ms; share of a step "
        f"{np.median(shares):.4f} ({min(shares):.4f} to {max(shares):.4f}); goal {GOAL}"
    )


if __name__ == "__main__":
    main()
