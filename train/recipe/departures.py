"""In which settings a run departs from a recipe of its card.

In: the card, the recipe's name and what the run has. Out: the value on either side, by the
setting's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...data_cards.schema import Card
from ...errors import UsageError
from .differences import Differences
from .groups import method_fields
from .layout import own_names
from .sources import load_recipe, parse_settings
from .whole import Recipe


def departures(card: Card, name: str, recipe: Recipe, settings: Sequence[str] = ()) -> Differences:
    """Return the settings in which a run departs from a recipe, with the value on either side.

    Args:
        card: whose recipe it is.
        name: of the recipe, or the path of its file.
        recipe: what the run has.
        settings: overrides that it was made with, each ``key=value``; they tell what departs where
            the named recipe is only whole with them.

    Returns:
        What the recipe has and what the run has; None where a value is absent.

    Raises:
        UsageError: the recipe cannot be read, and there are no overrides to tell.
    """
    has = recipe.settings()
    named = own_names(parse_settings(settings))
    try:
        whole = load_recipe(card, name).settings()
    except UsageError:  # only whole with its overrides
        if not named:
            raise
        whole = {key: value for key, value in has.items() if key not in named}
    fresh = {**dict.fromkeys(has), **method_fields(recipe.method.name)}
    base = {key: whole.get(key, fresh[key]) for key in has}
    return {key: (base[key], value) for key, value in has.items() if base[key] != value}
