"""A model with its method: what one (micro-)batch costs, by name.

One module, so that ``DistributedDataParallel`` and ``torch.compile`` can take model and loss
together.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ..method.base import Inputs, Method
from ..network.backends.names import check_backend, resolve_backend
from ..network.create import surrogate_of
from ..network.model import TransferModel
from ..recipe.whole import Recipe


def chosen_backend(recipe: Recipe, device: torch.device) -> str:
    """Return the backend that a recipe's layers use on one device.

    Raises:
        UsageError: the backend that it names cannot compute there.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if recipe.network.backend == "triton" and device.type != "cuda" and not interpreted:
        raise UsageError(
            f"backend = triton computes on CUDA, not on the {device.type.upper()}; set "
            "backend=auto, or backend=numba, or --device cuda where there is one"
        )
    precision: torch.dtype = getattr(torch, recipe.optim.precision)
    surrogate = surrogate_of(recipe.network.model, recipe.network.surrogate)
    return resolve_backend(check_backend(recipe.network.backend, surrogate), device, precision)


class Objective(nn.Module):
    """What training makes small."""

    def __init__(self, model: TransferModel, method: Method[Any]) -> None:
        super().__init__()
        self.model = model
        self.method = method
        self.auxiliary = nn.ModuleDict(method.heads(model))

    def auxiliary_state(self) -> dict[str, Tensor]:
        """Return the state of what is trained beside the network."""
        return self.auxiliary.state_dict()

    def load_auxiliary(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`auxiliary_state` returned."""
        self.auxiliary.load_state_dict(state)

    def forward(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the loss, its terms and the accuracy of the branch that is judged, all 0-d."""
        heads: dict[str, nn.Module] = dict(self.auxiliary.items())
        terms, logits = self.method.loss(self.model, inputs, heads)
        if logits is None:
            return terms
        right = logits.detach().mean(0).argmax(1) == inputs.labels
        return {**terms, "accuracy": right.float().mean()}
