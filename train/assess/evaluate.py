"""A run's best checkpoint, or one checkpoint, on a part of its cache or of another of its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...errors import SnntxError, UsageError, shell_word
from ...preprocess.cache.roots import user_root
from ...preprocess.disk.atomic import write_atomic
from ...preprocess.disk.folders import cause_of
from ..checkpoints.names import FORMAT, METRICS
from ..checkpoints.started import root_of
from ..checkpoints.weights import open_weights
from ..measure.energy import Cost, counting
from ..measure.firing import Firing, SpikeCounts
from ..measure.metrics import Metrics, clip_logits
from ..measure.votes import Votes, judge_clips
from ..method.choice import make_method
from ..run.distributed import pick_device
from ..run.gap import told_gap
from .elsewhere import Part, measured_on


class UnwrittenError(SnntxError):
    """A result was measured and could not be kept beside its run."""


@dataclass(frozen=True)
class Evaluation:
    """A checkpoint's result on one part of a cache, with what it takes to read it.

    Attributes:
        checkpoint: the file that was measured.
        card: the dataset.
        cache_key: key of the cache that was measured on.
        protocol: whose part was measured.
        part: of the protocol, ``test`` unless another was asked for.
        selected_on: part by which the epoch was chosen.
        seed: of the run.
        transfer: whether static images were shown in training.
        epoch: of the checkpoint, from 1.
        metrics: the result.
        firing: how often the event branch's neurons fired; None where they send graded values.
        cost: operations and their energy; None where nobody asked.
        votes: the result by the votes of clips; None where recordings are shown whole.
        norm_gap: what the run's log says of a gap that running statistics made, with its epoch.
        notes: what a user should know of the result.
    """

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
    firing: Firing | None = None
    cost: Cost | None = None
    votes: Votes | None = None
    norm_gap: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values, metrics beside the rest; what was not found is left out."""
        content = {"format": FORMAT, **asdict(self)}
        del content["notes"]
        if self.cost is not None:
            content["cost"] = self.cost.to_json()
        for name in ("firing", "cost", "votes", "norm_gap"):
            if content[name] is None:
                del content[name]
        metrics: dict[str, Any] = content.pop("metrics")
        return content | metrics


def evaluate_run(
    run: Path | str,
    root: Path | str | None = None,
    device: torch.device | str = "auto",
    *,
    key: str | None = None,
    part: Part = "test",
    picojoules: tuple[float, float] | None = None,
    on_result: Callable[[Evaluation], None] = lambda result: None,
) -> Evaluation:
    """Measure a run's best checkpoint, or one checkpoint, on the test part of its cache.

    For a run directory the result is written to its ``metrics.json`` too, unless it is of another
    cache or part.

    Args:
        run: run directory, checkpoint file or safetensors export.
        root: root of all caches; None for the one that the run was trained on, while its cache is
            there, or else the one that is implied.
        device: where to compute; ``auto`` takes CUDA where there is one.
        key: of another cache of the run's card, or its start, such as one of new recordings.
        part: of the run's protocol; ``all`` takes every recording of the cache.
        picojoules: energy of a MAC and of an AC: counts operations too; None counts none.
        on_result: called with the result before it is written, so that a disk that fails takes
            nothing away.

    Raises:
        SnntxError: the checkpoint is damaged or its cache is not there.
        UnwrittenError: the result was measured and ``metrics.json`` cannot be written.
        UsageError: no such run, weights that do not name their data, a run on static images
            alone, a part without recordings here, or a cache of other classes or frames.
    """
    run = Path(run)
    root = root_of(run, user_root()) if root is None else Path(root)
    device = pick_device(device) if isinstance(device, str) else device
    weights = open_weights(run)
    checkpoint = weights.trained()
    recipe = checkpoint.recipe
    if make_method(recipe).judged == "static":
        raise UsageError(
            f"{weights.path}: was trained on static images alone, so its event head is untrained; "
            f"fine-tune it with snntx train {checkpoint.card} --set "
            f"{shell_word(f'initial={run}')}"
        )
    on = measured_on(checkpoint, weights.path, root, key, part)
    told = told_gap(run, recipe) if weights.kind == "run" else None
    model = checkpoint.build_model(device)
    with counting(model, picojoules) as cost, SpikeCounts(model) as counted:
        logits = clip_logits(model, on.cache, on.recordings, device)
    windows = on.cache.windows is not None
    metrics, votes = judge_clips(logits, on.labels, checkpoint.classes, windows)
    notes = [] if told is None else [f"in training, {told[1]}"]
    notes += on.notes
    if not on.own and weights.kind == "run":
        notes.append(f"{METRICS} keeps the result on the run's own test part")
    result = Evaluation(
        checkpoint=str(weights.path),
        card=checkpoint.card,
        cache_key=on.cache.key,
        protocol=recipe.data.protocol,
        part=part,
        selected_on=recipe.selection,
        seed=recipe.run.seed,
        transfer=recipe.transfer,
        epoch=checkpoint.epoch,
        metrics=metrics,
        firing=counted.firing(),
        cost=cost(),
        votes=votes,
        norm_gap=None if told is None else told[0],
        notes=tuple(notes),
    )
    on_result(result)
    if weights.kind == "run" and on.own:
        _write(run / METRICS, result)
    return result


def _write(path: Path, result: Evaluation) -> None:
    try:
        write_atomic(path, json.dumps(result.to_json(), indent=1) + "\n")
    except OSError as error:
        raise UnwrittenError(f"{path}: cannot be written: {cause_of(error)}") from error
