"""What is compared in one training step: networks, their batch, their loss, what they keep.

In: a :class:`Setting`, a network on one batch, device and number type. Out: functions that take
one step of a contender, and the bytes that a contender keeps for its backward pass. ``plain`` is
``plain.py``, a fixed step-by-step network; ``snntx, readable`` the package's ``backend=torch``;
``snntx, fused`` its kernels; ``snntx, checkpointed`` these with activation checkpointing;
``SpikingJelly`` the same VGG of its multi-step parts, with its Triton kernels on CUDA.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from plain import plain
from torch import Tensor, nn
from torch.nn import functional as F

from snntx.train.method.losses import TransferLoss
from snntx.train.network.create import MODELS, TransferOutput, create_model

PLAIN, READABLE, FUSED = "plain", "snntx, readable", "snntx, fused"
CHECKPOINTED, PEER = "snntx, checkpointed", "SpikingJelly"
PLAIN_SIDES = {"vgg": 48, "resnet18": 48, "scnn": 28}
"""Networks that ``plain.py`` has, and the side of their frames."""
Inputs = tuple[Tensor, Tensor, Tensor]


class Case(NamedTuple):
    """A batch: recordings, time steps, side of the square frames, classes; width of layers."""

    batch: int
    steps: int
    side: int
    classes: int
    width: float = 1.0


class Setting(NamedTuple):
    """A network on one batch: where it computes, in which type, and by which fused kernels."""

    name: str
    case: Case
    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device("cpu")
    backend: str = "auto"


CASES = {
    "vgg": Case(8, 10, 48, 101),
    "resnet18": Case(8, 6, 48, 20),
    "scnn": Case(16, 12, 28, 1623),
}
"""Batches that a CPU takes a step of in seconds."""


def inputs(setting: Setting) -> Inputs:
    """Return static frames, event frames ``(B, T, 2, H, W)`` and labels ``(B,)``."""
    batch, steps, side, classes, _ = setting.case
    draw = torch.Generator().manual_seed(0)
    event = torch.poisson(torch.full((batch, steps, 2, side, side), 0.4), generator=draw)
    image = torch.rand((batch, 1, 1, side, side), generator=draw)
    labels = torch.randint(classes, (batch,), generator=draw)
    static = image.expand_as(event).contiguous()
    return static.to(setting.device), event.to(setting.device), labels.to(setting.device)


def spikingjelly(steps: int, classes: int, device: torch.device) -> nn.Module:
    """The same VGG of SpikingJelly's parts: multi-step layers, batch norm over all steps."""
    if device.type == "cuda":
        os.environ.setdefault("SJ_LIF_CUDA_IMPLEMENTATION", "triton")  # before it is imported
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


def contenders(setting: Setting) -> list[str]:
    """Return who takes part: ``plain.py`` and SpikingJelly where they have the network."""
    fixed = PLAIN_SIDES.get(setting.name) == setting.case.side
    names = [*([PLAIN] if fixed else []), READABLE, FUSED, CHECKPOINTED]
    peer = importlib.util.find_spec(PEER.lower()) is not None
    return [*names, *([PEER] if fixed and peer and setting.name == "vgg" else [])]


def make(contender: str, setting: Setting) -> nn.Module:
    """Return a contender's network on its device, with the weights that seed 0 draws."""
    _, steps, side, classes, width = setting.case
    torch.manual_seed(0)
    if contender == PLAIN:
        network: nn.Module = plain(setting.name, steps, classes)
        return network.to(setting.device)
    if contender == PEER:
        return spikingjelly(steps, classes, setting.device).to(setting.device)
    model: nn.Module = create_model(
        setting.name,
        num_classes=classes,
        steps=steps,
        size=(side, side),
        width=width,
        backend="torch" if contender == READABLE else setting.backend,
        keep_activations=contender != CHECKPOINTED,
    )
    model.to(setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def loss_of(model: nn.Module, contender: str, data: Inputs, setting: Setting) -> Tensor:
    """Return the transfer loss of one batch, 0-d."""
    static, event, labels = data
    loss = TransferLoss()
    mixed = setting.dtype == torch.bfloat16
    with torch.autocast(setting.device.type, torch.bfloat16, enabled=mixed):
        if contender in (FUSED, CHECKPOINTED):
            output = model(static, event, torch.ones(len(labels), dtype=torch.bool))
        else:
            output = TransferOutput(*model(static, event))
        coefficient: Any = model.coefficient
        return loss(output, labels, coefficient).total


def training_step(contender: str, setting: Setting) -> Callable[[], Tensor]:
    """Return a function that takes one step and returns its loss."""
    model, data = make(contender, setting).train(), inputs(setting)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, contender, data, setting)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step


def convolutions(setting: Setting) -> Callable[[], None]:
    """All convolutions of both branches, forward and backward, on inputs of the right shapes."""
    model = make(READABLE, setting)
    seen: list[tuple[nn.Conv2d, torch.Size]] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, x, _: seen.append((m, x[0].shape)))
    with torch.no_grad():
        model(*inputs(setting)[:2])
    if not seen:
        raise ValueError(f"{setting.name}: no convolution was called")
    work = []
    for conv, shape in seen:
        first = shape[1] == 2  # no gradient goes to the frames
        x = (torch.rand(shape, device=setting.device) < 0.2).to(setting.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        weight = conv.weight.detach().to(setting.dtype)
        weight = weight.contiguous(memory_format=torch.channels_last)
        work.append((conv, x.requires_grad_(not first), weight.requires_grad_()))

    def step() -> None:
        for conv, x, weight in work:
            y = F.conv2d(x, weight, None, conv.stride, conv.padding)
            grads = [x, weight] if x.requires_grad else [weight]
            torch.autograd.grad(y, grads, torch.ones_like(y))

    return step


def living() -> list[Tensor]:
    """Return every tensor that Python holds."""
    return [x for x in gc.get_objects() if type(x) in (Tensor, nn.Parameter)]


def saved_mib(contender: str, setting: Setting) -> float:
    """Return what forward and loss of one batch keep, in MiB."""
    model, data = make(contender, setting).train(), inputs(setting)
    return kept_mib(
        model,
        lambda: loss_of(model, contender, data, setting),
        living_too=contender == CHECKPOINTED,  # stages hold their inputs as plain references
    )


def kept_mib(model: nn.Module, loss: Callable[[], Tensor], *, living_too: bool = False) -> float:
    """Return what a loss keeps for its backward pass, in MiB.

    That is unique storages without the parameters and what was there before; with ``living_too``
    whatever Python holds after it as well.
    """
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
        total = loss()
    if living_too:
        for held in living():
            pack(held)
    size = sum(n for _, n in kept.values()) / 2**20
    del total
    return size


def case_of(name: str, known: dict[str, Case]) -> Case:
    """Return a network's batch; one that is not listed gets its own frames of ten steps."""
    return known.get(name) or Case(32, 10, MODELS.get(name).frame_size[0], 10)
