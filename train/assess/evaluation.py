"""A checkpoint's result on some recordings, with all that it takes to read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checkpoints.names import FORMAT
from ..measure.answers import Answers
from ..measure.calibration import Calibration
from ..measure.energy import Cost
from ..measure.firing import Firing
from ..measure.metrics import Metrics
from ..measure.votes import Votes


@dataclass(frozen=True)
class StaticResult:
    """The static branch's result on the twins of a part's recordings.

    Attributes:
        images: twins, each once.
        recordings: of the part that have one.
        metrics: on the images.
    """

    images: int
    recordings: int
    metrics: Metrics


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy under one corruption (:mod:`snntx.train.assess.corruption`).

    Attributes:
        kind: of corruption.
        severity: in the kind's unit.
        top1: share right.
        top5: share among the five highest.
        interval: 95 % bootstrap interval of ``top1``, over recordings.
    """

    kind: str
    severity: float
    top1: float
    top5: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Evidence:
    """What a result rests on, recording by recording.

    Attributes:
        identities: of the recordings, in the cache's order.
        labels: class of each in the model's order, ``(n,)``.
        classes: names in that order.
        answers: of the network.
    """

    identities: list[str]
    labels: NDArray[np.int64]
    classes: list[str]
    answers: Answers


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
        balanced: mean over classes of their accuracy.
        interval: 95 % bootstrap interval of top-1, over recordings.
        by_step: accuracy of the mean of the first 1, 2, … T steps' logits.
        calibration: how far the probabilities can be believed.
        evidence: the answers themselves; not in :meth:`to_json`.
        static: of the static branch; None where nobody asked.
        corruption: accuracy under what was asked for, in that order.
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
    balanced: float
    interval: tuple[float, float]
    by_step: tuple[float, ...]
    calibration: Calibration
    evidence: Evidence
    static: StaticResult | None = None
    corruption: tuple[CurvePoint, ...] = ()
    firing: Firing | None = None
    cost: Cost | None = None
    votes: Votes | None = None
    norm_gap: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values, metrics beside the rest; what was not found is left out."""
        kept = {k: v for k, v in vars(self).items() if k not in ("evidence", "notes")}
        content = {"format": FORMAT, **{name: _plain(value) for name, value in kept.items()}}
        if self.cost is not None:
            content["cost"] = self.cost.to_json()
        for name in ("static", "corruption", "firing", "cost", "votes", "norm_gap"):
            if not content[name]:
                del content[name]
        metrics: dict[str, Any] = content.pop("metrics")
        return content | metrics


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
