"""What a network has where no setting says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from snntx.errors import UsageError
from snntx.train.network.create import create_model
from snntx.train.network.defaults import OWN, own_defaults
from snntx.train.network.doors import MODELS
from snntx.train.recipe.architecture import OPTIONS
from snntx.train.recipe.networks import build_model
from snntx.train.recipe.whole import Recipe


@pytest.mark.parametrize("model", MODELS.shipped())
def test_a_recipe_that_is_silent_makes_the_network_that_create_model_makes(model: str) -> None:
    size = MODELS.get(model).frame_size
    recipe = Recipe.of(model=model, epochs=1, width=0.125)
    ours = build_model(recipe, num_classes=2, steps=2, size=size)
    theirs = create_model(model, num_classes=2, steps=2, width=0.125)
    assert ours.neuron == theirs.neuron
    assert ours.options == theirs.options.__class__(**{**vars(theirs.options), "size": size})


def test_own_defaults_are_written_out() -> None:
    recipe = Recipe.of(model="asa3", epochs=1)
    table = recipe.to_table()["network"]
    assert {name: table[name] for name in OPTIONS} == {
        name: own_defaults("asa3")[option] for name, option in OPTIONS.items()
    }
    assert table["threshold"] == 0.3
    assert Recipe.of(model="vgg", epochs=1).to_table()["network"]["threshold"] == 0.5


def test_a_setting_takes_the_place_of_an_own_default() -> None:
    recipe = Recipe.of(model="asa5", epochs=1, neuron="lif", threshold=0.7, norm="per-step")
    assert (recipe.network.neuron, recipe.network.threshold) == ("lif", 0.7)
    model = build_model(recipe, num_classes=2, steps=2, size=(32, 32))
    assert model.neuron.kind == "lif"
    assert not model.neuron.detach_reset
    assert model.options.norm == "per-step"


def test_only_shipped_networks_have_own_defaults() -> None:
    assert set(OWN) <= set(MODELS.shipped())
    assert own_defaults("vgg") == own_defaults("mine:Net")


def test_underscores_stand_for_the_dashes_of_a_shipped_name() -> None:
    assert Recipe.of(model="sew_resnet18", epochs=1).network.model == "sew-resnet18"
    assert create_model("sew_resnet18", num_classes=2, steps=1).name == "sew-resnet18"
    with pytest.raises(UsageError, match="unknown model 'sew_resnet'; did you mean 'sew-resnet18'"):
        create_model("sew_resnet", num_classes=2, steps=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conv_channels": [0, 8, 8]}, "conv_channels must be at least 1, found 0"),
        ({"dropout": 1.0}, "dropout must be below 1"),
        ({"spike_pool": "mean"}, "unknown spike_pool 'mean'"),
        ({"sends": "membranes"}, "unknown sends 'membranes'; did you mean 'membrane'"),
        ({"layout": "hw"}, r"unknown layout 'hw' \(known: yx, xy\)"),
        ({"loss": "squared"}, "tet has one at every step; set tet = false"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recipe.of(model="asa3", epochs=1, **settings)


def test_the_way_out_of_the_squared_loss_is_one() -> None:
    recipe = Recipe.of(model="asa3", epochs=1, loss="squared", tet=False)
    assert recipe.to_table()["method"]["loss"] == "squared"
