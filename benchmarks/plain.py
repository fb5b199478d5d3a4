"""The networks as a plain research repository has them: step by step, branch by branch.

One module a layer that holds its membrane, one forward pass a time step, everything kept by
autograd. A fixed yardstick for ``training_step.py``: it is not tuned, and not the package's.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (v,) = ctx.saved_tensors
        return grad * (2 - 4 * v.abs()).clamp_min(0)


class LIF(nn.Module):
    m: Tensor | float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        u = self.m + (x - self.m) / 2.0
        s: Tensor = Spike.apply(u - 0.5)  # type: ignore[no-untyped-call]
        self.m = u * (1 - s.detach())
        return s


def layer(width_in: int, width: int) -> nn.Sequential:
    conv = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), LIF())


class Block(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(width_in),
            LIF(),
            nn.Conv2d(width_in, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            LIF(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            conv = nn.Conv2d(width_in, width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(nn.BatchNorm2d(width_in), LIF(), conv)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.path(x) + self.shortcut(x)
        return out


class Plain(nn.Module):
    """Frames ``(B, T, 2, H, W)`` twice to logits and features of both branches, ``(T, B, ...)``."""

    def __init__(self, steps: int, body: list[nn.Module], node: LIF | None, heads: list[nn.Linear]):
        super().__init__()
        self.body, self.heads = nn.Sequential(*body), nn.ModuleList(heads)
        self.node, self.coefficient = node, nn.Parameter(torch.ones(steps))

    def forward(self, static: Tensor, event: Tensor) -> tuple[Tensor, ...]:
        branches = []
        for frames, head in zip((static, event), (self.heads[0], self.heads[-1]), strict=True):
            for module in self.modules():
                if isinstance(module, LIF):
                    module.m = 0.0
            logits, features = [], []
            for frame in frames.transpose(0, 1):
                code = self.body(frame).flatten(1)
                logits.append(head(code))
                features.append((code if self.node is None else self.node.m).flatten(1))  # type: ignore[union-attr]
            branches.append((torch.stack(logits), torch.stack(features)))
        (static_logits, a), (event_logits, b) = branches
        return static_logits, event_logits, a, b


def plain(name: str, steps: int, classes: int) -> Plain:
    if name == "vgg":
        widths = (2, 64, 128, 256, 256, 512, 512, 512, 512)
        layers = [layer(a, b) for a, b in itertools.pairwise(widths)]
        body: list[nn.Module] = []
        for i, each in enumerate(layers):
            body += [each] if i % 2 == 0 else [each, nn.AvgPool2d(2)]
        heads = [nn.Linear(4608, classes) for _ in range(2)]
        return Plain(steps, body, layers[-1][2], heads)  # type: ignore[arg-type]
    if name == "resnet18":
        body = [nn.Conv2d(2, 64, 3, padding=1, bias=False)]
        for width_in, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
            body += [Block(width_in, width, 1 + (width > width_in)), Block(width, width, 1)]
        body += [nn.BatchNorm2d(512), nn.AdaptiveAvgPool2d(1)]
        return Plain(steps, body, None, [nn.Linear(512, classes) for _ in range(2)])
    node = LIF()
    body = [nn.Conv2d(2, 15, 5, bias=False), LIF(), nn.AvgPool2d(2)]
    body += [nn.Conv2d(15, 40, 5, bias=False), LIF(), nn.AvgPool2d(2), nn.Flatten()]
    return Plain(steps, [*body, nn.Linear(640, 300), node], node, [nn.Linear(300, classes)])
