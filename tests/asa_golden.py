"""Rebuild the weights, inputs and dropout masks behind ``golden/asa_nets.npz`` and its like.

Every value comes from ``numpy.random.default_rng(zlib.crc32(key))``; the files' ``rules_json``
states the rules applied here.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snntx.train.checkpoints.reference import load_reference_state, reference_view
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel
from snntx.train.network.neurons import Neuron
from snntx.train.network.surrogates import create_surrogate

GOLDEN = Path(__file__).parent / "golden"
DEAD = {"alpha": (1,), "beta": (1,), "fc.weight": (1, 1), "conv1.weight": (1, 2, 3, 3)}
DEAD |= {"conv2.weight": (1, 2, 3, 3)}

LIF = Neuron(
    kind="lif-undecayed",
    tau=1 / 0.7,
    threshold=0.3,
    detach_reset=False,
    surrogate=create_surrogate("rectangular", alpha=0.5),
    fires="at",
)
"""The neuron of the networks A and D."""


@cache
def stored(name: str) -> dict[str, NDArray[Any]]:
    with np.load(GOLDEN / f"{name}.npz") as archive:
        return dict(archive)


def cases() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(str(stored("asa_nets")["cases_json"]))
    return found


def generator(key: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(key.encode()))


def tensor(values: NDArray[Any]) -> Tensor:
    """Values rounded to float32, as float64."""
    return torch.from_numpy(np.asarray(values, np.float32).astype(np.float64))


def options(case: dict[str, Any], mode: str = "reference") -> dict[str, Any]:
    """How a case's network is made here, but for its backend."""
    arch = case["arch"]
    found: dict[str, Any] = {
        "name": "asa3" if arch in "AD" else "asa5",
        "num_classes": case.get("num_classes", 11),
        "steps": case["T"],
        "size": (case["HW"], case["HW"]),
    }
    if arch == "D":
        found |= {"conv_channels": [32, 32, 32], "dropout": 0.5}
    if arch in "AD":
        found |= {"dropout_layers": case["ps"] if case.get("drop") else "00000"}
        found |= {"sends": "membrane"} if case.get("mode_select") == "mem" else {}
    if arch == "C":
        found |= {"kind": "lif", "spike_pool": "average", "conv_channels": [64, *[128] * 4]}
    if case.get("attention") != "no":
        found["attention"] = Attention(
            mode=mode,
            lam=case.get("lam", 0.5),
            reduction=case.get("reduction", 1),
            place="convolution" if case.get("attention_before_conv") else "neuron",
        )
    return found


def network(case: dict[str, Any], backend: str, mode: str = "reference") -> TransferModel:
    """A case's network with its weights, float64."""
    made = create_model(**options(case, mode), backend=backend).double()
    load_reference_state(made, state(case, made))
    return made


def state(case: dict[str, Any], made: TransferModel) -> dict[str, Tensor]:
    """A case's weights by the reference's names, those that nothing computes with too."""
    net = case["arch"] + ("0" if case.get("attention") == "no" else "")
    found = {
        name: value(net, name, tuple(each.shape))
        for name, each in reference_view(made, made.state_dict()).items()
    }
    if "attention" in options(case) and case["arch"] in "AD":
        for layer in range(3):
            dead = f"ConvAttLIFs.{layer}.spike.0.attn"
            found |= {f"{dead}.{leaf}": torch.zeros(shape) for leaf, shape in DEAD.items()}
    return found


def value(net: str, name: str, shape: tuple[int, ...]) -> Tensor:
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return torch.tensor(0)
    z = generator(f"{net}.{name}").standard_normal(shape)
    three = net[0] in "AD"
    if ".attn." in name:
        if leaf in ("alpha", "beta"):
            return tensor(np.full(shape, {"alpha": 0.7, "beta": 0.2}[leaf]))
        return tensor(0.5 * z if ".conv" in name else z / np.sqrt(shape[1]))
    if ".bn." in name:
        return tensor(_norm(leaf, z, three=three))
    if leaf == "w":
        return tensor(0.3 * z)
    if leaf == "bias":
        return tensor(0.1 * z)
    if ".conv." in name:
        return tensor(z / np.sqrt(shape[1] * 9))
    return tensor((3 if three else 8) * z / np.sqrt(shape[1]))


def _norm(leaf: str, z: NDArray[Any], *, three: bool) -> NDArray[Any]:
    found: NDArray[Any] = {
        "weight": (1 if three else 3) + 0.1 * z,
        "bias": (0.2 if three else 0.6) + 0.1 * z,
        "running_mean": 0.1 * z,
        "running_var": (1 if three else 0.2) * np.exp(0.2 * z),
    }[leaf]
    return found


def frames(name: str, case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """A case's frames ``(N, T, 2, X, Y)``, as the reference gets them, and labels."""
    shape = case["N"], case["T"], 2, case["HW"], case["HW"]
    given = torch.from_numpy(generator(f"{name}.x").poisson(0.6, shape).astype(np.float64))
    labels = (3 * torch.arange(case["N"]) + 1) % case.get("num_classes", 11)
    if case.get("dup"):
        given[1], labels[1] = given[0], labels[0]
    return given, labels


def kept(name: str, where: str, shape: tuple[int, ...], share: float) -> Tensor:
    """Which values a dropout of the reference leaves, bool; ``where`` such as ``in0``."""
    return torch.from_numpy(generator(f"{name}.mask.{where}").random(shape) >= share)
