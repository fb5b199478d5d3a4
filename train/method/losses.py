"""The knowledge-transfer loss: two classification terms and a domain alignment term.

In: logits ``(T, B, C)`` and domain features ``(T, B, F)`` of the static and the event branch,
labels ``(B,)`` and the raw coefficients ``c`` ``(T,)``. Out: scalars. With ``g_t = σ(c_t)``
under spatio-temporal regularization (He et al., AAAI 2024)::

    domain = 1/T Σ_t g_t (1 - CKA_t)                  domain alignment loss
    static = 1/T Σ_t ℓ(static logits_t)
    event  = 1/T Σ_t (1 - g_t) ℓ(event logits_t)
    total  = static + event + domain_weight · domain

ℓ is the temporal efficient training loss (Deng et al., ICLR 2022), see ``tet_loss``. Without
regularization ``g_t`` and ``1 - g_t`` are both replaced by 1; a fixed coefficient takes the
place of every ``g_t``. Without TET a branch costs the cross entropy of its mean logits, or their
squared distance from the label, and the
coefficients weight the domain term alone. Where recordings are mixed, cross entropies are those
of both labels by their shares (:func:`snntx.train.augment.mixing.mixed`).

Features and logits in half precision are widened first: every term is computed in float32 or
float64, under autocast too. Nothing waits for the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...errors import UsageError
from ..augment.base import Mixture
from ..augment.mixing import mixed
from ..network.model import TransferOutput

CKA_EPSILON = 1e-7
SQUARED = "loss: squared is of mean outputs, and tet has a loss at every step; set tet=False"


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

    Either form of the products gives the same value: Gram, ``K_a`` and ``K_b``, for
    ``B² (F + G)`` multiplications, or feature, ``||XᵀY||²_F / (||XᵀX||_F ||YᵀY||_F)`` of the
    centred X and Y, for ``B (F² + F G + G²)``. The sizes alone choose the cheaper one.
    """
    (batch, wide), other = a.shape[-2:], b.shape[-1]
    gram = batch * (wide + other) <= wide * wide + wide * other + other * other
    with torch.autocast(a.device.type, enabled=False):
        return (_gram_cka if gram else _feature_cka)(_centred(a), _centred(b))


def _gram_cka(a: Tensor, b: Tensor) -> Tensor:
    """Return the alignment of centred features from their ``(..., B, B)`` products."""
    gram_a, gram_b = a @ a.mT, b @ b.mT
    return _aligned((gram_a * gram_b).sum((-2, -1)), gram_a, gram_b)


def _feature_cka(a: Tensor, b: Tensor) -> Tensor:
    """Return the same from their ``(..., F, G)``, ``(..., F, F)`` and ``(..., G, G)`` products."""
    return _aligned((a.mT @ b).square().sum((-2, -1)), a.mT @ a, b.mT @ b)


def _aligned(alignment: Tensor, a: Tensor, b: Tensor) -> Tensor:
    norm_a: Tensor = torch.linalg.vector_norm(a, dim=(-2, -1))
    norm_b: Tensor = torch.linalg.vector_norm(b, dim=(-2, -1))
    return alignment / (norm_a * norm_b + CKA_EPSILON)


def _centred(x: Tensor) -> Tensor:
    """Return ``H x``: centring the samples centres their products on both sides.

    Measuring from the first sample before taking the mean keeps constant features exactly 0.
    """
    wide = _wide(x)
    shifted = wide - wide[..., :1, :]
    return shifted - shifted.mean(-2, keepdim=True)


def _wide(x: Tensor) -> Tensor:
    """Return ``x`` in float32, or in float64 if it comes so."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def tet_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    tet_lambda: float = 1e-3,
    target: float = 0.5,
    label_smoothing: float = 0.0,
    weights: Tensor | None = None,
    mixture: Mixture | None = None,
) -> Tensor:
    """Return ``1/T Σ_t w_t [(1 - λ) CE(z_t, y) + λ MSE(z_t, target)]`` (Deng et al., ICLR 2022).

    ``logits`` ``(T, B, C)``, ``labels`` ``(B,)``, ``weights`` ``(T,)`` or None for ones. Label
    smoothing ε spreads a share ε of every label evenly over all classes; ``mixture`` gives
    every sample a second label.
    """
    steps, batch, _ = logits.shape
    logits = _wide(logits)

    def entropies(labels: Tensor) -> Tensor:
        return functional.cross_entropy(
            logits.flatten(0, 1),
            labels.repeat(steps),
            reduction="none",
            label_smoothing=label_smoothing,
        ).view(steps, batch)

    entropy = mixed(entropies, labels, mixture)
    distance = (logits - target).square().mean((1, 2))
    per_step = (1 - tet_lambda) * entropy.mean(1) + tet_lambda * distance
    return per_step.mean() if weights is None else (weights * per_step).mean()


def mean_logit_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    mixture: Mixture | None = None,
) -> Tensor:
    """Return the cross entropy of the logits ``(T, B, C)`` averaged over the steps."""
    mean = _wide(logits).mean(0)
    if mixture is None:
        return functional.cross_entropy(mean, labels, label_smoothing=label_smoothing)

    def entropies(labels: Tensor) -> Tensor:
        return functional.cross_entropy(
            mean, labels, reduction="none", label_smoothing=label_smoothing
        )

    return mixed(entropies, labels, mixture).mean()


def squared_loss(
    outputs: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    mixture: Mixture | None = None,
) -> Tensor:
    """Return the squared distance from labels of outputs ``(T, B, C)``, averaged over the steps.

    The labels are 1 for the class and 0 for others; the mean is over samples and classes (Yao et
    al., ICCV 2023). Smoothing and mixtures as in :func:`tet_loss`.
    """
    mean = _wide(outputs).mean(0)
    classes = mean.shape[1]

    def distances(labels: Tensor) -> Tensor:
        wanted = functional.one_hot(labels, classes).to(mean.dtype)
        wanted = wanted * (1 - label_smoothing) + label_smoothing / classes
        return (mean - wanted).square().mean(1)

    return mixed(distances, labels, mixture).mean()


def event_loss(
    event_logits: Tensor,
    labels: Tensor,
    *,
    tet: bool = True,
    tet_lambda: float = 1e-3,
    tet_target: float = 0.5,
    label_smoothing: float = 0.0,
    squared: bool = False,
    mixture: Mixture | None = None,
) -> Tensor:
    """Return the unweighted classification loss of one branch: the event-only baseline's."""
    if squared and tet:
        raise UsageError(SQUARED)
    if squared:
        return squared_loss(event_logits, labels, label_smoothing=label_smoothing, mixture=mixture)
    if not tet:
        return mean_logit_loss(
            event_logits, labels, label_smoothing=label_smoothing, mixture=mixture
        )
    return tet_loss(
        event_logits,
        labels,
        tet_lambda=tet_lambda,
        target=tet_target,
        label_smoothing=label_smoothing,
        mixture=mixture,
    )


@dataclass(frozen=True)
class TransferLoss:
    """The loss of the transfer run (see the module's formulas); call it on a model's output.

    Attributes:
        tet: temporal efficient training: a loss at every step.
        regularization: weight the steps by the coefficients.
        domain_weight: of the domain term in the total; 0 removes it, and still reports it.
        tet_lambda: weight of the mean-squared term of TET.
        tet_target: logit that it pulls towards.
        fixed_coefficient: number from 0 to 1 in place of every learnt ``g_t``. (The published
            code leaves the learnt ones in the event branch's mean-squared term.)
        label_smoothing: share of every label that is spread over all classes.
        squared: squared distance of mean outputs, in place of either entropy; not with ``tet``.
    """

    tet: bool = True
    regularization: bool = True
    domain_weight: float = 0.5
    tet_lambda: float = 1e-3
    tet_target: float = 0.5
    fixed_coefficient: float | None = None
    label_smoothing: float = 0.0
    squared: bool = False

    def __post_init__(self) -> None:
        fixed, smoothing = self.fixed_coefficient, self.label_smoothing
        if fixed is not None and not 0 <= fixed <= 1:
            raise UsageError(f"loss: fixed_coefficient is {fixed}, expected a number from 0 to 1")
        if fixed is not None and not self.regularization:
            raise UsageError("loss: fixed_coefficient has no effect without regularization")
        if self.squared and self.tet:
            raise UsageError(SQUARED)
        if not 0 <= smoothing < 1:
            raise UsageError(
                f"loss: label_smoothing is {smoothing}, expected a number from 0 to below 1"
            )

    def __call__(
        self,
        output: TransferOutput,
        labels: Tensor,
        coefficient: Tensor,
        *,
        event_mixture: Mixture | None = None,
        static_mixture: Mixture | None = None,
    ) -> TransferTerms:
        """Return the terms for labels ``(B,)`` and the model's raw coefficients ``(T,)``.

        The mixtures are the second labels of each branch's samples, None for no mixing.
        """
        cka = linear_cka(output.static_features, output.event_features)
        distance = 1 - cka
        gate = self._gate(coefficient)

        domain = distance.mean() if gate is None else (gate * distance).mean()
        weights = None if gate is None else 1 - gate
        static = self._branch(output.static_logits, labels, None, static_mixture)
        event = self._branch(output.event_logits, labels, weights, event_mixture)
        total = static + event + self.domain_weight * domain
        return TransferTerms(total, static, event, domain, cka)

    def _gate(self, coefficient: Tensor) -> Tensor | None:
        """Return ``g_t`` ``(T,)``, or None for ones on both sides."""
        if not self.regularization:
            return None
        if self.fixed_coefficient is not None:
            return torch.full_like(coefficient, self.fixed_coefficient)
        return torch.sigmoid(coefficient)

    def _branch(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None, mixture: Mixture | None
    ) -> Tensor:
        if self.squared or not self.tet:
            of_mean = squared_loss if self.squared else mean_logit_loss
            return of_mean(logits, labels, label_smoothing=self.label_smoothing, mixture=mixture)
        return tet_loss(
            logits,
            labels,
            tet_lambda=self.tet_lambda,
            target=self.tet_target,
            label_smoothing=self.label_smoothing,
            weights=weights,
            mixture=mixture,
        )
