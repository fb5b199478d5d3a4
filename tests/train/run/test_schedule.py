"""Learning rates and decay groups of the three published runs, and of very short ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from snntx.errors import UsageError
from snntx.train.checkpoints.reference import reference_names
from snntx.train.network.create import create_model
from snntx.train.recipe.whole import Recipe
from snntx.train.run.schedule import (
    base_rate,
    learning_rate,
    parameter_groups,
    rate_lines,
    recipe_rate,
    scaled_lr,
    warmup_length,
)

RUNS: dict[str, dict[str, Any]] = {
    "ncaltech": {"lr": 5e-3, "batch": 120, "epochs": 300, "schedule": "cosine"},
    "cepdvs": {"lr": 5e-3, "batch": 120, "epochs": 200, "schedule": "cosine"},
    "omni": {"lr": 1.2, "batch": 16, "epochs": 50, "schedule": "step"},
}


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parents[2] / "golden" / "schedule.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize("run", RUNS)
def test_learning_rate_of_every_epoch(run: str, golden: dict[str, NDArray[Any]]) -> None:
    options = RUNS[run]
    base_lr = scaled_lr(options["lr"], options["batch"])
    assert base_lr == golden[f"{run}_base_lr_scaled"]
    rates = [
        learning_rate(
            epoch, base_lr=base_lr, epochs=options["epochs"], schedule=options["schedule"]
        )
        for epoch in range(options["epochs"])
    ]
    np.testing.assert_allclose(rates, golden[f"{run}_lr_per_epoch"], rtol=1e-14, atol=0)


def test_decay_groups_of_the_vgg_run(golden: dict[str, NDArray[Any]]) -> None:
    model = create_model("vgg", num_classes=101, steps=10)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, weight_decay=0.01)
    ours = [
        {
            "weight_decay": group["weight_decay"],
            "names": [
                theirs
                for parameter in group["params"]
                for theirs in reference_names(model, names[id(parameter)])
            ],
        }
        for group in groups
    ]
    expected = json.loads(str(golden["ncaltech_groups_json"]))
    assert ours == [{key: group[key] for key in ("weight_decay", "names")} for group in expected]

    optimizer = torch.optim.AdamW(groups)
    for group, theirs in zip(optimizer.param_groups, expected, strict=True):
        assert list(group["betas"]) == theirs["betas"]
        assert group["eps"] == theirs["eps"]


def test_frozen_parameters_are_in_no_group() -> None:
    model = torch.nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    sizes = [len(group["params"]) for group in parameter_groups(model, weight_decay=0.01)]
    assert sizes == [0, 1]


def test_closed_forms_by_hand() -> None:
    def cosine(epoch: int) -> float:
        return learning_rate(epoch, base_lr=1.0, epochs=20, min_lr=0.2, warmup_lr=0.0)

    assert [cosine(epoch) for epoch in range(5)] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert cosine(10) == pytest.approx(0.6)
    assert cosine(5) == pytest.approx(0.2 + 0.4 * (1 + math.sqrt(0.5)))

    def step(epoch: int) -> float:
        return learning_rate(
            epoch, base_lr=1.0, epochs=20, schedule="step", decay_epochs=8, decay_rate=0.5
        )

    assert [step(epoch) for epoch in (7, 8, 15, 16)] == [1.0, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("epochs", "warmup"), [(1, 0), (2, 0), (3, 1), (6, 2), (14, 4), (15, 5), (300, 5)]
)
def test_warmup_takes_a_third_of_a_short_run(epochs: int, warmup: int) -> None:
    assert warmup_length(epochs, 5) == warmup
    rates = [learning_rate(epoch, base_lr=1e-3, epochs=epochs) for epoch in range(epochs)]
    assert all(1e-6 <= rate <= 1e-3 for rate in rates)
    assert max(rates) > 0.7e-3
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_floors_never_lift_the_rate_above_the_base() -> None:
    assert {learning_rate(epoch, base_lr=1e-7, epochs=20) for epoch in range(20)} == {1e-7}


@pytest.mark.parametrize("epoch", [-1, 3])
def test_epoch_outside_the_run_is_refused(epoch: int) -> None:
    with pytest.raises(UsageError, match=f"epoch is {epoch}, expected 0 to 2"):
        learning_rate(epoch, base_lr=1.0, epochs=3)


def test_unknown_schedule_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown schedule 'cosin'.*did you mean 'cosine'"):
        learning_rate(0, base_lr=1.0, epochs=3, schedule="cosin")


@pytest.mark.parametrize(
    ("scaling", "drawn", "rate"),
    [
        ("none", 8, 0.5),
        ("none", 4, 0.5),
        ("linear", 8, 0.5 * 8 / 1024),
        ("linear", 4, 0.5 * 4 / 1024),
        ("linear", None, 0.5 * 8 / 1024),
        ("linear-nominal", 4, 0.5 * 8 / 1024),
    ],
)
def test_a_rate_is_scaled_as_its_recipe_says(scaling: str, drawn: int, rate: float) -> None:
    optim = Recipe.of(model="vgg", epochs=300, lr=0.5, batch_size=8, lr_scaling=scaling).optim
    assert base_rate(optim, drawn) == rate
    assert recipe_rate(optim, 5, drawn) == learning_rate(5, base_lr=rate, epochs=300)


def test_what_is_said_of_the_rate_before_the_first_step() -> None:
    optim = Recipe.of(model="vgg", epochs=300, lr=0.5, batch_size=8).optim
    assert rate_lines(optim, 8) == ["learning rate 0.5: lr = 0.5 (lr_scaling = none)"]
    optim = Recipe.of(model="vgg", epochs=9, lr=0.5, batch_size=8, lr_scaling="linear").optim
    assert rate_lines(optim, 4) == [
        "learning rate 0.001953: lr = 0.5 x 4 / 1024 (lr_scaling = linear)",
        "batches of 4, not 8: there are no more to train on",
        "warm-up of 3 epochs, not 5: at most a third of epochs = 9",
    ]
    optim = Recipe.of(
        model="vgg", epochs=9, lr=0.5, batch_size=8, lr_scaling="linear-nominal"
    ).optim
    assert rate_lines(optim, 4)[0] == (
        "learning rate 0.003906: lr = 0.5 x 8 / 1024 (lr_scaling = linear-nominal)"
    )


@pytest.mark.parametrize(("epochs", "lr"), [(200, 1e-4), (100, 1e-4), (200, 1e-3), (100, 1e-3)])
def test_a_cosine_that_begins_an_epoch_late(epochs: int, lr: float) -> None:
    with np.load(Path(__file__).parents[2] / "golden" / "asa_schedule.npz") as stored:
        wanted = stored[f"e{epochs}_lr1e-{round(-math.log10(lr))}"]
    settings = Recipe.of(
        model="asa3", epochs=epochs, lr=lr, min_lr=1e-6, warmup_epochs=0, schedule="cosine-late"
    ).optim
    rates = [recipe_rate(settings, epoch) for epoch in range(epochs)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-9, atol=0)


def test_every_parameter_decays_where_all_do() -> None:
    model = create_model("asa5", num_classes=2, steps=2, width=0.125)
    none, all_ = parameter_groups(model, 0.1, "all")
    assert none["params"] == []
    assert len(all_["params"]) == len(list(model.parameters()))
    assert all_["weight_decay"] == 0.1
    some, _ = parameter_groups(model, 0.1)
    leaks = [each for name, each in model.named_parameters() if name.endswith("leak_logit")]
    assert all(any(each is leak for each in some["params"]) for leak in leaks)
