"""What every transfer model is: one spiking encoder, two heads, T learnable coefficients.

Frames come in as ``(B, T, 2, H, W)``, batch first as the loader makes them; everything that
goes out is ``(T, B, ...)``. A model adds its encoder and says how the reference
implementation names its parts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ..layers import resolve_backend
from ..neurons import LIFParameters

POLARITIES = 2


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

    code: Tensor
    features: Tensor | None


class ReferenceTable(NamedTuple):
    """How the reference implementation names a model's parts.

    ``modules``: this model's module name to the reference's, for every module that holds
    parameters. ``neurons``: the reference's neurons, which store threshold and α as tensors.
    """

    modules: Mapping[str, str]
    neurons: tuple[str, ...]


class TransferModel(nn.Module, ABC):
    """A spiking encoder shared by static images and events, with a head for each.

    ``coefficient`` ``(T,)`` is raw: the loss takes its sigmoid. A model registers its encoder
    and then its heads, after this constructor.
    """

    name: ClassVar[str]
    frame_size: ClassVar[tuple[int, int]]
    reference: ClassVar[ReferenceTable | None] = None

    static_head: nn.Module
    event_head: nn.Module

    def __init__(
        self, *, num_classes: int, steps: int, neuron: LIFParameters, backend: str = "auto"
    ) -> None:
        super().__init__()
        _check_count(f"model {self.name}: num_classes", num_classes, at_least=2)
        _check_count(f"model {self.name}: steps", steps, at_least=1)
        self.num_classes = num_classes
        self.steps = steps
        self.neuron = neuron
        self.backend = resolve_backend(backend)
        self.coefficient = nn.Parameter(torch.ones(steps))

    @abstractmethod
    def encode(self, sequence: Tensor, *, features: bool) -> Encoding:
        """Encode ``(T, B, 2, H, W)``; with ``features``, keep the domain feature as well."""

    def forward(self, static: Tensor, event: Tensor) -> TransferOutput:
        """Run the static branch over all steps, then the event branch; both ``(B, T, 2, H, W)``.

        The order matters in training: each branch moves the running statistics in turn.
        """
        static_sequence = self._time_first(static, "static")
        event_sequence = self._time_first(event, "event")
        static_code, static_features = self.encode(static_sequence, features=True)
        event_code, event_features = self.encode(event_sequence, features=True)
        assert static_features is not None
        assert event_features is not None
        return TransferOutput(
            self.static_head(static_code),
            self.event_head(event_code),
            static_features,
            event_features,
        )

    def forward_event(self, event: Tensor) -> Tensor:
        """Return the event logits ``(T, B, C)`` of frames ``(B, T, 2, H, W)``, and no more."""
        code = self.encode(self._time_first(event, "event"), features=False).code
        logits: Tensor = self.event_head(code)
        return logits

    def _time_first(self, frames: Tensor, branch: str) -> Tensor:
        """Check frames ``(B, T, 2, H, W)`` and return them as ``(T, B, 2, H, W)``."""
        expected = (self.steps, POLARITIES, *self.frame_size)
        if tuple(frames.shape[1:]) != expected or len(frames) == 0:
            found = "x".join(map(str, frames.shape))
            wanted = "x".join(map(str, expected))
            raise UsageError(
                f"model {self.name}: {branch} frames are {found}, expected Bx{wanted} "
                "(batch, steps, polarities, height, width)"
            )
        return frames.transpose(0, 1)


def _check_count(what: str, value: int, *, at_least: int) -> None:
    if not isinstance(value, int) or value < at_least:
        raise UsageError(f"{what} is {value!r}, expected an integer of {at_least} or more")
