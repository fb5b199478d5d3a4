"""The event branch as a model of ONNX: frames of whole recordings in, logits of every step out.

``frames`` is float32 ``(B, T, 2, H, W)``, ``logits`` float32 ``(B, T, C)``; B is free, T and the
rest are the network's. torch's exporter writes the readable path of every layer in evaluation, so
the neurons are plain sums, comparisons and products, unrolled over the steps. The metadata tell
what an export to safetensors tells; :func:`~snntx.train.checkpoints.export.read_onnx` reads it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ...preprocess.disk.atomic import write_whole
from ..checkpoints.export import PRODUCER, described, new_file, onnx_package, set_aside
from ..checkpoints.state import Checkpoint
from ..network.model import TransferModel

OPSET = 18
"""Version of ONNX's operators."""
ENDING = ".onnx"
READOUT = "the class of the highest mean of the logits over all steps"


class _EventBranch(nn.Module):
    """Frames ``(B, T, 2, H, W)`` to logits ``(B, T, C)``."""

    def __init__(self, model: TransferModel) -> None:
        super().__init__()
        self.network = model

    def forward(self, frames: Tensor) -> Tensor:
        return self.network.forward_event(frames).transpose(0, 1)


def export_onnx(checkpoint: Checkpoint, out: Path) -> None:
    """Write a checkpoint's event branch as a model of ONNX, whole or not at all.

    Raises:
        UsageError: the network computes what ONNX has no operator for, a package is missing, or
            the file exists already.
        SnntxError: the disk fails.
    """
    onnx_package("onnxscript")
    with new_file(out):
        proto = onnx_model(checkpoint.build_model(torch.device("cpu")))
        more = {"opset": json.dumps(OPSET), "readout": json.dumps(READOUT)}
        set_aside(proto, checkpoint, described(checkpoint) | more)
        write_whole(out, proto.SerializeToString())


def onnx_model(model: TransferModel) -> Any:
    """Return the event branch of a network as an ``onnx.ModelProto``.

    Raises:
        UsageError: the network computes what ONNX has no operator for.
    """
    model = model.float().eval()
    for part in model.modules():
        if isinstance(getattr(part, "backend", None), str):
            setattr(part, "backend", "torch")  # noqa: B010  (Module has it of any type)
    height, width = model.size[::-1] if model.layout == "xy" else model.size
    sample = torch.zeros(2, model.steps, 2, height, width)
    with _quietly():
        try:
            program = torch.onnx.export(
                _EventBranch(model).eval(),
                (sample,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["frames"],
                output_names=["logits"],
                dynamic_shapes={"frames": {0: torch.export.Dim.DYNAMIC}},
            )
        except torch.onnx.OnnxExporterError as error:
            raise UsageError(
                f"model {model.name} cannot be exported to ONNX as it is set: ONNX has no operator "
                "for what it computes, such as a pool of maxima, attention or firing at the "
                "threshold; export it to safetensors"
            ) from error
    assert program is not None
    proto = program.model_proto
    proto.producer_name = PRODUCER
    return proto


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep torch's exporter from telling of itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
