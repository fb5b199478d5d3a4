"""Time-step mixup: sequences that show a static image first and events from a step on.

For a mix ratio r each sample draws the first step ``t*`` that shows events from a truncated
geometric distribution on 0 … T (0: events alone, T: the image alone),

    P(t* = k) ∝ ρ^k,  with ρ such that E[t*] = (1 - r) T,

so that r is the expected share of steps with events. Two auxiliary heads read the mixed
side's temporal features: one tells at each step which modality is shown, one the share of
steps with events (Xie et al., arXiv 2509.12959 and 2511.12150). The papers leave open the
schedule of r, the heads' form and their weights; here r follows sliding training's
probability, the heads are linear, and the weights are settings.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..network.model import POLARITIES, TransferModel

BISECTIONS = 80


def switch_distribution(ratio: float, steps: int) -> NDArray[np.float64]:
    """Return the probabilities of ``t* = 0 … steps``, ``(steps + 1,)``, for a mix ratio.

    A ratio of 0 is an image throughout, 1/2 makes every step equally likely, 1 is events alone.
    """
    places = np.arange(steps + 1)
    if ratio <= 0 or ratio >= 1:
        return np.asarray(places == (0 if ratio >= 1 else steps), np.float64)
    wanted = (1 - ratio) * steps
    low, high = -60.0, 60.0  # of log ρ
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if _weights(middle, places) @ places < wanted:
            low = middle
        else:
            high = middle
    return _weights((low + high) / 2, places)


def _weights(log_rho: float, places: NDArray[np.int64]) -> NDArray[np.float64]:
    exponents = log_rho * places
    weights = np.exp(exponents - exponents.max())
    return np.asarray(weights / weights.sum(), np.float64)


def draw_switches(
    ratio: float, steps: int, count: int, draw: np.random.Generator
) -> NDArray[np.int64]:
    """Return the first step with events of ``count`` samples, ``(count,)`` from 0 to ``steps``."""
    edges = np.cumsum(switch_distribution(ratio, steps))
    return np.minimum(np.searchsorted(edges, draw.random(count), side="right"), steps)


def mix_in_time(static: Tensor, event: Tensor, switch: Tensor) -> Tensor:
    """Return ``static`` before each sample's step ``switch`` and ``event`` from it on.

    ``(B, T, 2, H, W)`` both; ``switch`` ``(B,)``.
    """
    shown = modality(switch, event.shape[1]).T.bool()
    return torch.where(shown[:, :, None, None, None], event, static)


def modality(switch: Tensor, steps: int) -> Tensor:
    """Return 1 where a step shows events and 0 where it shows the image, ``(T, B)`` float32."""
    return (torch.arange(steps, device=switch.device)[:, None] >= switch).float()


def feature_size(model: TransferModel) -> int:
    """Return the number of domain features, by encoding one empty recording."""
    training = model.training
    frames = torch.zeros(model.steps, 1, POLARITIES, *model.size)
    with torch.no_grad():
        features = model.eval().encode(frames, features=True, constant=None).features
    model.train(training)
    assert features is not None
    return features.shape[-1]


class ModalityHeads(nn.Module):
    """The two auxiliary heads on temporal features ``(T, B, F)``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.modality = nn.Linear(features, 1)
        self.ratio = nn.Linear(features, 1)

    def forward(self, features: Tensor, switch: Tensor) -> dict[str, Tensor]:
        """Return two losses, both 0-d.

        ``modality`` is the binary cross entropy of telling each step's modality, ``mix_ratio``
        the squared error of the ratio.

        ``switch`` is ``(B,)``, on the features' device.
        """
        shown = modality(switch, len(features))
        told = self.modality(features).squeeze(-1).float()
        by_step = functional.binary_cross_entropy_with_logits(told, shown)
        ratio = torch.sigmoid(self.ratio(features.mean(0)).squeeze(-1).float())
        return {"modality": by_step, "mix_ratio": functional.mse_loss(ratio, shown.mean(0))}
