"""The method object of a recipe."""

from __future__ import annotations

from typing import Any

from ..recipe.doors import METHODS
from ..recipe.layout import method_settings
from ..recipe.whole import Recipe
from .base import Method


def make_method(recipe: Recipe) -> Method[Any]:
    """Return a recipe's method; where it leaves no static image, the one in its place."""
    chosen = METHODS.get(recipe.method.name)
    settings = recipe.method
    if not recipe.data.static_fraction and chosen.static and chosen.without_static:
        settings = method_settings(chosen.without_static, settings)
        chosen = METHODS.get(chosen.without_static)
    made: Method[Any] = chosen(settings)
    return made
