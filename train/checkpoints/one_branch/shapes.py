"""Weights of networks with one branch, by the names of Yao et al. (ICCV 2023) or SpikingJelly.

Such a file is a bare state: tensors by name. In: these. Out: what network they are of, in settings
of ours, as far as the shapes say it; what they do not say is as every published run has it: the
neurons' constants, λ = 1/2, spikes that are sent, an attention before the neuron, and the masks
united over a batch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ....errors import SnntxError
from ...network.attention.options import Attention
from ...network.doors import MODELS

CONVOLUTION = re.compile(r"ConvAttLIFs\.(\d+)\.(?:0\.)?conv\.0\.weight")
SCORING = re.compile(r"ConvAttLIFs\.0\.(?:0\.)?attn\.fc(\.0)?\.weight")
LEAK = re.compile(r"ConvAttLIFs\.0\.0\.spike\.0\.w")
ONE_BRANCH = ("asa3", "asa5", "sew-resnet18")


def network_of(
    path: Path, model: str, state: Mapping[str, Tensor]
) -> tuple[int | None, dict[str, Any]]:
    """Return T, where an attention tells it, and the further options of the network.

    Args:
        path: the file, for errors.
        model: which network the weights are of.
        state: the weights.

    Raises:
        SnntxError: the attention's scoring has no shape that it can have.
    """
    if model == "sew-resnet18":
        return None, {}
    options: dict[str, Any] = {"conv_channels": _channels(state)}
    if model == "asa5" and not any(map(LEAK.fullmatch, state)):
        options |= {"kind": "lif", "spike_pool": "average"}
    for name, weight in state.items():
        scoring = SCORING.fullmatch(name)
        if scoring is not None:
            steps, reduction = _scoring(path, name, weight, hidden=bool(scoring[1]))
            options["attention"] = Attention(mode="reference", reduction=reduction)
            return steps, options
    return None, options


def own_options(model: str) -> Mapping[str, Any]:
    """Return what a network's neurons are by default, as the published runs have them."""
    defaults: Mapping[str, Any] = MODELS.get(model).neuron_defaults
    return defaults


def _channels(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    found = {
        int(place[1]): len(state[name])
        for name in state
        if (place := CONVOLUTION.fullmatch(name)) is not None
    }
    return tuple(found[number] for number in sorted(found))


def _scoring(path: Path, name: str, weight: Tensor, *, hidden: bool) -> tuple[int, int]:
    """Return T and the smallest reduction with so many hidden values."""
    shape = tuple(weight.shape)
    if len(shape) == 2 and not hidden and shape[0] == shape[1]:
        return shape[1], 1
    if len(shape) == 2 and hidden:
        for reduction in range(2, shape[1] + 1):
            if shape[1] // reduction == shape[0]:
                return shape[1], reduction
    expected = "(T // r, T)" if hidden else "(T, T)"
    raise SnntxError(f"{path}: {name} should be {expected}, found {shape}")
