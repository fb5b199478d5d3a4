"""A sweep: many runs from one file, read and checked, and what it is for one card.

A sweep multiplies recipes, variants (named tables of settings), axes (lists of values of one
setting) and seeds; :mod:`snntx.train.study.sweeps.expand` makes runs of it. Single cards may take
some of its variants alone, and cards that it does not name another sweep.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ...declared.tables import from_table, toml_value
from ...declared.texts import parsed_toml
from ...errors import UsageError, nearest
from ..recipe.layout import own_names
from ..recipe.whole import Recipe

SHIPPED = "snntx.train.study.sweeps"


@dataclass(frozen=True)
class Variant:
    """One table of settings with a name.

    Attributes:
        name: stands in the run directories' names.
        settings: key ``set``: its settings, over those of the whole sweep.
        seeds: its own, in place of the sweep's; absent, the sweep's.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict, metadata={"key": "set"})
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", own_names(self.settings))
        _refuse_twice({f"seeds of variant {self.name}": self.seeds})


@dataclass(frozen=True)
class ForCard:
    """What one card takes of a sweep.

    Attributes:
        variants: names of its variants, in its own order; absent, all of them.
    """

    variants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _refuse_twice({"variants": self.variants})


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
        cards: what single cards take of it, by the card's name; others take all.
        otherwise: the sweep of cards that ``cards`` does not name, in place of this one.
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
    cards: dict[str, ForCard] = field(default_factory=dict)
    otherwise: str | None = None
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
        _refuse_twice({**lists, **self.axes})
        for name in ("seeds", "recipes"):
            if not getattr(self, name):
                raise UsageError(f"{name} is empty; a sweep needs at least one")
        if "" in self._variant_names:
            raise UsageError("[[variants]] has a table whose name is empty")
        self._check_places()
        self._check_cards()

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

    def _check_cards(self) -> None:
        known = self._variant_names
        for card, taken in self.cards.items():
            for name in taken.variants:
                if name not in known:
                    raise UsageError(
                        f"[cards.{card}] takes variant '{name}'{nearest(name, known)}, which "
                        f"[[variants]] lacks (it has: {', '.join(known)})"
                    )
        if self.otherwise is not None and not self.cards:
            raise UsageError("otherwise is for cards that [cards] does not name; add [cards.NAME]")


def _refuse_twice(lists: Mapping[str, Sequence[Any]]) -> None:
    """Refuse lists by name that hold a value twice."""
    for name, values in lists.items():
        twice = [value for value, count in Counter(map(toml_value, values)).items() if count > 1]
        if twice:
            raise UsageError(f"{name} holds {twice[0]} twice")


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
        table = parsed_toml(text)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
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


def for_card(
    sweep: Sweep,
    card: str,
    where: str,
    *,
    recipes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    on_note: Callable[[str], None] = lambda note: None,
) -> Sweep:
    """Return what a sweep is for one card: its variants alone, or the sweep in its place.

    Args:
        sweep: for any card.
        card: the card's name.
        where: names the sweep in errors and notes.
        recipes: to take in place of the sweep's; none keeps them.
        seeds: to take in place of the sweep's and its variants'; none keeps them.
        on_note: told of a sweep that takes the place of this one.

    Raises:
        UsageError: the sweep in its place is not there, or would hand on in its turn.
    """
    taken = sweep.cards.get(card)
    if taken is None and sweep.otherwise is not None:
        try:
            other = load_sweep(sweep.otherwise)
        except UsageError as error:
            raise UsageError(f"{where}: otherwise: {error}") from error
        if other.otherwise is not None and card not in other.cards:
            raise UsageError(
                f"{where}: otherwise = '{sweep.otherwise}', which names another sweep for card "
                f"{card} in its turn; name '{other.otherwise}' there"
            )
        on_note(f"{where} names no runs for card {card}; its place is taken by {sweep.otherwise}")
        taken = other.cards.get(card)
        sweep = dataclasses.replace(other, cache=sweep.cache, key=sweep.key, out=sweep.out)
    variants = sweep.variants
    if taken is not None and taken.variants:
        named = {variant.name: variant for variant in variants}
        variants = tuple(named[name] for name in taken.variants)
    if seeds:
        variants = tuple(dataclasses.replace(variant, seeds=()) for variant in variants)
    return dataclasses.replace(
        sweep,
        variants=variants,
        cards={},
        otherwise=None,
        recipes=tuple(recipes) or sweep.recipes,
        seeds=tuple(seeds) or sweep.seeds,
    )


def setting_words(value: Any) -> str:
    """Return a setting's value for people: a bare word, and lists joined by ``+``."""
    if isinstance(value, list | tuple):
        return "+".join(map(setting_words, value))
    return value if isinstance(value, str) else toml_value(value)


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
