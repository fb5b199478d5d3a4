"""The same numbers as NeuroBench's own package, on one network that snnTorch runs too.

NeuroBench brings torchaudio, so it has an environment of its own: that of the Python which
SNNTX_NEUROBENCH names, or one that is made here and left with the test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snntx.train.measure.operations import OperationCounts
from snntx.train.network.layers import SpikingConv2d, SpikingLinear
from snntx.train.network.model import POLARITIES, Encoding, ModelOptions, TransferModel
from snntx.train.network.neurons import Neuron

VERSION = "2.3.0"
STEPS, SAMPLES, STRIDE = 5, 12, 2
THRESHOLD = 0.3
TWIN = Path(__file__).resolve().parents[2] / "neurobench_twin.py"


class Twin(TransferModel):
    """What the other side builds of snnTorch's layers."""

    frame_size = (13, 11)

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        layer = {**self.layer_options, "norm": "none"}
        self.first = SpikingConv2d(POLARITIES, 6, **layer)
        self.second = SpikingConv2d(6, 8, stride=STRIDE, pool=2, **layer)
        self.hidden = SpikingLinear(8 * 3 * 3, 20, **layer)
        self.make_heads(20)

    def encode(self, frames: Any, *, features: bool, constant: Any) -> Encoding:
        spikes = self.second(self.first(frames).activity).activity.flatten()
        return Encoding(*self.hidden(spikes, membrane=features))


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    named = os.environ.get("SNNTX_NEUROBENCH")
    if named is None:
        folder = tmp_path_factory.mktemp("neurobench") / "environment"
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        named = str(folder / "bin" / "python")
        wanted = [f"torch=={torch.__version__}", "torchaudio", f"neurobench=={VERSION}"]
        pip = [named, "-m", "pip", "install", "--quiet", *wanted]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            pytest.skip(f"pip cannot install neurobench {VERSION}: {last}")
    asked = "import snntorch, neurobench; print(neurobench.__version__)"
    done = subprocess.run([named, "-c", asked], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{named} has no NeuroBench: {done.stderr.strip().splitlines()[-1]}")
    assert done.stdout.strip() == VERSION
    return named


@pytest.mark.slow
@pytest.mark.parametrize("frames", ["real", "binary"])
def test_numbers_are_neurobenchs(frames: str, other_python: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    neuron = Neuron(kind="lif-undecayed", tau=2.0, threshold=THRESHOLD)
    options = ModelOptions("twin", 4, STEPS, neuron, "none", backend="torch")
    model = Twin(options).double().eval()
    given = torch.rand(SAMPLES, STEPS, 2, 13, 11, dtype=torch.float64)
    given = given * (torch.rand_like(given) < 0.4)
    if frames == "binary":
        given = (given > 0).double()
    with torch.no_grad():
        model.first.conv.weight[torch.rand_like(model.first.conv.weight) < 0.1] = 0
        model.hidden.linear.weight *= 4  # so that it fires
        model.hidden.linear.weight[:, 5] = 0
    counts = OperationCounts(model)
    with torch.inference_mode(), counts:
        logits = model.forward_event(given).mean(0)
    ours = counts.operations()
    layers: dict[str, torch.nn.Conv2d | torch.nn.Linear] = {
        "first": model.first.conv,
        "second": model.second.conv,
        "hidden": model.hidden.linear,
        "head": model.head("event"),
    }
    weights = {name: each.weight.detach().numpy() for name, each in layers.items()}
    biases = {
        f"{name}_bias": each.bias.detach().numpy()
        for name, each in layers.items()
        if each.bias is not None
    }
    numbers = {"stride": np.array(STRIDE), "threshold": np.array(THRESHOLD)}
    arrays: dict[str, Any] = {"frames": given.numpy(), **weights, **biases, **numbers}
    np.savez(tmp_path / "twin.npz", **arrays)
    call = [other_python, str(TWIN), str(tmp_path / "twin.npz")]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(theirs["outputs"], logits.numpy(), rtol=0, atol=1e-12)
    assert 0.02 < 1 - ours.activation_sparsity < 0.98
    pairs = {
        "Effective_MACs": ours.macs,
        "Effective_ACs": ours.acs,
        "Dense": ours.dense,
    }
    assert ours.macs > 0
    assert ours.acs > 0
    assert theirs["SynapticOperations"] == pytest.approx(pairs, rel=1e-12)
    assert theirs["MembraneUpdates"] == pytest.approx(ours.membrane_updates, rel=1e-12)
    assert theirs["ActivationSparsity"] == pytest.approx(ours.activation_sparsity, abs=1e-12)
    assert theirs["ConnectionSparsity"] == round(ours.connection_sparsity, 4)
    own = sum(
        each.numel() * each.element_size()
        for name, each in model.named_buffers()
        if not name.startswith("static")
    )
    assert theirs["Footprint"] - theirs["buffers"] == ours.footprint - own
    told = {name: theirs[name] for name in theirs if name != "outputs"}
    print(f"NeuroBench, {frames} frames: {told}; here {ours.footprint} bytes")
