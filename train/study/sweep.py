"""A sweep: many runs from one file, read, checked and expanded before any of them starts.

A sweep multiplies recipes, variants (named tables of settings), axes (lists of values of one
setting) and seeds. Each run's settings are resolved here, so that a mistake in the last one
is found before the first one trains. Runs of the first seed come first: a sweep that is
stopped early has one run of everything.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ...data_cards.schema import Card
from ...declared.tables import from_table, toml_value
from ...errors import UsageError, nearest
from ..recipe.layout import own_names
from ..recipe.sources import load_recipe
from ..recipe.whole import Recipe

SHIPPED = "snntx.train.study.sweeps"
LONGEST = 200
"""Characters that a run directory's name may have."""


@dataclass(frozen=True)
class Variant:
    """One table of settings with a name.

    Attributes:
        name: stands in the run directories' names.
        settings: key ``set``: its settings, over those of the whole sweep.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict, metadata={"key": "set"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", own_names(self.settings))


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file says. Paths are relative to where the command runs.

    Attributes:
        seeds: one run of everything for each.
        card: the dataset, as ``snntx train`` takes it; absent, the command names it.
        recipes: names of its recipes, or .toml files.
        settings: key ``set``: settings of every run.
        axes: lists of values by setting, each value with each of the other axes'.
        variants: named tables of settings, each with every point of the axes.
        cache: root of all caches.
        key: which cache, where several would do.
        out: folder of the run directories.
        about: what it compares, for people.
    """

    seeds: tuple[int, ...]
    card: str | None = None
    recipes: tuple[str, ...] = ("default",)
    settings: dict[str, Any] = field(default_factory=dict, metadata={"key": "set"})
    axes: dict[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    cache: str | None = None
    key: str | None = None
    out: str | None = None
    about: str = ""

    def __post_init__(self) -> None:
        for name in ("settings", "axes"):
            object.__setattr__(self, name, own_names(getattr(self, name)))
        for name, values in self.axes.items():
            if not isinstance(values, list) or not values:
                raise UsageError(f"[axes] {name} = {values!r} is not a list of values")
        lists = {"seeds": self.seeds, "recipes": self.recipes, "variants": self._variant_names}
        for name, values in {**lists, **self.axes}.items():
            twice = [
                value for value, count in Counter(map(toml_value, values)).items() if count > 1
            ]
            if twice:
                raise UsageError(f"{name} holds {twice[0]} twice")
        for name in ("seeds", "recipes"):
            if not getattr(self, name):
                raise UsageError(f"{name} is empty; a sweep needs at least one")
        if "" in self._variant_names:
            raise UsageError("[[variants]] has a table whose name is empty")
        self._check_places()

    @property
    def _variant_names(self) -> list[str]:
        return [variant.name for variant in self.variants]

    def _check_places(self) -> None:
        """Refuse a setting that one place would silently take from another."""
        varied = {key for variant in self.variants for key in variant.settings}
        for where, keys in (("[set]", self.settings), ("[axes]", self.axes), ("variants", varied)):
            if "seed" in keys:
                raise UsageError(f"{where} names seed; list the seeds under seeds")
        for key in self.axes:
            for where, keys in (("[set]", self.settings), ("variants", varied)):
                if key in keys:
                    raise UsageError(f"[axes] and {where} both set {key}; leave one out")


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
        name: of its directory.
        base: the recipe's name.
        variant: the variant's name; empty where the sweep has none.
        point: values on the axes.
        overrides: all overrides of the base recipe, each ``key=value`` in TOML.
        recipe: what they resolve to.
    """

    name: str
    base: str
    variant: str
    point: dict[str, Any]
    overrides: tuple[str, ...]
    recipe: Recipe

    def to_json(self) -> dict[str, Any]:
        """Return plain values; the recipe is left out, since its file holds it."""
        settings = {"overrides": list(self.overrides), "seed": self.recipe.run.seed}
        return {"recipe": self.base, "variant": self.variant, "point": self.point, **settings}


def sweep_names() -> list[str]:
    """Return the names of the shipped sweeps, sorted."""
    files = resources.files(SHIPPED).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_sweep(name: str) -> Sweep:
    """Read a sweep by shipped name or by the path of a TOML file.

    Raises:
        UsageError: no such sweep or file, not TOML, or not of the schema.
    """
    if name.endswith(".toml") or "/" in name:
        try:
            return parse_sweep(Path(name).read_bytes(), name)
        except OSError as error:
            raise UsageError(f"{name}: cannot be read: {error.strerror}") from error
    if name not in sweep_names():
        raise UsageError(
            f"unknown sweep '{name}'{nearest(name, sweep_names())} "
            f"(shipped: {', '.join(sweep_names())}; or give the path of a .toml file)"
        )
    return parse_sweep((resources.files(SHIPPED) / f"{name}.toml").read_bytes(), f"{name}.toml")


def parse_sweep(text: bytes, where: str) -> Sweep:
    """Parse and check a sweep; ``where`` names it in errors.

    Raises:
        UsageError: not TOML, or not of the schema.
    """
    try:
        table = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from error
    return sweep_from_table(table, where)


def sweep_from_table(table: Mapping[str, Any], where: str) -> Sweep:
    """Check a parsed sweep; ``where`` names it in errors.

    Raises:
        UsageError: not of the schema.
    """
    try:
        return from_table(Sweep, table, where)
    except UsageError as error:
        raise UsageError(str(error) if where in str(error) else f"{where}: {error}") from error


def setting_words(value: Any) -> str:
    """Return a setting's value for people: a bare word, and lists joined by ``+``."""
    if isinstance(value, list | tuple):
        return "+".join(map(setting_words, value))
    return value if isinstance(value, str) else toml_value(value)


def expand(
    sweep: Sweep,
    card: Card,
    where: str,
    more: Sequence[str] = (),
    *,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[SweepRun]:
    """Return every run of a sweep, each recipe resolved.

    Args:
        sweep: what to expand.
        card: whose recipes to use.
        where: names the sweep in errors.
        more: settings of every run, each ``key=value``, over those of the sweep's ``[set]``.
        on_note: told, once each, of recipes in the layout of release 0.1.

    Raises:
        UsageError: an unknown recipe, setting or value, or two runs of one name.
    """
    _check_more(sweep, more)
    notes: dict[str, None] = {}
    variants = sweep.variants or (Variant(""),)
    points = [
        dict(zip(sweep.axes, values, strict=True))
        for values in itertools.product(*sweep.axes.values())
    ]
    runs = [
        _resolve(sweep, card, where, base, variant, point, seed, tuple(more), notes)
        for seed in sweep.seeds
        for base, variant, point in itertools.product(sweep.recipes, variants, points)
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
        overrides = (*(f"{key}={toml_value(value)}" for key, value in settings.items()), *more)
        recipe = load_recipe(card, base, overrides, on_note=lambda note: notes.update({note: None}))
    except UsageError as error:
        raise UsageError(f"{where}: run {name}: {error}") from error
    return SweepRun(name, base, variant.name, point, overrides, recipe)


def group_label(entry: Mapping[str, Any], among: Sequence[Mapping[str, Any]]) -> str:
    """Return what a run is called among others: recipe, variant and axes where they differ.

    Args:
        entry: ``base``, ``variant`` and ``point`` of the run.
        among: the same of all runs shown together, this one included.
    """
    parts = [
        str(entry[key]) for key in ("base", "variant") if len({each[key] for each in among}) > 1
    ]
    for key, value in entry["point"].items():
        if len({setting_words(each["point"].get(key, "")) for each in among}) > 1:
            parts.append(f"{key}={setting_words(value)}")
    return ", ".join(filter(None, parts)) or str(entry["variant"] or entry["base"])
