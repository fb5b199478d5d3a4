"""Whether a learning rate is scaled: by a recipe's name for it, or by the layout it is in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from snntx.data_cards import load_card
from snntx.data_cards.schema import Card
from snntx.train.recipe.sources import load_recipe, recipe_from_table
from snntx.train.recipe.whole import Recipe
from snntx.train.study.sweep import Sweep
from snntx.train.study.sweeps.expand import expand


@pytest.fixture
def card() -> Card:
    """A shipped card, whose recipes a test replaces."""
    return load_card("n-mnist")


SHIPPED = ["n-caltech101", "n-mnist", "simulated-digits", "cep-dvs", "n-omniglot"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_name_their_scaling(name: str) -> None:
    shipped, notes = load_card(name), list[str]()
    for recipe in shipped.recipes:
        assert load_recipe(shipped, recipe, on_note=notes.append).optim.lr_scaling == "linear"
    assert not [note for note in notes if "release 0.1" in note]


def scaling(card: Card, name: str = "default", *settings: str) -> tuple[str, list[str]]:
    """The scaling of a recipe, and the lines that were said of it."""
    notes: list[str] = []
    return load_recipe(card, name, settings, on_note=notes.append).optim.lr_scaling, notes


GROUPED: dict[str, object] = {"network": {"model": "nmnist"}, "optim": {"epochs": 7, "lr": 0.1}}


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        (GROUPED, "none"),
        ({"network.model": "nmnist", "optim.epochs": 7}, "none"),
        ({"model": "nmnist", "epochs": 7, "method": "event-only"}, "none"),
        ({"model": "nmnist", "epochs": 7, "lr_scaling": "none"}, "none"),
        ({"model": "nmnist", "epochs": 7, "lr_scaling": "linear"}, "linear"),
        ({"model": "nmnist", "epochs": 7}, "linear-nominal"),
        ({"model": "nmnist", "epochs": 7, "transfer": False, "augment": "nda"}, "linear-nominal"),
    ],
)
def test_a_card_in_the_layout_of_release_0_1_keeps_its_rates(
    card: Card, default: dict[str, object], expected: str
) -> None:
    found, notes = scaling(dataclasses.replace(card, recipes={"default": default}))
    assert found == expected
    old = "recipe default of card n-mnist: is in the layout of release 0.1, so lr is multiplied"
    assert [note.startswith(old) for note in notes] == [True] * (expected == "linear-nominal")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs = 3", "linear-nominal"),
        ("lr = 0.5\ntransfer = false", "linear-nominal"),
        ('lr = 0.5\nlr_scaling = "none"', "none"),
        ("[optim]\nlr = 0.5", "none"),
        ("optim.lr = 0.5", "none"),
        ("", "none"),
    ],
)
def test_a_file_in_the_layout_of_release_0_1_keeps_its_rates(
    card: Card, tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    found, notes = scaling(dataclasses.replace(card, recipes={"default": GROUPED}), str(path))
    assert found == expected
    assert len(notes) == (expected == "linear-nominal")
    assert all(note.startswith(f"{path}: is in the layout of release 0.1") for note in notes)


def test_single_settings_are_in_no_layout(card: Card) -> None:
    grouped = dataclasses.replace(card, recipes={"default": GROUPED})
    assert scaling(grouped, "default", "lr=0.5", "epochs=2", "transfer=false") == ("none", [])
    assert scaling(grouped, "default", "lr_scaling=linear") == ("linear", [])
    assert Recipe.of(model="vgg", epochs=1, lr=0.5).optim.lr_scaling == "none"


def test_a_saved_recipe_without_a_scaling_is_of_release_0_1() -> None:
    saved = Recipe.of(model="vgg", epochs=1).to_table()
    assert recipe_from_table(saved, "here").optim.lr_scaling == "none"
    del saved["optim"]["lr_scaling"]
    assert recipe_from_table(saved, "here").optim.lr_scaling == "linear-nominal"


def test_a_sweep_says_it_once_for_all_its_runs(card: Card) -> None:
    old = dataclasses.replace(card, recipes={"default": {"model": "nmnist", "epochs": 7}})
    notes: list[str] = []
    runs = expand(Sweep(seeds=(1, 2, 3)), old, "three.toml", on_note=notes.append)
    assert {run.recipe.optim.lr_scaling for run in runs} == {"linear-nominal"}
    assert [note.partition(":")[0] for note in notes] == ["recipe default of card n-mnist"]
