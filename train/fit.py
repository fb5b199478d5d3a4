"""The training run: data, model, optimizer, loop, validation, checkpoints.

Reads top to bottom. One JSON line an epoch goes to ``log.jsonl``; ``last.pt`` is written
after every epoch and ``best.pt`` when the selection part's top-1 accuracy rises (on a tie,
when its loss falls).
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from ..data_cards.schema import Card
from ..errors import SnntxError, UsageError
from ..preprocess.cache import FrameCache
from .checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    frame_options,
    save_checkpoint,
)
from .data import TrainingData
from .distributed import Group
from .evaluate import Metrics, evaluate_part
from .loader import epoch_batches
from .objective import Objective, build_model
from .recipe import Recipe
from .run_directory import LOG, claim_directory, previous_checkpoint
from .schedule import learning_rate, scaled_lr
from .updates import Updater

Report = Callable[[dict[str, Any]], None]


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no CUDA device here; use --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def train(
    card: Card,
    cache: FrameCache,
    recipe: Recipe,
    out: Path,
    *,
    device: torch.device,
    workers: int = 0,
    resume: bool = False,
    group: Group | None = None,
    on_step: Report = lambda record: None,
    on_epoch: Report = lambda record: None,
) -> dict[str, Any]:
    """Train one network and return the best epoch's record.

    Args:
        card: the dataset; names the raw format for ``predict``.
        cache: its frame cache.
        recipe: every setting.
        out: run directory; must not hold another run unless ``resume``.
        device: where to compute.
        workers: processes that make batches ahead; the result is the same for any number.
        resume: go on from ``last.pt``; the recipe and the cache must be the same.
        group: the processes that share each batch; the first one writes.
        on_step: called after each step with epoch, step, loss, accuracy, replacement.
        on_epoch: called after each epoch with its record.

    Raises:
        SnntxError: the cache lacks what the recipe needs, the loss is not finite, or the
            disk fails.
        UsageError: the run directory is taken, or does not match on resume.
    """
    previous = previous_checkpoint(out, recipe, cache, resume)
    data = TrainingData(cache, recipe)
    selection = cache.split(recipe.protocol, recipe.selection)
    if selection.size == 0:
        raise UsageError(
            f"protocol {recipe.protocol} has no {recipe.selection} recordings in this cache "
            "to choose the best epoch by"
        )

    torch.manual_seed(recipe.seed)
    *_, height, width = cache.frame_shape
    model = build_model(
        recipe,
        num_classes=len(cache.classes),
        steps=cache.frame_shape[0],
        size=(height, width),
    ).to(device)
    group = group or Group(device=device)
    if data.batch_size % group.size:
        raise UsageError(
            f"a batch of {data.batch_size} cannot be shared by {group.size} processes; set "
            "batch_size to a multiple"
        )
    updater = Updater(Objective(model, recipe), recipe, device, group)
    start = 0
    best: dict[str, Any] = {"epoch": -1, "top1": -1.0, "loss": float("inf")}
    if previous is not None:
        model.load_state_dict(previous.model)
        updater.optimizer.load_state_dict(previous.optimizer)
        updater.scaler.load_state_dict(previous.scaler)
        start, best = previous.epoch, previous.best
    group.wait()
    if group.first:
        claim_directory(out, recipe, start)

    for epoch in range(start, recipe.epochs):
        began = time.perf_counter()
        rate = learning_rate(
            epoch,
            base_lr=scaled_lr(recipe.lr, recipe.batch_size),
            epochs=recipe.epochs,
            schedule=recipe.schedule,
            warmup_epochs=recipe.warmup_epochs,
            warmup_lr=recipe.warmup_lr,
            min_lr=recipe.min_lr,
            decay_epochs=recipe.decay_epochs,
            decay_rate=recipe.decay_rate,
        )
        updater.set_rate(rate)
        model.train()
        sums: defaultdict[str, float] = defaultdict(float)
        for number, batch in enumerate(epoch_batches(data, epoch, workers=workers, device=device)):
            values = updater(batch)
            if not math.isfinite(values["loss"]):
                raise _diverged(out, f"the loss is {values['loss']}", epoch, number)
            values["replaced"] = batch.replaced / len(batch.labels)
            for name, value in values.items():
                sums[name] += value / data.batches
            probability = data.replacement_probability(epoch, number) if _slides(recipe) else 0.0
            on_step(
                {"epoch": epoch, "step": number, "steps": data.batches, "P": probability, **values}
            )

        if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
            raise _diverged(out, "a weight is not finite", epoch, data.batches - 1)
        metrics = cast(
            Metrics,
            group.same(evaluate_part(model, cache, selection, device) if group.first else None),
        )
        validation = {
            "part": recipe.selection,
            "top1": metrics.top1,
            "top5": metrics.top5,
            "loss": metrics.loss,
        }
        better = (metrics.top1, -metrics.loss) > (best["top1"], -best["loss"])
        if better:
            best = {"epoch": epoch, **validation}
        record = {
            "epoch": epoch,
            "lr": rate,
            "train": dict(sums),
            "coefficient": torch.sigmoid(model.coefficient.detach()).tolist(),
            "selection": validation,
            "best_epoch": best["epoch"],
            "seconds": time.perf_counter() - began,
        }
        checkpoint = Checkpoint(
            recipe=recipe,
            card=card.name,
            cache_key=cache.key,
            classes=cache.classes,
            event_format=card.events.format,
            sort=card.events.sort,
            frames=frame_options(cache),
            epoch=epoch + 1,
            validation=validation,
            best=best,
            model=model.state_dict(),
            optimizer=updater.optimizer.state_dict(),
            scaler=updater.scaler.state_dict(),
        )
        if not group.first:
            continue
        with (out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        if better:
            save_checkpoint(out / BEST, checkpoint)
        save_checkpoint(out / LAST, checkpoint)
        on_epoch(record)
    return best


def _diverged(out: Path, what: str, epoch: int, step: int) -> SnntxError:
    kept = "the last whole epoch is kept in last.pt" if epoch else "no epoch was finished"
    return SnntxError(f"{out}: {what} in epoch {epoch}, step {step}; lower lr; {kept}")


def _slides(recipe: Recipe) -> bool:
    return recipe.transfer and recipe.sliding
