"""Transfer models by name; ``create_model`` is the way in, and ``MODELS`` the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UsageError, nearest
from .attention.asa import ASA
from .attention.options import Attention
from .defaults import NEURON_OPTIONS, NORM
from .doors import MODELS
from .model import ModelOptions, TransferModel, TransferOutput
from .neurons import Neuron
from .surrogates import Surrogate, create_surrogate

__all__ = ["MODELS", "NEURON_OPTIONS", "TransferModel", "TransferOutput", "create_model"]


def create_model(
    name: str,
    *,
    num_classes: int,
    steps: int,
    norm: str | None = None,
    width: float = 1.0,
    size: tuple[int, int] | None = None,
    backend: str = "auto",
    keep_activations: bool = True,
    attention: Attention | None = None,
    layout: str = "yx",
    conv_channels: Sequence[int] | None = None,
    dropout: float | None = None,
    dropout_layers: str | None = None,
    spike_pool: str | None = None,
    **neuron: Any,
) -> TransferModel:
    """Return a freshly initialised model.

    Args:
        name: of a model that :data:`MODELS` finds; your own as ``package.module:Name``.
        num_classes: classes of its heads.
        steps: time steps of a sequence.
        norm: one of :data:`snntx.train.network.layers.NORMS`; None takes the model's own.
        width: factor of every hidden layer's width.
        size: height and width of the frames; None takes the model's own.
        backend: ``auto``, ``torch``, ``numba`` or ``triton``.
        keep_activations: false keeps the inputs of stages alone for the backward pass.
        attention: of each layer that has pixels, see :mod:`.attention.options`; None for none.
        layout: ``yx``, or ``xy`` for frames that are turned over at the network's door.
        conv_channels: of the convolutions, in place of the model's own; of a model that takes them.
        dropout: share that is dropped; likewise.
        dropout_layers: of which layers, a digit 0 or 1 each; likewise.
        spike_pool: ``average`` or ``max``; likewise.
        neuron: settings of the neurons, see ``NEURON_OPTIONS``; ``surrogate`` is a name.

    Raises:
        UsageError: a name is unknown, a value cannot be, or no layer of the network takes the
            attention.
    """
    name = MODELS.known_as(name)
    model: type[TransferModel] = MODELS.get(name)
    given: dict[str, Any] = {
        "conv_channels": None if conv_channels is None else tuple(conv_channels),
        "dropout": dropout,
        "dropout_layers": dropout_layers,
        "spike_pool": spike_pool,
    }
    for option, value in given.items():
        if value is not None and option not in model.takes:
            raise UsageError(f"model {name}: takes no {option}; leave it out")
    options = ModelOptions(
        name=name,
        num_classes=num_classes,
        steps=steps,
        neuron=_neuron(name, model.neuron_defaults, neuron),
        norm=norm or model.neuron_defaults.get("norm", NORM),
        width=width,
        size=size,
        backend=backend,
        keep_activations=keep_activations,
        attention=attention,
        layout=layout,
        **given,
    )
    made = model(options)
    if attention is not None and not any(isinstance(part, ASA) for part in made.modules()):
        raise UsageError(
            f"model {name}: none of its layers takes an attention; set attention to none"
        )
    return made


def surrogate_of(model: str, name: str | None = None) -> Surrogate:
    """Return the surrogate of a model's neurons: the one named, or else the model's own."""
    own = MODELS.get(model).neuron_defaults
    return create_surrogate(name or {**NEURON_OPTIONS, **own}["surrogate"])


def _neuron(name: str, own: Mapping[str, Any], options: Mapping[str, Any]) -> Neuron:
    for option in options:
        if option not in NEURON_OPTIONS:
            known = ", ".join(NEURON_OPTIONS)
            hint = nearest(option, NEURON_OPTIONS)
            raise UsageError(f"model {name}: unknown option '{option}', known: {known}{hint}")
    chosen = {**NEURON_OPTIONS, **own, **options}
    chosen.pop("norm", None)  # a model's own default, and no neuron's
    surrogate = create_surrogate(chosen.pop("surrogate"), alpha=chosen.pop("alpha"))
    return Neuron(**chosen, surrogate=surrogate)
