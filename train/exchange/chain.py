"""A network's event branch as a plain chain: convolution, neurons, pool, …, then the linear head.

In: a network in evaluation. Out: its layers with the norm folded into their weights, in float64,
or one line that says why it is no such chain. In evaluation a norm's statistics are constants, the
same at every step, so that ``w (x - m) / √(v + ε) + b`` is a factor and a shift of each channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...errors import UsageError
from ..network.layers import SpikingConv2d, SpikingLayer, SpikingLinear
from ..network.model import TransferModel
from ..network.models._two_convolutions import TwoConvolutions
from ..network.models.vgg import TransferVGG
from ..network.neurons import Neuron

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """A synapse layer and the neurons that it drives.

    Attributes:
        name: of the layer in the network.
        weight: ``(out, in, kh, kw)`` of a convolution, ``(out, in)`` of a linear map.
        bias: ``(out,)``.
        stride, padding: of a convolution; (1, 1) and (0, 0) else.
        shape: of one sample's input, ``(C, H, W)`` or ``(N,)``.
        fires: shape of what its neurons send, before any pool.
        neuron: their kind.
        leak: k, a learnt one as it was learnt.
        threshold: θ, likewise.
        pool: side of the windows over which spikes are averaged; 1 for none.
    """

    name: str
    weight: Float64Array
    bias: Float64Array
    stride: tuple[int, int]
    padding: tuple[int, int]
    shape: tuple[int, ...]
    fires: tuple[int, ...]
    neuron: Neuron
    leak: float
    threshold: float
    pool: int


@dataclass(frozen=True)
class Chain:
    """The links in order, and the head's weight ``(C, N)`` and bias ``(C,)``."""

    links: tuple[Link, ...]
    weight: Float64Array
    bias: Float64Array


def layers_of(model: TransferModel) -> list[tuple[str, SpikingLayer]]:
    """Return the spiking layers of a network that is a chain of them, by name.

    Raises:
        UsageError: it is none.
    """
    if isinstance(model, TransferVGG):
        return [
            (f"features.{i}", each)
            for i, each in enumerate(model.features)
            if isinstance(each, SpikingLayer)
        ]
    if isinstance(model, TwoConvolutions):
        return [(each, getattr(model, each)) for each in ("first", "second", "hidden")]
    why = "is no plain chain of layers with a linear head, as vgg, scnn and nmnist are"
    if model.pools_maxima:
        why = "pools maxima, for which NIR has no node, and " + why
    raise UsageError(
        f"network {model.options.name} cannot be exported to NIR: it {why}; export it to "
        "safetensors"
    )


def chain_of(model: TransferModel) -> Chain:
    """Return a network's event branch as a chain.

    Args:
        model: in evaluation; weights of any type.

    Raises:
        UsageError: it is no plain chain, turns its frames over, attends, or has statistics of
            each step.
    """
    found = layers_of(model)
    if model.layout != "yx":
        raise UsageError(
            f"it cannot be exported to NIR: with layout = {model.layout} the network turns its "
            "frames over, for which the format has no layer; train with layout=yx"
        )
    shape: tuple[int, ...] = (2, *model.size)
    links = []
    for name, layer in found:
        link = _link(name, layer, shape)
        links.append(link)
        shape = link.fires
        if link.pool > 1:
            shape = (shape[0], *(side // link.pool for side in shape[1:]))
        if _flattened_after(name, found):
            shape = (int(np.prod(shape)),)
    head = model.head("event")
    if not isinstance(head, nn.Linear):
        raise UsageError("it cannot be exported to NIR: its head is no linear map")
    return Chain(tuple(links), _wide(head.weight), _bias(head.bias, head.out_features))


def _flattened_after(name: str, found: list[tuple[str, SpikingLayer]]) -> bool:
    """Return whether what follows a layer is a linear map, for which maps are flattened."""
    place = [each for each, _ in found].index(name)
    return place + 1 == len(found) or isinstance(found[place + 1][1], SpikingLinear)


def _link(name: str, layer: SpikingLayer, shape: tuple[int, ...]) -> Link:
    if layer.attention is not None:
        raise UsageError(
            f"it cannot be exported to NIR: layer {name} has an attention, for which the format "
            "has no layer; train with attention=none"
        )
    if layer.pool_before > 1:
        raise UsageError(
            f"it cannot be exported to NIR: layer {name} pools what drives its neurons"
        )
    if isinstance(layer, SpikingConv2d):
        weight, own, conv = layer.conv.weight, layer.conv.bias, layer.conv
        stride, padding = _pair(conv.stride), _pair(conv.padding)
        kernel = _pair(conv.kernel_size)
        sides = [
            (side + 2 * p - k) // s + 1
            for side, p, k, s in zip(shape[1:], padding, kernel, stride, strict=True)
        ]
        fires: tuple[int, ...] = (conv.out_channels, *sides)
    elif isinstance(layer, SpikingLinear):
        weight, own = layer.linear.weight, layer.linear.bias
        stride, padding, fires = (1, 1), (0, 0), (layer.linear.out_features,)
    else:
        raise UsageError(f"it cannot be exported to NIR: layer {name} has no weights of its own")
    wide, bias = _wide(weight), _bias(own, len(weight))
    if layer.norm is not None:
        if layer.norm.kind == "per-step-own":
            raise UsageError(
                "it cannot be exported to NIR: norm = per-step-own has other statistics at "
                "every step, and the format's weights hold for all; train with norm=merged or "
                "norm=per-step"
            )
        mean, variance = (_wide(each)[0] for each in layer.norm.running())
        factor = _wide(layer.norm.weight) / np.sqrt(variance + layer.norm.eps)
        wide = wide * factor.reshape(-1, *[1] * (wide.ndim - 1))
        bias = (bias - mean) * factor + _wide(layer.norm.bias)
    learnt = layer.neuron.kind == "plif"
    leak = float(torch.sigmoid(layer.leak_logit.detach().double())) if learnt else layer.neuron.leak
    own_threshold = layer.neuron.learn_threshold
    threshold = (
        float(layer.threshold.detach().double()) if own_threshold else layer.neuron.threshold
    )
    return Link(
        name, wide, bias, stride, padding, shape, fires, layer.neuron, leak, threshold, layer.pool
    )


def _wide(tensor: torch.Tensor) -> Float64Array:
    wide: Float64Array = tensor.detach().double().cpu().contiguous().numpy()
    return wide


def _bias(bias: torch.Tensor | None, count: int) -> Float64Array:
    return np.zeros(count) if bias is None else _wide(bias)


def _pair(value: object) -> tuple[int, int]:
    first, second = value if isinstance(value, tuple) else (value, value)
    return int(first), int(second)
