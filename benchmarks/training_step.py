"""One training step: the fused layers against a plain network, the same convolutions, a peer.

    python benchmarks/training_step.py [--model vgg] [--rounds 3] [--types float32]

All contenders do forward, loss (TET, domain, regularization), backward and an AdamW step on
one batch, in turn in one process on the CPU: ``plain.py`` (a fixed step-by-step network), the
package's readable path, its fused one, and the bare convolutions (forward and backward, all
steps merged, channels-last). SpikingJelly joins for ``vgg`` where it can be imported
(multi-step, merged batch norm). Bytes saved for backward are counted over forward and loss:
unique storages without the parameters. Resident memory is that of a process of its own.
bfloat16 needs a CPU with bfloat16 instructions to mean anything; ``--bytes-only`` counts
bytes and takes no time. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from contenders import (
    CASES,
    PEER,
    PLAIN,
    Setting,
    contenders,
    convolutions,
    saved_mib,
    training_step,
)


def peak_mib(contender: str, name: str, dtype: str) -> float:
    call = [sys.executable, __file__, "--model", name, "--types", dtype, "--alone", contender]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", choices=CASES, default="vgg")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--types", nargs="+", choices=("float32", "bfloat16"), default=["float32"])
    parser.add_argument("--bytes-only", action="store_true")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    name = options.model
    if options.alone:
        training_step(options.alone, Setting(name, CASES[name], getattr(torch, options.types[0])))()
        status = Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's
        print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
        return

    batch, steps, side, classes, _ = CASES[name]
    print(f"{name}: batch {batch}, T = {steps}, {side}x{side}, {classes} classes;", end=" ")
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    names = contenders(Setting(name, CASES[name]))
    if name == "vgg" and PEER not in names:
        print(f"{PEER} cannot be imported here: left out\n")
    for kind in options.types:
        setting = Setting(name, CASES[name], getattr(torch, kind))
        times: dict[str, list[float]] = {}
        if not options.bytes_only:
            work = {each: training_step(each, setting) for each in names}
            work["convolutions alone"] = convolutions(setting)
            times = {each: [] for each in work}
            for number in range(options.rounds + 1):
                for each, step in work.items():
                    began = time.perf_counter()
                    step()
                    if number:  # the first round warms up
                        times[each].append(time.perf_counter() - began)
        columns = "s a step | plain / this | this / convolutions | saved MiB | peak MiB"
        print(f"\n| {kind} | {columns} |")
        print("|---|---|---|---|---|---|")
        for each in [*names, *(["convolutions alone"] if times else [])]:
            cells = ["", "", ""]
            if times:
                own = times[each]
                cells = [f"{np.median(own):.2f}"]
                for above, below in ((PLAIN, each), (each, "convolutions alone")):
                    ratios = [a / b for a, b in zip(times[above], times[below], strict=True)]
                    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                    cells.append(f"{np.median(ratios):.2f} ({spread})")
            memory = ["", ""]
            if each in names:
                memory[0] = f"{saved_mib(each, setting):.1f}"
                if times:
                    memory[1] = f"{peak_mib(each, name, kind):.0f}"
            print(f"| {each} | {' | '.join([*cells, *memory])} |", flush=True)


if __name__ == "__main__":
    main()
