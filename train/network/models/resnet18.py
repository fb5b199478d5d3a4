"""The spiking ResNet18 of the CEP-DVS experiments (He et al., AAAI 2024)."""

from __future__ import annotations

from typing import ClassVar

from ..doors import MODELS
from ..model import ReferenceTable
from ._residual import Residual, reference_of


@MODELS.register("resnet18")
class TransferResNet18(Residual):
    """Blocks 2, 2, 2, 2 in its stages; frames ``(B, T, 2, 48, 48)``, features ``(T, B, 512)``."""

    blocks_of_stages: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)
    reference: ClassVar[ReferenceTable | None] = reference_of(blocks_of_stages)
