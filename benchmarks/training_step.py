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
import gc
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from plain import plain
from torch import Tensor, nn
from torch.nn import functional as F

from snntx.train.method.losses import TransferLoss
from snntx.train.network.create import TransferOutput, create_model

CASES = {"vgg": (8, 10, 48, 101), "resnet18": (8, 6, 48, 20), "scnn": (16, 12, 28, 1623)}
Inputs = tuple[Tensor, Tensor, Tensor]


def inputs(name: str) -> Inputs:
    batch, steps, side, classes = CASES[name]
    draw = torch.Generator().manual_seed(0)
    event = torch.poisson(torch.full((batch, steps, 2, side, side), 0.4), generator=draw)
    image = torch.rand((batch, 1, 1, side, side), generator=draw)
    labels = torch.randint(classes, (batch,), generator=draw)
    return image.expand_as(event).contiguous(), event, labels


def spikingjelly(steps: int, classes: int) -> nn.Module:
    """The same VGG of SpikingJelly's parts: multi-step layers, batch norm over all steps."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif(keep: bool) -> Any:
        return neuron.LIFNode(
            v_threshold=0.5,
            surrogate_function=surrogate.PiecewiseQuadratic(2.0),
            detach_reset=True,
            store_v_seq=keep,  # the last membranes are the domain feature
        )

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = (2, 64, 128, 256, 256, 512, 512, 512, 512)
            body: list[nn.Module] = []
            for i, (a, b) in enumerate(itertools.pairwise(widths)):
                body += [layer.Conv2d(a, b, 3, padding=1, bias=False), layer.BatchNorm2d(b)]
                body += [lif(i == len(widths) - 2)]
                body += [layer.AvgPool2d(2)] if i % 2 else []
            self.pool: nn.Module = body[-1]
            self.node: Any = body[-2]
            self.body = nn.Sequential(*body[:-1])
            self.heads = nn.ModuleList(layer.Linear(4608, classes) for _ in range(2))
            self.coefficient = nn.Parameter(torch.ones(steps))
            functional.set_step_mode(self, "m")

        def forward(self, static: Tensor, event: Tensor) -> tuple[Tensor, ...]:
            out = []
            for frames, head in zip((static, event), self.heads, strict=True):
                functional.reset_net(self)
                code = self.pool(self.body(frames.transpose(0, 1).contiguous())).flatten(2)
                out.append((head(code), self.node.v_seq.flatten(2)))
            return out[0][0], out[1][0], out[0][1], out[1][1]

    network: nn.Module = Network()
    return network


def make(contender: str, name: str) -> nn.Module:
    _, steps, _, classes = CASES[name]
    torch.manual_seed(0)
    if contender == "plain":
        network: nn.Module = plain(name, steps, classes)
        return network
    if contender == "SpikingJelly":
        return spikingjelly(steps, classes)
    backend = "torch" if contender == "snntx, readable" else "auto"
    keep = contender != "snntx, checkpointed"
    model = create_model(
        name, num_classes=classes, steps=steps, backend=backend, keep_activations=keep
    )
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def loss_of(model: nn.Module, contender: str, data: Inputs, dtype: torch.dtype) -> Tensor:
    static, event, labels = data
    loss = TransferLoss()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        if contender.startswith("snntx,") and "readable" not in contender:
            output = model(static, event, torch.ones(len(labels), dtype=torch.bool))
        else:
            output = TransferOutput(*model(static, event))
        coefficient: Any = model.coefficient
        return loss(output, labels, coefficient).total


def training_step(contender: str, name: str, dtype: torch.dtype) -> Callable[[], None]:
    model, data = make(contender, name).train(), inputs(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(model, contender, data, dtype).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def convolutions(name: str, dtype: torch.dtype) -> Callable[[], None]:
    """All convolutions of both branches, forward and backward, on inputs of the right shapes."""
    model = make("snntx, readable", name)
    seen: list[tuple[nn.Conv2d, torch.Size]] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, x, _: seen.append((m, x[0].shape)))
    with torch.no_grad():
        model(*inputs(name)[:2])
    work = []
    for conv, shape in seen:
        first = shape[1] == 2  # no gradient goes to the frames
        x = (torch.rand(shape) < 0.2).to(dtype).contiguous(memory_format=torch.channels_last)
        weight = conv.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        work.append((conv, x.requires_grad_(not first), weight.requires_grad_()))

    def step() -> None:
        for conv, x, weight in work:
            y = F.conv2d(x, weight, None, conv.stride, conv.padding)
            grads = [x, weight] if x.requires_grad else [weight]
            torch.autograd.grad(y, grads, torch.ones_like(y))

    return step


def living() -> list[Tensor]:
    return [x for x in gc.get_objects() if type(x) in (Tensor, nn.Parameter)]


def saved_mib(contender: str, name: str, dtype: torch.dtype) -> float:
    model, data = make(contender, name).train(), inputs(name)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, tuple[Tensor, int]] = {}
    gc.collect()
    own |= {x.untyped_storage().data_ptr() for x in living()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (tensor, storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        total = loss_of(model, contender, data, dtype)
    if contender == "snntx, checkpointed":  # stages hold their inputs as plain references
        for held in living():
            pack(held)
    size = sum(n for _, n in kept.values()) / 2**20
    del total
    return size


def peak_mib(contender: str, name: str, dtype: str) -> float:
    call = [sys.executable, __file__, "--model", name, "--types", dtype, "--alone", contender]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    return float(done.stdout)


def contenders(name: str) -> list[str]:
    names = ["plain", "snntx, readable", "snntx, fused", "snntx, checkpointed"]
    if name == "vgg":
        try:
            import spikingjelly.activation_based.neuron  # noqa: F401
        except ImportError:
            print("SpikingJelly cannot be imported here: left out\n")
        else:
            names.append("SpikingJelly")
    return names


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
        training_step(options.alone, name, getattr(torch, options.types[0]))()
        status = Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's
        print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
        return

    batch, steps, side, classes = CASES[name]
    print(f"{name}: batch {batch}, T = {steps}, {side}x{side}, {classes} classes;", end=" ")
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    names = contenders(name)
    for kind in options.types:
        dtype = getattr(torch, kind)
        times: dict[str, list[float]] = {}
        if not options.bytes_only:
            work = {each: training_step(each, name, dtype) for each in names}
            work["convolutions alone"] = convolutions(name, dtype)
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
                for above, below in (("plain", each), (each, "convolutions alone")):
                    ratios = [a / b for a, b in zip(times[above], times[below], strict=True)]
                    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                    cells.append(f"{np.median(ratios):.2f} ({spread})")
            memory = ["", ""]
            if each in names:
                memory[0] = f"{saved_mib(each, name, dtype):.1f}"
                if times:
                    memory[1] = f"{peak_mib(each, name, kind):.0f}"
            print(f"| {each} | {' | '.join([*cells, *memory])} |", flush=True)


if __name__ == "__main__":
    main()
