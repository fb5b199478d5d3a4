"""Stage two: a sealed frame cache in, a trained spiking network and its report out.

What is public is named here and imported when it is asked for; every other module is private.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assess.evaluate import evaluate_run as evaluate
    from .batches.loader import FrameDataset
    from .checkpoints.reference import load_reference_state
    from .method.base import Method
    from .method.losses import TransferLoss
    from .network.create import create_model
    from .recipe.sources import load_recipe
    from .recipe.whole import Recipe
    from .run.fit import train
    from .study.listing.look import read_run

_PLACES = {
    "FrameDataset": ("batches.loader", "FrameDataset"),
    "Method": ("method.base", "Method"),
    "Recipe": ("recipe.whole", "Recipe"),
    "TransferLoss": ("method.losses", "TransferLoss"),
    "create_model": ("network.create", "create_model"),
    "evaluate": ("assess.evaluate", "evaluate_run"),
    "load_recipe": ("recipe.sources", "load_recipe"),
    "load_reference_state": ("checkpoints.reference", "load_reference_state"),
    "read_run": ("study.listing.look", "read_run"),
    "train": ("run.fit", "train"),
}
__all__ = [
    "FrameDataset",
    "Method",
    "Recipe",
    "TransferLoss",
    "create_model",
    "evaluate",
    "load_recipe",
    "load_reference_state",
    "read_run",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(f".{module}", __name__), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
