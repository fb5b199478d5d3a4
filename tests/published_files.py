"""Files like those that the reference implementation published, built here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snntx.tests import golden_recipe
from snntx.train.checkpoints.reference import reference_constants, reference_view
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel

ARGUMENTS = {
    "vgg": {"model": "Transfer_VGG_SNN", "act_fun": "QGateGrad"},
    "resnet18": {"model": "Transfer_ResNet18", "act_fun": "QGateGrad"},
    "resnet34": {"model": "Transfer_ResNet34", "act_fun": "QGateGrad"},
    "nmnist-published": {"model": "Transfer_NMNIST_SNN", "act_fun": "QGateGrad"},
    "scnn": {"model": "Transfer_SCNN", "act_fun": "BackEIGateGrad"},
}


def golden_state(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The golden weights by the reference's names, and what they were made with."""
    arrays, meta = golden_recipe.read(name.replace("-", "_"))
    return golden_recipe.tensors(golden_recipe.state(arrays, meta)), meta


def state_of(model: TransferModel) -> dict[str, Tensor]:
    """A model's weights as the reference would save them."""
    state = {k: v.clone() for k, v in reference_view(model, model.state_dict()).items()}
    return state | {k: torch.tensor(v) for k, v in reference_constants(model).items()}


def arguments(name: str, *, steps: int, classes: int, **more: Any) -> argparse.Namespace:
    """Some of the command line that the saver kept."""
    given = {
        **ARGUMENTS[name],
        "step": steps,
        "num_classes": classes,
        "threshold": 0.5,
        "tau": 2.0,
        "node_type": "LIFNode",
        "event_size": 48,
        "seed": 1024,
        "scale": [0.08, 1.0],
        "bn_eps": None,
        "domain_loss": True,
    }
    return argparse.Namespace(**(given | more))


def write(
    path: Path, state: dict[str, Tensor], args: Any, *, legacy: bool = False, **more: Any
) -> Path:
    """Save a checkpoint as timm's saver does, in torch's zip or in what came before it."""
    weight = torch.nn.Parameter(torch.ones(2, 3))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    content = {
        "epoch": 7,
        "arch": "transfer",
        "state_dict": state,
        "optimizer": optimizer.state_dict(),
        "version": 2,
        "args": args,
        "amp_scaler": {"scale": 65536.0, "growth_factor": 2.0},
        "metric": 92.64,
    }
    torch.save(
        content | more,
        path,
        pickle_protocol=2,
        _use_new_zipfile_serialization=not legacy,
    )
    return path


def small(classes: int = 10) -> TransferModel:
    """The smallest published network, for the frames of the small cache."""
    torch.manual_seed(3)
    return create_model("scnn", num_classes=classes, steps=3, size=(34, 34))


def write_small(path: Path, state: dict[str, Tensor] | None = None, **more: Any) -> Path:
    """Save that network's weights, or others, with its command line."""
    state = state_of(small()) if state is None else state
    return write(path, state, arguments("scnn", steps=3, classes=10), **more)
