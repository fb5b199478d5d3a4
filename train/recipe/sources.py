"""Where recipes come from: a card, a TOML file over it, and single settings over both.

A card's ``[recipes.default]`` is the base; ``[recipes.NAME]`` of the same card or a file, and
then each ``--set key=value``, override it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data_cards import load_card
from ...data_cards.schema import Card
from ...declared.texts import parsed_toml
from ...errors import UsageError, nearest
from .doors import METHODS
from .groups import GROUPS, method_fields
from .layout import OLD_SCALING, Layers, is_old, own_names
from .whole import Recipe, recipe_of


def load_recipe(
    card: Card | str,
    name: str = "default",
    settings: Sequence[str] = (),
    *,
    on_note: Callable[[str], None] = lambda note: None,
) -> Recipe:
    """Resolve a recipe.

    Args:
        card: whose recipes to use, or how :func:`~snntx.data_cards.load_card` finds it.
        name: one of the card's recipes, or the path of a TOML file over its default.
        settings: overrides, each ``key=value`` with a TOML value (a bare word is a string).
        on_note: told in one line what the card says of the recipe, and of one in the layout of
            release 0.1, whose rates are kept.

    Raises:
        UsageError: an unknown recipe, key or value.
    """
    card = load_card(card) if isinstance(card, str) else card
    layers = Layers()
    default = f"recipe default of card {card.name}"
    layers.add(_scaled(card.recipes["default"], default, on_note), default)
    table, where = named_table(card, name)
    if name.endswith(".toml"):
        layers.add(_scaled(table, where, on_note), where)
    elif name != "default":
        layers.add(table, where)
    if name in card.recipe_notes:
        on_note(f"{where}: {card.recipe_notes[name]}")
    layers.add(parse_settings(settings), where)
    recipe = recipe_of(layers.tables, where)
    recipe.check_parts()
    return recipe


def check_recipes(card: Card, where: str) -> None:
    """Check every recipe of a card, as far as that needs nothing but this package without torch.

    A recipe may leave out what has no default: single settings can give it. That of a method
    which another package brings is that package's to check.

    Args:
        card: whose recipes to check.
        where: names the card in errors.

    Raises:
        UsageError: an unknown key, value or part.
    """
    for name in card.recipes:
        given = {"model": "vgg", "epochs": 1} | own_names(card.recipes["default"])
        given |= own_names(card.recipes[name])
        method = str(given.get("method"))
        if "method" in given and METHODS.knows(method) and method not in METHODS.shipped():
            continue
        settings = [f"{key}={given[key]}" for key in ("model", "epochs")]
        try:
            load_recipe(card, name, settings)
        except UsageError as error:
            raise UsageError(f"{where}: [recipes.{name}] {error}") from error


def laid_over(held: Recipe, card: Card, name: str | None, settings: Sequence[str]) -> Recipe:
    """Return a run's own recipe with a named one and single settings over it.

    Args:
        held: of the run.
        card: whose recipes to use.
        name: one of the card's recipes, or the path of a TOML file; None for neither.
        settings: overrides, as :func:`load_recipe` takes them.

    Raises:
        UsageError: an unknown recipe, key or value.
    """
    layers, where = Layers(), "recipe"
    layers.add(held.to_table(), where)
    single = parse_settings(settings)
    if name is not None:
        table, where = named_table(card, name)
        whole = name == "default" or name.endswith(".toml")
        layer = _scaled(table, where, lambda note: None) if whole else table
        method = own_names(single).get("method", own_names(layer).get("method", layers.method))
        layers.add(_taken_by(method, layer), where)
    layers.add(single, where)
    return recipe_of(layers.tables, where)


def _taken_by(method: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's settings without those that other methods take and this one does not.

    A named recipe is written for its own method; a run of another has left them out.
    """
    found = own_names(table)
    if not METHODS.knows(method):
        return found
    others = {key for each in METHODS.shipped() for key in method_fields(each)}
    others -= method_fields(method).keys()
    return {key: value for key, value in found.items() if key not in others}


def named_table(card: Card, name: str) -> tuple[dict[str, Any], str]:
    """Return the settings that a named recipe or a file itself has, and what to call it in errors.

    Raises:
        UsageError: an unknown recipe, or a file that cannot be read.
    """
    if name.endswith(".toml"):
        return _read_toml(Path(name)), name
    if name not in card.recipes:
        raise UsageError(
            f"unknown recipe '{name}'{nearest(name, card.recipes)} "
            f"(card {card.name} has: {', '.join(card.recipes)}; or give the path of a .toml file)"
        )
    return dict(card.recipes[name]), f"recipe {name} of card {card.name}"


def _scaled(
    table: Mapping[str, Any], where: str, on_note: Callable[[str], None]
) -> Mapping[str, Any]:
    """Return a layer with the learning rate's scaling of release 0.1 where it is in its layout."""
    if not is_old(table):
        return table
    on_note(
        f"{where}: is in the layout of release 0.1, so lr is multiplied by batch_size / 1024 "
        "(lr_scaling = linear-nominal); name lr_scaling in it to choose"
    )
    return {**table, **OLD_SCALING}


def recipe_from_table(table: Mapping[str, Any], where: str) -> Recipe:
    """Return a saved recipe, of this release or of 0.1; ``where`` names it in errors.

    Every saved recipe names all settings, so one without ``lr_scaling`` is older than that and
    was trained as release 0.1 did.

    Raises:
        UsageError: a key or value that is not known here.
    """
    table = dict(table)
    flat = not any(isinstance(table.get(group), Mapping) for group in GROUPS)
    if flat and table.get("tensorboard") is True:  # release 0.1 always had it
        table["tensorboard"] = "auto"
    layers = Layers()
    layers.add(OLD_SCALING, where)
    layers.add(table, where)
    return recipe_of(layers.tables, where)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return parsed_toml(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return overrides, each ``key=value``, as a table; the last of a name wins.

    Raises:
        UsageError: one is not ``key=value``.
    """
    return dict(_parse_setting(setting) for setting in settings)


def _parse_setting(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {setting}: expected key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    return key.strip(), value
