"""A run's best checkpoint, or one checkpoint, on a part of its cache or of another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ...errors import SnntxError, UsageError, shell_word
from ...preprocess.cache.roots import user_root
from ...preprocess.disk.atomic import write_atomic
from ...preprocess.disk.folders import cause_of
from ..checkpoints.names import METRICS
from ..checkpoints.started import root_of
from ..checkpoints.state import Checkpoint
from ..checkpoints.weights import open_weights
from ..measure.answers import answers
from ..measure.calibration import calibration
from ..measure.energy import counting
from ..measure.firing import SpikeCounts
from ..measure.interval import bootstrap_interval
from ..measure.metrics import measure
from ..measure.votes import judge_clips
from ..method.choice import make_method
from ..network.model import TransferModel
from ..run.distributed import pick_device
from ..run.gap import told_gap
from .corruption import Corruption, corrupted, curves
from .elsewhere import Measured, Part, measured_on
from .evaluation import CurvePoint, Evaluation, Evidence
from .twins import static_result


class UnwrittenError(SnntxError):
    """A result was measured and could not be kept beside its run."""


def evaluate_run(
    run: Path | str,
    root: Path | str | None = None,
    device: torch.device | str = "auto",
    *,
    card: str | None = None,
    key: str | None = None,
    part: Part = "test",
    picojoules: tuple[float, float] | None = None,
    static: bool = False,
    corruption: Sequence[str] = (),
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
        card: another dataset with the run's classes; None for its own.
        key: of another cache of the card, or its start, such as one of new recordings.
        part: of the run's protocol; ``all`` takes every recording of the cache.
        picojoules: energy of a MAC and of an AC: counts operations too; None counts none.
        static: measure the static branch too, on the twins of the recordings.
        corruption: kinds of corruption to measure under too, such as ``drop`` or
            ``noise=0.1,1`` (:mod:`snntx.train.assess.corruption`).
        on_result: called with the result before it is written, so that a disk that fails takes
            nothing away.

    Raises:
        SnntxError: the checkpoint is damaged or its cache is not there.
        UnwrittenError: the result was measured and ``metrics.json`` cannot be written.
        UsageError: no such run, weights that do not name their data, a run on static images
            alone, a part without recordings here, a cache of other classes or frames, a static
            branch that was not trained, or a corruption that this cache does not allow.
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
    on = measured_on(checkpoint, weights.path, root, key, part, card)
    asked = curves(corruption, on.cache.frame_shape[0])
    for each in asked:
        corrupted(on.cache, each)  # what is refused is refused before anything is computed
    told = told_gap(run, recipe) if weights.kind == "run" else None
    model = checkpoint.build_model(device)
    beside = static_result(model, on, checkpoint, weights.path, device) if static else None
    with counting(model, picojoules) as cost, SpikeCounts(model) as counted:
        found = answers(model, on.cache, on.recordings, on.labels, device)
    windows = on.cache.windows is not None
    metrics, votes = judge_clips(found.logits, on.labels, checkpoint.classes, windows)
    curve = tuple(_point(model, on, checkpoint, device, each) for each in asked)
    notes = [] if told is None else [f"in training, {told[1]}"]
    notes += on.notes
    if getattr(recipe.method, "loss", "entropy") == "squared":
        notes.append(
            "trained by the squared loss, so its outputs are firing rates and not logits; their "
            "softmax is nearly even, whatever it is worth, and ECE tells that distance"
        )
    if not on.own and weights.kind == "run":
        notes.append(f"{METRICS} keeps the result on the run's own test part")
    names = [on.cache.identities[i] for i in on.recordings.tolist()]
    result = Evaluation(
        checkpoint=str(weights.path),
        card=checkpoint.card if card is None else card,
        cache_key=on.cache.key,
        protocol=recipe.data.protocol,
        part=part,
        selected_on=recipe.selection,
        seed=recipe.run.seed,
        transfer=recipe.transfer,
        epoch=checkpoint.epoch,
        metrics=metrics,
        balanced=float(np.mean([share for _, share in metrics.per_class.values()])),
        interval=bootstrap_interval(found.predicted == on.labels),
        by_step=found.by_step,
        calibration=calibration(found.probabilities, on.labels),
        evidence=Evidence(names, on.labels, checkpoint.classes, found),
        static=beside,
        corruption=curve,
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


def _point(
    model: TransferModel,
    on: Measured,
    checkpoint: Checkpoint,
    device: torch.device,
    what: Corruption,
) -> CurvePoint:
    """Return the accuracy under one corruption."""
    worse = corrupted(on.cache, what)
    found = answers(model, worse.cache, on.recordings, on.labels, device, worse.change)
    metrics = measure(found.logits.mean(1), on.labels, checkpoint.classes)
    interval = bootstrap_interval(found.predicted == on.labels)
    return CurvePoint(what.kind, what.severity, metrics.top1, metrics.top5, interval)


def _write(path: Path, result: Evaluation) -> None:
    try:
        write_atomic(path, json.dumps(result.to_json(), indent=1) + "\n")
    except OSError as error:
        raise UnwrittenError(f"{path}: cannot be written: {cause_of(error)}") from error
