"""The spiking ResNet34 of the published code (He et al., AAAI 2024); no published run uses it."""

from __future__ import annotations

from typing import ClassVar

from ..doors import MODELS
from ..model import ReferenceTable
from ._residual import Residual, reference_of


@MODELS.register("resnet34")
class TransferResNet34(Residual):
    """Blocks 3, 4, 6, 3 in its stages; frames ``(B, T, 2, 48, 48)``, features ``(T, B, 512)``."""

    blocks_of_stages: ClassVar[tuple[int, ...]] = (3, 4, 6, 3)
    reference: ClassVar[ReferenceTable | None] = reference_of(blocks_of_stages)
