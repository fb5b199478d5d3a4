"""How alike both branches see the same things: CKA between them, by layer and step.

In: a network and batches of twins, image and recording of the same thing. Out: linear centred
kernel alignment (Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML
2019) of what each layer sends on in the static and in the event branch, in two forms.

``cka`` is the biased one of the training loss (:func:`snntx.train.method.losses.linear_cka`), the
mean over batches. It rises as a batch shrinks, whatever the network, and is to be compared at equal
batches alone. ``debiased`` is

    Σ HSIC₁(K, L) / (√Σ HSIC₁(K, K) √Σ HSIC₁(L, L))         sums over the batches

of the unbiased HSIC₁ (Song et al., JMLR 2012; of CKA over batches: Nguyen, Raghu and Kornblith,
ICLR 2021), whose mean does not depend on the size of the batches. 0 is no likeness, 1 the same up
to rotation and scale; it may come out slightly below 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ..measure.watching import Watching
from ..method.losses import CKA_EPSILON
from ..network.layers import LayerOutput, SpikingLayer
from ..network.model import TransferModel

FEATURE, LOGITS = "domain feature", "logits"
"""What stands behind the layers: what the loss aligns, and what the heads answer."""
LEAST = 4
"""Pairs of a batch: HSIC₁ divides by n - 3."""


class Twins(NamedTuple):
    """A batch of images and of recordings of the same things, both ``(B, T, 2, H, W)``.

    ``still`` says that the images show the same at every step, so that they are convolved once.
    """

    static: Tensor
    event: Tensor
    still: bool = False


@dataclass(frozen=True)
class Likeness:
    """CKA of one layer between the branches.

    Attributes:
        cka: biased, of each step; 0 where a branch does not vary.
        debiased: of each step; None where a branch does not vary over any batch.
    """

    cka: tuple[float, ...]
    debiased: tuple[float | None, ...]


@dataclass(frozen=True)
class Alignment:
    """CKA between the branches.

    Attributes:
        pairs: twins that were shown.
        batch: most of a batch.
        layers: by name, in order; the domain feature and the logits come last.
        left_out: spiking layers that only one branch has, or that ran several times.
    """

    pairs: int
    batch: int
    layers: dict[str, Likeness]
    left_out: tuple[str, ...]


class _Grams(Watching):
    """Keeps the products ``K = X Xᵀ`` ``(T, B, B)`` of what layers send, of every call."""

    def __init__(self, model: TransferModel) -> None:
        super().__init__(model)
        self.found: dict[str, list[Tensor]] = {name: [] for name in self._layers}

    def hooks(self, name: str, layer: SpikingLayer) -> list[RemovableHandle]:
        """Register and return the hook of one layer."""

        def keep(_: Any, __: Any, output: LayerOutput) -> None:
            self.found[name].append(gram(output.spikes))

        return [layer.register_forward_hook(keep)]


def gram(features: Tensor) -> Tensor:
    """Return ``X Xᵀ`` of features ``(T, B, ...)``, ``(T, B, B)`` float64 on the CPU.

    Features are measured from their mean over the batch, so that large means cost no digits.
    """
    flat = features.flatten(2)
    wide = flat.to(torch.promote_types(flat.dtype, torch.float32))
    shifted = wide - wide[:, :1]  # of constant features exactly 0
    centred = shifted - shifted.mean(1, keepdim=True)
    return (centred @ centred.mT).double().cpu()


def biased_cka(k: Tensor, other: Tensor) -> Tensor:
    """Return the loss's CKA ``(T,)`` of centred products ``(T, B, B)``."""
    norms = [torch.linalg.vector_norm(each, dim=(1, 2)) for each in (k, other)]
    found: Tensor = (k * other).sum((1, 2)) / (norms[0] * norms[1] + CKA_EPSILON)
    return found


def unbiased_hsic(k: Tensor, other: Tensor) -> Tensor:
    """Return HSIC₁ ``(T,)`` of products ``(T, B, B)``, for B of 4 or more (Song et al., 2012).

    With the diagonals of K and L set to 0::

        [tr(K L) + (1ᵀK1)(1ᵀL1) / ((n - 1)(n - 2)) - 2 / (n - 2) · 1ᵀKL1] / (n (n - 3))
    """
    n = k.shape[1]
    off = 1 - torch.eye(n, dtype=k.dtype, device=k.device)
    k, other = k * off, other * off
    trace = (k * other).sum((1, 2))  # both are symmetric
    sums = k.sum((1, 2)) * other.sum((1, 2)) / ((n - 1) * (n - 2))
    crossed = (k.sum(1) * other.sum(1)).sum(1) * 2 / (n - 2)
    found: Tensor = (trace + sums - crossed) / (n * (n - 3))
    return found


class _Sums:
    """One layer's sums over the batches."""

    def __init__(self) -> None:
        self.cka: list[Tensor] = []
        self.hsic: list[Tensor] = []

    def add(self, static: Tensor, event: Tensor) -> None:
        self.cka.append(biased_cka(static, event))
        pairs = (static, event), (static, static), (event, event)
        self.hsic.append(torch.stack([unbiased_hsic(*each) for each in pairs]))

    def likeness(self) -> Likeness:
        both, static, event = torch.stack(self.hsic).sum(0)
        debiased = [
            float(b / (s * e).sqrt()) if s > 0 and e > 0 else None
            for b, s, e in zip(both, static, event, strict=True)
        ]
        return Likeness(tuple(torch.stack(self.cka).mean(0).tolist()), tuple(debiased))


def compare_branches(model: TransferModel, batches: Iterable[Twins]) -> Alignment:
    """Show both branches the same things, and compare what their layers send on.

    Args:
        model: in evaluation mode, or with its norms in training.
        batches: of ``LEAST`` pairs or more each, of like size, on the model's device.

    Raises:
        ValueError: there is no batch, or one is too small.
    """
    sums: dict[str, _Sums] = {}
    pairs, most, left_out = 0, 0, dict[str, None]()
    for twins in batches:
        count = len(twins.event)
        if count < LEAST:
            raise ValueError(f"a batch of {count} pairs, expected {LEAST} or more")
        with torch.inference_mode(), _Grams(model) as grams:
            constant = torch.full((count,), twins.still)
            output = model(twins.static, twins.event, constant)
        found = grams.found
        found[FEATURE] = [gram(each) for each in (output.static_features, output.event_features)]
        found[LOGITS] = [gram(each) for each in (output.static_logits, output.event_logits)]
        for name, calls in found.items():
            if len(calls) == 2:
                sums.setdefault(name, _Sums()).add(*calls)
            else:
                left_out[name] = None
        pairs, most = pairs + count, max(most, count)
    if not sums:
        raise ValueError("no twins to compare")
    layers = {name: each.likeness() for name, each in sums.items()}
    return Alignment(pairs, most, layers, tuple(left_out))
