"""Whole training steps of the published recipes, against ``plain_transfer`` in float64."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.augment.draws import Purpose, generator
from snntx.train.batches.batch import Batch
from snntx.train.batches.training import TrainingData
from snntx.train.method.choice import make_method
from snntx.train.recipe.networks import build_model
from snntx.train.recipe.sources import load_recipe
from snntx.train.run.distributed import Group
from snntx.train.run.objective import Objective
from snntx.train.run.schedule import recipe_rate
from snntx.train.run.updates import Updater

SAMPLES = 6


def frames(folder: Path) -> FrameCache:
    opened = open_cache(
        folder / "cache", load_card("simulated-digits"), steps=3, size=None, key=None
    )
    assert isinstance(opened, FrameCache)
    return opened


def partners(data: TrainingData, batch: Batch, epoch: int, number: int) -> torch.Tensor:
    """The batch's static images, drawn by the paper's rule: any training image of the class."""
    cache, recipe = data.cache, data.recipe
    statics = cache.static_split(recipe.data.protocol, "train")
    uniform = generator(recipe.run.seed, Purpose.PARTNER, epoch, number).random(len(batch.labels))
    chosen = []
    for label, draw in zip(batch.labels.tolist(), uniform, strict=True):
        members = [i for i in statics if cache.index.static_label[i] == label]
        chosen.append(members[int(draw * len(members))])
    return torch.from_numpy(cache.static_images()[np.array(chosen), 0] / 255.0)


@pytest.mark.parametrize(
    "name", ["n-caltech101", pytest.param("cep-dvs", marks=pytest.mark.slow), "n-omniglot"]
)
def test_two_steps_of_a_paper_recipe(name: str, small_cache: Path, plain: ModuleType) -> None:
    settings = plain.PUBLISHED[name]
    published = load_recipe(load_card(name), "paper")
    rates = [recipe_rate(published.optim, epoch) for epoch in range(settings.epochs)]
    expected = [plain.rate(epoch, settings) for epoch in range(settings.epochs)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)

    # the rules do not depend on width and batch, but the time does
    width = 1.0 if published.network.model == "scnn" else 0.25
    recipe = published.changed(batch_size=SAMPLES, width=width, seed=5)
    cache = frames(small_cache)
    data = TrainingData(cache, recipe)
    torch.manual_seed(5)
    model = build_model(recipe, num_classes=10, steps=3, size=(34, 34)).double()
    with torch.no_grad():  # busy neurons, and norms and coefficients that are not all alike
        for value in model.parameters():
            if value.ndim == 1:
                value.add_(0.2 * torch.randn_like(value))
            elif recipe.network.model == "scnn":
                value.mul_(2)
    updater = Updater(Objective(model, make_method(recipe)), recipe, torch.device("cpu"), Group())
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    optimizer = plain.AdamW()

    model.train()
    epoch = int(0.8 * settings.epochs)
    updater.set_rate(rates[epoch])
    order = data.order(epoch)
    replaced = 0
    for number in range(2):
        drawn = data.batch(order[number * SAMPLES :][:SAMPLES], epoch, number)
        batch = dataclasses.replace(
            drawn, event=drawn.event.double(), static=_double(drawn, data, epoch, number)
        )
        replaced += batch.replaced
        found = updater(batch)
        wanted = plain.step(
            state,
            optimizer,
            images=partners(data, batch, epoch, number),
            event=batch.event,
            labels=batch.labels,
            draws=torch.from_numpy(
                generator(recipe.run.seed, Purpose.REPLACEMENT, epoch, number).random(SAMPLES)
            ),
            progress=(epoch * data.batches + number) / (settings.epochs * data.batches),
            lr=rates[epoch],
            settings=settings,
        )
        assert found["loss"] == pytest.approx(wanted, rel=1e-6)  # logged in float32
    assert 0 < replaced < 2 * SAMPLES
    torch.testing.assert_close(dict(model.state_dict()), state, rtol=1e-9, atol=1e-11)


def _double(drawn: Batch, data: TrainingData, epoch: int, number: int) -> torch.Tensor:
    """The static side in float64: images widen from eight bits, not from float32."""
    assert drawn.static is not None
    assert drawn.constant is not None
    images = partners(data, drawn, epoch, number)
    narrow = images.to(torch.float32)[:, None, None].expand_as(drawn.event)
    shown = drawn.constant[:, None, None, None, None]
    torch.testing.assert_close(torch.where(shown, narrow, drawn.event), drawn.static)
    return torch.where(shown, images[:, None, None].expand_as(drawn.event), drawn.event.double())
