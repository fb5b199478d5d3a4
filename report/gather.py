"""All that a page tells of one run, read and measured.

In: a run directory, the root of all caches, a part. Out: :class:`Found`. What a run has not, such
as twins to compare its branches on, is a reason in words and no error; nothing is written into
the run's directory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data_cards import load_card
from ..errors import SnntxError, UsageError, shell_word
from ..preprocess.upkeep.inspect import SheetRow, Statistics, sheet_rows, statistics
from ..train.assess.elsewhere import Part, measured_on
from ..train.assess.evaluate import evaluate_run
from ..train.assess.evaluation import Evaluation
from ..train.checkpoints.account import read_account
from ..train.checkpoints.names import BEST
from ..train.checkpoints.weights import open_weights
from ..train.insight.diagnostics import Diagnosis, diagnose_run
from ..train.insight.gradcam import layer_names
from ..train.insight.saliency import CHOSEN, Saliency, saliency_of
from ..train.insight.trajectories import Trajectories, trajectories
from ..train.measure.energy import PJ_AC, PJ_MAC
from ..train.recipe.departures import departures
from ..train.recipe.whole import Recipe
from ..train.run.gap import told_gap
from ..train.study.results import read_records

WORST, MISTAKES = 3, 4
"""Classes whose mistakes are shown, and of each so many."""


@dataclass(frozen=True)
class Mistake:
    """A recording that was taken for another class."""

    row: SheetRow
    taken_for: str
    probability: float


@dataclass(frozen=True)
class Found:
    """What is known of one run.

    Attributes:
        path: its directory.
        name: that it is called on the page.
        recipe: every setting.
        account: what it was made by; None where it does not say.
        changed: value of the card's recipe and of the run, by setting; None where that is unknown.
        records: of its log, one a finished epoch.
        result: of its best checkpoint.
        mistakes: of the worst classes, by class.
        data: of its cache.
        diagnosis: of its branches; None where there is a reason.
        went: trajectories of its log; None without a log.
        saliency: where its branches look; None where there is a reason.
        missing: why a part is not there, by the part's name.
    """

    path: Path
    name: str
    recipe: Recipe
    account: dict[str, Any] | None
    changed: dict[str, tuple[Any, Any]] | None
    records: list[dict[str, Any]]
    result: Evaluation
    mistakes: dict[str, list[Mistake]]
    data: Statistics
    diagnosis: Diagnosis | None
    went: Trajectories | None
    saliency: Saliency | None = None
    missing: dict[str, str] = field(default_factory=dict)


def gather(
    run: Path,
    name: str,
    root: Path,
    device: torch.device,
    part: Part,
    say: Callable[[str], None],
) -> Found:
    """Read and measure one run.

    Args:
        run: its directory.
        name: that it is called on the page.
        root: of all caches.
        device: where to compute.
        part: of the run's protocol.
        say: told what is being done.

    Raises:
        SnntxError: the run or its cache is damaged or not there.
        UsageError: it has no best checkpoint, or the part no recordings.
    """
    best = run / BEST
    if not best.is_file():
        raise UsageError(
            f"{run}: has no {BEST}, so there is nothing to measure; train it first: "
            f"snntx train --resume {shell_word(run)}"
        )
    checkpoint = open_weights(best).trained()
    on = measured_on(checkpoint, best, root, part=part)
    missing: dict[str, str] = {}
    say(f"{run}: measuring {len(on.recordings):,} {part} recordings")
    result = _measured(best, root, device, part, checkpoint.recipe, missing)
    told = told_gap(run, checkpoint.recipe)
    if told is not None:
        result = _with_note(result, f"in training, {told[1]}")
    say(f"{run}: comparing its branches")
    diagnosis = _diagnosed(best, root, device, part, missing)
    say(f"{run}: drawing where they look")
    layers = layer_names(checkpoint.build_model(torch.device("cpu")))
    chosen = _to_look_at(result, on.cache.index.twin[on.recordings] >= 0)
    saliency = _looked(best, root, device, part, chosen, layers, missing)
    records = read_records(run)
    account = read_account(run)
    return Found(
        path=run,
        name=name,
        recipe=checkpoint.recipe,
        account=account,
        changed=_changed(checkpoint.card, root, checkpoint.recipe, account),
        records=records,
        result=result,
        mistakes=_mistakes(result, on.cache, on.recordings.tolist()),
        data=statistics(on.cache),
        diagnosis=diagnosis,
        went=trajectories(records),
        saliency=saliency,
        missing=missing,
    )


def _measured(
    best: Path,
    root: Path,
    device: torch.device,
    part: Part,
    recipe: Recipe,
    missing: dict[str, str],
) -> Evaluation:
    picojoules = (PJ_MAC, PJ_AC)
    if not recipe.transfer:
        missing["static branch"] = "the run trained the event branch alone"
        return evaluate_run(best, root, device, part=part, picojoules=picojoules)
    try:
        return evaluate_run(best, root, device, part=part, picojoules=picojoules, static=True)
    except UsageError as error:
        missing["static branch"] = str(error)
        return evaluate_run(best, root, device, part=part, picojoules=picojoules)


def _with_note(result: Evaluation, text: str) -> Evaluation:
    from dataclasses import replace

    return replace(result, notes=(text, *result.notes))


def _diagnosed(
    best: Path, root: Path, device: torch.device, part: Part, missing: dict[str, str]
) -> Diagnosis | None:
    if "static branch" in missing and "event branch alone" in missing["static branch"]:
        missing["transfer"] = "one branch alone was trained, so there is no transfer to look at"
        return None
    try:
        return diagnose_run(best, root, device, part=part)
    except UsageError as error:
        missing["transfer"] = str(error)
        return None


def _to_look_at(result: Evaluation, paired: NDArray[np.bool_]) -> list[str]:
    """Return recordings whose own class is least likely, then most, each of another class.

    Those with a twin come first, for there both branches can be looked at.
    """
    evidence = result.evidence
    labels = evidence.labels.tolist()
    own = evidence.answers.probabilities[range(len(labels)), labels]
    half = CHOSEN // 2
    found: list[int] = []
    for likeliness in (own, -own):
        seen: set[int] = set()
        for n in np.lexsort((likeliness, ~paired)).tolist():
            if len(seen) < half and labels[n] not in seen and n not in found:
                seen.add(labels[n])
                found.append(n)
    return [evidence.identities[n] for n in found]


def _looked(
    best: Path,
    root: Path,
    device: torch.device,
    part: Part,
    chosen: list[str],
    layers: list[str],
    missing: dict[str, str],
) -> Saliency | None:
    """Return the maps of the last layer that has pixels."""
    reasons = []
    for layer in reversed(layers):
        try:
            return saliency_of(best, layer, chosen, root, device, part=part)
        except UsageError as error:
            reasons.append(str(error))
    missing["saliency"] = reasons[-1] if reasons else "the network has no spiking layer"
    return None


def _changed(
    card: str, root: Path, recipe: Recipe, account: dict[str, Any] | None
) -> dict[str, tuple[Any, Any]] | None:
    """Return what a run has other than the card's recipe; None where nothing says so."""
    if account is not None and account.get("differences") is not None:
        noted = account["differences"]
        return {name: (each["recipe"], each["run"]) for name, each in noted.items()}
    try:
        return dict(departures(load_card(card, root), "default", recipe))
    except SnntxError:
        return None


def _mistakes(result: Evaluation, cache: Any, recordings: list[int]) -> dict[str, list[Mistake]]:
    """Return mistakes of the worst classes, those first that the network was surest of."""
    shares = {name: share for name, (count, share) in result.metrics.per_class.items() if count}
    worst = sorted((share, name) for name, share in shares.items() if share < 1)[:WORST]
    answers, classes = result.evidence.answers, result.evidence.classes
    predicted, chances = answers.predicted, answers.probabilities
    found: dict[str, list[Mistake]] = {}
    for _, name in worst:
        label = classes.index(name)
        wrong = [
            n
            for n, true in enumerate(result.evidence.labels.tolist())
            if true == label and predicted[n] != label
        ]
        wrong.sort(key=lambda n: -float(chances[n, predicted[n]]))
        rows = sheet_rows(cache, [recordings[n] for n in wrong[:MISTAKES]])
        found[name] = [
            Mistake(row, classes[predicted[n]], float(chances[n, predicted[n]]))
            for n, row in zip(wrong, rows, strict=False)
        ]
    return found
