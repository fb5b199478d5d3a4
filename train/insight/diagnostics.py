"""What the transfer did in a run: the branches' likeness, and their distance before and after.

In: a trained run and a part of its cache. Out: CKA between the branches by layer and step over the
twins of the part (:mod:`.alignment`), and what the run's own method makes of the same twins with
the weights that it began with and with those that it chose. How P and the coefficients went is in
the run's log (:mod:`.trajectories`).

The first weights are not kept. They are drawn anew by the run's seed, as training drew them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import SnntxError
from ..assess.elsewhere import Part
from ..checkpoints.initialise import initial_weights
from ..checkpoints.state import Checkpoint
from ..measure.batch_statistics import batch_statistics
from ..method.base import Inputs, Method, Place, Sample
from ..method.choice import make_method
from ..network.model import TransferModel
from ..recipe.networks import build_model
from ..run.objective import Objective
from .alignment import Alignment, Twins, compare_branches
from .pairs import MOST, SEED, Pairs, pair_up


@dataclass(frozen=True)
class Diagnosis:
    """What the transfer did in a run.

    Attributes:
        checkpoint: the file that was read.
        card: the dataset.
        cache_key: of the cache whose twins were shown.
        protocol: of the run.
        part: of the protocol.
        seed: of the run.
        epoch: of the checkpoint, from 1.
        method: of the run.
        twins: recordings of the part that have one.
        alignment: CKA between the branches, under running statistics, as the run is evaluated.
        before: terms of the method's loss with the first weights, by name; ``name.0``, ``name.1``,
            … are those of each step. None where the method shows no image beside a recording, or
            the first weights cannot be had again.
        after: the same with the checkpoint's weights.
        notes: what a user should know of the result.
    """

    checkpoint: str
    card: str
    cache_key: str
    protocol: str
    part: str
    seed: int
    epoch: int
    method: str
    twins: int
    alignment: Alignment
    before: dict[str, float] | None
    after: dict[str, float] | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def diagnose_run(
    run: Path | str,
    root: Path | str | None = None,
    device: torch.device | str = "auto",
    *,
    key: str | None = None,
    part: Part = "test",
    most: int = MOST,
) -> Diagnosis:
    """Compare both branches of a run on the twins of a part.

    Args:
        run: run directory, checkpoint file or safetensors export.
        root: root of all caches; None for the one that the run was trained on.
        device: where to compute; ``auto`` takes CUDA where there is one.
        key: of another cache of the run's card, or its start.
        part: of the run's protocol; ``all`` takes every recording of the cache.
        most: twins that are compared; of more, so many are drawn.

    Raises:
        SnntxError: the checkpoint is damaged or its cache is not there.
        UsageError: no such run, weights that do not name their data, or too few twins.
    """
    paired = pair_up(run, root, device, key=key, part=part, most=most)
    checkpoint, pairs, where = paired.checkpoint, paired.pairs, paired.device
    notes = list(paired.notes)
    model, still = checkpoint.build_model(where), pairs.view.still
    alignment = compare_branches(model, (Twins(s, e, still) for s, e, _ in pairs.batches(where)))
    before, after = _distances(checkpoint, pairs, where, notes)
    return Diagnosis(
        checkpoint=str(paired.path),
        card=checkpoint.card,
        cache_key=paired.cache_key,
        protocol=checkpoint.recipe.data.protocol,
        part=part,
        seed=checkpoint.recipe.run.seed,
        epoch=checkpoint.epoch,
        method=checkpoint.recipe.method.name,
        twins=paired.twins,
        alignment=alignment,
        before=before,
        after=after,
        notes=tuple(notes),
    )


def _distances(
    checkpoint: Checkpoint, pairs: Pairs, device: torch.device, notes: list[str]
) -> tuple[dict[str, float] | None, dict[str, float] | None]:
    """Return the method's terms with the first and with the checkpoint's weights."""
    method = make_method(checkpoint.recipe)
    if not method.static or method.draws != "recordings":
        notes.append(
            f"method {checkpoint.recipe.method.name} shows no image beside a recording, so it has "
            "no distance of the domains"
        )
        return None, None
    trained = Objective(checkpoint.build_model(device), method).to(device)
    if len(trained.auxiliary) and not checkpoint.auxiliary:
        notes.append(
            "an export has no weights of what is trained beside the network, so the method's terms "
            "are left out; give the run"
        )
        return None, None
    trained.load_auxiliary(checkpoint.auxiliary)
    after = _terms(trained, method, pairs, device)
    try:
        first = first_weights(checkpoint, method).to(device)
    except SnntxError as error:
        notes.append(f"the weights that the run began with cannot be had again: {error}")
        return None, after
    return _terms(first, method, pairs, device), after


def first_weights(checkpoint: Checkpoint, method: Method[Any]) -> Objective:
    """Return the network that a run began with, and what is trained beside it, drawn by its seed.

    Raises:
        SnntxError: it began with weights of a file that cannot be read any more.
    """
    recipe = checkpoint.recipe
    *_, height, width = checkpoint.frames.frame_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.run.seed)
        model = build_model(
            recipe,
            num_classes=len(checkpoint.classes),
            steps=checkpoint.frames.steps,
            size=(height, width),
        )
        if recipe.run.initial:
            initial_weights(model, Path(recipe.run.initial), classes=checkpoint.classes)
        return Objective(model, method)


def _terms(
    objective: Objective, method: Method[Any], pairs: Pairs, device: torch.device
) -> dict[str, float]:
    """Return the terms of a method's loss, means over pairs.

    As in the first batch of training, but for augmentation and dropping: the images themselves are
    shown, and norms take the statistics of each batch.
    """
    model: TransferModel = objective.model
    objective.eval()
    heads = dict(objective.auxiliary.items())
    sums: dict[str, float] = {}
    with torch.no_grad(), batch_statistics(model):
        for static, event, places in pairs.batches(device):
            labels = torch.from_numpy(pairs.labels[places]).to(device)
            sample = Sample(event, static, labels, pairs.recordings[places], pairs.partners[places])
            view = method.show(sample, Place(0, 0, 1, 1), np.random.default_rng(SEED))
            inputs = Inputs(
                event=event,
                static=view.static,
                labels=labels,
                constant=view.constant & pairs.view.still,
                notes={name: each.to(device) for name, each in view.notes.items()},
            )
            for name, value in method.loss(model, inputs, heads).terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(places)
    return {name: total / len(pairs.recordings) for name, total in sums.items()}
