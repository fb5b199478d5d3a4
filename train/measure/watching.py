"""Contexts that watch a network's layers by hooks, and leave nothing behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from torch import nn
from torch.utils.hooks import RemovableHandle

from ..network.layers import SpikingLayer


class Watching(ABC):
    """Hooks on a network's spiking layers while the context lasts.

    Args:
        model: the network.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = {n: m for n, m in model.named_modules() if isinstance(m, SpikingLayer)}
        self._hooks: list[RemovableHandle] = []

    @abstractmethod
    def hooks(self, name: str, layer: SpikingLayer) -> list[RemovableHandle]:
        """Register and return the hooks of one layer."""

    def __enter__(self) -> Self:
        for name, layer in self._layers.items():
            self._hooks += self.hooks(name, layer)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._hooks:
            self._hooks.pop().remove()
