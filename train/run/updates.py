"""One training step: micro-batches, mixed precision, clipping, the optimizer.

With ``accumulate`` k a batch is cut into k micro-batches whose gradients are added, weighted
by their samples. Everything that is taken over samples, batch norm's statistics and CKA, is
then taken over a micro-batch, so the result is not that of the whole batch.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..batches.batch import Batch
from ..batches.views import RATE
from ..method.base import Inputs
from ..network.create import TransferModel
from ..recipe.whole import Recipe
from .distributed import Group
from .objective import Objective
from .optimizers import make_optimizer
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
        self._accumulate, self._clip = recipe.optim.accumulate, recipe.optim.clip_norm
        self._dtype = _MIXED[recipe.optim.precision]
        groups = parameter_groups(objective, recipe.optim.weight_decay, recipe.optim.decays)
        self.optimizer = make_optimizer(groups, recipe.optim)
        self.average: AveragedModel | None = None
        if recipe.optim.ema_decay:
            follow = get_ema_multi_avg_fn(recipe.optim.ema_decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(objective.model, multi_avg_fn=follow)
        self._model = objective.model
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)
        self._parameters = list(objective.parameters())
        module: torch.nn.Module = objective
        if recipe.run.compile:
            module = torch.compile(objective)  # type: ignore[assignment]
        self._distributed = None
        if group.size > 1:
            whole = objective.method.trains_all
            module = DistributedDataParallel(module, find_unused_parameters=not whole)
            self._distributed = module
        self._module = module

    @property
    def judged(self) -> TransferModel:
        """The model that is validated: the average where there is one."""
        return self._model if self.average is None else cast(TransferModel, self.average.module)

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the states of optimizer, scaler and averaged weights, by these names."""
        average = {} if self.average is None else self.average.state_dict()
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": average,
        }

    def load_state(
        self, optimizer: dict[str, Any], scaler: dict[str, Any], average: dict[str, Any]
    ) -> None:
        """Take up what :meth:`state` returned."""
        self.optimizer.load_state_dict(optimizer)
        self.scaler.load_state_dict(scaler)
        if self.average is not None:
            self.average.load_state_dict(average)

    def check_state(self) -> None:
        """Refuse an optimizer's state that was taken up and is not of these weights.

        Raises:
            ValueError: a tensor has neither the shape of its weight nor one value.
        """
        for number, (weight, state) in enumerate(self.optimizer.state.items()):
            for name, value in state.items():
                shape = tuple(value.shape) if isinstance(value, Tensor) else ()
                if shape not in ((), (1,), tuple(weight.shape)):
                    raise ValueError(
                        f"optimizer {name} {number} is {shape} instead of {tuple(weight.shape)}"
                    )

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
        here = batch.mapped(lambda value: value.to(self.device, non_blocking=True))
        inputs = Inputs(
            here.event,
            here.static,
            here.labels,
            here.constant,
            here.mixture,
            here.static_mixture,
            here.notes,
        )
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None):
            terms: dict[str, Tensor] = self._module(inputs)
        told = {name: each.mean() for name, each in here.notes.items() if name.endswith(RATE)}
        return {**terms, **told}

    def _move(self, values: dict[str, float]) -> None:
        if self._clip:
            self.scaler.unscale_(self.optimizer)
            norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
            values["gradient_norm"] = float(norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self._model)
