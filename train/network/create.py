"""The transfer models by name; ``create_model`` is the way in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ...errors import UsageError, nearest
from .model import ModelOptions, TransferModel, TransferOutput
from .models.nmnist import TransferNMNIST
from .models.resnet18 import TransferResNet18
from .models.scnn import TransferSCNN
from .models.vgg import TransferVGG
from .neurons import Neuron
from .surrogates import create_surrogate

__all__ = ["MODELS", "NEURON_OPTIONS", "TransferModel", "TransferOutput", "create_model"]

MODELS: Mapping[str, type[TransferModel]] = MappingProxyType(
    {each.name: each for each in (TransferVGG, TransferResNet18, TransferSCNN, TransferNMNIST)}
)

NEURON_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "kind": "lif",
        "tau": 2.0,
        "threshold": 0.5,
        "reset": "hard",
        "detach_reset": True,
        "learn_threshold": False,
        "surrogate": "qgate",
        "alpha": 2.0,
    }
)
"""Settings of the neurons and their defaults; a model may have defaults of its own."""


def create_model(
    name: str,
    *,
    num_classes: int,
    steps: int,
    norm: str = "per-step",
    width: float = 1.0,
    size: tuple[int, int] | None = None,
    backend: str = "auto",
    keep_activations: bool = True,
    **neuron: Any,
) -> TransferModel:
    """Return a freshly initialised model.

    Args:
        name: one of ``MODELS``.
        num_classes: classes of its heads.
        steps: time steps of a sequence.
        norm: ``per-step``, ``merged`` or ``none``.
        width: factor of every hidden layer's width.
        size: height and width of the frames; None takes the model's own.
        backend: ``auto``, ``torch``, ``numba`` or ``triton``.
        keep_activations: false keeps the inputs of stages alone for the backward pass.
        neuron: settings of the neurons, see ``NEURON_OPTIONS``; ``surrogate`` is a name.

    Raises:
        UsageError: a name is unknown, or a value cannot be.
    """
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise UsageError(f"unknown model '{name}', known: {known}{nearest(name, MODELS)}")
    options = ModelOptions(
        num_classes=num_classes,
        steps=steps,
        neuron=_neuron(MODELS[name], neuron),
        norm=norm,
        width=width,
        size=size,
        backend=backend,
        keep_activations=keep_activations,
    )
    return MODELS[name](options)


def _neuron(model: type[TransferModel], options: Mapping[str, Any]) -> Neuron:
    for option in options:
        if option not in NEURON_OPTIONS:
            known = ", ".join(NEURON_OPTIONS)
            hint = nearest(option, NEURON_OPTIONS)
            raise UsageError(f"model {model.name}: unknown option '{option}', known: {known}{hint}")
    chosen = {**NEURON_OPTIONS, **model.neuron_defaults, **options}
    surrogate = create_surrogate(chosen.pop("surrogate"), alpha=chosen.pop("alpha"))
    return Neuron(**chosen, surrogate=surrogate)
