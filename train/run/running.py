"""A run between two steps: weights, optimizer, position, best epoch so far."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ...data_cards.schema import Card
from ...errors import SnntxError
from ...preprocess.cache.contents import SealedCache
from ..batches.batch import Batch
from ..batches.drawing import Drawn
from ..checkpoints.initialise import initial_weights
from ..checkpoints.names import BEST, DIVERGED, FORMAT, LAST
from ..checkpoints.run_directory import has_waited
from ..checkpoints.state import Checkpoint, save_checkpoint, save_content
from ..measure.batch_statistics import event_by_batch
from ..measure.firing import FiringRates
from ..measure.metrics import Metrics, evaluate_part
from ..measure.static_part import evaluate_static, static_by_batch, static_selection
from ..measure.votes import evaluate_by_votes
from ..method.base import Method, Place
from ..network.create import TransferModel
from ..recipe.networks import build_model
from ..recipe.whole import Recipe
from .distributed import Group
from .gap import GAP, find_gap
from .logs import RunLog, peak_memory_mib
from .objective import Objective
from .stopping import LeftError, StoppedError, StopRequest, leaving
from .updates import Updater


class Running:
    """A run between two steps: weights, optimizer, position, best epoch so far."""

    def __init__(
        self,
        card: Card,
        cache: SealedCache,
        recipe: Recipe,
        out: Path,
        data: Drawn,
        method: Method[Any],
        group: Group,
        *,
        fresh: bool,
    ) -> None:
        self._card, self._cache, self._recipe, self._out = card, cache, recipe, out
        self._data, self._method, self._group = data, method, group
        torch.manual_seed(recipe.run.seed)
        *_, height, width = cache.frame_shape
        self.model = build_model(
            recipe,
            num_classes=len(cache.classes),
            steps=cache.frame_shape[0],
            size=(height, width),
        )
        self.notes: list[str] = []
        initial = recipe.run.initial
        if initial and fresh:
            self.notes = initial_weights(self.model, Path(initial), classes=cache.classes)
        self.objective = Objective(self.model, method).to(group.device)
        self.updater = Updater(self.objective, recipe, group.device, group)
        self.epoch, self.batch = 0, 0
        self.sums: dict[str, float] = {}
        self.best: dict[str, Any] = {"epoch": 0, "top1": -1.0, "loss": float("inf")}
        self.validation: dict[str, Any] = {}
        self.log: RunLog | None = None

    @property
    def finished(self) -> bool:
        """Whether patience has run out."""
        return has_waited(self._recipe, self.epoch, self.batch, int(self.best["epoch"]))

    def take_up(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint was written.

        Raises:
            SnntxError: its states do not fit the network of its recipe.
        """
        try:
            self.model.load_state_dict(checkpoint.model)
            self.objective.load_auxiliary(checkpoint.auxiliary)
            self.updater.load_state(checkpoint.optimizer, checkpoint.scaler, checkpoint.average)
            self.updater.check_state()
            torch.set_rng_state(checkpoint.rng)
        except (RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
            lines = [line.strip() for line in str(error).splitlines()]
            problem = "; ".join(lines[1:3] or lines) or type(error).__name__
            raise SnntxError(
                f"{self._out / LAST}: does not fit the network of its recipe: {problem}; remove "
                f"{self._out} and train it again"
            ) from error
        self.epoch, self.best = checkpoint.epoch, checkpoint.best
        self.batch, self.sums = checkpoint.batch, dict(checkpoint.sums)
        self.validation = checkpoint.validation

    def step(self, batch: Batch) -> dict[str, Any]:
        """Take one step and return what to show of it."""
        number = self.batch
        values = self._updated(batch)
        if not math.isfinite(values["loss"]):
            raise self._diverged(f"the loss is {values['loss']}", number + 1, batch)
        values["replaced"] = batch.replaced / len(batch.labels)
        epochs = self._recipe.optim.epochs
        place = Place(self.epoch, number, epochs, self._data.batches)
        values |= {"P": 0.0, **self._method.log(place)}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.batch += 1
        steps = self._data.batches
        return {"epoch": self.epoch + 1, "step": self.batch, "steps": steps, **values}

    def _updated(self, batch: Batch) -> dict[str, float]:
        """Let the updater take a step; memory that ran out is a user's error, with a way out."""
        try:
            return self.updater(batch)
        except RuntimeError as error:
            cuda = isinstance(error, torch.OutOfMemoryError)
            if not cuda and "can't allocate memory" not in str(error):
                raise
            raise SnntxError(
                f"{self._out}: a batch of {len(batch.labels)} does not fit into the memory of the "
                f"{self._group.device.type.upper()}; lower batch_size, or set checkpointing, "
                "accumulate or precision"
            ) from error

    def finish_epoch(
        self, selection: Any, rate: float, began: float, first: int, request: StopRequest
    ) -> dict[str, Any]:
        """Validate, log and save; returns the epoch's record.

        Raises:
            StoppedError: the process was asked to end while it validated; ``last.pt`` has the
                epoch's weights, to be validated again.
        """
        batches = self.batch
        model = self.updater.judged
        if not all(bool(torch.isfinite(v).all()) for v in self.model.state_dict().values()):
            raise self._diverged("a weight is not finite", batches, None)
        seconds = time.perf_counter() - began
        rates: dict[str, float] = {}
        gap: dict[str, Any] | None = None
        outcome: Metrics | int | None = None  # where it was left, the signal's number
        if self._group.first:
            try:
                with leaving(model, request):
                    with FiringRates(model) as firing:
                        outcome = self._validate(model, selection)
                    gap = self._gap(model, selection, outcome)
                rates = firing.rates()
            except LeftError:
                outcome = request.asked
        metrics = cast(Metrics | int, self._group.same(outcome))
        if isinstance(metrics, int):
            self.save()
            raise StoppedError(
                f"{self._out}: stopped in epoch {self.epoch + 1}, while it was validated",
                128 + metrics,
            )
        self.validation = validation = {
            "part": self._recipe.selection,
            "top1": metrics.top1,
            "top5": metrics.top5,
            "loss": metrics.loss,
        }
        better = (metrics.top1, -metrics.loss) > (self.best["top1"], -self.best["loss"])
        if better:
            self.best = {"epoch": self.epoch + 1, **validation}
        drawn = max(0, self._data.draws - first * self._data.batch_size)
        means = {name: value / batches for name, value in self.sums.items()}
        record = {
            "format": FORMAT,
            "epoch": self.epoch + 1,
            "lr": rate,
            "P": means.pop("P"),
            "cka": [means.pop(name) for name in list(means) if name.startswith("cka.")],
            "train": means,
            "coefficient": torch.sigmoid(self.model.coefficient.detach()).tolist(),
            "selection": validation,
            "best_epoch": self.best["epoch"],
            "rates": rates,
            "recordings_per_second": drawn / seconds,
            "peak_memory_mib": peak_memory_mib(self._group.device),
            "seconds": time.perf_counter() - began,
        }
        if gap is not None:
            record[GAP] = gap
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}
        if self.log is not None:
            self.log.epoch(record)
            if better:
                save_checkpoint(self._out / BEST, self.checkpoint(best=True))
        self.save()
        return record

    def _validate(self, model: TransferModel, selection: Any) -> Metrics:
        device = self._group.device
        if self._method.judged == "event" and self._recipe.data.vote == "majority":
            return evaluate_by_votes(model, self._cache, selection, device)
        if self._method.judged == "event":
            return evaluate_part(model, self._cache, selection, device)
        statics = static_selection(self._cache, self._recipe)
        return evaluate_static(model, self._cache, statics, self._recipe, device)

    def _gap(self, model: TransferModel, selection: Any, metrics: Metrics) -> dict[str, Any] | None:
        """Return what running statistics take from this epoch's result, unless that was told."""
        if self.log is not None and self.log.has(GAP):
            return None
        accuracy = self.sums.get("accuracy")
        train = None if accuracy is None else accuracy / self.batch
        data = model, self._cache
        if self._method.judged == "event":
            measure = partial(event_by_batch, *data, selection, self._group.device)
        else:
            statics = static_selection(self._cache, self._recipe)
            if statics.kind != "static":  # the static head on events: the gap has another cause
                return None
            measure = partial(static_by_batch, *data, statics, self._recipe, self._group.device)
        return find_gap(model, self._recipe, self.epoch + 1, train, metrics, measure)

    def save(self) -> None:
        """Write ``last.pt``, unless another process does."""
        if self._group.first:
            save_checkpoint(self._out / LAST, self.checkpoint())

    def checkpoint(self, *, best: bool = False) -> Checkpoint:
        """Return all that going on needs; as the best, the model that was judged."""
        model = self.updater.judged if best else self.model
        return Checkpoint(
            recipe=self._recipe,
            card=self._card.name,
            cache_key=self._cache.key,
            classes=self._cache.classes,
            event_format=self._card.events.file_format,
            sort=self._card.events.sort,
            wraps=self._card.events.wraps,
            outside=self._card.events.outside,
            frames=self._cache.options,
            epoch=self.epoch,
            validation=self.validation,
            best=self.best,
            model=model.state_dict(),
            auxiliary=self.objective.auxiliary_state(),
            batch=self.batch,
            sums=self.sums,
            rng=torch.get_rng_state(),
            processes=self._group.size,
            **self.updater.state(),
        )

    def _diverged(self, what: str, step: int, batch: Batch | None) -> SnntxError:
        kept = "the last whole epoch is kept in last.pt" if self.epoch else "no epoch was finished"
        saved = ""
        if batch is not None and self._group.first:
            content = {**vars(batch.mapped(Tensor.cpu)), "epoch": self.epoch + 1, "step": step}
            save_content(self._out / DIVERGED, content)
            saved = f"; the step's inputs are in {DIVERGED}"
        return SnntxError(
            f"{self._out}: {what} in epoch {self.epoch + 1}, step {step}; lower lr; {kept}{saved}"
        )
