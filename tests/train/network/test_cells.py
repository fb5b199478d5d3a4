"""Neurons of the gesture family against the published code's numbers, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from snntx.errors import UsageError
from snntx.tests import asa_golden as golden
from snntx.train.network.layers import SpikingPopulation
from snntx.train.network.neurons import Neuron
from snntx.train.network.surrogates import create_surrogate

both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])
LIF = golden.LIF
TAU2 = Neuron(threshold=1.0, detach_reset=False, surrogate=create_surrogate("atan"), fires="at")
CELLS = {
    "lif": LIF,
    "lif_vreset": replace(LIF, tau=1 / 0.6, threshold=0.5, rest=0.1, offset=0.05),
    "lif_mem": replace(LIF, sends="membrane"),
    "lif_mem_tr": replace(LIF, sends="excess"),
    "plif": replace(TAU2, kind="plif"),
    "liftau2": TAU2,
}


def close(found: Any, wanted: Any) -> None:
    assert np.shape(found) == np.shape(wanted)
    assert np.abs(np.asarray(found) - wanted).max() < 1e-9


@both_backends
@pytest.mark.parametrize("cell", CELLS)
def test_neurons_compute_what_the_published_code_does(cell: str, backend: str) -> None:
    stored = golden.stored("asa_cells")
    layer = SpikingPopulation(5, neuron=CELLS[cell], norm="none", backend=backend).double()
    if cell == "plif":
        layer.leak_logit.data.fill_(0.25)
    drawn = golden.tensor(0.6 * golden.generator("cell.x").standard_normal((7, 3, 5)))
    factor = 2.5 if cell in ("plif", "liftau2") else 1.0
    currents = (drawn * factor).requires_grad_()
    out = layer(currents).spikes
    out.backward(golden.tensor(golden.generator("cell.g").standard_normal((7, 3, 5))))
    assert currents.grad is not None
    close(out.detach(), stored[f"cell_{cell}_out"])
    close(currents.grad, stored[f"cell_{cell}_gx"])
    if cell == "plif":
        assert layer.leak_logit.grad is not None
        close(layer.leak_logit.grad, stored["cell_plif_gw"])


@both_backends
def test_a_membrane_at_the_threshold_fires_where_the_neuron_fires_at_it(backend: str) -> None:
    currents = torch.tensor([[[0.3, 0.29999998, 0.30000004]]])
    sent = []
    for fires in ("above", "at"):
        neuron = Neuron(kind="if", threshold=0.3, fires=fires)
        layer = SpikingPopulation(3, neuron=neuron, norm="none", backend=backend)
        sent.append(layer(currents).spikes.flatten().tolist())
    assert sent == [[0, 0, 1], [1, 0, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fires": "below"}, "unknown fires 'below', known: above, at"),
        ({"sends": "spike"}, "unknown sends 'spike', known: .*; did you mean 'spikes'"),
        ({"rest": 0.1, "reset": "soft"}, "rest is 0.1 with a soft reset, expected 0, or a number"),
        ({"offset": 0.1}, "offset is 0.1 with kind lif, expected 0, or a number with kind"),
    ],
)
def test_neurons_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Neuron(**options)
