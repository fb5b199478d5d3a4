"""Accuracy by the statistics of each batch, and that measuring it leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.measure.batch_statistics import (
    batch_statistics,
    event_by_batch,
    first_share,
    measure_by_batch,
    running_norms,
)
from snntx.train.measure.static_part import StaticSelection, static_by_batch
from snntx.train.network.create import create_model
from snntx.train.network.model import POLARITIES, Encoding, ModelOptions, TransferModel
from snntx.train.network.synapses import Activity
from snntx.train.recipe.sources import load_recipe

STEPS = 3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(small_cache: Path) -> FrameCache:
    card = load_card("simulated-digits")
    opened = open_cache(small_cache / "cache", card, steps=STEPS, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


class Own(TransferModel):
    """torch's own norm at each step, beside one without running statistics."""

    frame_size = (34, 34)

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        self.linear = nn.Linear(POLARITIES * self.size[0] * self.size[1], 8)
        self.norm = nn.BatchNorm1d(8)
        self.bare = nn.BatchNorm1d(8, track_running_stats=False)
        self.make_heads(8)

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        code = torch.stack([self.bare(self.norm(self.linear(f.flatten(1)))) for f in frames])
        return Encoding(Activity(code.relu()), code if features else None)


def made(kind: str) -> TransferModel:
    torch.manual_seed(3)
    if kind == "own":
        return Own(ModelOptions("own", num_classes=10, steps=STEPS))
    norm, _, backend = kind.partition(" ")
    backend = backend or "torch"
    return create_model("nmnist", num_classes=10, steps=STEPS, norm=norm, width=0.2,
                        backend=backend)  # fmt: skip


KINDS = {
    "per-step": STEPS,
    "per-step numba": STEPS,
    "per-step-own": 1,
    "per-step-pooled numba": 1,
    "merged": 1,
    "merged numba": 1,
    "own": STEPS,
}
"""How often a batch moves one set of running statistics."""


def frames(count: int = 6) -> Tensor:
    return torch.rand(count, STEPS, 2, 34, 34, generator=torch.Generator().manual_seed(1))


def traces(model: nn.Module) -> dict[str, Any]:
    """What measuring could leave behind."""
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "places": [value.data_ptr() for value in model.state_dict().values()],
        "modes": [module.training for module in model.modules()],
        "rng": torch.get_rng_state(),
    }


def assert_no_trace(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before["state"].keys() == after["state"].keys()
    assert all(torch.equal(value, after["state"][name]) for name, value in before["state"].items())
    assert torch.equal(before["rng"], after["rng"])
    assert all(before[name] == after[name] for name in ("places", "modes"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_normalised_as_in_training(kind: str) -> None:
    model, given = made(kind).eval(), frames()
    before = traces(model)
    with torch.inference_mode():
        running = model.forward_event(given)
        with batch_statistics(model):
            own = model.forward_event(given)
        assert_no_trace(before, traces(model))
        assert torch.equal(model.forward_event(given), running)
    with torch.no_grad():
        expected = model.train().forward_event(given)
    torch.testing.assert_close(own, expected)
    assert not torch.allclose(own, running)


@pytest.mark.parametrize("kind", KINDS)
def test_measuring_leaves_no_trace(cache: FrameCache, kind: str) -> None:
    model = made(kind).eval()
    before = traces(model)
    indices = np.arange(70)
    found = event_by_batch(model, cache, indices, CPU)
    assert_no_trace(before, traces(model))
    assert 0 <= found.top1 <= 1
    assert found.updates == KINDS[kind]
    assert found == event_by_batch(model, cache, indices, CPU)


@pytest.mark.parametrize("kind", ["static", "event"])
def test_the_static_head_leaves_no_trace(cache: FrameCache, kind: str) -> None:
    model = made("per-step").eval()
    recipe = load_recipe(load_card("simulated-digits"), settings=["method=static-only"])
    selection = StaticSelection("validation", kind, np.arange(12))
    before = traces(model)
    found = static_by_batch(model, cache, selection, recipe, CPU)
    assert_no_trace(before, traces(model))
    assert found.top1 * 12 == pytest.approx(round(found.top1 * 12))
    assert found.updates == STEPS


def test_an_error_inside_leaves_no_trace() -> None:
    model = made("per-step").eval()
    before = traces(model)

    def interrupted() -> None:
        with batch_statistics(model):
            model.forward_event(frames())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_no_trace(before, traces(model))


@pytest.mark.parametrize(("count", "sizes"), [(2, [2]), (65, [33, 32]), (130, [44, 43, 43])])
def test_batches_are_of_like_size_and_out_of_order(count: int, sizes: list[int]) -> None:
    seen: list[list[int]] = []
    labels = np.arange(count) % 10

    def classify(places: Any) -> Tensor:
        seen.append(places.tolist())
        right = places < count // 2  # the first half
        return nn.functional.one_hot(
            torch.from_numpy(np.where(right, labels[places], labels[places] + 1)), 11
        )

    found = measure_by_batch(nn.Linear(1, 1), classify, labels)
    assert [len(each) for each in seen] == sizes
    assert sorted(place for each in seen for place in each) == list(range(count))
    assert found.top1 == pytest.approx((count // 2) / count)
    if count > 2:
        assert seen[0] != sorted(seen[0])


def test_the_share_of_first_values_that_is_left() -> None:
    model = made("merged")
    assert first_share(model) == 0  # none moved
    for norm, updates in zip(running_norms(model), (10, 44, 100), strict=True):
        norm.num_batches_tracked.fill_(updates)  # type: ignore[union-attr]
    assert first_share(model) == pytest.approx(0.9**10)
    mean = nn.BatchNorm1d(3, momentum=None)
    mean.num_batches_tracked.fill_(1)  # type: ignore[union-attr]
    assert first_share(mean) == 0


def test_norms_without_running_statistics_are_left_out() -> None:
    model = made("own")
    assert running_norms(model) == [model.norm]
