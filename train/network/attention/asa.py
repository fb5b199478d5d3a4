"""Advance Spatial Attention (Yao et al., ICCV 2023): two spatial maps, one for each kind of map.

For maps ``x`` ``(T, B, C, H, W)``::

    s = (1/2 + α) mean(x) + (1/2 + β) max(x)        over space, (T, B, C)
    score = fc(s)                                   over time, for each sample and channel
    m = A xor B                                     A: the ⌊C λ⌋ largest scores of a time step
                                                    B: the ⌊T λ⌋ largest scores of a channel
    F1 = m x,  F2 = (1 - m) x
    M1 = σ(conv1([mean(F1) / λ,       max(F1)]))    over time and channels, (B, 1, H, W)
    M2 = σ(conv2([mean(F2) / (1 - λ), max(F2)]))
    out = M1 F1 + M2 F2

======================  ==========================================================================
mode                    masks
======================  ==========================================================================
``per-sample``          of each sample alone, so that no answer depends on a batch's other samples
``trainable``           the same, and α, β and ``fc`` learn through them (see :mod:`.selection`)
``reference``           as the published code has it: united over the batch, in training and test
======================  ==========================================================================

In ``reference`` and ``per-sample`` α, β and ``fc`` get no gradient at all, as in the published
code: they stay as they were drawn. In ``trainable`` the scores' gradient goes to them and ends
there; ``x`` learns from what it is multiplied with and pooled into, in each of the modes. The
published code fails where B, T or C is 1; none of the modes does. Where a maximum is reached
several times, its gradient goes to the first of them, time before channels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ....errors import UsageError
from ..backends.names import resolve_backend
from ..synapses import Activity
from .options import Attention, check, hidden_of
from .selection import important

_NARROW = (torch.bfloat16, torch.float16)


class ASA(nn.Module):
    """The attention of one layer; ``(T, B, C, H, W)`` to the same shape.

    Its parameters have the names that they have in the published code.

    Args:
        steps: T.
        channels: C.
        reduction: the scoring's hidden layer has T // reduction values; 1 has none.
        lam: share of channels, and of time steps, that a mask marks.
        mode: ``per-sample``, ``trainable`` or ``reference``.
        combine: ``xor``, ``and`` or ``or``.
        backend: what computes it, as in the layers.

    Raises:
        UsageError: a value cannot be.
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        reduction: int = 1,
        lam: float = 0.5,
        mode: str = "per-sample",
        combine: str = "xor",
        *,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check(mode, combine, lam, reduction)
        self.steps, self.channels = steps, channels
        self.lam, self.mode, self.combine, self.backend = lam, mode, combine, backend
        hidden = hidden_of(steps, reduction)
        self.alpha = nn.Parameter(torch.full((1,), 0.5))
        self.beta = nn.Parameter(torch.full((1,), 0.5))
        self.fc: nn.Module = nn.Linear(steps, steps, bias=False)
        if reduction > 1:
            self.fc = nn.Sequential(
                nn.Linear(steps, hidden, bias=False),
                nn.ReLU(),
                nn.Linear(hidden, steps, bias=False),
            )
        self.conv1 = nn.Conv2d(2, 1, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps, each times one of its sample's two spatial maps."""
        return self.attending(maps)[0]

    def attending(self, maps: Tensor) -> tuple[Tensor, Callable[[], Tensor] | None]:
        """Return the same, and what makes it again without gradients; None where torch computes."""
        if maps.ndim != 5 or (len(maps), maps.shape[2]) != (self.steps, self.channels):
            found = "x".join(map(str, maps.shape))
            raise UsageError(
                f"attention: maps are {found}, expected {self.steps}xBx{self.channels}xHxW "
                "(steps, batch, channels, height, width)"
            )
        with torch.autocast(maps.device.type, enabled=False):
            if self.is_fused(maps):
                from .fused import attended  # imports Numba

                weights = self.conv1.weight, self.conv2.weight
                return attended(maps, self.important(maps), *weights, self.lam)
            wide = maps.float() if maps.dtype in _NARROW else maps
            return self.attended(wide, self.important(wide)).to(maps.dtype), None

    def is_fused(self, maps: Tensor) -> bool:
        """Return whether compiled loops compute these maps, and not torch.

        ``auto`` has them where the layers' kernels are Numba's. There are none for CUDA: with
        ``triton`` torch computes the attention.
        """
        return resolve_backend(self.backend, maps.device, maps.dtype) == "numba"

    def summaries(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and maximum of each map, ``(T, B, C)``."""
        if self.is_fused(maps):
            from .fused import summaries

            return summaries(maps)
        flat = maps.flatten(3)
        return flat.mean(3), flat.amax(3)

    def scores(self, maps: Tensor) -> Tensor:
        """Return how much each map ``(H, W)`` seems to matter, ``(T, B, C)``."""
        mean, most = self.summaries(maps.detach())
        summary = (0.5 + self.alpha) * mean + (0.5 + self.beta) * most
        scored: Tensor = self.fc(summary.permute(1, 2, 0))
        return scored.permute(2, 0, 1)

    def important(self, maps: Tensor) -> Tensor:
        """Return which maps count, ``(T, B, C)`` of 0 and 1."""
        with torch.set_grad_enabled(self.mode == "trainable" and torch.is_grad_enabled()):
            return important(self.scores(maps), lam=self.lam, mode=self.mode, combine=self.combine)

    def attended(self, maps: Tensor, counts: Tensor) -> Tensor:
        """Return the maps times the spatial map of those that count, or of those that do not."""
        counts = counts[..., None, None]
        first, second = counts * maps, (1 - counts) * maps
        return (
            self.spatial(pooled(first, self.lam), self.conv1) * first
            + self.spatial(pooled(second, 1 - self.lam), self.conv2) * second
        )

    @staticmethod
    def spatial(summary: Tensor, conv: nn.Module) -> Tensor:
        """Return the spatial map ``(B, 1, H, W)`` of ``(B, 2, H, W)``."""
        return torch.sigmoid(conv(summary))

    def extra_repr(self) -> str:
        """Return what it was made with."""
        return f"{self.steps}, {self.channels}, lam={self.lam}, {self.mode}, {self.combine}"


def pooled(part: Tensor, share: float) -> Tensor:
    """Return mean over ``share`` and maximum of ``(T, B, C, H, W)`` over T and C, ``(B, 2, H, W)``.

    The mean is divided as if exactly that share of the maps were not 0.
    """
    flat = part.transpose(0, 1).flatten(1, 2)
    return torch.stack([flat.mean(1) / share, flat.max(1).values], 1)


def attention_at(
    place: str, options: Attention | None, steps: int, channels: int, backend: str
) -> ASA | None:
    """Return the attention that options put at a place of a layer; None where they put none."""
    if options is None or options.place != place:
        return None
    return ASA(
        steps,
        channels,
        options.reduction,
        options.lam,
        options.mode,
        options.combine,
        backend=backend,
    )


def attend(attention: ASA | None, activity: Activity) -> Activity:
    """Return an activity after an attention, whose values are no counts any more."""
    return activity if attention is None else Activity(attention(activity.values))
