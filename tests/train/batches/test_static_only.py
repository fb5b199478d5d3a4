"""Batches of static images alone, and what their method makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snntx.data_cards import load_card
from snntx.errors import SnntxError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.batches.images import static_channel
from snntx.train.batches.loader import epoch_batches
from snntx.train.batches.partners import Partners
from snntx.train.batches.static_only import StaticOnlyData
from snntx.train.batches.views import Still
from snntx.train.method.base import Inputs
from snntx.train.method.choice import make_method
from snntx.train.method.losses import event_loss
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel
from snntx.train.recipe.whole import Recipe

CARD = "simulated-digits"


def make(seed: int) -> TransferModel:
    torch.manual_seed(seed)
    return create_model("nmnist", num_classes=10, steps=3, width=0.25)


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


def recipe(**changes: Any) -> Recipe:
    settings: dict[str, Any] = {"model": "nmnist", "epochs": 2, "batch_size": 8, "seed": 3}
    return Recipe.of(**(settings | changes))


def test_an_image_is_shown_at_every_step_in_both_polarities() -> None:
    images = torch.rand(2, 4, 5)
    frames = Still().frames(images, 3, None)
    assert frames.shape == (2, 3, 2, 4, 5)
    assert all(torch.equal(frames[:, t, p], images) for t in range(3) for p in range(2))
    assert frames.untyped_storage().data_ptr() == images.untyped_storage().data_ptr()


@pytest.mark.parametrize("protocol", ["holdout", "paper"])
def test_batches_are_the_training_statics_with_their_labels(
    cache: FrameCache, protocol: str
) -> None:
    data = StaticOnlyData(cache, recipe(protocol=protocol, balanced=False))
    train = cache.static_split(protocol, "train")
    images = static_channel(cache.static_images(), list(cache.index.planes), "V")
    seen = []
    order = data.order(0)
    for number, batch in enumerate(data.epoch(0)):
        chosen = train[order[number * 8 :][:8]]
        seen += chosen.tolist()
        assert batch.static is not None
        assert batch.constant is not None
        assert torch.equal(batch.static, Still().frames(images[torch.from_numpy(chosen)], 3, None))
        assert batch.labels.tolist() == cache.index.static_label[chosen].tolist()
        assert bool(batch.constant.all())
        assert batch.replaced == 0
        assert batch.event.shape == (8, 0)
        assert [len(part.labels) for part in batch.split(2)] == [4, 4]
    assert len(seen) == len(set(seen)) == data.batches * 8 > 8
    held = set(cache.index.twin[cache.split(protocol, "test")].tolist())
    assert held
    assert not held & set(seen)


def test_orders_differ_by_epoch_and_seed_and_are_balanced(cache: FrameCache) -> None:
    data = StaticOnlyData(cache, recipe(draws_per_epoch=4000))
    order = data.order(0)
    assert order.tolist() == StaticOnlyData(cache, recipe(draws_per_epoch=4000)).order(0).tolist()
    assert order.tolist() != data.order(1).tolist()
    other = StaticOnlyData(cache, recipe(draws_per_epoch=4000, seed=4))
    assert order.tolist() != other.order(0).tolist()
    counts = np.bincount(data.labels[order])
    expected = 4000 / len(np.unique(data.labels))
    assert np.abs(counts[counts > 0] - expected).max() < 6 * expected**0.5


def test_the_loader_takes_them(cache: FrameCache) -> None:
    data = StaticOnlyData(cache, recipe())
    loaded = list(epoch_batches(data, 1))
    expected = list(data.epoch(1))
    assert len(loaded) == data.batches
    for found, batch in zip(loaded, expected, strict=True):
        assert torch.equal(found.labels, batch.labels)
        assert torch.equal(found.static, batch.static)  # type: ignore[arg-type]


def test_a_subset_of_the_statics(cache: FrameCache) -> None:
    some = cache.static_split("holdout", "train")[:5]
    data = StaticOnlyData(cache, recipe(), some)
    assert (data.batch_size, data.batches) == (5, 1)
    assert data.labels.tolist() == cache.index.static_label[some].tolist()
    with pytest.raises(SnntxError, match="leaves 1 static images to train on, need 2"):
        StaticOnlyData(cache, recipe(), some[:1])


def test_the_static_branch_is_the_models_own(cache: FrameCache) -> None:
    model = make(1).double().train(False)
    batch = next(StaticOnlyData(cache, recipe()).epoch(0))
    assert batch.static is not None
    static = batch.static.double()
    with torch.no_grad():
        expected = model(static, torch.rand_like(static), batch.constant).static_logits
        assert torch.equal(model.forward_static(static, batch.constant), expected)
        inputs = Inputs(batch.event, static, batch.labels, batch.constant)
        costs = make_method(recipe(method="static-only", tet=False, label_smoothing=0.1)).loss(
            model, inputs, {}
        )
    loss = event_loss(expected, batch.labels, tet=False, label_smoothing=0.1)
    assert costs.terms["loss"].item() == costs.terms["static"].item() == loss.item()
    assert costs.logits is not None
    assert torch.equal(costs.logits, expected)


def test_the_event_head_learns_nothing(cache: FrameCache) -> None:
    model = make(1).train()
    batch = next(StaticOnlyData(cache, recipe()).epoch(0))
    assert batch.static is not None
    inputs = Inputs(batch.event, batch.static, batch.labels, batch.constant)
    costs = make_method(recipe(method="static-only")).loss(model, inputs, {})
    costs.terms["loss"].backward()  # type: ignore[no-untyped-call]
    moved = {name for name, p in model.named_parameters() if p.grad is not None}
    assert {n for n, _ in model.named_parameters()} - moved == {
        "coefficient",
        "event_head.weight",
        "event_head.bias",
    }


def test_a_fraction_of_the_statics_is_that_of_a_transfer_run(cache: FrameCache) -> None:
    half = recipe(static_fraction=0.5)
    data = StaticOnlyData(cache, half)
    shown = Partners(cache, half.changed(method="sliding"), cache.split("holdout", "train"))
    assert sorted(data.indices.tolist()) == sorted(shown.statics.tolist())
    assert len(data.indices) < len(StaticOnlyData(cache, recipe()).indices)
