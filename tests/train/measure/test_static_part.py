"""What a run on static images alone is judged by."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.batches.images import static_channel
from snntx.train.batches.views import Still
from snntx.train.measure.metrics import measure
from snntx.train.measure.static_part import StaticSelection, evaluate_static, static_selection
from snntx.train.network.create import create_model
from snntx.train.recipe.whole import Recipe

CARD = "simulated-digits"
CPU = torch.device("cpu")


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


def recipe(**changes: Any) -> Recipe:
    settings: dict[str, Any] = {"model": "nmnist", "epochs": 2, "batch_size": 8, "seed": 3}
    return Recipe.of(**(settings | changes))


@pytest.mark.parametrize(("protocol", "part"), [("holdout", "validation"), ("paper", "test")])
def test_the_epoch_is_chosen_on_the_twins_of_the_selection_part(
    cache: FrameCache, protocol: str, part: str
) -> None:
    found = static_selection(cache, recipe(protocol=protocol))
    twins = cache.index.twin[cache.split(protocol, part)]
    assert (found.part, found.kind) == (part, "static")
    assert found.indices.tolist() == sorted(set(twins.tolist()))


def test_or_on_its_recordings_where_there_is_no_image(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameCache, "static_split", lambda *_: np.array([], np.int64))
    found = static_selection(cache, recipe())
    assert (found.part, found.kind) == ("validation", "event")
    assert found.indices.tolist() == cache.split("holdout", "validation").tolist()


@pytest.mark.parametrize("kind", ["static", "event"])
def test_the_selection_is_measured_through_the_static_head(
    cache: FrameCache, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snntx.train.measure.metrics.BATCH", 3)
    torch.manual_seed(1)
    model = create_model("nmnist", num_classes=10, steps=3, width=0.25)
    indices = np.arange(7)
    selection = StaticSelection("validation", kind, indices)
    found = evaluate_static(model, cache, selection, recipe(channel="V"), CPU)
    assert not model.training
    if kind == "static":
        images = static_channel(cache.static_images(), list(cache.index.planes), "V")
        frames, labels = Still().frames(images[:7], 3, None), cache.index.static_label[:7]
    else:
        frames, labels = torch.from_numpy(cache.frames(indices)), cache.labels[:7]
    with torch.no_grad():
        logits = model(frames, torch.rand(7, 3, 2, 34, 34)).static_logits.mean(0)
    expected = measure(logits, labels, cache.classes)
    assert dataclasses.replace(found, loss=0) == dataclasses.replace(expected, loss=0)
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)


def test_more_images_than_recordings(cache: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of the images are their own: those of recordings would end before them."""
    monkeypatch.setattr(cache, "labels", cache.labels[:4])
    model = create_model("nmnist", num_classes=10, steps=3, width=0.25)
    selection = StaticSelection("validation", "static", np.arange(4, 12))
    assert evaluate_static(model, cache, selection, recipe(), CPU).recordings == 8
