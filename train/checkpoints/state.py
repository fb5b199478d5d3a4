"""Checkpoints: plain tensors, numbers and text, written whole or not at all.

A checkpoint carries what training needs to go on and what ``predict`` needs to frame a new
recording exactly as the cache was. It loads with ``weights_only=True``; nothing in it is
ever executed.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import SnntxError, UsageError
from ...preprocess.cache.frame_cache import FrameCache
from ...preprocess.disk.atomic import READABLE
from ...preprocess.framing.options import FrameOptions
from ..network.model import TransferModel
from ..recipe.networks import build_model
from ..recipe.sources import recipe_from_table
from ..recipe.whole import Recipe
from .names import BEST

FORMAT = 2

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    RuntimeError,
    NotImplementedError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""As zipfile and torch report a file that is damaged or is something else."""


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
        best: the same of the best epoch so far, with its number.
        model: state of the network.
        optimizer: state of the optimizer.
        scaler: state of the loss scaler; empty without one.
        auxiliary: state of what is trained beside the network.
        average: averaged weights; empty without any. ``best.pt`` holds them as ``model``.
        batch: batches trained of the epoch that was stopped in the middle.
        sums: sums of this epoch's terms over these batches.
        rng: state of torch's generator.
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

    def build_model(self, device: torch.device) -> TransferModel:
        """Return the network with this checkpoint's weights, in evaluation mode."""
        *_, height, width = self.frames.frame_shape
        model = build_model(
            self.recipe,
            num_classes=len(self.classes),
            steps=self.frames.steps,
            size=(height, width),
        )
        model.load_state_dict(self.model)
        return model.to(device).eval()


def frame_options(cache: FrameCache) -> FrameOptions:
    """Return the framing options a cache was made with.

    Raises:
        SnntxError: made by another release.
    """
    return cache.options


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint beside its final name, sync it, and put it in place.

    Raises:
        SnntxError: the disk is full or fails; an older file of that name is left as it was.
    """
    content = {
        "snntx_checkpoint": FORMAT,
        **{name: getattr(checkpoint, name) for name in checkpoint.__dataclass_fields__},
        "recipe": checkpoint.recipe.to_table(),
        "frames": asdict(checkpoint.frames),
    }
    save_content(path, content)


def save_content(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers and text beside their final name, sync, and put them in place.

    Raises:
        SnntxError: the disk is full or fails; an older file of that name is left as it was.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, READABLE)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        raise SnntxError(f"{path}: cannot be written: {error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; tensors are on the CPU.

    Raises:
        UsageError: no such file.
        SnntxError: damaged, not a checkpoint, or of another format version.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    try:
        _check_bytes(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SnntxError(f"{path}: not a readable checkpoint: {cause}") from error
    version = content.get("snntx_checkpoint") if isinstance(content, dict) else None
    if version != FORMAT:
        raise SnntxError(
            f"{path}: checkpoint format {version}, this release reads {FORMAT}; "
            "is it a checkpoint of snntx train?"
        )
    missing = [name for name in Checkpoint.__dataclass_fields__ if name not in content]
    if missing:
        raise SnntxError(f"{path}: not a whole checkpoint: it has no {', '.join(missing)}")
    fields = {name: content[name] for name in Checkpoint.__dataclass_fields__}
    fields["recipe"] = recipe_from_table(content["recipe"], str(path))
    fields["frames"] = FrameOptions(**content["frames"])
    return Checkpoint(**fields)


def _check_bytes(path: Path) -> None:
    """Compare every stored tensor with its checksum, which ``torch.load`` does not do."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} does not match its checksum")


def checkpoint_path(run: Path) -> Path:
    """Return the checkpoint a user means: the file itself, or a run directory's best.

    Raises:
        UsageError: neither a checkpoint nor a run directory with one.
    """
    if run.is_dir():
        if not (run / BEST).is_file():
            raise UsageError(f"{run}: no {BEST} in this directory; is it a run of snntx train?")
        return run / BEST
    if not run.is_file():
        raise UsageError(f"{run}: no such run directory or checkpoint")
    return run
