"""Rebuild the weights and inputs behind the ``golden/*.npz`` of transfer models.

Every tensor comes from ``numpy.random.default_rng(zlib.crc32(name))``, where ``name`` is its
name in the reference implementation; the files' ``meta_json`` states the rules applied here.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays = dict[str, NDArray[Any]]

GOLDEN = Path(__file__).parent / "golden"
CONSTANTS = {"threshold": 0.5, "alpha": 2.0, "num_batches_tracked": 0.0}
WEIGHT_GAIN = {"scnn": 16.0}
LINEAR_GAIN = {"scnn": 16.0, "nmnist_published": 16.0}
STATIC_SCALE = (1.0, 0.2, 0.6, 0.4)
EVENT_SCALE = (0.6, 1.0, 2.0, 1.5)


class Batch(NamedTuple):
    static: NDArray[np.float32]
    event: NDArray[np.float32]
    labels: NDArray[np.int64]


def read(model: str) -> tuple[Arrays, dict[str, Any]]:
    with np.load(GOLDEN / f"{model}.npz") as stored:
        arrays = dict(stored)
    return arrays, json.loads(str(arrays["meta_json"]))


def generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def state(golden: Arrays, meta: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """The reference's state dict, float32 values but for the integer counters."""
    names = [str(name) for name in golden["state_names"]]
    normalised = {name.rpartition(".")[0] for name in names if name.endswith("running_mean")}
    tensors: dict[str, NDArray[Any]] = {}
    for name, text in zip(names, golden["state_shapes"], strict=True):
        shape = tuple(json.loads(str(text)))
        module, _, leaf = name.rpartition(".")
        if leaf in CONSTANTS:
            value: NDArray[Any] = np.full(shape, CONSTANTS[leaf])
        else:
            z = generator(name).standard_normal(shape)
            value = _value(name, leaf, z, normalised=module in normalised, model=meta["model"])
        integer = leaf == "num_batches_tracked"
        tensors[name] = value.astype(np.int64 if integer else np.float32)
    return tensors


def _value(
    name: str, leaf: str, z: NDArray[np.float64], *, normalised: bool, model: str
) -> NDArray[np.float64]:
    if name.startswith("coefficient."):
        return 1 + 0.5 * z
    if leaf == "running_mean":
        return 0.05 * z
    if leaf == "running_var":
        return 0.25 * (1 + 0.2 * np.abs(z))
    if normalised:
        return 1 + 0.1 * z if leaf == "weight" else 0.2 + 0.1 * z
    if leaf == "bias":
        return 0.1 * z
    gain = (LINEAR_GAIN if z.ndim == 2 else WEIGHT_GAIN).get(model, 2.0)
    return z * math.sqrt(gain / math.prod(z.shape[1:]))


def batch(meta: dict[str, Any]) -> Batch:
    """The inputs ``(B, T, 2, H, W)`` and labels ``(B,)``."""
    size, steps, side = meta["batch"], meta["T"], meta["H"]
    a = np.array(STATIC_SCALE).reshape(-1, 1, 1, 1, 1)
    c = np.array(EVENT_SCALE).reshape(-1, 1, 1, 1, 1)
    image = generator("input.static").random((size, 1, 1, side, side)) * a
    u = generator("input.event").random((size, steps, 2, side, side))
    if meta["model"] == "scnn":
        event = 0.5 * c * np.where(u < 0.7, 0.0, (u - 0.7) / 0.3)
    else:
        event = np.floor(4 * u * u * u * u * c)
    static = np.broadcast_to(image, (size, steps, 2, side, side))
    labels = generator("labels").integers(0, meta["num_classes"], size)
    return Batch(static.astype(np.float32), event.astype(np.float32), labels)


def tensors(arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}
