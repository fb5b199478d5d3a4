"""Weights of an earlier run in a fresh network: the start of fine-tuning.

The source is whatever :mod:`snntx.train.checkpoints.weights` opens. Every tensor has to fit,
running statistics included; a head that tells other classes apart stays fresh. A run on static
images alone trained one head, so both heads start from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ...errors import UsageError
from ..method.choice import make_method
from ..network.model import TransferModel
from .one_branch.fitting import check_network, dead_line
from .published import Published
from .reference import load_reference_state, reference_names
from .state import Checkpoint
from .weights import open_weights

HEADS = ("static_head", "event_head", "shared_head")
LISTED = 6


def initial_weights(
    model: TransferModel, source: Path, *, classes: Sequence[str] | None = None
) -> list[str]:
    """Copy weights into a fresh network; nothing is copied unless all of it fits.

    Args:
        model: the network.
        source: run directory (its best checkpoint), checkpoint, safetensors export, published
            checkpoint, or a plain state by our names or the reference's.
        classes: names of the network's classes; a head whose source has the same number of
            others stays fresh too. A published checkpoint does not name its classes.

    Returns:
        A line for every head that is not a copy of its own, or that was copied from a plain
        state, which cannot say what its classes are; each begins with the head's name.

    Raises:
        UsageError: no such source, or it is of another network.
        SnntxError: the source cannot be read.
    """
    content = open_weights(source).content
    if isinstance(content, Published):
        return _from_published(model, content)
    if isinstance(content, Checkpoint):
        return _from_checkpoint(model, content, source, classes)
    return _from_state(model, content, source)


def _from_state(model: TransferModel, state: dict[str, Tensor], source: Path) -> list[str]:
    own, notes = model.state_dict(), []
    for name in _heads(model):
        theirs = _classes(model, name, state)
        if theirs is not None and theirs != model.num_classes:
            notes.append(_fresh(name, theirs, model.num_classes))
            state = {**state, **_head(own, name)}
        else:
            notes.append(f"{name}: copied class by class as numbered, the source names none")
    _check_fit(str(source), own, state)
    model.load_state_dict(state)
    return notes


def _from_published(model: TransferModel, published: Published) -> list[str]:
    where = str(published.path)
    _same_model(where, published.model, model)
    if published.one_branch:
        check_network(where, published.model, published.options, model)
    for what, theirs, ours in (
        ("steps", published.steps or model.steps, model.steps),
        ("threshold", published.threshold, model.neuron.threshold),
        ("surrogate_alpha", published.alpha, model.neuron.surrogate.alpha),
    ):
        if abs(theirs - ours) > 1e-6 * abs(ours):
            raise UsageError(f"{where}: was trained with {what} = {theirs:g}, not {ours:g}")
    state, notes = dict(published.state), []
    if published.classes != model.num_classes:
        for name in _heads(model):
            if published.one_branch and name == "static_head":
                continue
            notes.append(_fresh(name, published.classes, model.num_classes))
            for own, tensor in _head(model.state_dict(), name).items():
                (theirs_name,) = reference_names(model, own)
                state[theirs_name] = tensor
    try:
        dead = load_reference_state(model, state)
    except UsageError as error:
        raise UsageError(f"{where}: {_shortened(str(error))}") from error
    if published.one_branch:
        notes.insert(0, "static_head: left fresh, the source has one branch")
    if dead:
        notes.append(dead_line(dead))
    return notes


def _from_checkpoint(
    model: TransferModel, checkpoint: Checkpoint, source: Path, classes: Sequence[str] | None
) -> list[str]:
    where = str(source)
    _same_model(where, checkpoint.recipe.network.model, model)
    own, state, notes = model.state_dict(), dict(checkpoint.model), []
    reason: tuple[int | str, int | str] | None = None
    if len(checkpoint.classes) != model.num_classes:
        reason = (len(checkpoint.classes), model.num_classes)
    elif classes is not None and list(classes) != checkpoint.classes:
        pairs = zip(checkpoint.classes, classes, strict=True)
        reason = next(pair for pair in pairs if pair[0] != pair[1])
    static_alone = make_method(checkpoint.recipe).judged == "static"
    for name in _heads(model):
        if reason is not None:
            notes.append(_fresh(name, *reason))
            state |= _head(own, name)
        elif static_alone and name == "event_head" and _head(state, "static_head"):
            notes.append(f"{name}: from the source's static_head, the only one that it trained")
            state |= _head(state, "static_head", name)
    _check_fit(where, own, state)
    model.load_state_dict(state)
    return notes


def _heads(model: TransferModel) -> list[str]:
    modules = dict(model.named_children())
    return [name for name in HEADS if name in modules]


def _head(state: Mapping[str, Tensor], name: str, as_name: str = "") -> dict[str, Tensor]:
    """Return a head's tensors of a state, under its own name or another head's."""
    return {
        (as_name or name) + each.removeprefix(name): tensor
        for each, tensor in state.items()
        if each.startswith(f"{name}.")
    }


def _classes(model: TransferModel, name: str, state: Mapping[str, Tensor]) -> int | None:
    """Return how many classes a state's head tells apart; None where that cannot be said."""
    own, theirs = _head(model.state_dict(), name), _head(state, name)
    maps = [each for each, tensor in own.items() if tensor.dim() == 2]
    found = [theirs[each] for each in maps if each in theirs and theirs[each].dim() == 2]
    if len(maps) != 1 or not found:
        return None
    outputs = len(own[maps[0]]) // model.num_classes
    return None if len(found[0]) % outputs else len(found[0]) // outputs


def _fresh(name: str, theirs: int | str, ours: int | str) -> str:
    if isinstance(theirs, int):
        return f"{name}: left fresh, the source tells {theirs} classes apart, this run {ours}"
    return f"{name}: left fresh, the source has class '{theirs}' where this run has '{ours}'"


def _same_model(where: str, theirs: str, model: TransferModel) -> None:
    if theirs != model.name:
        raise UsageError(f"{where}: holds the weights of model {theirs}, not of {model.name}")


def _check_fit(where: str, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Refuse names and shapes that are not the network's own."""
    problems = [f"missing {name}" for name in sorted(own.keys() - state.keys())]
    problems += [f"unexpected {name}" for name in sorted(state.keys() - own.keys())]
    problems += [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if problems:
        more = f" and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        raise UsageError(
            f"{where}: its weights do not fit this recipe's network: "
            f"{', '.join(problems[:LISTED])}{more}"
        )


def _shortened(message: str) -> str:
    """Return a list of problems without its tail."""
    parts = message.split(", ")
    return message if len(parts) <= 2 * LISTED else ", ".join(parts[: 2 * LISTED]) + ", ..."
