"""What every transfer model is: one spiking encoder, two heads, T learnable coefficients.

Frames come in as ``(B, T, 2, H, W)``, batch first as the loader makes them; everything that
goes out is ``(T, B, ...)``. A network is a subclass that adds its encoder.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import UsageError
from .attention.options import Attention
from .neurons import Neuron
from .synapses import Activity, connect

POLARITIES = 2
LAYOUTS = ("yx", "xy")


class TransferOutput(NamedTuple):
    """Both branches at every step: logits ``(T, B, C)``, domain features ``(T, B, F)``."""

    static_logits: Tensor
    event_logits: Tensor
    static_features: Tensor
    event_features: Tensor


class Encoding(NamedTuple):
    """What an encoder hands over: the heads' input and the domain feature, if asked for.

    ``code`` is ``(T, B, N)``, ``features`` is ``(T, B, F)`` or None.
    """

    code: Activity
    features: Tensor | None


class ReferenceTable(NamedTuple):
    """How the reference implementation names a model's parts.

    ``modules``: this model's module name to the reference's, for every module that holds
    parameters. ``neurons``: the reference's neurons, which store threshold and α as tensors.
    ``voters``: outputs of a head for each class. ``also``: as ``modules``, of what only some of its
    networks have. ``leaves``: tensors that it calls otherwise. ``lacks``: first parts of names here
    that it has no counterpart of. ``dead``: pattern of names there that nothing computes with.
    """

    modules: Mapping[str, str]
    neurons: tuple[str, ...] = ()
    voters: int = 1
    also: Mapping[str, str] = {}
    leaves: Mapping[str, str] = {}
    lacks: tuple[str, ...] = ()
    dead: str = ""


@dataclass(frozen=True)
class ModelOptions:
    """What a model is made with.

    Attributes:
        name: by which it was found, for messages and checkpoints.
        num_classes: of both heads.
        steps: time steps of a sequence.
        neuron: the neuron model of every layer.
        norm: over what the normalisations take their statistics (see :mod:`..layers`).
        width: factor of every hidden layer's width.
        size: height and width of the frames; None takes the model's own.
        backend: what computes the layers.
        keep_activations: keep what the backward pass needs; otherwise every stage keeps its
            input alone and runs again (activation checkpointing).
        attention: of each layer that has pixels; None for none.
        layout: of the frames inside the network: ``yx`` as they come, or ``xy``, turned over.
        conv_channels: of the convolutions; None takes the model's own times ``width``.
        dropout: share of a layer's inputs, and of its spikes, that training drops; None: its own.
        dropout_layers: of which layers, a digit 0 or 1 for each; None takes the model's own.
        spike_pool: how spikes are pooled, ``average`` or ``max``; None takes the model's own.
    """

    name: str
    num_classes: int
    steps: int
    neuron: Neuron = field(default_factory=Neuron)
    norm: str = "per-step"
    width: float = 1.0
    size: tuple[int, int] | None = None
    backend: str = "auto"
    keep_activations: bool = True
    attention: Attention | None = None
    layout: str = "yx"
    conv_channels: tuple[int, ...] | None = None
    dropout: float | None = None
    dropout_layers: str | None = None
    spike_pool: str | None = None


class TransferModel(nn.Module, ABC):
    """A spiking encoder shared by static images and events, with a head for each.

    ``coefficient`` ``(T,)`` is raw: the loss takes its sigmoid.

    A subclass has to provide:

    - ``frame_size``, height and width of its frames where nobody asks for others;
    - a constructor that takes :class:`ModelOptions`, calls this one, registers its layers, made
      with ``**self.layer_options`` and widths from :meth:`wide`, for frames of ``self.size``,
      and last its heads by :meth:`make_heads`;
    - :meth:`encode`, from frames to what the heads get and the domain feature.

    It may set ``least_size``, the shortest side that its layers can take, ``neuron_defaults``,
    where its neurons (or its ``norm``) differ from :mod:`.defaults`, ``takes``, which of the last
    four options it heeds, ``pools_maxima``, that one of its pools takes the maximum, and
    ``reference``, the names in published checkpoints; and override :meth:`head`, or
    :meth:`classify` where a head is no linear map. What runs through
    :func:`~snntx.train.network.recompute.run_stage` with ``keep=self.keeps_activations`` costs
    less memory where that is false. ``@MODELS.register("name")`` gives it a name.
    """

    static_head: nn.Module
    event_head: nn.Module
    frame_size: ClassVar[tuple[int, int]]
    least_size: ClassVar[int] = 1
    neuron_defaults: ClassVar[Mapping[str, Any]] = {}
    takes: ClassVar[frozenset[str]] = frozenset()
    pools_maxima: ClassVar[bool] = False
    reference: ClassVar[ReferenceTable | None] = None

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.name = options.name
        what = f"model {self.name}"
        _check_count(f"{what}: num_classes", options.num_classes, at_least=2)
        _check_count(f"{what}: steps", options.steps, at_least=1)
        if not 0 < options.width < math.inf:
            raise UsageError(f"{what}: width is {options.width}, expected a positive factor")
        self.options = options
        self.num_classes, self.steps = options.num_classes, options.steps
        self.neuron, self.backend = options.neuron, options.backend
        self.keeps_activations = options.keep_activations
        if options.layout not in LAYOUTS:
            known = ", ".join(LAYOUTS)
            raise UsageError(f"{what}: layout is '{options.layout}', expected one of {known}")
        self.layout = "yx"
        self.size = options.size or self.frame_size
        self.lay_out(options.layout)
        for side in self.size:
            _check_count(f"{what}: size", side, at_least=self.least_size)
        self.layer_options: dict[str, Any] = {
            "neuron": options.neuron,
            "norm": options.norm,
            "steps": options.steps,
            "backend": options.backend,
        }
        if options.attention is not None:
            self.layer_options["attention"] = options.attention
        self.coefficient = nn.Parameter(torch.ones(options.steps))

    def lay_out(self, layout: str) -> None:
        """Take frames in a layout: ``yx``, or ``xy``, turned over before the first layer.

        ``size`` is that of the frames inside, ``(X, Y)`` for ``xy``.
        """
        if layout != self.layout:
            self.layout, self.size = layout, (self.size[1], self.size[0])

    @property
    def reference_layout(self) -> str:
        """Layout of the frames that the reference trains it on."""
        return "yx"

    def wide(self, channels: int) -> int:
        """Return a hidden layer's width, scaled by the option ``width``."""
        return max(1, round(channels * self.options.width))

    def make_heads(self, inputs: int) -> None:
        """Register a linear head with bias for each branch."""
        self.static_head = nn.Linear(inputs, self.num_classes)
        self.event_head = nn.Linear(inputs, self.num_classes)

    def head(self, branch: str) -> nn.Linear:
        """Return the head of the ``static`` or the ``event`` branch."""
        found: nn.Linear = getattr(self, f"{branch}_head")
        return found

    def classify(self, code: Activity, branch: str) -> Tensor:
        """Return the logits ``(T, B, C)`` of a branch's head for what :meth:`encode` gave it."""
        return connect(code, self.head(branch))

    @abstractmethod
    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, H, W)``; with ``features``, keep the domain feature as well.

        ``constant`` ``(B,)`` marks samples whose frames are the same at every step; given to
        the first convolution, it runs once for them.
        """

    def forward(
        self, static: Tensor, event: Tensor, constant: Tensor | None = None
    ) -> TransferOutput:
        """Run the static branch over all steps, then the event branch; both ``(B, T, 2, H, W)``.

        The order matters in training: each branch moves the running statistics in turn.
        ``constant`` ``(B,)`` bool, on the CPU, marks the samples of the static branch whose
        frames are the same at every step; None takes none for granted.
        """
        static_sequence = self._time_first(static, "static")
        event_sequence = self._time_first(event, "event")
        static_code, static_features = self.encode(
            static_sequence, features=True, constant=constant
        )
        event_code, event_features = self.encode(event_sequence, features=True, constant=None)
        assert static_features is not None
        assert event_features is not None
        return TransferOutput(
            self.classify(static_code, "static"),
            self.classify(event_code, "event"),
            static_features,
            event_features,
        )

    def forward_event(self, event: Tensor) -> Tensor:
        """Return the event logits ``(T, B, C)`` of frames ``(B, T, 2, H, W)``, and no more."""
        sequence = self._time_first(event, "event")
        code = self.encode(sequence, features=False, constant=None).code
        return self.classify(code, "event")

    def forward_static(self, static: Tensor, constant: Tensor | None = None) -> Tensor:
        """Return the static logits ``(T, B, C)`` of frames ``(B, T, 2, H, W)``, and no more.

        ``constant`` as in :meth:`forward`.
        """
        sequence = self._time_first(static, "static")
        code = self.encode(sequence, features=False, constant=constant).code
        return self.classify(code, "static")

    def _time_first(self, frames: Tensor, branch: str) -> Tensor:
        """Check frames ``(B, T, 2, H, W)`` and return them time first, in the network's layout."""
        turned = self.layout == "xy"
        expected = (self.steps, POLARITIES, *(self.size[::-1] if turned else self.size))
        if tuple(frames.shape[1:]) != expected or len(frames) == 0:
            found = "x".join(map(str, frames.shape))
            wanted = "x".join(map(str, expected))
            raise UsageError(
                f"model {self.name}: {branch} frames are {found}, expected Bx{wanted} "
                "(batch, steps, polarities, height, width)"
            )
        sequence = frames.transpose(0, 1)
        return sequence.transpose(3, 4) if turned else sequence


def _check_count(what: str, value: int, *, at_least: int) -> None:
    if not isinstance(value, int) or value < at_least:
        raise UsageError(f"{what} is {value!r}, expected an integer of {at_least} or more")
