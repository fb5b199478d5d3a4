"""How a run went: P, the coefficients of the time steps and the alignment, epoch by epoch.

In: the records of a run's log, one a finished epoch. Out: columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Trajectories:
    """What changed over the epochs; E of them and T time steps.

    Attributes:
        epochs: their numbers, from 1.
        probability: P, the share of events that the static branch was to show, a mean over each
            epoch, ``(E,)``.
        replaced: the share that it showed, ``(E,)``; None where the log does not say.
        coefficients: ``σ(c_t)`` at the end of each epoch, ``(E, T)``: the weight of the domain term
            at a step, and what is left of 1 for the event term.
        cka: of the domain features, biased, in training, ``(E, T)``; of event-only runs empty rows.
        moved: whether any coefficient changed; otherwise they are not learnt.
    """

    epochs: tuple[int, ...]
    probability: tuple[float, ...]
    replaced: tuple[float | None, ...]
    coefficients: tuple[tuple[float, ...], ...]
    cka: tuple[tuple[float, ...], ...]
    moved: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def trajectories(records: Sequence[Mapping[str, Any]]) -> Trajectories | None:
    """Return the columns of a log; None where no epoch was logged.

    Args:
        records: as :func:`snntx.train.study.results.read_records` returns them.
    """
    if not records:
        return None
    coefficients = tuple(tuple(map(float, each["coefficient"])) for each in records)
    return Trajectories(
        epochs=tuple(int(each["epoch"]) for each in records),
        probability=tuple(float(each["P"]) for each in records),
        replaced=tuple(each["train"].get("replaced") for each in records),
        coefficients=coefficients,
        cka=tuple(tuple(map(float, each["cka"])) for each in records),
        moved=any(each != coefficients[0] for each in coefficients),
    )
