"""Accuracy, loss and firing rates by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from snntx.train.measure.firing import FiringRates
from snntx.train.measure.metrics import measure
from snntx.train.network.create import create_model


def test_measure_by_hand() -> None:
    logits = torch.tensor(
        [
            [9.0, 8, 7, 6, 5, 4, 3],  # class 0: right
            [9.0, 8, 7, 6, 5, 4, 3],  # class 4: fifth
            [9.0, 8, 7, 6, 5, 4, 3],  # class 5: sixth
            [0.0, 0, 0, 0, 1, 0, 2],  # class 6: right
            [0.0, 3, 0, 0, 0, 0, 2],  # class 6: second
        ]
    )
    classes = list("abcdefg")
    found = measure(logits, np.array([0, 4, 5, 6, 6]), classes)
    assert found.recordings == 5
    assert found.top1 == 2 / 5
    assert found.top5 == 4 / 5
    assert found.per_class == {"a": (1, 1.0), "e": (1, 0.0), "f": (1, 0.0), "g": (2, 0.5)}
    expected = [[0] * 7 for _ in classes]
    expected[0][0] = expected[4][0] = expected[5][0] = expected[6][6] = expected[6][1] = 1
    assert found.confusion == expected


def test_loss_by_hand() -> None:
    logits = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    found = measure(logits, np.array([0, 0, 1]), ["a", "b"])
    terms = [np.log(1 + np.exp(-1)), np.log(1 + np.exp(2)), np.log(2)]
    assert found.loss == pytest.approx(np.mean(terms), rel=1e-6)


def test_top5_of_fewer_than_five_classes_is_always_right() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    found = measure(logits, np.array([0, 0]), ["a", "b", "c"])
    assert (found.top1, found.top5) == (0.5, 1.0)


def test_confusion_counts_and_rows_are_the_true_class() -> None:
    logits = torch.eye(3)[[1, 1, 0, 2]]
    found = measure(logits, np.array([0, 0, 0, 2]), ["a", "b", "c"])
    assert found.confusion == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
    assert found.per_class == {"a": (3, 1 / 3), "c": (1, 1.0)}


def test_firing_is_the_mean_spike_of_each_layer_over_the_passes() -> None:
    torch.manual_seed(0)
    model = create_model("scnn", num_classes=3, steps=2, size=(34, 34)).eval()
    seen: dict[str, list[float]] = {}
    frames = torch.rand(2, 4, 2, 2, 34, 34) * 3
    with torch.no_grad(), FiringRates(model) as firing:
        for name, layer in firing._layers.items():
            layer.register_forward_hook(
                lambda _, __, output, name=name: seen.setdefault(name, []).append(
                    float(output.spikes.double().mean())
                )
            )
        for batch in frames:
            model.forward_event(batch)
    rates = firing.rates()
    assert rates.keys() == seen.keys()
    assert all(len(passes) == 2 for passes in seen.values())
    assert rates == pytest.approx({name: np.mean(passes) for name, passes in seen.items()})
    assert any(0 < rate < 1 for rate in rates.values())


def test_firing_is_counted_inside_the_context_alone() -> None:
    model = create_model("scnn", num_classes=3, steps=2, size=(34, 34)).eval()
    frames = torch.ones(1, 2, 2, 34, 34)
    with torch.no_grad():
        with FiringRates(model) as firing:
            model.forward_event(frames)
        before = firing.rates()
        model.forward_event(torch.zeros_like(frames))
    assert firing.rates() == before
    assert FiringRates(nn.Linear(2, 3)).rates() == {}
