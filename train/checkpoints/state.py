"""Checkpoints: plain tensors, numbers and text, written whole or not at all.

A checkpoint carries what training needs to go on and what ``predict`` needs to frame a new
recording exactly as the cache was. It loads with ``weights_only=True``; nothing in it is
ever executed. Files of every other kind: :mod:`snntx.train.checkpoints.weights`.
"""

from __future__ import annotations

import copy
import io
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from ...errors import SnntxError
from ...preprocess.disk.atomic import placing
from ...preprocess.disk.folders import cause_of
from ...preprocess.framing.options import FrameOptions
from ..network.model import TransferModel
from ..recipe.networks import build_model
from ..recipe.sources import recipe_from_table
from ..recipe.whole import Recipe
from .foreign import check_size, load_foreign
from .names import COUNTED_FROM

FORMAT = 2
MARK = "snntx_checkpoint"
"""Entry of every checkpoint that names its format."""

KINDS = {
    "card": str,
    "cache_key": str,
    "classes": list,
    "event_format": str,
    "sort": bool,
    "epoch": int,
    "validation": dict,
    "best": dict,
    "model": dict,
    "optimizer": dict,
    "scaler": dict,
    "auxiliary": dict,
    "average": dict,
    "batch": int,
    "sums": dict,
    "rng": Tensor,
    "processes": int,
    "wraps": bool,
    "outside": str,
}
"""What a checkpoint's fields are, but for the recipe and the framing options."""
ADDED = {"processes": 0, "wraps": False, "outside": "stop"}
"""Fields that files of release 0.1 do not have, and what stands for them there."""
TENSORS = ("model", "auxiliary", "average")
"""Fields that hold tensors by name and nothing else."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything about a run between two steps.

    Attributes:
        recipe: the resolved recipe.
        card: name of the data card.
        cache_key: key of the frame cache.
        classes: class names in label order.
        event_format: raw format of the card's recordings.
        sort: whether recordings whose times go back are sorted.
        frames: framing options of the cache.
        epoch: epochs finished.
        validation: part, top-1, top-5 and loss of this epoch.
        best: the same of the best epoch so far, with its number from 1; 0 before there is one.
        model: state of the network.
        optimizer: state of the optimizer.
        scaler: state of the loss scaler; empty without one.
        auxiliary: state of what is trained beside the network.
        average: averaged weights; empty without any. ``best.pt`` holds them as ``model``.
        batch: batches trained of the epoch that was stopped in the middle.
        sums: sums of this epoch's terms over these batches.
        rng: state of torch's generator.
        processes: that shared each batch; 0 in a file of a release that did not keep it.
        wraps: whether a timer that starts over is gone on with, as the card says.
        outside: what the card does with events outside the sensor, ``stop`` or ``drop``.
    """

    recipe: Recipe
    card: str
    cache_key: str
    classes: list[str]
    event_format: str
    sort: bool
    frames: FrameOptions
    epoch: int
    validation: dict[str, Any]
    best: dict[str, Any]
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    auxiliary: dict[str, Tensor]
    average: dict[str, Tensor]
    batch: int
    sums: dict[str, float]
    rng: Tensor
    processes: int = 0
    wraps: bool = False
    outside: str = "stop"

    def build_model(self, device: torch.device) -> TransferModel:
        """Return the network with this checkpoint's weights, in evaluation mode.

        Raises:
            SnntxError: the weights are of another network than the recipe's.
        """
        *_, height, width = self.frames.frame_shape
        try:
            model = build_model(
                self.recipe,
                num_classes=len(self.classes),
                steps=self.frames.steps,
                size=(height, width),
            )
            model.load_state_dict(self.model)
        except (RuntimeError, MemoryError) as error:
            lines = [line.strip() for line in str(error).splitlines()]
            problems = "; ".join(lines[1:3] or lines) or type(error).__name__
            raise SnntxError(
                f"a checkpoint of card {self.card}: its weights are not of the network that its "
                f"recipe names: {problems}"
            ) from error
        return model.to(device).eval()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint beside its final name, sync it, and put it in place.

    Raises:
        SnntxError: the disk is full or fails; an older file of that name is left as it was.
    """
    content = {
        MARK: FORMAT,
        COUNTED_FROM: 1,
        **{name: getattr(checkpoint, name) for name in checkpoint.__dataclass_fields__},
        "recipe": checkpoint.recipe.to_table(),
        "frames": asdict(checkpoint.frames),
    }
    save_content(path, content, "mend that and go on with --resume")


def save_content(
    path: Path, content: dict[str, Any], advice: str = "mend that and try again"
) -> None:
    """Write tensors, numbers and text beside their final name, sync, and put them in place.

    Raises:
        SnntxError: the disk is full or fails; an older file of that name is left as it was.
    """
    try:
        with placing(path) as raw:
            file = io.BufferedWriter(raw)
            try:
                torch.save(_alike(content), file)
            finally:
                file.detach()  # flushed
    except (OSError, RuntimeError) as error:
        raise SnntxError(f"{path}: cannot be written: {cause_of(error)}; {advice}") from error


def _alike(value: Any) -> Any:
    """Return the same with equal texts as one object: whether they are would show in the file."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        made = copy.copy(value)  # with torch's own attributes
        made.clear()
        made.update((_alike(key), _alike(each)) for key, each in value.items())
        return made
    return type(value)(map(_alike, value)) if type(value) in (list, tuple) else value


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of ``snntx train``; tensors are on the CPU.

    Raises:
        UsageError: no such file.
        SnntxError: damaged, not a checkpoint, or of another format version.
    """
    return checkpoint_from(path, load_foreign(path))


def checkpoint_from(path: Path, content: Any) -> Checkpoint:
    """Return the checkpoint that a file's content is.

    Args:
        path: the file, for errors.
        content: as :func:`snntx.train.checkpoints.foreign.load_foreign` returned it.

    Raises:
        SnntxError: not a checkpoint, not a whole one, or of another format version.
    """
    version = content.get(MARK) if isinstance(content, dict) else None
    if version != FORMAT:
        raise SnntxError(
            f"{path}: checkpoint format {version}, this release reads {FORMAT}; "
            "is it a checkpoint of snntx train?"
        )
    names = [name for name in Checkpoint.__dataclass_fields__ if name in content]
    missing = [name for name in Checkpoint.__dataclass_fields__ if name not in {*names, *ADDED}]
    if missing:
        raise SnntxError(f"{path}: not a whole checkpoint: it has no {', '.join(missing)}")
    fields = {name: content[name] for name in names}
    if COUNTED_FROM not in content:  # release 0.1 counted from 0
        try:
            fields["best"] = {**content["best"], "epoch": content["best"]["epoch"] + 1}
        except (TypeError, LookupError) as error:
            raise SnntxError(
                f"{path}: not a whole checkpoint: its best epoch cannot be read: {error}"
            ) from error
    return checked(path, fields)


def checked(path: Path, fields: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint of fields that a file holds; recipe and framing options are tables.

    Args:
        path: the file, for errors.
        fields: all of a checkpoint's, but perhaps for those of :data:`ADDED`.

    Raises:
        SnntxError: one is not what a checkpoint has there.
    """
    fields = {**ADDED, **fields}
    try:
        fields["recipe"] = recipe_from_table(fields["recipe"], str(path))
        fields["frames"] = _frames(fields["frames"])
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise SnntxError(
            f"{path}: not a whole checkpoint: its recipe or framing options cannot be read: {error}"
        ) from error
    for name, kind in KINDS.items():
        value = fields[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            _refuse(path, name, value, f"a {kind.__name__}")
    for name in fields["classes"]:
        if not isinstance(name, str):
            _refuse(path, "classes", name, "names")
    for part in TENSORS:
        for name, value in fields[part].items():
            if not isinstance(value, Tensor):
                _refuse(path, f"{part} {name}", value, "a Tensor")
    for name, tensor in _tensors(fields):
        check_size(path, name, tensor)
    return Checkpoint(**fields)


def _frames(table: Any) -> FrameOptions:
    try:
        return FrameOptions.from_table(table)
    except SnntxError as error:
        raise ValueError(str(error)) from error


def _refuse(path: Path, name: str, value: Any, expected: str) -> NoReturn:
    raise SnntxError(
        f"{path}: not a whole checkpoint: {name} is a {type(value).__name__}, expected {expected}"
    )


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in a table of tables and lists, with its name."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _tensors(each, f"{name} {key}".strip())
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each, name)
