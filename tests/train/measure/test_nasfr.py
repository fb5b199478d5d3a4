"""Firing rates of whole networks, by hand and against the published code's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snntx.tests import asa_golden as golden
from snntx.train.measure.firing import FiringRates, SpikeCounts
from snntx.train.measure.metrics import measure
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel

both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


def batches() -> list[Tensor]:
    """Recordings of three clips each, flattened to samples, ``(3 n, T, 2, X, Y)``."""
    drawn = (
        golden.generator(f"nasfr.x{i}").poisson(0.6, (count, 3, 8, 2, 32, 32))
        for i, count in enumerate((2, 2, 1))
    )
    return [torch.from_numpy(each.astype(np.float64)).flatten(0, 1) for each in drawn]


@both_backends
def test_the_rates_are_the_published_codes(backend: str) -> None:
    stored = golden.stored("asa_nasfr")
    model = golden.network(golden.cases()["A_asa"], backend).eval()
    with torch.no_grad(), SpikeCounts(model) as counted:
        for each in batches():
            model.forward_event(each.transpose(-1, -2))
    firing = counted.firing()
    assert firing is not None
    assert firing.nasfr == pytest.approx(float(stored["nasfr"]), abs=1e-12)
    rates = [layer.rate for layer in firing.layers.values()]
    np.testing.assert_allclose(rates, stored["rate_per_layer"], rtol=0, atol=1e-12)
    assert [layer.neurons for layer in firing.layers.values()] == stored["neurons"].tolist()


def counted(model: TransferModel, frames: Tensor, *, at_once: int) -> Any:
    with torch.no_grad(), SpikeCounts(model.eval()) as counts:
        for part in torch.split(frames, at_once):
            model.forward_event(part)
    return counts.firing()


def test_it_does_not_depend_on_the_batches_where_masks_are_of_each_sample_alone() -> None:
    torch.manual_seed(0)
    frames = torch.rand(5, 3, 2, 32, 32) * 3
    model = create_model(
        "asa3", num_classes=3, steps=3, width=0.125, attention=Attention(), threshold=0.1
    )
    whole, parts = (counted(model, frames, at_once=count) for count in (5, 2))
    assert whole.nasfr == pytest.approx(parts.nasfr, rel=1e-12)
    assert whole.nasfr > 0
    steps = whole.layers["convolutions.1"].by_step
    assert len(steps) == 3
    assert np.mean(steps) == pytest.approx(whole.layers["convolutions.1"].rate)
    assert "static_head" not in whole.layers
    assert "event_head" in whole.layers


@pytest.mark.parametrize("place", ["neuron", "spikes"])
def test_spikes_are_counted_before_an_attention_that_acts_on_them(place: str) -> None:
    torch.manual_seed(0)
    frames = torch.rand(2, 4, 2, 34, 34) * 3
    attention = Attention(place=place, lam=0.25)
    model = create_model("nmnist", num_classes=3, steps=4, attention=attention, norm="merged")
    layer = model.get_submodule("first")
    rates = []

    def seen(module: Any, given: Any, output: Any = None) -> None:
        sent = given[0] if output is None else output.spikes
        rates.append(sent.double().mean().item())

    if place == "spikes":
        layer.get_submodule("attention").register_forward_pre_hook(seen)
    else:
        layer.register_forward_hook(seen)
    with FiringRates(model) as mean:
        found = counted(model, frames, at_once=2)
    assert found.layers["first"].rate == pytest.approx(rates[0], rel=1e-6)
    assert mean.rates()["first"] == pytest.approx(rates[0], rel=1e-6)
    assert found.layers["first"].neurons == 16 * 34 * 34


def test_graded_neurons_have_no_rate() -> None:
    model = create_model("asa3", num_classes=3, steps=2, width=0.125, sends="membrane")
    assert counted(model, torch.rand(1, 2, 2, 32, 32), at_once=1) is None


def test_of_equal_outputs_the_first_class_is_taken() -> None:
    logits = torch.zeros(3, 7)
    logits[1, [3, 5]] = 0.5
    names = [str(number) for number in range(7)]
    found = measure(logits, np.array([0, 3, 6]), names)
    assert found.top1 == pytest.approx(2 / 3)
    assert found.top5 == pytest.approx(2 / 3)
    assert found.confusion[6][0] == 1
