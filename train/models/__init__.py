"""The transfer models by name; ``create_model`` is the way in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ...errors import UsageError, nearest
from ..neurons import LIFParameters
from ..surrogates import create_surrogate
from .base import TransferModel, TransferOutput
from .nmnist import TransferNMNIST
from .vgg import TransferVGG

__all__ = ["ANNOUNCED", "MODELS", "TransferModel", "TransferOutput", "create_model"]

MODELS: Mapping[str, type[TransferModel]] = MappingProxyType(
    {model.name: model for model in (TransferVGG, TransferNMNIST)}
)
ANNOUNCED = ("resnet18", "scnn")

NEURON_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"tau": 2.0, "threshold": 0.5, "surrogate": "qgate", "alpha": 2.0}
)


def create_model(
    name: str, *, num_classes: int, steps: int, backend: str = "auto", **options: Any
) -> TransferModel:
    """Return a freshly initialised model called ``name`` for ``num_classes`` and ``steps``.

    ``options`` set the neuron: ``tau``, ``threshold``, ``surrogate`` (a name) and ``alpha``.
    """
    model = _find(name)
    neuron = _neuron(name, options)
    return model(num_classes=num_classes, steps=steps, neuron=neuron, backend=backend)


def _find(name: str) -> type[TransferModel]:
    available = ", ".join(MODELS)
    if name in ANNOUNCED:
        raise UsageError(f"model '{name}' is not available in this release, which has: {available}")
    if name not in MODELS:
        known = (*MODELS, *ANNOUNCED)
        raise UsageError(f"unknown model '{name}', available: {available}{nearest(name, known)}")
    return MODELS[name]


def _neuron(model: str, options: Mapping[str, Any]) -> LIFParameters:
    for option in options:
        if option not in NEURON_DEFAULTS:
            known = ", ".join(NEURON_DEFAULTS)
            hint = nearest(option, NEURON_DEFAULTS)
            raise UsageError(f"model {model}: unknown option '{option}', known: {known}{hint}")
    chosen = {**NEURON_DEFAULTS, **options}
    surrogate = create_surrogate(chosen["surrogate"], alpha=chosen["alpha"])
    return LIFParameters(tau=chosen["tau"], threshold=chosen["threshold"], surrogate=surrogate)
