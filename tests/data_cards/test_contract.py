"""What every shipped card keeps: it parses, names its sources, and can be read and trained."""

import re
import tomllib
from pathlib import Path

import pytest

from snntx.data_cards import CARDS, card_names, load_card
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.base import READERS
from snntx.train.recipe.sources import load_recipe

FOLDER = Path(__file__).parents[2] / "data_cards/shipped"

shipped = pytest.mark.parametrize("name", CARDS.shipped())


def test_every_file_is_a_card() -> None:
    assert CARDS.shipped() == sorted(file.stem for file in FOLDER.glob("*.toml"))
    assert set(CARDS.shipped()) <= set(card_names())


@shipped
def test_a_card_names_its_sources(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    about = card.about
    for text in (about.title, about.summary, about.licence, about.citation, about.obtain):
        assert len(text) > 2
        assert text == text.strip()
    assert re.fullmatch(r"https://\S+", about.homepage)
    for entry in card.downloads:
        assert entry.url.startswith("https://")
        assert entry.sha256 or entry.md5


@shipped
def test_a_card_can_be_preprocessed(name: str) -> None:
    card = load_card(name)
    assert card.events.format in READERS.names()
    request = make_request(card, raw=Path(), static=None, cache=Path())
    assert request.options == FrameOptions.from_card(card)


@shipped
def test_a_card_can_be_trained(name: str) -> None:
    card = load_card(name)
    table = tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    assert isinstance(table["recipes"]["default"], dict)
    assert table["recipes"]["default"]
    for recipe in card.recipes:
        load_recipe(card, recipe)
