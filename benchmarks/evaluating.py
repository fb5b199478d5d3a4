"""What ``snntx evaluate`` costs against the readable path with both branches.

    python benchmarks/evaluating.py [--recordings 32] [--batch 8] [--rounds 3] [--threads 2]

The VGG of 101 classes at T = 10, 48 x 48, in evaluation, on drawn frames of N-Caltech101's size.
"readable" runs ``backend=torch`` on both branches, since the published code shows its network an
image in the test too; "evaluate" is what the command does: the event branch by the compiled layers,
with answers by step, spikes counted, calibration and the interval. In turn in one process on the
CPU; CPU time over all threads, ratios taken round by round. Prints Markdown and the goal of 0.5.
"""

from __future__ import annotations

import argparse
import os
import time
from types import SimpleNamespace

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from snntx.train.measure.answers import answers
from snntx.train.measure.calibration import calibration
from snntx.train.measure.firing import SpikeCounts
from snntx.train.measure.interval import bootstrap_interval
from snntx.train.measure.metrics import measure
from snntx.train.network.create import create_model

GOAL = 0.5
STEPS, SIDE, CLASSES = 10, 48, 101


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recordings", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(1)
    shape = options.recordings, STEPS, 2, SIDE, SIDE
    frames = torch.poisson(torch.full(shape, 0.3), generator=generator)
    images = torch.rand(options.recordings, SIDE, SIDE, generator=generator)
    labels = (torch.arange(options.recordings) % CLASSES).numpy()
    recordings, device = np.arange(options.recordings), torch.device("cpu")
    names = [str(label) for label in range(CLASSES)]
    held = SimpleNamespace(clip_count=64 // options.batch, clips=lambda i: frames[i, None].numpy())

    def network(backend: str) -> torch.nn.Module:
        torch.manual_seed(0)
        made = create_model("vgg", num_classes=CLASSES, steps=STEPS, backend=backend).eval()
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    plain, ours = network("torch"), network("auto")

    def readable() -> torch.Tensor:
        logits = []
        with torch.inference_mode():
            for start in range(0, options.recordings, options.batch):
                part = slice(start, start + options.batch)
                shown = images[part, None, None].expand(-1, STEPS, 2, -1, -1)
                logits.append(plain(shown, frames[part]).event_logits.mean(0))
        return torch.cat(logits)

    def evaluated() -> torch.Tensor:
        with SpikeCounts(ours) as counted:  # type: ignore[arg-type]
            found = answers(ours, held, recordings, labels, device)  # type: ignore[arg-type]
        counted.firing()
        logits = found.logits.mean(1)
        measure(logits, labels, names)
        calibration(found.probabilities, labels)
        bootstrap_interval(found.predicted == labels)
        return logits

    def timed(way: object) -> float:
        began = time.process_time()
        way()  # type: ignore[operator]
        return time.process_time() - began

    torch.testing.assert_close(evaluated(), readable(), atol=1e-3, rtol=1e-3)  # compiles, too
    rounds = [(timed(readable), timed(evaluated)) for _ in range(options.rounds)]
    ratios = [second / first for first, second in rounds]
    print("| | CPU s a recording | ratio |")
    print("|---|---|---|")
    for name, column in (("readable, both branches", 0), ("evaluate", 1)):
        each = np.median([pair[column] for pair in rounds]) / options.recordings
        told = (
            f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if column else "1"
        )
        print(f"| {name} | {each:.3f} | {told} |")
    print(f"\ngoal {GOAL}")


if __name__ == "__main__":
    main()
