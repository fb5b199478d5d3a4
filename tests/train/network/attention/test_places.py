"""Where an attention stands in a layer, and that it stands in every network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snntx.errors import UsageError
from snntx.train.network.attention.asa import ASA
from snntx.train.network.attention.options import PLACES, Attention
from snntx.train.network.create import TransferModel, create_model
from snntx.train.network.doors import MODELS
from snntx.train.network.layers import SpikingConv2d, SpikingLinear, SpikingPopulation
from snntx.train.network.model import Encoding, ModelOptions
from snntx.train.network.neurons import Neuron
from snntx.train.network.norm import StepNorm
from snntx.train.network.pools import average_pool
from snntx.train.network.synapses import Activity
from snntx.train.recipe.networks import build_model
from snntx.train.recipe.whole import Recipe

every_place = pytest.mark.parametrize("place", PLACES)
NEURON = Neuron(threshold=0.5)


def layer(place: str, **options: Any) -> SpikingConv2d:
    torch.manual_seed(0)
    made = SpikingConv2d(
        2, 5, neuron=NEURON, pool=2, steps=3, attention=Attention(place=place), **options
    )
    nn.init.normal_(made.conv.weight)
    return made


def frames(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@every_place
@pytest.mark.parametrize("norm", ["per-step", "merged", "none"])
def test_a_layer_is_its_parts_one_after_the_other(place: str, norm: str) -> None:
    made, given = layer(place, norm=norm, backend="torch").double(), frames(3, 2, 2, 6, 7).double()
    attention = made.attention
    assert isinstance(attention, ASA)
    assert attention.channels == (2 if place == "convolution" else 5)
    arriving = attention(given) if place == "convolution" else given
    driving = made.conv(arriving.flatten(0, 1)).view(3, 2, 5, 6, 7)
    driving = driving if made.norm is None else made.norm(driving)
    driving = attention(driving) if place == "neuron" else driving
    population = SpikingPopulation(5, neuron=NEURON, norm="none", backend="torch").double()
    sent = average_pool(population(driving).spikes, 2)
    sent = attention(sent) if place == "spikes" else sent
    found = made(given).spikes
    assert found.any()
    torch.testing.assert_close(found, sent, rtol=0, atol=1e-12)


@every_place
def test_frames_that_do_not_change_are_told_apart_only_where_that_is_right(place: str) -> None:
    made, still = layer(place), frames(1, 2, 2, 6, 7).expand(3, 2, 2, 6, 7)
    told = made(still, constant=torch.tensor([True, True])).spikes
    torch.testing.assert_close(told, made(still).spikes)
    assert told.any()


def test_layers_without_maps_have_none() -> None:
    options: dict[str, Any] = {"neuron": NEURON, "steps": 3}
    for place in PLACES:
        linear = SpikingLinear(4, 3, attention=Attention(place=place), **options)
        assert not any(isinstance(module, ASA) for module in linear.modules())
    before = Attention(place="convolution")
    assert SpikingPopulation(4, attention=before, **options).attention is None


def network(name: str, place: str, backend: str, **options: Any) -> TransferModel:
    """A narrow model on small frames, every layer of which fires."""
    torch.manual_seed(0)
    side = max(MODELS.get(name).least_size, 16)
    attention = Attention(mode="trainable", place=place)
    options = {"width": 0.125, "size": (side, side + 2), "attention": attention, **options}
    model = create_model(name, num_classes=3, steps=3, backend=backend, **options)
    for where, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and "attention" not in where:
            nn.init.normal_(module.weight, std=4 / module.weight[0].numel() ** 0.5)
        elif isinstance(module, StepNorm):
            nn.init.uniform_(module.bias, 0.5, 1)
    return model


def results(model: TransferModel) -> dict[str, Tensor]:
    """Outputs and gradients of one training pass."""
    static = frames(3, 1, 2, *model.size, seed=2).expand(3, 3, 2, *model.size)
    event = frames(3, 3, 2, *model.size, seed=3)
    output = model.train()(static, event, torch.tensor([True, True, True]))
    sum((part.square().mean() for part in output), torch.zeros(())).backward()
    found = dict(output._asdict())
    for name, each in model.named_parameters():
        if each.grad is not None:
            found[f"by {name}"] = each.grad
    return found


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        atol = 1e-4 * max(1.0, value.abs().max().item())
        torch.testing.assert_close(found[name], value, rtol=0, atol=atol, msg=name)


@every_place
@pytest.mark.parametrize("name", MODELS.names())
def test_every_network_takes_it_and_its_parts_learn(name: str, place: str) -> None:
    model = network(name, place, "torch")
    found = results(model)
    within = [each for each, _ in model.named_parameters() if "attention" in each]
    assert within
    assert [each for each in within if not found[f"by {each}"].isfinite().all()] == []
    assert any(found[f"by {each}"].any() for each in within if each.endswith("fc.weight"))
    same(results(network(name, place, "torch", keep_activations=False)), found)


@every_place
@pytest.mark.parametrize("name", ["nmnist", "vgg", "resnet18"])
def test_the_kernels_compute_the_same(name: str, place: str) -> None:
    same(results(network(name, place, "numba")), results(network(name, place, "torch")))


class Flat(TransferModel):
    """A network whose only layer has no maps."""

    frame_size = (4, 4)

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        self.hidden = SpikingLinear(32, 8, **self.layer_options)
        self.make_heads(8)

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        return Encoding(*self.hidden(Activity(frames).flatten(), membrane=features))


def test_a_network_without_maps_is_refused_and_the_advice_holds() -> None:
    own = f"{__name__}:Flat"
    recipe = Recipe.of(model=own, epochs=1, attention="asa")
    with pytest.raises(UsageError, match=r"none of its layers takes .*; set attention to none"):
        build_model(recipe, num_classes=3, steps=2, size=(4, 4))
    plain = recipe.changed(attention="none")
    assert isinstance(build_model(plain, num_classes=3, steps=2, size=(4, 4)), Flat)


def test_its_maps_are_drawn_as_torch_draws_them() -> None:
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=3, steps=3, width=0.125, attention=Attention())
    convolutions = [
        conv
        for module in model.modules()
        if isinstance(module, ASA)
        for conv in (module.conv1, module.conv2)
    ]
    assert max(conv.weight.abs().max().item() for conv in convolutions) <= 18**-0.5


def test_a_recipe_says_what_it_is_made_with() -> None:
    settings = {
        "network.attention": "asa",
        "attention_mode": "trainable",
        "attention_combine": "or",
        "attention_lam": 0.25,
        "attention_reduction": 2,
        "attention_place": "spikes",
    }
    recipe = Recipe.of(model="nmnist", epochs=1, **settings)
    model = build_model(recipe, num_classes=3, steps=5, size=(16, 16))
    attentions = [module for module in model.modules() if isinstance(module, ASA)]
    assert [each.channels for each in attentions] == [16, 32]
    for each in attentions:
        assert (each.mode, each.combine, each.lam) == ("trainable", "or", 0.25)
        assert [weight.shape for weight in each.fc.parameters()] == [(2, 5), (5, 2)]
    assert model.options.attention == Attention("trainable", "or", 0.25, 2, "spikes")


def test_a_recipe_without_it_has_none() -> None:
    plain = Recipe.of(model="nmnist", epochs=1)
    assert plain.network.attending() is None
    names = build_model(plain, num_classes=3, steps=2, size=(16, 16)).state_dict()
    assert not [name for name in names if "attention" in name]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention": "ase"}, "unknown attention 'ase'.*known: none, asa"),
        ({"attention_lam": 1.0}, "attention_lam must be below 1"),
        ({"attention_lam": 1.5}, "attention_lam must be a finite number from 0 to 1, found 1.5"),
        (
            {"attention": "asa", "attention_mode": "reference", "attention_combine": "and"},
            "recipe: attention_mode reference combines .*; use attention_combine xor",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_anything_is_read(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Recipe.of(model="nmnist", epochs=1, **settings)


def test_more_reduction_than_steps_is_refused_and_its_advice_holds() -> None:
    recipe = Recipe.of(model="nmnist", epochs=1, attention="asa", attention_reduction=3)
    with pytest.raises(UsageError, match="use attention_reduction 2 or less"):
        build_model(recipe, num_classes=3, steps=2, size=(16, 16))
    changed = recipe.changed(attention_reduction=2)
    assert build_model(changed, num_classes=3, steps=2, size=(16, 16)).steps == 2
