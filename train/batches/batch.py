"""One training step's input, whatever it was drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..augment.base import Mixture
from ..augment.mixing import static_mixture


@dataclass(frozen=True)
class Batch:
    """One training step's input.

    Attributes:
        event: event frames, ``(B, T, 2, H, W)``.
        static: static images in both polarities and all steps, replaced samples showing
            their event frames; same shape; None without transfer.
        labels: ``(B,)``.
        constant: ``(B,)`` bool on the CPU: the static side is the same at every step; None
            without transfer.
        other_labels: ``(B,)``, the second label of each sample where recordings are mixed.
        mix: ``(B,)`` in [0, 1], the first label's share; the second has the rest.
        notes: further tensors of first dimension B that the method's own loss wants, by name.
        images: ``(B,)`` bool on the CPU: the static side shows the image, since it was not
            replaced; the same as ``constant``, where absent.
    """

    event: Tensor
    static: Tensor | None
    labels: Tensor
    constant: Tensor | None
    other_labels: Tensor | None = None
    mix: Tensor | None = None
    notes: Mapping[str, Tensor] = field(default_factory=dict)
    images: Tensor | None = None

    @property
    def mixture(self) -> Mixture | None:
        """The second labels and the first ones' shares; None without mixing."""
        if self.other_labels is None or self.mix is None:
            return None
        return Mixture(self.other_labels, self.mix)

    @property
    def static_mixture(self) -> Mixture | None:
        """The same for the static side, whose images are not mixed."""
        if self.mixture is None or self.constant is None:
            return None
        return static_mixture(self.mixture, self._of_images(self.constant))

    @property
    def replaced(self) -> int:
        """Number of samples whose static image was replaced."""
        return 0 if self.constant is None else int((~self._of_images(self.constant)).sum())

    def _of_images(self, constant: Tensor) -> Tensor:
        return constant if self.images is None else self.images

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every tensor changed, but ``constant`` and ``images``.

        Those two stay on the CPU.
        """

        def changed(name: str, value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: change(each) for key, each in value.items()}
            return value if value is None or name in ("constant", "images") else change(value)

        return Batch(**{name: changed(name, value) for name, value in vars(self).items()})

    def split(self, parts: int) -> list[Batch]:
        """Return the batch in parts of equal size, or nearly so."""
        if parts == 1:
            return [self]

        def part(value: Any, number: int) -> Any:
            if isinstance(value, Mapping):
                return {key: part(each, number) for key, each in value.items()}
            return None if value is None else value.tensor_split(parts)[number]

        return [
            Batch(**{name: part(value, number) for name, value in vars(self).items()})
            for number in range(parts)
        ]

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory, from which it copies to CUDA without waiting."""

        def pinned(value: Tensor) -> Tensor:
            return value.contiguous().pin_memory() if value.device.type == "cpu" else value

        return self.mapped(pinned)
