"""Where a run's branches look: Grad-CAM of recordings and of their twins, step by step.

In: a trained run, a part of its cache and the name of a layer. Out: for each chosen recording the
maps of the event branch, and of the static branch where that was trained and there is a twin.
Chosen are, unless they are named, of the part's recordings those whose own class the event branch
finds least likely, and those whose class it finds most likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UsageError, nearest
from ...preprocess.cache.roots import user_root
from ..assess.elsewhere import Measured, Part, measured_on
from ..batches.images import shown_images
from ..batches.views import view_of
from ..checkpoints.started import root_of
from ..checkpoints.state import Checkpoint
from ..checkpoints.weights import open_weights
from ..measure.metrics import clip_logits
from ..method.choice import make_method
from ..network.model import TransferModel
from ..run.distributed import pick_device
from .gradcam import grad_cam

CHOSEN = 6
"""Recordings where none is named: half of them the worst, half the best."""


@dataclass(frozen=True)
class Look:
    """Where one branch looks.

    Attributes:
        maps: Grad-CAM, not scaled, ``(T, h, w)``.
        shown: what the branch was shown, ``(T, 2, H, W)``.
        predicted: the branch's answer.
        probability: of the explained class, softmax of the logits' mean over the steps.
    """

    maps: NDArray[np.float32]
    shown: NDArray[np.float32]
    predicted: str
    probability: float


@dataclass(frozen=True)
class Salient:
    """One recording.

    Attributes:
        identity: of the recording.
        true: its class.
        explained: class whose score the maps explain, in both branches.
        event: of the event branch; None where it was not trained.
        static: of the static branch on the twin; None where it was not trained or there is none.
    """

    identity: str
    true: str
    explained: str
    event: Look | None
    static: Look | None


@dataclass(frozen=True)
class Saliency:
    """A run's maps.

    Attributes:
        checkpoint: the file that was read.
        card: the dataset.
        layer: whose maps they are.
        part: of the protocol.
        recordings: in the order of the choice.
        notes: what a user should know of them.
    """

    checkpoint: str
    card: str
    layer: str
    part: str
    recordings: tuple[Salient, ...]
    notes: tuple[str, ...]


def saliency_of(
    run: Path | str,
    layer: str,
    identities: Sequence[str] = (),
    root: Path | str | None = None,
    device: torch.device | str = "auto",
    *,
    part: Part = "test",
    class_name: str | None = None,
    count: int = CHOSEN,
) -> Saliency:
    """Return where the branches of a run look.

    Args:
        run: run directory, checkpoint file or safetensors export.
        layer: its name.
        identities: of recordings of the part; none takes ``count`` by the rule above.
        root: root of all caches; None for the one that the run was trained on.
        device: where to compute.
        part: of the run's protocol; ``all`` takes every recording of the cache.
        class_name: to be explained; None takes each recording's answer of the event branch, or of
            the static one where that alone was trained.
        count: recordings that are chosen where none is named.

    Raises:
        SnntxError: the checkpoint is damaged or its cache is not there.
        UsageError: no such run, layer, recording or class, or no gradient reaches the layer.
    """
    run = Path(run)
    root = root_of(run, user_root()) if root is None else Path(root)
    where = pick_device(device) if isinstance(device, str) else device
    weights = open_weights(run)
    checkpoint = weights.trained()
    known = checkpoint.classes
    if class_name is not None and class_name not in known:
        raise UsageError(
            f"--class {class_name}: the run has no such class{nearest(class_name, known)} (see: "
            f"snntx cards {checkpoint.card})"
        )
    on = measured_on(checkpoint, weights.path, root, None, part)
    model = checkpoint.build_model(where)
    notes = list(on.notes)
    alone = make_method(checkpoint.recipe).judged == "static"
    branches = (not alone, alone or checkpoint.recipe.transfer)
    if not branches[0]:
        notes.append("the run is of static images alone: its event branch is untrained, left out")
    if not branches[1]:
        notes.append("the run is of events alone: its static branch is untrained, left out")
    if on.cache.clip_count > 1:
        notes.append(f"the first of each recording's {on.cache.clip_count} clips")
    if identities:
        places = [_place(on, name, part) for name in identities]
    else:
        places = _chosen(model, on, count, where)
        notes.append(f"the {len(places)} were chosen: whose class is least likely, then most")
    wanted = None if class_name is None else list(known).index(class_name)
    found = [_look(model, on, checkpoint, at, layer, wanted, branches, where) for at in places]
    without = sum(each.static is None for each in found) if branches[1] else 0
    if without:
        notes.append(f"{without} of {len(found)} recordings have no twin, so no static branch")
    notes += _empty(found)
    return Saliency(str(weights.path), checkpoint.card, layer, part, tuple(found), tuple(notes))


def _empty(found: Sequence[Salient]) -> list[str]:
    """Return how many maps of each branch are 0 all over."""
    notes = []
    for branch in ("event", "static"):
        looks: list[Look | None] = [getattr(each, branch) for each in found]
        maps = [step for look in looks if look is not None for step in look.maps]
        empty = sum(not step.any() for step in maps)
        if empty:
            count = f"{empty} of {len(maps)} maps are 0"
            notes.append(f"{branch} branch: {count}, nothing there spoke for the class")
    return notes


def _place(on: Measured, name: str, part: str) -> int:
    names = [on.cache.identities[i] for i in on.recordings.tolist()]
    if name not in names:
        raise UsageError(
            f"{name}: no recording of part {part} has this identity{nearest(name, names)}; "
            "--part all takes every recording of the cache"
        )
    return names.index(name)


def _chosen(model: TransferModel, on: Measured, count: int, device: torch.device) -> list[int]:
    """Return the places of the worst and of the best; of equal ones, the first of the part."""
    logits = clip_logits(model, on.cache, on.recordings, device)[:, 0].double()
    own = logits.softmax(1).numpy()[np.arange(len(on.labels)), on.labels]
    order: list[int] = np.argsort(own, kind="stable").tolist()
    if len(order) <= count:
        return order
    return order[: count // 2] + order[::-1][: count - count // 2]


def _look(
    model: TransferModel,
    on: Measured,
    checkpoint: Checkpoint,
    at: int,
    layer: str,
    wanted: int | None,
    branches: tuple[bool, bool],
    device: torch.device,
) -> Salient:
    place, names = int(on.recordings[at]), checkpoint.classes
    twin = int(on.cache.index.twin[place])
    looks: dict[str, Look | None] = {"event": None, "static": None}
    for branch, trained in zip(looks, branches, strict=True):
        if not trained or (branch == "static" and twin < 0):
            continue
        if branch == "event":
            frames = torch.from_numpy(on.cache.clips([place])[:, 0])
        else:
            images = shown_images(on.cache, checkpoint.recipe, np.array([twin]))
            steps = checkpoint.frames.frame_shape[0]
            frames = view_of(checkpoint.recipe).frames(images, steps, None)
        classes = None if wanted is None else torch.tensor([wanted])
        maps, logits = grad_cam(model, frames.to(device), layer, classes, branch)
        answer = int(logits[0].argmax())
        wanted = answer if wanted is None else wanted
        share = float(logits[0].double().softmax(0)[wanted])
        looks[branch] = Look(maps[0].numpy(), frames[0].numpy(), names[answer], share)
    explained = "" if wanted is None else names[wanted]
    true = names[int(on.labels[at])]
    return Salient(on.cache.identities[place], true, explained, looks["event"], looks["static"])
