"""Accuracy and loss of the event branch on one part of a cache.

Logits are averaged over the time steps (He et al., AAAI 2024); the static branch is not
run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...errors import SnntxError, UsageError
from ...preprocess.cache.frame_cache import FrameCache
from ...preprocess.disk.atomic import write_atomic
from ..checkpoints.export import read_checkpoint
from ..checkpoints.state import checkpoint_path
from ..network.model import TransferModel

BATCH = 64


@dataclass(frozen=True)
class Metrics:
    """Result on one part.

    Attributes:
        recordings: how many were classified.
        top1: share whose class had the highest mean logit.
        top5: share whose class was among the five highest (of all, with fewer classes).
        loss: mean cross-entropy of the mean logits.
        per_class: recordings and share right of each class.
        confusion: ``(C, C)`` counts, true class by row, predicted by column.
    """

    recordings: int
    top1: float
    top5: float
    loss: float
    per_class: dict[str, tuple[int, float]]
    confusion: list[list[int]]


def event_logits(
    model: TransferModel, cache: FrameCache, indices: NDArray[np.int64], device: torch.device
) -> Tensor:
    """Return the mean logits over time of some recordings, ``(n, C)`` on the CPU."""
    model.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, indices.size, BATCH):
            frames = torch.from_numpy(cache.frames(indices[start : start + BATCH]))
            parts.append(model.forward_event(frames.to(device)).mean(0).float().cpu())
    return torch.cat(parts)


def measure(logits: Tensor, labels: NDArray[np.int64], classes: list[str]) -> Metrics:
    """Return the metrics of ``logits (n, C)`` against class indices ``(n,)``."""
    target = torch.from_numpy(labels)
    ranked = logits.topk(min(5, logits.shape[1])).indices
    right = ranked == target[:, None]
    first = right[:, 0]
    confusion = torch.zeros(len(classes), len(classes), dtype=torch.long)
    confusion.index_put_((target, ranked[:, 0]), torch.ones_like(target), accumulate=True)
    per_class = {}
    for label in np.unique(labels).tolist():
        members = target == label
        per_class[classes[label]] = (int(members.sum()), float(first[members].double().mean()))
    return Metrics(
        recordings=len(labels),
        top1=float(first.double().mean()),
        top5=float(right.any(1).double().mean()),
        loss=float(F.cross_entropy(logits, target)),
        per_class=per_class,
        confusion=confusion.tolist(),
    )


def evaluate_part(
    model: TransferModel, cache: FrameCache, indices: NDArray[np.int64], device: torch.device
) -> Metrics:
    """Classify some recordings of a cache and measure the result."""
    logits = event_logits(model, cache, indices, device)
    return measure(logits, cache.labels[indices], cache.classes)


@dataclass(frozen=True)
class Evaluation:
    """A checkpoint's result on its protocol's test part, with what it takes to read it."""

    checkpoint: str
    card: str
    cache_key: str
    protocol: str
    part: str
    selected_on: str
    seed: int
    transfer: bool
    epoch: int
    metrics: Metrics

    def to_json(self) -> dict[str, Any]:
        """Return plain values, metrics beside the rest."""
        content = asdict(self)
        metrics: dict[str, Any] = content.pop("metrics")
        return content | metrics


def evaluate_run(run: Path, root: Path, device: torch.device) -> Evaluation:
    """Measure a run's best checkpoint, or one checkpoint, on the test part.

    For a run directory the result is written to its ``metrics.json`` too.

    Args:
        run: run directory, checkpoint file or safetensors export.
        root: root of all caches.
        device: where to compute.

    Raises:
        SnntxError: the checkpoint is damaged, or its cache is not there.
        UsageError: no such run, or the protocol has no test recordings here.
    """
    path = checkpoint_path(run)
    checkpoint = read_checkpoint(path)
    directory = root / checkpoint.card / checkpoint.cache_key
    if not directory.is_dir():
        raise SnntxError(
            f"{directory}: the cache that {path} was trained on is not there; give its root with "
            f"--cache, or make it again with snntx preprocess {checkpoint.card}"
        )
    cache, recipe = FrameCache(directory), checkpoint.recipe
    if recipe.branch == "static":
        raise UsageError(
            f"{path}: was trained on static images alone, so its event head is untrained; "
            f"fine-tune it with snntx train {checkpoint.card} --set initial={run}"
        )
    indices = cache.split(recipe.protocol, "test")
    if indices.size == 0:
        raise UsageError(
            f"{directory}: protocol {recipe.protocol} has no test recordings in this cache"
        )
    metrics = evaluate_part(checkpoint.build_model(device), cache, indices, device)
    result = Evaluation(
        checkpoint=str(path),
        card=checkpoint.card,
        cache_key=checkpoint.cache_key,
        protocol=recipe.protocol,
        part="test",
        selected_on=recipe.selection,
        seed=recipe.seed,
        transfer=recipe.transfer,
        epoch=checkpoint.epoch - 1,
        metrics=metrics,
    )
    if run.is_dir():
        write_atomic(run / "metrics.json", json.dumps(result.to_json(), indent=1) + "\n")
    return result
