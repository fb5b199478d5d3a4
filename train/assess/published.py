"""A published checkpoint on the test part of a sealed cache."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...data_cards.schema import Card
from ...errors import UsageError
from ...preprocess.cache.opening import open_cache
from ..checkpoints.names import FORMAT
from ..checkpoints.one_branch.fitting import dead_line
from ..checkpoints.published import Published
from ..checkpoints.reference import dead_names
from ..checkpoints.weights import open_weights
from ..measure.firing import Firing, SpikeCounts
from ..measure.metrics import BATCH, Metrics, evaluate_part
from ..network.doors import MODELS
from .published_frames import frames_note

ORDER = (
    "classes are numbered as in the cache ({names}); the published training numbered them as "
    "its own listing of files did, and where that differs this accuracy means nothing"
)
SPLIT = (
    "protocol {protocol} is the cache's, which goes by name; the published split went by the "
    "listing of files on its disk, so recordings of its training may be in this test part"
)

OFFICIAL = (
    "protocol {protocol} mixes the official training and test recordings, by which the published "
    "code splits this data set, so recordings of its training may be in this test part"
)
UNITED = (
    "its masks are united over each batch, of {batch} recordings here and of 1 to 8 in the "
    "published tests, so that this accuracy depends on that"
)
OFFICIAL_PARTS = ("nmnist-published",)
"""Networks for a data set with official parts, which protocol ``paper`` has."""


@dataclass(frozen=True)
class PublishedEvaluation:
    """A published checkpoint's result, with what it takes to read it.

    Attributes:
        checkpoint: the file.
        model: name of the network here.
        card: the dataset.
        cache_key: key of the frame cache.
        protocol: whose part was measured.
        part: always ``test``.
        seed: of the published run, where known.
        epoch: from 1, where known.
        reference_top1: test accuracy noted in the file, percent, on the split of its own.
        notes: what keeps this from being the published number.
        metrics: on this cache.
        firing: how often the event branch's neurons fired.
    """

    checkpoint: str
    model: str
    card: str
    cache_key: str
    protocol: str
    part: str
    seed: int | None
    epoch: int | None
    reference_top1: float | None
    notes: tuple[str, ...]
    metrics: Metrics
    firing: Firing | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, metrics beside the rest."""
        content = {"format": FORMAT, **asdict(self)}
        if content["firing"] is None:
            del content["firing"]
        metrics: dict[str, Any] = content.pop("metrics")
        return content | metrics


def evaluate_published(
    path: Path,
    card: Card,
    root: Path,
    device: torch.device,
    *,
    protocol: str,
    key: str | None = None,
    given: str | None = None,
) -> PublishedEvaluation:
    """Measure a published checkpoint on the test part of a sealed cache.

    Args:
        path: the checkpoint, or a bare state by the reference's names.
        card: the dataset; its classes are taken in the order of the cache.
        root: root of all caches.
        device: where to compute.
        protocol: of the cache.
        key: choose the cache by key, or the start of one.
        given: how the user named the card, where that was the path of a file.

    Raises:
        SnntxError: the checkpoint cannot be used, or there is no such cache.
        UsageError: the cache does not fit the checkpoint, or has no test recordings.
    """
    published = open_weights(path).published()
    steps = None if key else published.steps
    size = None if key else published.size
    cache = open_cache(root, card, steps=steps, size=size, key=key, given=given, by_setting=False)
    found_steps, _, height, width = cache.frame_shape
    sizes = (published.size,) * 2 if published.size else (height, width)
    _check(path, "time steps", published.steps or found_steps, found_steps)
    _check(path, "classes", published.classes, len(cache.classes))
    _check(path, "pixels a side", sizes, (height, width))
    indices = cache.split(protocol, "test")
    if indices.size == 0:
        raise UsageError(
            f"{cache.directory}: protocol {protocol} has no test recordings in this cache"
        )
    model = published.build_model(device, (height, width), found_steps)
    with SpikeCounts(model) as counted:
        metrics = evaluate_part(model, cache, indices, device)
    return PublishedEvaluation(
        checkpoint=str(path),
        model=published.model,
        card=card.name,
        cache_key=cache.key,
        protocol=protocol,
        part="test",
        seed=published.seed,
        epoch=published.epoch,
        reference_top1=published.metric,
        notes=(
            *_notes(published, protocol, cache.classes),
            *filter(None, [frames_note(cache, card, root, given)]),
        ),
        metrics=metrics,
        firing=counted.firing(),
    )


def _check(path: Path, what: str, trained: object, found: object) -> None:
    if trained != found:
        raise UsageError(
            f"{path}: was trained on {trained} {what}, the cache has {found}; choose another with "
            "--card or --key"
        )


def _notes(published: Published, protocol: str, classes: list[str]) -> tuple[str, ...]:
    names = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
    notes = [ORDER.format(names=names)]
    if published.one_branch:
        notes += _notes_of_one_branch(published)
    elif published.model not in OFFICIAL_PARTS:
        notes.append(SPLIT.format(protocol=protocol))
    elif protocol != "paper":
        notes.append(OFFICIAL.format(protocol=protocol))
    if published.metric is not None:
        notes.append(
            f"the file notes {published.metric:.2f} % on its own test part, by which its epoch "
            "was chosen"
        )
    return tuple(notes)


def _notes_of_one_branch(published: Published) -> list[str]:
    table = MODELS.get(published.model).reference
    dead = len(dead_names(table, published.state)) if table is not None else 0
    notes = [UNITED.format(batch=BATCH)] if "attention" in published.options else []
    return [*notes, dead_line(dead)] if dead else notes
