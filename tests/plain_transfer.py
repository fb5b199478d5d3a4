"""The published training step restated plainly: one sample loop, one step, one branch at a time.

Written from the paper (He et al., AAAI 2024) and its run table alone, on weights by name. It
shares no line with the package: normalisation, neurons, CKA, losses, schedule and AdamW are
spelled out, and autograd keeps everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

State = dict[str, Tensor]
TAU, THRESHOLD = 2.0, 0.5


class Settings(NamedTuple):
    """What the three runs of the table differ in."""

    model: str
    surrogate: str
    tet: bool
    regularization: bool
    lr: float
    batch: int
    epochs: int
    schedule: str


PUBLISHED = {
    "n-caltech101": Settings("vgg", "qgate", True, True, 5e-3, 120, 300, "cosine"),
    "cep-dvs": Settings("resnet18", "qgate", True, True, 5e-3, 120, 200, "cosine"),
    "n-omniglot": Settings("scnn", "backeigate", False, False, 1.2, 16, 50, "step"),
}


class Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v, surrogate):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(v)
        ctx.surrogate = surrogate
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (v,) = ctx.saved_tensors
        if ctx.surrogate == "qgate":
            return grad * torch.clamp(2 - 4 * v.abs(), min=0), None
        return grad * (v.abs() < 0.5), None


class Network:
    """One pass over frames, with the membranes of the neurons by name between the steps."""

    def __init__(self, state: State, settings: Settings) -> None:
        self.state, self.settings = state, settings
        self.membrane: State = {}

    def norm(self, x: Tensor, name: str) -> Tensor:
        s = self.state
        count = x.numel() // x.shape[1]
        mean = x.mean((0, 2, 3))
        variance = ((x - mean[:, None, None]) ** 2).mean((0, 2, 3))
        with torch.no_grad():
            s[f"{name}.running_mean"].mul_(0.9).add_(0.1 * mean)
            s[f"{name}.running_var"].mul_(0.9).add_(0.1 * variance * count / (count - 1))
            s[f"{name}.num_batches_tracked"] += 1
        scaled = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        return scaled * s[f"{name}.weight"][:, None, None] + s[f"{name}.bias"][:, None, None]

    def fire(self, x: Tensor, name: str) -> Tensor:
        m = self.membrane.get(name, torch.zeros_like(x))
        u = m + (x - m) / TAU
        spike: Tensor = Gate.apply(u - THRESHOLD, self.settings.surrogate)  # type: ignore[no-untyped-call]
        self.membrane[name] = u * (1 - spike.detach())
        return spike

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 1) -> Tensor:
        return functional.conv2d(x, self.state[f"{name}.weight"], None, stride, padding)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def vgg(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for i in range(8):
            name = f"features.{i}"
            x = self.fire(self.norm(self.conv(x, f"{name}.conv"), f"{name}.norm"), name)
            if i % 2:
                x = functional.avg_pool2d(x, 2)
        return x.flatten(1), self.membrane["features.7"].flatten(1)

    def resnet18(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x, "stem")
        for i in range(8):
            name, narrows = f"blocks.{i}", i in (2, 4, 6)
            stride = 2 if narrows else 1
            y = self.fire(self.norm(x, f"{name}.first.norm"), f"{name}.first")
            y = self.norm(self.conv(y, f"{name}.second.conv", stride), f"{name}.second.norm")
            y = self.conv(self.fire(y, f"{name}.second"), f"{name}.conv")
            if narrows:
                x = self.fire(self.norm(x, f"{name}.shortcut.norm"), f"{name}.shortcut")
                x = self.conv(x, f"{name}.shortcut_conv", stride, 0)
            x = x + y
        pooled = self.norm(x, "norm").mean((2, 3))
        return pooled, pooled

    def scnn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for name in ("first", "second"):
            x = functional.avg_pool2d(self.fire(self.conv(x, f"{name}.conv", 1, 0), name), 2)
        x = self.fire(self.linear(x.flatten(1), "hidden.linear"), "hidden")
        return x, self.membrane["hidden"]

    def run(self, frames: Tensor, branch: str) -> tuple[list[Tensor], list[Tensor]]:
        """Return logits and domain features of every step of frames ``(B, T, 2, H, W)``."""
        self.membrane = {}
        encode: Callable[[Tensor], tuple[Tensor, Tensor]] = getattr(self, self.settings.model)
        head = "shared_head" if self.settings.model == "scnn" else f"{branch}_head"
        logits, features = [], []
        for t in range(frames.shape[1]):
            code, feature = encode(frames[:, t])
            logits.append(self.linear(code, head))
            features.append(feature)
        return logits, features


def cka(x: Tensor, y: Tensor) -> Tensor:
    samples = len(x)
    centre = torch.eye(samples, dtype=x.dtype) - 1 / samples
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return (k * m).sum() / ((k * k).sum().sqrt() * (m * m).sum().sqrt() + 1e-7)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    chosen = logits[torch.arange(len(labels)), labels]
    return (logits.logsumexp(1) - chosen).mean()


def loss(state: State, static: Tensor, event: Tensor, labels: Tensor, settings: Settings) -> Tensor:
    network = Network(state, settings)
    static_logits, static_features = network.run(static, "static")
    event_logits, event_features = network.run(event, "event")
    steps = len(static_logits)
    gate = torch.ones(steps, dtype=static.dtype)
    share = torch.ones(steps, dtype=static.dtype)
    if settings.regularization:
        gate = 1 / (1 + (-state["coefficient"]).exp())
        share = 1 - gate
    pairs = enumerate(zip(static_features, event_features, strict=True))
    domain = sum((gate[t] * (1 - cka(a, b)) for t, (a, b) in pairs), torch.zeros(())) / steps
    if settings.tet:
        first = sum(tet(z, labels) for z in static_logits) / steps
        second = sum(share[t] * tet(z, labels) for t, z in enumerate(event_logits)) / steps
    else:
        first = cross_entropy(sum(static_logits) / steps, labels)  # type: ignore[arg-type]
        second = cross_entropy(sum(event_logits) / steps, labels)  # type: ignore[arg-type]
    total: Tensor = first + second + 0.5 * domain
    return total


def tet(logits: Tensor, labels: Tensor) -> Tensor:
    return (1 - 1e-3) * cross_entropy(logits, labels) + 1e-3 * ((logits - 0.5) ** 2).mean()


def rate(epoch: int, settings: Settings) -> float:
    base = settings.lr * settings.batch / 1024
    if epoch < 5:
        return 1e-6 + epoch * (base - 1e-6) / 5
    if settings.schedule == "step":
        return base * 0.1 ** (epoch // 40)
    return 1e-5 + 0.5 * (base - 1e-5) * (1 + math.cos(math.pi * epoch / settings.epochs))


class AdamW:
    """Loshchilov and Hutter, ICLR 2019; weights of two or more dimensions decay by 0.01."""

    def __init__(self) -> None:
        self.steps = 0
        self.first: State = {}
        self.second: State = {}

    def __call__(self, state: State, gradients: State, lr: float) -> None:
        self.steps += 1
        for name, g in gradients.items():
            p = state[name]
            if p.ndim >= 2:
                p = p * (1 - lr * 0.01)
            m = self.first[name] = 0.9 * self.first.get(name, 0.0) + 0.1 * g
            v = self.second[name] = 0.999 * self.second.get(name, 0.0) + 0.001 * g * g
            m = m / (1 - 0.9**self.steps)
            v = v / (1 - 0.999**self.steps)
            state[name] = p - lr * m / (v.sqrt() + 1e-8)


def step(
    state: State,
    optimizer: AdamW,
    *,
    images: Tensor,
    event: Tensor,
    labels: Tensor,
    draws: Tensor,
    progress: float,
    lr: float,
    settings: Settings,
) -> float:
    """Take one training step in place and return its loss.

    Args:
        state: weights and running statistics by name.
        optimizer: its moments.
        images: the static partners, ``(B, H, W)``.
        event: event frames, ``(B, T, 2, H, W)``.
        labels: ``(B,)``.
        draws: uniform in [0, 1), ``(B,)``: an image is replaced where one is below P.
        progress: share of the run's batches that are trained.
        lr: learning rate.
        settings: of the run.
    """
    static = torch.empty_like(event)
    for b in range(len(labels)):
        static[b] = event[b] if draws[b] < progress**3 else images[b]
    learnt = {n: v for n, v in state.items() if "running" not in n and "num_batches" not in n}
    for value in learnt.values():
        value.requires_grad_(True)
    total = loss(state, static, event, labels, settings)
    used = [name for name in learnt if name != "coefficient" or settings.regularization]
    found = torch.autograd.grad(total, [learnt[name] for name in used])
    for value in learnt.values():
        value.requires_grad_(False)
    optimizer(state, dict(zip(used, found, strict=True)), lr)
    return float(total.detach())
