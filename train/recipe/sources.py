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
from ...data_cards.tables import from_table
from ...errors import UsageError, nearest
from .whole import Recipe


def load_recipe(card: Card, name: str = "default", settings: Sequence[str] = ()) -> Recipe:
    """Resolve a recipe.

    Args:
        card: whose recipes to use.
        name: one of the card's recipes, or the path of a TOML file over its default.
        settings: overrides, each ``key=value`` with a TOML value (a bare word is a string).

    Raises:
        UsageError: an unknown recipe, key or value.
    """
    table: dict[str, Any] = dict(card.recipes["default"])
    where = f"recipe {name} of card {card.name}"
    if name.endswith(".toml"):
        table |= _read_toml(Path(name))
        where = name
    elif name in card.recipes:
        table |= card.recipes[name]
    else:
        raise UsageError(
            f"unknown recipe '{name}'{nearest(name, card.recipes)} "
            f"(card {card.name} has: {', '.join(card.recipes)}; or give the path of a .toml file)"
        )
    table |= dict(_parse_setting(setting) for setting in settings)
    return from_table(Recipe, table, where)


def recipe_from_table(table: Mapping[str, Any], where: str) -> Recipe:
    """Return a saved recipe; ``where`` names it in errors."""
    return from_table(Recipe, table, where)


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
