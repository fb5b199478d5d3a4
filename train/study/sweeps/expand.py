"""A sweep's runs: every recipe resolved before any of them starts.

A mistake in the last run is found before the first one trains. Runs of the first seed come first:
a sweep that is stopped early has one run of everything.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ....data_cards.schema import Card
from ....declared.tables import toml_value
from ....errors import UsageError
from ...recipe.doors import METHODS
from ...recipe.groups import method_fields
from ...recipe.layout import OLD, own_names, places
from ...recipe.sources import load_recipe
from ..sweep import Sweep, SweepRun, Variant, for_card, setting_words

LONGEST = 200
"""Characters that a run directory's name may have."""
CHOOSING = ("method", "static_fraction", *OLD)
"""Settings that choose a run's method."""


def expand(
    sweep: Sweep,
    card: Card,
    where: str,
    more: Sequence[str] = (),
    *,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[SweepRun]:
    """Return every run of a sweep for a card, each recipe resolved.

    Args:
        sweep: what to expand.
        card: whose recipes to use.
        where: names the sweep in errors.
        more: settings of every run, each ``key=value``, over those of the sweep's ``[set]``.
        on_note: told, once each, of recipes in the layout of release 0.1, and of a sweep that
            takes the place of this one.

    Raises:
        UsageError: an unknown recipe, setting or value, an axis that a run's method does not
            take, or two runs of one name.
    """
    sweep = for_card(sweep, card.name, where, on_note=on_note)
    _check_more(sweep, more)
    notes: dict[str, None] = {}
    variants = sweep.variants or (Variant(""),)
    points = [
        dict(zip(sweep.axes, values, strict=True))
        for values in itertools.product(*sweep.axes.values())
    ]
    seeds = dict.fromkeys([*sweep.seeds, *(seed for each in variants for seed in each.seeds)])
    runs = [
        _resolve(sweep, card, where, base, variant, point, seed, tuple(more), notes)
        for seed in seeds
        for base, variant, point in itertools.product(sweep.recipes, variants, points)
        if seed in (variant.seeds or sweep.seeds)
    ]
    for note in notes:
        on_note(note)
    names = Counter(run.name.casefold() for run in runs)
    for run in runs:
        if names[run.name.casefold()] > 1:
            raise UsageError(
                f"{where}: several runs would have the directory {run.name}; "
                "give recipes, variants and values names that differ in letters and digits"
            )
        if len(run.name) > LONGEST:
            raise UsageError(
                f"{where}: the directory's name {run.name} is longer than {LONGEST} characters; "
                "name the settings by [[variants]] instead of [axes]"
            )
    return runs


def _key(setting: str) -> str:
    return next(iter(own_names({setting.partition("=")[0].strip(): None})))


def _check_more(sweep: Sweep, more: Sequence[str]) -> None:
    """Refuse a setting for every run that the sweep itself sets differently from run to run."""
    varied = {key for variant in sweep.variants for key in variant.settings}
    for setting in more:
        if _key(setting) in varied or _key(setting) in sweep.axes:
            raise UsageError(f"--set {setting}: the sweep itself varies {_key(setting)}")
        if _key(setting) == "seed":
            raise UsageError(f"--set {setting}: the seeds of a sweep are given by --seeds")


def _resolve(
    sweep: Sweep,
    card: Card,
    where: str,
    base: str,
    variant: Variant,
    point: dict[str, Any],
    seed: int,
    more: tuple[str, ...],
    notes: dict[str, None],
) -> SweepRun:
    stem = Path(base).stem if base.endswith(".toml") else base
    axes = [f"{key}={setting_words(value)}" for key, value in point.items()]
    name = "-".join(part for part in (stem, variant.name, *axes, f"seed{seed}") if part)
    name = re.sub(r"[^\w.=+-]", "_", name, flags=re.ASCII).lstrip(".-")
    try:
        given = {_key(each) for each in more}
        common = {key: value for key, value in sweep.settings.items() if key not in given}
        settings = {**common, **variant.settings, **point, "seed": seed}
        own = [key for key in point if key not in places() and key not in CHOOSING]
        if own:
            _check_axes(own, _method_of(card, base, settings, more))
        overrides = (*_words(settings), *more)
        recipe = load_recipe(card, base, overrides, on_note=lambda note: notes.update({note: None}))
    except UsageError as error:
        raise UsageError(f"{where}: run {name}: {error}") from error
    return SweepRun(name, base, variant.name, point, overrides, recipe)


def _words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as ``--set`` takes them."""
    return [f"{key}={toml_value(value)}" for key, value in settings.items()]


def _method_of(card: Card, base: str, settings: Mapping[str, Any], more: Sequence[str]) -> str:
    """Return the method that a run trains by; where no image is left, the one in its place."""
    choosing = {key: value for key, value in settings.items() if key in CHOOSING}
    chosen = [*_words(choosing), *(each for each in more if _key(each) in CHOOSING)]
    recipe = load_recipe(card, base, chosen)
    method = METHODS.get(recipe.method.name)
    if not recipe.data.static_fraction and method.static and method.without_static:
        return str(method.without_static)
    return recipe.method.name


def _check_axes(axes: Sequence[str], method: str) -> None:
    """Refuse an axis that a method does not take: its values would train one run again and again.

    A value that is the default of the methods which take it would otherwise pass unnoticed.
    """
    for key in axes:
        takers = [name for name in METHODS.shipped() if key in method_fields(name)]
        if takers and key not in method_fields(method):
            raise UsageError(
                f"method {method} takes no {key}, which [axes] varies; instead give each value of "
                f"{key} a table in [[variants]] with one of the methods that take it "
                f"({', '.join(takers)})"
            )
