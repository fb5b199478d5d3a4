"""The event branch as a graph of NIR, the Neuromorphic Intermediate Representation.

Pedersen et al., *Neuromorphic intermediate representation* (Nature Communications, 2024). NIR's
LIF is ``τ dv/dt = -v + r I``, its IF ``dv/dt = r I``; both fire strictly above the threshold and
reset to 0. A frame lasts :data:`STEP_S`, which importers take for a step, since NIR has none of its
own. One step of Euler's method is then ours to the letter:

=================  =======  ===  ==============================
here               τ        r    a step
=================  =======  ===  ==============================
lif, plif          dt / k   1    ``v + k (I - v)``
lif-undecayed      dt / k   1/k  ``v + k (I / k - v)``
if                          1    ``v + I``
=================  =======  ===  ==============================

The graph takes one frame ``(2, H, W)``, off then on, and gives logits ``(C,)`` at each step; the
answer is the class of the highest mean over the steps, which NIR cannot say and the metadata does.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ... import __version__
from ...errors import UsageError
from ...preprocess.disk.atomic import write_whole
from ..checkpoints.export import new_file
from ..checkpoints.state import Checkpoint
from ..network.model import TransferModel
from .chain import Link, chain_of

STEP_S = 1e-4
"""Seconds of a step; snnTorch's importer takes the same."""
ENDING = ".nir"
NEURONS = ("lif", "plif", "lif-undecayed", "if")


def nir_graph(model: TransferModel) -> Any:
    """Return the event branch of a network as a ``nir.NIRGraph``, in float64.

    Raises:
        UsageError: the network has what NIR has not, or the package is not installed.
    """
    nir = _package()
    chain = chain_of(model.eval())
    nodes: dict[str, Any] = {"input": nir.Input({"input": np.array(chain.links[0].shape)})}
    for number, link in enumerate(chain.links):
        neurons = _neurons(nir, link)
        shape = link.fires
        if link.weight.ndim == 4:
            nodes[f"{number}_conv"] = nir.Conv2d(
                input_shape=link.shape[1:],
                weight=link.weight,
                stride=link.stride,
                padding=link.padding,
                dilation=(1, 1),
                groups=1,
                bias=link.bias,
            )
        else:
            nodes[f"{number}_linear"] = nir.Affine(link.weight, link.bias)
        nodes[f"{number}_{link.neuron.kind.replace('-', '_')}"] = neurons
        if link.pool > 1:
            sides = np.array([link.pool, link.pool])
            nodes[f"{number}_pool"] = nir.AvgPool2d(sides, sides, np.zeros(2, int))
            shape = (shape[0], *(side // link.pool for side in shape[1:]))
        after = chain.links[number + 1].shape if number + 1 < len(chain.links) else None
        if len(shape) == 3 and (after is None or len(after) == 1):
            # from the end, so that it holds with samples in front and without
            nodes[f"{number}_flatten"] = nir.Flatten(
                {"input": np.array(shape)}, start_dim=-3, end_dim=-1
            )
    nodes["head"] = nir.Affine(chain.weight, chain.bias)
    nodes["output"] = nir.Output({"output": np.array([len(chain.bias)])})
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)))


def export_nir(checkpoint: Checkpoint, out: Path) -> None:
    """Write a checkpoint's event branch as a NIR graph, whole or not at all.

    Raises:
        UsageError: as of :func:`nir_graph`, or the file exists already.
        SnntxError: the disk fails.
    """
    nir = _package()
    with new_file(out):
        graph = nir_graph(checkpoint.build_model(torch.device("cpu")))
        graph.metadata = {name: json.dumps(value) for name, value in _told(checkpoint).items()}
        held = io.BytesIO()
        nir.write(held, graph)
        write_whole(out, held.getvalue())


def _told(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the graph cannot say."""
    return {
        "snntx_version": __version__,
        "step_seconds": STEP_S,
        "readout": "the class of the highest mean of the output over all steps",
        "steps": checkpoint.frames.steps,
        "polarities": ["off", "on"],
        "classes": checkpoint.classes,
        "frames": asdict(checkpoint.frames),
        "recipe": checkpoint.recipe.to_table(),
        "card": checkpoint.card,
        "cache_key": checkpoint.cache_key,
    }


def _neurons(nir: Any, link: Link) -> Any:
    """Return a population's node.

    Raises:
        UsageError: NIR has no such neurons.
    """
    neuron = link.neuron
    for wrong, has in (
        (neuron.kind not in NEURONS, f"neuron = {neuron.kind}"),
        (neuron.reset != "hard", "a soft reset"),
        (neuron.fires != "above", "neurons that fire at the threshold"),
        (neuron.graded, "neurons that send graded values or rest elsewhere than at 0"),
    ):
        if wrong:
            raise UsageError(
                f"it cannot be exported to NIR: layer {link.name} has {has}, and NIR's neurons "
                "fire strictly above the threshold and reset to 0; export it to safetensors"
            )
    threshold = np.full(link.fires, link.threshold)
    ones, zeros = np.ones(link.fires), np.zeros(link.fires)
    if neuron.kind == "if":
        return nir.IF(r=ones, v_threshold=threshold, v_reset=zeros)
    resistance = 1.0 if neuron.dynamics.decay_input else 1 / link.leak
    return nir.LIF(
        tau=np.full(link.fires, STEP_S / link.leak),
        r=np.full(link.fires, resistance),
        v_leak=zeros,
        v_threshold=threshold,
        v_reset=zeros,
    )


def _package() -> Any:
    try:
        import nir
    except ImportError:
        raise UsageError(
            'exporting to NIR needs the package nir; run pip install "snntx[nir]"'
        ) from None
    return nir
