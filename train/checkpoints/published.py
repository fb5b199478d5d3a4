"""Checkpoints that reference implementations published, or would have (He et al., AAAI 2024).

A ``.pth.tar`` is a dictionary that timm's saver wrote: ``state_dict``, ``args`` (the command
line, an ``argparse.Namespace``), ``epoch``, ``metric`` and things that only training needs.
Model, steps, classes, threshold and α are read off the names and shapes of the state; the
command line has to agree, and adds what leaves no trace there. Networks with one branch come as
bare states (:mod:`.one_branch.shapes`). Nothing is executed
(:mod:`snntx.train.checkpoints.foreign`).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import SnntxError, UsageError
from ..network.create import create_model
from ..network.defaults import NEURON_OPTIONS
from ..network.doors import MODELS
from ..network.model import ReferenceTable, TransferModel
from .one_branch.shapes import ONE_BRANCH, network_of, own_options
from .reference import load_reference_state

CLASS_NAMES = {
    "vgg": "Transfer_VGG_SNN",
    "resnet18": "Transfer_ResNet18",
    "resnet34": "Transfer_ResNet34",
    "scnn": "Transfer_SCNN",
    "nmnist-published": "Transfer_NMNIST_SNN",
    "asa3": "the three-layer network of Yao et al.",
    "asa5": "the five-layer network of Yao et al.",
    "sew-resnet18": "SpikingJelly's SEW-ResNet-18",
}
"""Networks here, and their classes in the published code."""
SURROGATES = {"QGateGrad": "qgate", "BackEIGateGrad": "backeigate", "GateGrad": "gate"}
LARGEST = 1e300
FIXED_CLASSES, FIXED_SIZE = ("scnn", "nmnist-published"), ("scnn",)
"""Networks that ignore ``--num-classes``, and ``--event-size``."""


@dataclass(frozen=True)
class Published:
    """A published checkpoint.

    Attributes:
        path: the file.
        state: the weights by the reference's names, without a prefix.
        model: name of the network here.
        steps: time steps T; None where the weights do not say.
        classes: how many it tells apart.
        size: side of the frames it was trained on, where its command line says so.
        threshold: of every neuron.
        alpha: sharpness of every surrogate.
        tau: time constant of every neuron, in steps.
        surrogate: name of the surrogate here; None where unknown.
        seed: of the run, where known.
        epoch: from 1, where known; the file counts from 0.
        metric: test accuracy that the reference noted, percent, where known.
        options: further options of the network, as ``create_model`` takes them.
    """

    path: Path
    state: dict[str, Tensor]
    model: str
    steps: int | None
    classes: int
    size: int | None
    threshold: float
    alpha: float
    tau: float
    surrogate: str | None
    seed: int | None
    epoch: int | None
    metric: float | None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def one_branch(self) -> bool:
        """Whether its reference has an event branch alone."""
        return self.model in ONE_BRANCH

    def build_model(
        self,
        device: torch.device,
        size: tuple[int, int] | None = None,
        steps: int | None = None,
    ) -> TransferModel:
        """Return the network with these weights, in evaluation mode.

        Args:
            device: where to.
            size: height and width of the frames; None takes those it was trained on.
            steps: T, of weights that do not say it.

        Raises:
            SnntxError: names or shapes do not fit the network.
        """
        side = None if self.size is None else (self.size, self.size)
        surrogate: dict[str, Any] = {"surrogate": self.surrogate} if self.surrogate else {}
        try:
            model = create_model(
                self.model,
                num_classes=self.classes,
                steps=self.steps or steps or 1,
                size=size or side,
                threshold=self.threshold,
                alpha=self.alpha,
                tau=self.tau,
                **surrogate,
                **self.options,
            )
            load_reference_state(model, self.state)
        except UsageError as error:
            raise SnntxError(f"{self.path}: {error}") from error
        return model.to(device).eval()


def reference_model(state: Mapping[str, Tensor]) -> str | None:
    """Return the network whose modules some weights name as the reference does, or None.

    At least half of its modules have to be there. Where one network's modules are among another's,
    it is the one of which more are there than are missing by the larger number.
    """
    named = {name.rpartition(".")[0] for name in state}
    surplus = {
        name: 2 * len(named & set(model.reference.modules.values())) - len(model.reference.modules)
        for name, model in ((name, MODELS.get(name)) for name in MODELS.shipped())
        if model.reference is not None
    }
    best = max(surplus, key=lambda name: surplus[name])
    return best if surplus[best] >= 0 else None


def read_published(
    path: Path, model: str, state: dict[str, Tensor], around: Mapping[str, Any]
) -> Published:
    """Return what weights by the reference's names say of themselves.

    Args:
        path: the file, for errors.
        model: which network they are, as :func:`reference_model` found it.
        state: the weights, as :func:`snntx.train.checkpoints.foreign.weights_of` returned them.
        around: what stands beside them, likewise; empty for a bare state.

    Raises:
        SnntxError: steps, classes or constants cannot be read off them, or are at odds with the
            command line.
    """
    arguments = _arguments(around)
    table = MODELS.get(model).reference
    assert table is not None
    if model in ONE_BRANCH:
        return _of_one_branch(path, model, state, table)
    number = _whole(around.get("epoch"))
    found = Published(
        path=path,
        state=state,
        model=model,
        steps=_steps(path, state),
        classes=_classes(path, state, table),
        size=None if model in FIXED_SIZE else _whole(arguments.get("event_size")),
        threshold=_constant(path, state, table, "threshold"),
        alpha=_constant(path, state, table, "act_fun.alpha"),
        tau=_number(arguments.get("tau")) or 2.0,
        surrogate=SURROGATES.get(str(arguments.get("act_fun"))),
        seed=_whole(arguments.get("seed")),
        epoch=None if number is None else number + 1,
        metric=_number(around.get("metric")),
    )
    _check_arguments(found, arguments)
    return found


def _of_one_branch(
    path: Path, model: str, state: dict[str, Tensor], table: ReferenceTable
) -> Published:
    steps, options = network_of(path, model, state)
    own = {**NEURON_OPTIONS, **own_options(model)}
    return Published(
        path=path,
        state=state,
        model=model,
        steps=steps,
        classes=_classes(path, state, table),
        size=None,
        threshold=own["threshold"],
        alpha=own["alpha"],
        tau=own["tau"],
        surrogate=own["surrogate"],
        seed=None,
        epoch=None,
        metric=None,
        options=options,
    )


def _arguments(around: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = around.get("args")
    if isinstance(arguments, argparse.Namespace):
        return vars(arguments)
    return arguments if isinstance(arguments, dict) else {}


def _steps(path: Path, state: Mapping[str, Tensor]) -> int:
    """Return T, from one coefficient for each step."""
    numbers = {name.partition(".")[2] for name in state if name.startswith("coefficient.")}
    if not numbers or numbers != {str(step) for step in range(len(numbers))}:
        found = ", ".join(sorted(numbers)) or "none"
        raise SnntxError(f"{path}: coefficients should be numbered from 0, found {found}")
    return len(numbers)


def _classes(path: Path, state: Mapping[str, Tensor], table: ReferenceTable) -> int:
    own = ("event_head", "shared_head")
    head = next(theirs for each, theirs in table.modules.items() if each.partition(".")[0] in own)
    weight = state.get(f"{head}.weight")
    if weight is None or weight.dim() != 2 or len(weight) % table.voters:
        shape = None if weight is None else tuple(weight.shape)
        outputs = "classes" if table.voters == 1 else f"{table.voters} x classes"
        raise SnntxError(f"{path}: {head}.weight should be ({outputs}, inputs), found {shape}")
    return len(weight) // table.voters


def _constant(path: Path, state: Mapping[str, Tensor], table: ReferenceTable, leaf: str) -> float:
    """Return the one value that all neurons share."""
    names = [name for name in (f"{each}.{leaf}" for each in table.neurons) if name in state]
    values = {state[name].item() for name in names if state[name].numel() == 1}
    if len(values) != 1:
        found = f"{min(values):g} to {max(values):g}" if values else "none"
        raise SnntxError(
            f"{path}: every neuron should have the same {leaf}, found {found}; a threshold that "
            "was trained is not read"
        )
    return float(values.pop())


def _check_arguments(found: Published, arguments: Mapping[str, Any]) -> None:
    """Refuse weights that contradict the command line they are said to come from."""
    expected: dict[str, Any] = {
        "model": CLASS_NAMES[found.model],
        "step": found.steps,
        "num_classes": found.classes,
        "threshold": found.threshold,
        "node_type": "LIFNode",
    }
    if found.model in FIXED_CLASSES:
        del expected["num_classes"]
    problems = [
        f"{name} {arguments[name]!r} instead of {value!r}"
        for name, value in expected.items()
        if name in arguments and not _agree(arguments[name], value)
    ]
    if problems:
        raise SnntxError(
            f"{found.path}: its command line (args) does not fit its weights: {', '.join(problems)}"
        )


def _agree(said: Any, found: Any) -> bool:
    if isinstance(found, str):
        return isinstance(said, str) and said.lower() == found.lower()
    number = _number(said)
    return number is not None and math.isclose(number, found, rel_tol=1e-6)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < LARGEST else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
