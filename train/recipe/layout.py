"""Settings by group: where each one belongs, and the flat layout of release 0.1 read as groups.

A recipe is put together from layers, each over the one before: a card's default, its named
recipe or a file, and single settings. A layer may name a setting by its group
(``[optim] lr``, ``optim.lr``) or, since its own name is unique, without (``lr``). ``method =
"sliding"`` is short for ``method.name``, ``augment = "nda"`` for ``augment.augment``.

Release 0.1 chose the method by five flat settings, which are still read::

    branch = "static"                             static-only
    branch = "event", or transfer = false         event-only
    strategy                                      sliding, or time-mixup
    sliding = true                                replacement = "power"
    hard_switch = true (and sliding = false)      replacement = "hard-switch"
    both false                                    replacement = "none"

Release 0.1 multiplied lr by batch_size / 1024 always, so that a whole table in its layout has
``lr_scaling = "linear-nominal"`` unless it names another.

Without static images (``static_fraction = 0``) release 0.1 saved ``transfer = false``; that
reads as the strategy, which trains the event branch alone then.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from ...declared.fields import Field, Setting, declared_fields, fitted, words_of
from ...declared.hints import hint
from ...errors import UsageError, nearest
from .doors import METHODS
from .groups import DEFAULT_METHOD, GROUPS, MethodSettings, method_fields

OLD = {
    "transfer": True,
    "branch": "both",
    "strategy": DEFAULT_METHOD,
    "sliding": True,
    "hard_switch": False,
}
"""Settings of release 0.1 that chose the method, with their defaults."""
OLD_CHOICES = {"branch": ("both", "event", "static"), "strategy": ("sliding", "time-mixup")}
LATER = ("method", "replacement", "lr_scaling")
"""Settings that release 0.1 did not have, by which a table without groups is known as newer."""
OLD_SCALING = {"lr_scaling": "linear-nominal"}
"""What release 0.1 did to every learning rate."""
SHORT = {"method": ("method", "name"), "augment": ("augment", "augment")}
"""Names that a group shares with the setting that it is short for."""


def is_old(table: Mapping[str, Any]) -> bool:
    """Return whether a table of settings is in the flat layout of release 0.1."""
    for key, value in table.items():
        group, dot, _ = key.partition(".")
        if group in GROUPS and (dot or isinstance(value, Mapping)):
            return False
    return bool(table) and not any(key in table for key in LATER)


@functools.cache
def places() -> dict[str, str]:
    """Return the group of every setting that is no method's own, by the setting's name."""
    return {
        field.key: group
        for group, table in GROUPS.items()
        if group != "method"
        for field in declared_fields(table)
    }


def known_settings(method: str | None = None) -> list[str]:
    """Return the names of every setting with a method, or with any that is shipped."""
    methods = METHODS.shipped() if method is None else [method]
    own = dict.fromkeys(name for each in methods for name in method_fields(each))
    return [*places(), "method", *own]


def own_names(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by their own names: groups and ``group.name`` lose the group."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key in GROUPS and isinstance(value, Mapping):
            inner = {f"{key}.{name}": each for name, each in value.items()}
            found |= own_names(inner)
            continue
        group, _, name = key.partition(".")
        if key == "method.name":
            name = "method"
        found[name if name and group in GROUPS else key] = value
    return found


class Layers:
    """The tables of a recipe's groups, filled layer by layer.

    Attributes:
        tables: by group, as :func:`snntx.train.recipe.whole.recipe_of` takes them.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
        self.tables["method"]["name"] = DEFAULT_METHOD
        self._old = dict(OLD)

    @property
    def method(self) -> str:
        """Name of the method chosen so far."""
        return str(self.tables["method"]["name"])

    def add(self, layer: Mapping[str, Any], where: str) -> None:
        """Put a layer over those before.

        Args:
            layer: settings in groups, by their own names, by ``group.name``, or by names of
                release 0.1.
            where: names the layer in errors.

        Raises:
            UsageError: an unknown setting, or one that the chosen method does not take and that
                is set away from its default.
        """
        given, old = self._sorted(layer, where)
        if old:
            self._choose_by_old(old, given, where)
        if "name" in given["method"]:
            self._choose(given["method"].pop("name"), where)
        own = method_fields(self.method)
        for name, value in given.pop("method").items():
            if name in own:
                self.tables["method"][name] = value
            elif not old and not _is_default(name, value):
                raise UsageError(
                    f"{where}: method {self.method} takes no {name}; leave it out, or set method "
                    f"to one of {', '.join(_methods_with(name))}"
                )
        for group, table in given.items():
            self.tables[group] |= table

    def _choose(self, name: Any, where: str) -> None:
        """Take a method; what earlier layers set for another, and this one lacks, goes with it."""
        if not isinstance(name, str):
            raise UsageError(f"{where}: method = {name!r} is not a string")
        if not METHODS.knows(name):
            raise METHODS.unknown(name, "recipe: ")
        own = method_fields(name)
        kept = {key: value for key, value in self.tables["method"].items() if key in own}
        self.tables["method"] = {"name": name, **kept}
        if name in OLD_CHOICES["strategy"]:
            self._old |= {"transfer": True, "branch": "both", "strategy": name}
        elif name in ("event-only", "static-only"):
            self._old |= {"transfer": name != "event-only", "branch": "both"}
            self._old |= {"branch": "static"} if name == "static-only" else {}

    def _choose_by_old(
        self, old: Mapping[str, Any], given: dict[str, dict[str, Any]], where: str
    ) -> None:
        """Translate settings of release 0.1 into the method's name and its replacement."""
        for name, value in old.items():
            kind = type(OLD[name])
            if type(value) is not kind:
                field = Field(name, name, kind, Setting(""), OLD[name])
                told = f"{where}: {name} = {value!r} is not {words_of(kind)}"
                raise UsageError(f"{told}{hint(field, value)}")
            known = OLD_CHOICES.get(name, ())
            if known and str(value) not in known:
                raise UsageError(
                    f"recipe: unknown {name} '{value}'{nearest(str(value), known)} "
                    f"(known: {', '.join(known)})"
                )
        if not {"sliding", "hard_switch"} & old.keys():
            self._recall_replacement()
        self._old |= old
        if self._old["sliding"] and self._old["hard_switch"]:
            raise UsageError(
                "recipe: hard_switch takes the place of sliding; set sliding = false, or "
                "replacement = 'hard-switch' alone"
            )
        fraction = given["data"].get("static_fraction", self.tables["data"].get("static_fraction"))
        given["method"]["name"] = self._method_by_old(no_images=fraction == 0, where=where)
        if {"sliding", "hard_switch"} & old.keys() and "replacement" not in given["method"]:
            switch = "hard-switch" if self._old["hard_switch"] else "none"
            given["method"]["replacement"] = "power" if self._old["sliding"] else switch

    def _method_by_old(self, *, no_images: bool, where: str) -> str:
        if self._old["branch"] == "static":
            if not self._old["transfer"] or no_images:
                raise UsageError(
                    f"{where}: branch = 'static' needs static images: set transfer = true"
                )
            return "static-only"
        if self._old["branch"] == "event" or not (self._old["transfer"] or no_images):
            return "event-only"
        return str(self._old["strategy"])

    def _recall_replacement(self) -> None:
        """Let a replacement that was set by its new name count for the old ones."""
        replacement = self.tables["method"].get("replacement")
        if replacement is not None:
            self._old["sliding"] = replacement == "power"
            self._old["hard_switch"] = replacement == "hard-switch"

    def _sorted(
        self, layer: Mapping[str, Any], where: str
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """Return a layer's settings by group, and those of release 0.1."""
        given: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
        old: dict[str, Any] = {}
        chosen = self._chosen(layer)
        for key, value in layer.items():
            if key in GROUPS and isinstance(value, Mapping):
                for name, inner in value.items():
                    self._take(given, key, name, inner, chosen, where)
            elif key in SHORT:
                group, name = SHORT[key]
                given[group][name] = value
            elif key in OLD:
                old[key] = value
            else:
                group, dot, name = key.partition(".")
                if dot and group in GROUPS:
                    self._take(given, group, name, value, chosen, where)
                else:
                    given[self._group_of(key, chosen, where)][key] = value
        return given, old

    def _chosen(self, layer: Mapping[str, Any]) -> str:
        """Return the method that a layer names, or the one before where it names none."""
        table = layer.get("method", {})
        name = table.get("name") if isinstance(table, Mapping) else table
        name = layer.get("method.name", name)
        return name if isinstance(name, str) and METHODS.knows(name) else self.method

    def _take(
        self,
        given: dict[str, dict[str, Any]],
        group: str,
        name: str,
        value: Any,
        chosen: str,
        where: str,
    ) -> None:
        if group != "method" and places().get(name) != group:
            known = [key for key, place in places().items() if place == group]
            raise UsageError(
                f"{where}: unknown key '{group}.{name}'{nearest(name, known)} (known: "
                f"{', '.join(known)})"
            )
        if group == "method" and name != "name" and not _methods_with(name, chosen):
            own = method_fields(chosen)
            raise UsageError(f"{where}: unknown key 'method.{name}'{nearest(name, own)}")
        given[group][name] = value

    def _group_of(self, name: str, chosen: str, where: str) -> str:
        if name in places():
            return places()[name]
        if _methods_with(name, chosen):
            return "method"
        known = [*known_settings(chosen), *OLD]
        raise UsageError(
            f"{where}: unknown key '{name}'{nearest(name, known)} (snntx settings lists them all)"
        )


def method_settings(name: str, like: MethodSettings) -> MethodSettings:
    """Return a method's settings with those values of another's that it takes."""
    schema = METHODS.get(name).Settings
    held = {field.name: getattr(like, field.name) for field in declared_fields(type(like))}
    taken = [field.name for field in declared_fields(schema) if field.name in held]
    made: MethodSettings = schema(**{**{key: held[key] for key in taken}, "name": name})
    return made


def _methods_with(name: str, also: str = DEFAULT_METHOD) -> list[str]:
    """Return the methods that take a setting: of the shipped ones, and one more."""
    methods: Iterable[str] = dict.fromkeys([*METHODS.shipped(), also])
    return [method for method in methods if name in method_fields(method)]


def _is_default(name: str, value: Any) -> bool:
    """Whether a setting that a method does not take has the default of those that do."""
    for method in _methods_with(name):
        for field in declared_fields(METHODS.get(method).Settings):
            if field.key == name and fitted(value, field.kind)[1] == field.default:
                return True
    return False
