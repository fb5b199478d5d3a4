"""Weights for other programs: safetensors with everything about them, or a plain state.

A safetensors file holds the network's tensors by their names here and, as metadata, JSON
texts: model, steps, classes, framing options, recipe, card, cache key, and a checksum of all
of it, which the format itself lacks. That is enough to classify new recordings, so
:func:`read_checkpoint` reads it like a checkpoint; it cannot be trained on. ``torch`` writes
the tensors alone, for ``torch.load(path, weights_only=True)``.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor

from ... import __version__
from ...errors import SnntxError, UsageError
from ...preprocess.disk.atomic import READABLE
from ...preprocess.framing.options import FrameOptions
from ..recipe.sources import recipe_from_table
from .state import Checkpoint, checkpoint_path, load_checkpoint, save_content

FORMAT = 1
SUFFIX = ".safetensors"
ENDINGS = {"safetensors": SUFFIX, "torch": ".weights.pt"}


def export(run: Path, kind: str, out: Path | None = None) -> Path:
    """Write a checkpoint's weights for other programs, whole or not at all.

    Args:
        run: run directory (its best checkpoint) or checkpoint file.
        kind: ``safetensors`` or ``torch``.
        out: the file; None puts it beside the checkpoint.

    Returns:
        The file.

    Raises:
        UsageError: no such run, an unknown kind, or the file exists already.
        SnntxError: the checkpoint is damaged, or the disk fails.
    """
    if kind not in ENDINGS:
        raise UsageError(f"cannot export to '{kind}', known: {', '.join(ENDINGS)}")
    source = checkpoint_path(run)
    checkpoint = read_checkpoint(source)
    out = out or source.with_name(source.stem + ENDINGS[kind])
    if out.exists():
        raise UsageError(f"{out}: exists already; remove it, or choose another --out")
    tensors = {name: value.contiguous() for name, value in checkpoint.model.items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if kind == "torch":
            save_content(out, tensors)
        else:
            _write_safetensors(out, tensors, _metadata(checkpoint, tensors))
    except OSError as error:
        raise SnntxError(f"{out}: cannot be written: {error.strerror or error}") from error
    return out


def read_checkpoint(run: Path) -> Checkpoint:
    """Return a run's best checkpoint, one checkpoint, or a safetensors export, which has no more
    than classifying takes: training's own states are empty.

    Raises:
        UsageError: no such run or file.
        SnntxError: damaged, or of another format.
    """
    path = checkpoint_path(run)
    return _read_safetensors(path) if path.suffix == SUFFIX else load_checkpoint(path)


def _metadata(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    content = {
        "snntx_export": FORMAT,
        "snntx_version": __version__,
        "model": checkpoint.recipe.model,
        "steps": checkpoint.frames.steps,
        "classes": checkpoint.classes,
        "frames": asdict(checkpoint.frames),
        "recipe": checkpoint.recipe.to_table(),
        "card": checkpoint.card,
        "cache_key": checkpoint.cache_key,
        "event_format": checkpoint.event_format,
        "sort": checkpoint.sort,
        "epoch": checkpoint.epoch,
        "validation": checkpoint.validation,
    }
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in content.items()}
    texts["checksum"] = json.dumps(_checksum(tensors, texts))
    return {"format": "pt", **texts}  # other readers look for this entry, which is not JSON


def _checksum(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    """Return the XXH3-128 of the texts, and of each tensor's name, shape, type and bytes."""
    state = xxhash.xxh3_128()
    for name in sorted(texts.keys() - {"format", "checksum"}):
        state.update(f"{name} {texts[name]}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        state.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        state.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _write_safetensors(out: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write beside the final name, sync, and put in place."""
    from safetensors.torch import save

    handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save(tensors, metadata=metadata))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, READABLE)
        os.replace(temporary, out)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            texts: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise SnntxError(f"{path}: not a readable safetensors file: {error}") from error
    if texts.get("snntx_export") != str(FORMAT):
        raise SnntxError(
            f"{path}: export format {texts.get('snntx_export')}, this release reads {FORMAT}; "
            "is it an export of snntx?"
        )
    try:
        content = {name: json.loads(text) for name, text in texts.items() if name != "format"}
        if content["checksum"] != _checksum(tensors, texts):
            raise SnntxError(f"{path}: does not match its checksum; export it again")
        return _checkpoint(path, content, tensors)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnntxError(f"{path}: its metadata cannot be read: {error}") from error


def _checkpoint(path: Path, content: Mapping[str, Any], tensors: dict[str, Tensor]) -> Checkpoint:
    return Checkpoint(
        recipe=recipe_from_table(content["recipe"], str(path)),
        card=content["card"],
        cache_key=content["cache_key"],
        classes=content["classes"],
        event_format=content["event_format"],
        sort=content["sort"],
        frames=FrameOptions.from_table(content["frames"]),
        epoch=content["epoch"],
        validation=content["validation"],
        best={"epoch": content["epoch"] - 1, **content["validation"]},
        model=tensors,
        optimizer={},
        scaler={},
        auxiliary={},
        average={},
        batch=0,
        sums={},
        rng=torch.empty(0, dtype=torch.uint8),
    )
