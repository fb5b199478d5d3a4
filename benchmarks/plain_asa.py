"""Arch A of Advance Spatial Attention as a plain research repository has it.

Convolution, norm, pool and attention on all steps at once, neurons step by step, everything kept by
autograd: a restatement of the published computation, the fixed yardstick of ``asa_step.py``. It is
not tuned, and not the package's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS, POOLS = (2, 64, 128, 128), (1, 2, 2)
THRESHOLD, DECAY, LENS, SHARE = 0.3, 0.3, 0.25, 0.1


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(u)
        return u.ge(THRESHOLD).to(u.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (u,) = ctx.saved_tensors
        near = (u - THRESHOLD).abs() < LENS
        return grad * near.to(grad.dtype) / (2 * LENS)


class LIF(nn.Module):
    """``(T, B, ...)`` to spikes; what is dropped of them is dropped at all steps."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros_like(x[0])
        mask = functional.dropout(torch.ones_like(x[0]), self.share, self.training)
        sent = []
        for step in range(len(x)):
            u = h + x[step]
            s: Tensor = Spike.apply(u)  # type: ignore[no-untyped-call]
            h = DECAY * (s * 0.0 + (1 - s) * u)
            sent.append(s * mask if self.share else s)
        return torch.stack(sent)


class Attention(nn.Module):
    """``(N, T, C, H, W)`` to the same; the masks of all samples are united."""

    def __init__(self, steps: int, channels: int, reduction: int, lam: float = 0.5) -> None:
        super().__init__()
        self.alpha, self.beta = (nn.Parameter(torch.full((1,), 0.5)) for _ in range(2))
        hidden = steps // reduction
        self.fc = nn.Sequential(
            nn.Linear(steps, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, steps, bias=False)
        )
        self.conv1, self.conv2 = (nn.Conv2d(2, 1, 3, padding=1, bias=False) for _ in range(2))
        self.lam = lam

    def forward(self, x: Tensor) -> Tensor:
        n, steps, channels, height, width = x.shape
        mean = functional.adaptive_avg_pool3d(x, (channels, 1, 1)).view(n, steps, channels)
        most = functional.adaptive_max_pool3d(x, (channels, 1, 1)).view(n, steps, channels)
        s = (0.5 + self.alpha) * mean + (0.5 + self.beta) * most
        score = self.fc(s.transpose(1, 2)).transpose(1, 2)
        by_channel = score.topk(int(channels * self.lam), 2).indices
        by_time = score.topk(int(steps * self.lam), 1).indices
        first = torch.zeros_like(score).scatter(2, by_channel, 1.0).amax(0, keepdim=True)
        second = torch.zeros_like(score).scatter(1, by_time, 1.0).amax(0, keepdim=True)
        counts = torch.logical_xor(first.bool(), second.bool()).to(x.dtype)
        counts = counts.expand_as(score)[..., None, None]
        parts = []
        shares = (self.lam, 1 - self.lam)
        for mask, conv, share in zip(
            (counts, 1 - counts), (self.conv1, self.conv2), shares, strict=True
        ):
            part = (mask * x).view(n, steps * channels, height, width)
            pooled = torch.stack([part.mean(1) / share, part.max(1).values], 1)
            parts.append((torch.sigmoid(conv(pooled)) * part).view_as(x))
        return parts[0] + parts[1]


class Layer(nn.Module):
    """Convolution, norm, pool, attention and neurons of one layer, ``(T, B, C, H, W)``."""

    def __init__(
        self, a: int, b: int, pool: int, steps: int, reduction: int | None, share: float
    ) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b)
        self.pool, self.share = pool, share
        self.attention = Attention(steps, b, reduction) if reduction else None
        self.neurons = LIF(share)

    def forward(self, x: Tensor) -> Tensor:
        steps, batch = x.shape[:2]
        x = functional.dropout(x, self.share, self.training) if self.share else x
        x = functional.avg_pool2d(self.norm(self.conv(x.flatten(0, 1))), self.pool)
        x = x.view(steps, batch, *x.shape[1:])
        if self.attention is not None:
            x = self.attention(x.transpose(0, 1).contiguous()).transpose(0, 1)
        spikes: Tensor = self.neurons(x)
        return spikes


class Dense(nn.Module):
    """Linear map and neurons, ``(T, B, N)``."""

    def __init__(self, a: int, b: int, share: float) -> None:
        super().__init__()
        self.linear, self.share, self.neurons = nn.Linear(a, b), share, LIF(share)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.dropout(x, self.share, self.training)
        spikes: Tensor = self.neurons(self.linear(x.flatten(0, 1)).view(*x.shape[:2], -1))
        return spikes


class PlainA(nn.Module):
    """Frames ``(B, T, 2, 32, 32)`` to the mean of the outputs' spikes, ``(B, K)``."""

    def __init__(self, steps: int, classes: int, reduction: int | None) -> None:
        super().__init__()
        shares = (0.0, 0.0, SHARE)
        self.layers = nn.Sequential(
            *(
                Layer(a, b, pool, steps, reduction, share)
                for a, b, pool, share in zip(WIDTHS[:-1], WIDTHS[1:], POOLS, shares, strict=True)
            )
        )
        self.dense = nn.Sequential(Dense(8192, 256, SHARE), Dense(256, classes, SHARE))

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.dense(self.layers(frames.transpose(0, 1)).flatten(2)).mean(0)
        return out
