"""One training step: micro-batches, mixed precision, clipping, the optimizer.

With ``accumulate`` k a batch is cut into k micro-batches whose gradients are added, weighted
by their samples. Everything that is taken over samples, batch norm's statistics and CKA, is
then taken over a micro-batch, so the result is not that of the whole batch.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from .data import Batch
from .distributed import Group
from .objective import Objective
from .recipe import Recipe
from .schedule import parameter_groups

_MIXED = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Updater:
    """Takes batches and moves the weights.

    Args:
        objective: model and loss, on ``device``.
        recipe: precision, clipping, accumulation, weight decay.
        device: where to compute.
        group: the processes that share each batch.
    """

    def __init__(
        self, objective: Objective, recipe: Recipe, device: torch.device, group: Group
    ) -> None:
        self.device, self._group = device, group
        self._accumulate, self._clip = recipe.accumulate, recipe.clip_norm
        self._dtype = _MIXED[recipe.precision]
        self.optimizer = torch.optim.AdamW(
            parameter_groups(objective.model, recipe.weight_decay),
            lr=recipe.lr,
            betas=(0.9, 0.999),
            eps=1e-8,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)
        self._parameters = list(objective.parameters())
        module: torch.nn.Module = objective
        if recipe.compile:
            module = torch.compile(objective)  # type: ignore[assignment]
        self._distributed = None
        if group.size > 1:
            # a head or the coefficients may have no part in a loss
            module = DistributedDataParallel(module, find_unused_parameters=True)
            self._distributed = module
        self._module = module

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of every parameter group."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def __call__(self, batch: Batch) -> dict[str, float]:
        """Take one step and return the loss, its terms, accuracy and the gradient's norm.

        Values are means over the batch of all processes. If the loss is not finite, no
        weight moves.
        """
        self.optimizer.zero_grad(set_to_none=True)
        sums: defaultdict[str, Tensor | float] = defaultdict(float)
        parts = self._group.share(batch).split(self._accumulate)
        total = sum(len(part.labels) for part in parts)
        for number, part in enumerate(parts, start=1):
            share = len(part.labels) / total
            wait = nullcontext()
            if self._distributed is not None and number < len(parts):
                wait = self._distributed.no_sync()  # type: ignore[assignment]
            with wait:
                terms = self._forward(part)
                scaled = self.scaler.scale(terms["loss"] * share)
                scaled.backward()  # type: ignore[no-untyped-call]
            for name, value in terms.items():
                sums[name] = sums[name] + value.detach() * share
        values = self._group.mean(dict(sums))
        if torch.tensor(values["loss"]).isfinite():
            self._move(values)
        return values

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        event = batch.event.to(self.device, non_blocking=True)
        static = None
        if batch.static is not None:
            static = batch.static.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None):
            terms: dict[str, Tensor] = self._module(event, static, labels, batch.constant)
        return terms

    def _move(self, values: dict[str, float]) -> None:
        if self._clip:
            self.scaler.unscale_(self.optimizer)
            norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
            values["gradient_norm"] = float(norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
