"""Weights for other programs, with everything about them: safetensors, or torch's plain state.

A safetensors file holds the network's tensors by their names here and, as metadata, JSON
texts: model, steps, classes, framing options, recipe, card, cache key, and a checksum of all
of it, which the format itself lacks. That is enough to classify new recordings, so
:func:`read_export` returns a checkpoint; it cannot be trained on. ``torch`` writes the tensors
by name, for ``torch.load(path, weights_only=True)``, and the same texts where torch keeps a state's
metadata, which ``load_state_dict`` passes over.
"""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor

from ... import __version__
from ...errors import SnntxError, UsageError
from ...preprocess.disk.atomic import write_whole
from ...preprocess.disk.folders import cause_of
from .state import Checkpoint, checked, save_content

FORMAT = 1
ACCOUNT = "snntx"
"""Name of the texts among a plain state's metadata."""
PRODUCER = "snntx"
"""Of models of ONNX."""
ENDINGS = {"safetensors": ".safetensors", "torch": ".weights.pt"}


def default_out(source: Path, kind: str) -> Path:
    """Return where an export goes unless it is told: beside the checkpoint, by its name.

    Raises:
        UsageError: an unknown kind.
    """
    if kind not in ENDINGS:
        raise UsageError(f"cannot export to '{kind}', known: {', '.join(ENDINGS)}")
    return source.with_name(source.stem + ENDINGS[kind])


def export(checkpoint: Checkpoint, kind: str, out: Path) -> None:
    """Write a checkpoint's weights for other programs, whole or not at all.

    Args:
        checkpoint: whose weights.
        kind: ``safetensors`` or ``torch``.
        out: the file; its folder is made.

    Raises:
        UsageError: an unknown kind, or the file exists already.
        SnntxError: the disk fails.
    """
    default_out(out, kind)
    with new_file(out):
        tensors = {name: value.contiguous() for name, value in checkpoint.model.items()}
        if kind == "torch":
            state = OrderedDict(tensors)
            account = {ACCOUNT: _metadata(checkpoint, tensors)}
            state._metadata = account  # type: ignore[attr-defined]
            save_content(out, state)
        else:
            from safetensors.torch import save

            write_whole(out, save(tensors, metadata=_metadata(checkpoint, tensors)))


@contextmanager
def new_file(out: Path) -> Iterator[None]:
    """Refuse a file that is there, make its folder, and say in one line where writing it fails.

    Raises:
        UsageError: the file exists already.
        SnntxError: the disk fails.
    """
    if out.exists():
        raise UsageError(f"{out}: exists already; remove it, or choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SnntxError(
            f"{out}: cannot be written: {cause_of(error)}; mend that and try again"
        ) from error


def is_export(path: Path) -> bool:
    """Whether a file begins as safetensors do, whatever its name: a length, then JSON."""
    with path.open("rb") as file:
        length, brace = file.read(8), file.read(1)
    return brace == b"{" and b"\0" in length  # no header fills eight bytes, and no text has these


def read_export(path: Path) -> Checkpoint:
    """Return a safetensors export, which has no more than classifying takes: training's own
    states are empty.

    Raises:
        SnntxError: damaged, or of another program or format.
    """
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


def account_of(content: Any) -> Mapping[str, str] | None:
    """Return the texts beside a plain state that :func:`export` wrote, or None."""
    metadata = getattr(content, "_metadata", None)
    found = metadata.get(ACCOUNT) if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else None


def read_account(path: Path, texts: Mapping[str, str], tensors: dict[str, Tensor]) -> Checkpoint:
    """Return an export to torch as :func:`read_export` does.

    Raises:
        SnntxError: damaged, or of another format.
    """
    try:
        content = {name: json.loads(text) for name, text in texts.items() if name != "format"}
        if content["snntx_export"] != FORMAT:
            raise SnntxError(
                f"{path}: export format {content['snntx_export']}, this release reads {FORMAT}; "
                "export it again"
            )
        if content["checksum"] != _checksum(tensors, texts):
            raise SnntxError(f"{path}: does not match its checksum; export it again")
        return _checkpoint(path, content, tensors)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnntxError(f"{path}: its metadata cannot be read: {error}") from error


def described(checkpoint: Checkpoint) -> dict[str, str]:
    """Return what an export tells about its checkpoint, as JSON texts."""
    content = {
        "snntx_export": FORMAT,
        "snntx_version": __version__,
        "model": checkpoint.recipe.network.model,
        "steps": checkpoint.frames.steps,
        "classes": checkpoint.classes,
        "frames": asdict(checkpoint.frames),
        "recipe": checkpoint.recipe.to_table(),
        "card": checkpoint.card,
        "cache_key": checkpoint.cache_key,
        "event_format": checkpoint.event_format,
        "sort": checkpoint.sort,
        "wraps": checkpoint.wraps,
        "outside": checkpoint.outside,
        "epoch": checkpoint.epoch,
        "validation": checkpoint.validation,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in content.items()}


def _metadata(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    texts = described(checkpoint)
    texts["checksum"] = json.dumps(_checksum(tensors, texts))
    return {"format": "pt", **texts}  # other readers look for this entry, which is not JSON


def onnx_package(also: str = "onnx") -> Any:
    """Return the package onnx, once it and another one are found to be installed.

    Raises:
        UsageError: one of them is not.
    """
    try:
        import_module(also)
        return import_module("onnx")
    except ImportError as error:
        raise UsageError(
            f"files of ONNX need the package {also}, which is not installed: "
            "pip install 'snntx[onnx]'"
        ) from error


def set_aside(proto: Any, checkpoint: Checkpoint, texts: Mapping[str, str]) -> None:
    """Give a model of ONNX its metadata, with every tensor that its graph does not hold as it is.

    Those are the static head's and the coefficients, and what the exporter computed beforehand.
    """
    from safetensors.torch import save

    tensors = {name: value.contiguous() for name, value in checkpoint.model.items()}
    held = _held(proto)
    aside = {name: t for name, t in tensors.items() if not _same(held.get(name), t)}
    told = {**texts, "tensors": json.dumps(list(tensors))}
    told["checksum"] = json.dumps(_checksum(tensors, told))
    told["aside"] = base64.b85encode(save(aside)).decode()
    for name, text in told.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, text


def is_onnx(path: Path) -> bool:
    """Whether a file begins as models of ONNX do that snntx wrote, whatever its name."""
    mark = b"\x12" + bytes([len(PRODUCER)]) + PRODUCER.encode()
    with path.open("rb") as file:
        first = file.read(2 + len(mark))
    return first[:1] == b"\x08" and first[2:] == mark


def read_onnx(path: Path) -> Checkpoint:
    """Return what an export to ONNX holds, as :func:`read_export` does: its weights, not its graph.

    Raises:
        UsageError: the package onnx is not installed.
        SnntxError: damaged, or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    onnx = onnx_package()
    undecoded = import_module("google.protobuf.message").DecodeError
    try:
        proto = onnx.load_model(path)
        texts = {entry.key: entry.value for entry in proto.metadata_props}
        aside = load(base64.b85decode(texts.pop("aside")))
        content = {name: json.loads(text) for name, text in texts.items()}
        held = {**_held(proto), **aside}
        tensors = {name: held[name] for name in content["tensors"]}
        if content["checksum"] != _checksum(tensors, texts):
            raise SnntxError(f"{path}: does not match its checksum; export it again")
        return _checkpoint(path, content, tensors)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        undecoded,
        SafetensorError,
        OSError,
    ) as error:
        raise SnntxError(f"{path}: not a readable export to ONNX: {error}") from error


def _held(proto: Any) -> dict[str, Tensor]:
    """Return the tensors of a graph, by the network's names."""
    from onnx import numpy_helper

    return {
        each.name.removeprefix("network."): torch.from_numpy(numpy_helper.to_array(each).copy())
        for each in proto.graph.initializer
    }


def _same(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.dtype == other.dtype and torch.equal(one, other.cpu())


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


def _checkpoint(path: Path, content: Mapping[str, Any], tensors: dict[str, Tensor]) -> Checkpoint:
    names = ("recipe", "card", "cache_key", "classes", "event_format", "sort", "frames", "epoch")
    fields: dict[str, Any] = {name: content[name] for name in (*names, "validation")}
    fields |= {name: content[name] for name in ("wraps", "outside") if name in content}
    fields["best"] = {"epoch": content["epoch"], **content["validation"]}
    fields |= {name: {} for name in ("optimizer", "scaler", "auxiliary", "average", "sums")}
    rng = torch.empty(0, dtype=torch.uint8)
    return checked(path, {**fields, "model": tensors, "batch": 0, "rng": rng})
