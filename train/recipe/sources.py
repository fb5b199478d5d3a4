"""Where recipes come from: a card, a TOML file over it, and single settings over both.

A card's ``[recipes.default]`` is the base; ``[recipes.NAME]`` of the same card or a file, and
then each ``--set key=value``, override it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data_cards.schema import Card
from ...errors import UsageError, nearest
from .groups import GROUPS
from .layout import Layers
from .whole import Recipe, recipe_of


def load_recipe(card: Card, name: str = "default", settings: Sequence[str] = ()) -> Recipe:
    """Resolve a recipe.

    Args:
        card: whose recipes to use.
        name: one of the card's recipes, or the path of a TOML file over its default.
        settings: overrides, each ``key=value`` with a TOML value (a bare word is a string).

    Raises:
        UsageError: an unknown recipe, key or value.
    """
    layers = Layers()
    where = f"recipe {name} of card {card.name}"
    layers.add(card.recipes["default"], f"recipe default of card {card.name}")
    if name.endswith(".toml"):
        where = name
        layers.add(_read_toml(Path(name)), where)
    elif name not in card.recipes:
        raise UsageError(
            f"unknown recipe '{name}'{nearest(name, card.recipes)} "
            f"(card {card.name} has: {', '.join(card.recipes)}; or give the path of a .toml file)"
        )
    elif name != "default":
        layers.add(card.recipes[name], where)
    layers.add(dict(_parse_setting(setting) for setting in settings), where)
    recipe = recipe_of(layers.tables, where)
    recipe.check_parts()
    return recipe


def recipe_from_table(table: Mapping[str, Any], where: str) -> Recipe:
    """Return a saved recipe, of this release or of 0.1; ``where`` names it in errors.

    Raises:
        UsageError: a key or value that is not known here.
    """
    table = dict(table)
    flat = not any(isinstance(table.get(group), Mapping) for group in GROUPS)
    if flat and table.get("tensorboard") is True:  # release 0.1 always had it
        table["tensorboard"] = "auto"
    layers = Layers()
    layers.add(table, where)
    return recipe_of(layers.tables, where)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error


def _parse_setting(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {setting}: expected key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    return key.strip(), value
