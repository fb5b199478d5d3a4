"""The knowledge-transfer loss: two classification terms and a domain alignment term.

In: logits ``(T, B, C)`` and domain features ``(T, B, F)`` of the static and the event branch,
labels ``(B,)`` and the raw coefficients ``c`` ``(T,)``. Out: scalars. With ``g_t = σ(c_t)``
under spatio-temporal regularization (He et al., AAAI 2024)::

    domain = 1/T Σ_t g_t (1 - CKA_t)                  domain alignment loss
    static = 1/T Σ_t ℓ(static logits_t)
    event  = 1/T Σ_t (1 - g_t) ℓ(event logits_t)
    total  = static + event + domain_weight · domain

ℓ is the temporal efficient training loss (Deng et al., ICLR 2022), see ``tet_loss``. Without
regularization ``g_t`` and ``1 - g_t`` are both replaced by 1. Without TET a branch costs the
cross entropy of its mean logits, and the coefficients weight the domain term alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .models.base import TransferOutput

CKA_EPSILON = 1e-7


class TransferTerms(NamedTuple):
    """The loss and its parts, all 0-d; ``domain`` before its weight, ``cka`` per step ``(T,)``."""

    total: Tensor
    static: Tensor
    event: Tensor
    domain: Tensor
    cka: Tensor


def linear_cka(a: Tensor, b: Tensor) -> Tensor:
    """Return the biased linear centred kernel alignment of ``a`` and ``b``, over the samples.

    ``CKA = <K_a, K_b>_F / (||K_a||_F ||K_b||_F + 1e-7)`` with ``K = H X Xᵀ H``, ``H = I - 11ᵀ/B``
    (Kornblith et al., ICML 2019). ``(..., B, F)`` and ``(..., B, G)`` to ``(...)``. Features
    that do not vary over the batch, a batch of one included, give 0 and no gradient.
    """
    gram_a, gram_b = _centred_gram(a), _centred_gram(b)
    alignment = (gram_a * gram_b).sum((-2, -1))
    norm_a: Tensor = torch.linalg.vector_norm(gram_a, dim=(-2, -1))
    norm_b: Tensor = torch.linalg.vector_norm(gram_b, dim=(-2, -1))
    return alignment / (norm_a * norm_b + CKA_EPSILON)


def _centred_gram(x: Tensor) -> Tensor:
    """Return ``H x xᵀ H`` ``(..., B, B)``, by centring the samples instead of their products.

    Measuring from the first sample before taking the mean keeps constant features exactly 0.
    """
    shifted = x - x[..., :1, :]
    centred = shifted - shifted.mean(-2, keepdim=True)
    return centred @ centred.mT


def tet_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    tet_lambda: float = 1e-3,
    target: float = 0.5,
    weights: Tensor | None = None,
) -> Tensor:
    """Return ``1/T Σ_t w_t [(1 - λ) CE(z_t, y) + λ MSE(z_t, target)]`` (Deng et al., ICLR 2022).

    ``logits`` ``(T, B, C)``, ``labels`` ``(B,)``, ``weights`` ``(T,)`` or None for ones.
    """
    steps, batch, _ = logits.shape
    entropy = functional.cross_entropy(
        logits.flatten(0, 1), labels.repeat(steps), reduction="none"
    ).view(steps, batch)
    distance = (logits - target).square().mean((1, 2))
    per_step = (1 - tet_lambda) * entropy.mean(1) + tet_lambda * distance
    return per_step.mean() if weights is None else (weights * per_step).mean()


def mean_logit_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of the logits ``(T, B, C)`` averaged over the steps."""
    return functional.cross_entropy(logits.mean(0), labels)


def event_loss(
    event_logits: Tensor,
    labels: Tensor,
    *,
    tet: bool = True,
    tet_lambda: float = 1e-3,
    tet_target: float = 0.5,
) -> Tensor:
    """Return the unweighted classification loss of one branch: the event-only baseline's."""
    if tet:
        return tet_loss(event_logits, labels, tet_lambda=tet_lambda, target=tet_target)
    return mean_logit_loss(event_logits, labels)


@dataclass(frozen=True)
class TransferLoss:
    """The loss of the transfer run (see the module's formulas); call it on a model's output.

    ``domain_weight`` 0 removes the domain term from the total, and still reports it.
    """

    tet: bool = True
    regularization: bool = True
    domain_weight: float = 0.5
    tet_lambda: float = 1e-3
    tet_target: float = 0.5

    def __call__(
        self, output: TransferOutput, labels: Tensor, coefficient: Tensor
    ) -> TransferTerms:
        """Return the terms for labels ``(B,)`` and the model's raw coefficients ``(T,)``."""
        cka = linear_cka(output.static_features, output.event_features)
        distance = 1 - cka
        gate = torch.sigmoid(coefficient) if self.regularization else None

        domain = distance.mean() if gate is None else (gate * distance).mean()
        static = self._branch(output.static_logits, labels)
        event = self._branch(output.event_logits, labels, None if gate is None else 1 - gate)
        total = static + event + self.domain_weight * domain
        return TransferTerms(total, static, event, domain, cka)

    def _branch(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        if not self.tet:
            return mean_logit_loss(logits, labels)
        return tet_loss(
            logits, labels, tet_lambda=self.tet_lambda, target=self.tet_target, weights=weights
        )
