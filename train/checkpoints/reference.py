"""Weights of the reference implementation, by its own names.

A model's ``reference`` table says how the reference names its modules; this file applies it.
The reference keeps the coefficients as T tensors of one element (``coefficient.3``), and each
neuron's threshold and α as tensors, which here have to agree with the model's. Networks of Yao et
al. (ICCV 2023) have one branch, and tensors that nothing computes with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ...errors import UsageError
from ..network.model import ReferenceTable, TransferModel


def load_reference_state(model: TransferModel, state: Mapping[str, Tensor]) -> int:
    """Copy a state dict of the reference implementation into ``model``.

    Nothing is copied unless every name, shape, threshold and α fits. The model takes the layout of
    frames that the reference trains it on; what the reference has no counterpart of stays as it is.

    Returns:
        How many of the state's tensors nothing computes with; these are left out.
    """
    dead = dead_names(_table(model), state)
    state = {name: tensor for name, tensor in state.items() if name not in dead}
    own = reference_view(model, model.state_dict())
    constants = reference_constants(model)
    _check_names(model, own.keys() | constants.keys(), state)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    _refuse(
        model,
        "shapes differ",
        [
            f"{name} {tuple(state[name].shape)} instead of {shape}"
            for name, shape in shapes.items()
            if tuple(state[name].shape) != shape
        ],
    )
    _refuse(
        model,
        "neurons differ",
        [
            f"{name} {state[name].tolist()} instead of {value}"
            for name, value in constants.items()
            if state[name].numel() != 1 or not math.isclose(state[name].item(), value, rel_tol=1e-6)
        ],
    )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])
    model.lay_out(model.reference_layout)
    return len(dead)


def dead_names(table: ReferenceTable, state: Mapping[str, Tensor]) -> set[str]:
    """Return the names of a state's tensors that nothing computes with."""
    if not table.dead:
        return set()
    return {name for name in state if re.fullmatch(table.dead, name)}


def reference_view(model: TransferModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors keyed by the model's names (a state dict, gradients) to the reference's.

    The coefficient ``(T,)`` becomes T views of shape ``(1,)``; every value shares its memory. What
    the reference lacks is left out.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.partition(".")[0] in _table(model).lacks:
            continue
        theirs = reference_names(model, name)
        parts = tensor.unsqueeze(1).unbind() if name == "coefficient" else (tensor,)
        renamed.update(zip(theirs, parts, strict=True))
    return renamed


def reference_names(model: TransferModel, name: str) -> tuple[str, ...]:
    """Return the reference's names of the model's tensor ``name``: one, or T coefficients."""
    if name == "coefficient":
        return tuple(f"coefficient.{step}" for step in range(model.steps))
    table, (module, _, leaf) = _table(model), name.rpartition(".")
    theirs = table.modules.get(module) or table.also.get(module)
    if theirs is None:
        raise UsageError(f"model {model.name}: the reference implementation has no '{name}'")
    return (f"{theirs}.{table.leaves.get(leaf, leaf)}",)


def reference_constants(model: TransferModel) -> dict[str, float]:
    """Return the threshold and α that each of the reference's neurons has to store."""
    constants: dict[str, float] = {}
    for neuron in _table(model).neurons:
        constants[f"{neuron}.threshold"] = model.neuron.threshold
        constants[f"{neuron}.act_fun.alpha"] = model.neuron.surrogate.alpha
    return constants


def _table(model: TransferModel) -> ReferenceTable:
    if model.reference is None:
        raise UsageError(f"model {model.name}: the reference implementation has no counterpart")
    return model.reference


def _check_names(
    model: TransferModel, expected: Iterable[str], state: Mapping[str, Tensor]
) -> None:
    missing = sorted(set(expected) - state.keys())
    extra = sorted(state.keys() - set(expected))
    problems = [f"missing {name}" for name in missing] + [f"unexpected {name}" for name in extra]
    _refuse(model, "names differ", problems)


def _refuse(model: TransferModel, what: str, problems: list[str]) -> None:
    if problems:
        listed = ", ".join(problems)
        raise UsageError(f"reference state for model {model.name}: {what}: {listed}")
