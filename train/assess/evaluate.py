"""A run's best checkpoint, or one checkpoint, on the test part of the cache it was trained on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...errors import SnntxError, UsageError
from ...preprocess.cache.frame_cache import FrameCache
from ...preprocess.disk.atomic import write_atomic
from ..checkpoints.export import read_checkpoint
from ..checkpoints.names import METRICS
from ..checkpoints.state import checkpoint_path
from ..measure.metrics import Metrics, evaluate_part


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
        write_atomic(run / METRICS, json.dumps(result.to_json(), indent=1) + "\n")
    return result
