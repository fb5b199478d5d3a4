"""Time-step mixup: where the switch falls, what is shown, and what the auxiliary heads cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snntx.train.batches.batch import Batch
from snntx.train.method.choice import make_method
from snntx.train.method.time_steps import (
    ModalityHeads,
    draw_switches,
    mix_in_time,
    modality,
    switch_distribution,
)
from snntx.train.recipe.networks import build_model
from snntx.train.recipe.whole import Recipe
from snntx.train.run.distributed import Group
from snntx.train.run.objective import Objective
from snntx.train.run.updates import Updater


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.3, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("steps", [1, 4, 10])
def test_the_expected_share_of_events_is_the_ratio(ratio: float, steps: int) -> None:
    weights = switch_distribution(ratio, steps)
    assert weights.sum() == pytest.approx(1)
    assert 1 - weights @ np.arange(steps + 1) / steps == pytest.approx(ratio, abs=1e-9)
    quotients = weights[1:] / weights[:-1]
    assert quotients == pytest.approx(np.full(steps, quotients[0]))  # geometric


def test_the_ends_and_the_middle_by_hand() -> None:
    assert switch_distribution(0, 3).tolist() == [0, 0, 0, 1]
    assert switch_distribution(1, 3).tolist() == [1, 0, 0, 0]
    assert switch_distribution(0.5, 3) == pytest.approx([0.25] * 4)
    # T = 1: events with probability r
    assert switch_distribution(0.3, 1) == pytest.approx([0.3, 0.7])


def test_switches_follow_the_distribution() -> None:
    drawn = draw_switches(0.3, 5, 50_000, np.random.default_rng(1))
    shares = np.bincount(drawn, minlength=6) / len(drawn)
    assert shares == pytest.approx(switch_distribution(0.3, 5), abs=0.01)


def test_image_first_and_events_from_the_switch_on() -> None:
    event = torch.arange(3.0).view(1, 3, 1, 1, 1).expand(4, 3, 2, 2, 2)
    static = torch.full_like(event, 9)
    switch = torch.tensor([0, 1, 2, 3])
    shown = mix_in_time(static, event, switch)[:, :, 0, 0, 0]
    assert shown.tolist() == [[0, 1, 2], [9, 1, 2], [9, 9, 2], [9, 9, 9]]
    assert modality(switch, 3).T.tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_the_heads_losses_by_hand() -> None:
    heads = ModalityHeads(2)
    with torch.no_grad():
        heads.modality.weight.copy_(torch.tensor([[1.0, 0.0]]))
        heads.modality.bias.zero_()
        heads.ratio.weight.zero_()
        heads.ratio.bias.zero_()
    features = torch.tensor([[[2.0, 5.0]], [[-1.0, 5.0]]])  # T = 2, one sample
    told, ratio = heads(features, torch.tensor([1])).values()  # image, then events
    by_hand = (math.log(1 + math.exp(2)) + math.log(1 + math.exp(1))) / 2
    assert told.item() == pytest.approx(by_hand)
    assert ratio.item() == pytest.approx((0.5 - 0.5) ** 2)
    assert heads(features, torch.tensor([2]))["mix_ratio"].item() == pytest.approx(0.25)


def test_a_step_trains_the_heads_and_reports_their_losses() -> None:
    recipe = Recipe.of(model="scnn", epochs=1, batch_size=4, strategy="time-mixup", lr=1e-2)
    torch.manual_seed(0)
    model = build_model(recipe, num_classes=3, steps=4, size=(16, 16))
    objective = Objective(model, make_method(recipe))
    updater = Updater(objective, recipe, torch.device("cpu"), Group())
    before = {name: value.clone() for name, value in objective.auxiliary_state().items()}
    event = torch.poisson(torch.full((4, 4, 2, 16, 16), 1.5))
    switch = torch.tensor([0, 2, 4, 4])
    static = mix_in_time(torch.rand_like(event), event, switch)
    labels = torch.tensor([0, 1, 2, 0])
    values = updater(Batch(event, static, labels, switch == 4, notes={"switch": switch}))
    parts = values["static"] + values["event"] + 0.5 * values["domain"]
    auxiliary = 0.1 * values["modality"] + 0.1 * values["mix_ratio"]
    assert values["loss"] == pytest.approx(parts + auxiliary, rel=1e-5)
    after = objective.auxiliary_state()
    assert len(after) == 4
    assert not any(torch.equal(after[name], before[name]) for name in before)
