"""A recipe: everything that decides a training run, in groups, validated and saved whole.

The published settings (He et al., AAAI 2024) are the defaults. Each setting is declared once, at
its field; recipes come from cards, files and the command line
(:mod:`snntx.train.recipe.sources`). Imports no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...declared.fields import Declared, check_parts, leaves
from ...declared.tables import from_table, to_table, toml_value
from ...errors import UsageError
from .architecture import Network
from .doors import METHODS
from .groups import GROUPS, MethodSettings
from .inputs import Augment, Data
from .layout import Layers
from .learning import Optim, Run


@dataclass(frozen=True)
class Recipe:
    """Settings of one run.

    Attributes:
        network: which network is trained, and what its neurons are.
        optim: how weights move.
        method: what is shown and what it costs; its ``name`` says which method, and its class
            is that method's ``Settings``.
        data: what batches are made of.
        augment: what is done to training recordings.
        run: what a run is, beside how it learns.
    """

    network: Network
    optim: Optim
    method: MethodSettings
    data: Data
    augment: Augment
    run: Run

    def __post_init__(self) -> None:
        chosen = METHODS.get(self.method.name)
        if not isinstance(self.method, chosen.Settings):
            raise UsageError(
                f"recipe: the settings of method {self.method.name} are a "
                f"{chosen.Settings.__qualname__}, found {type(self.method).__qualname__}"
            )
        if self.augment.event_drop != "none" and self.data.slice == "whole":
            raise UsageError(
                f"recipe: event_drop = {self.augment.event_drop} drops events of windows; set "
                "slice=random, or augment=eventdrop for frames of whole recordings"
            )
        if not self.data.static_fraction and chosen.static and chosen.without_static is None:
            raise UsageError(
                f"recipe: method {self.method.name} needs static images; set static_fraction "
                "above 0"
            )

    @classmethod
    def of(cls, **settings: Any) -> Recipe:
        """Return the recipe of some settings by their own names, such as ``lr=0.1``.

        Args:
            settings: as ``--set`` takes them, those of release 0.1 too; ``method`` is its name.

        Raises:
            UsageError: an unknown setting or value, or one of the two that are required is
                missing: ``model`` and ``epochs``.
        """
        layers = Layers()
        layers.add(settings, "recipe")
        return recipe_of(layers.tables, "recipe")

    def changed(self, **settings: Any) -> Recipe:
        """Return the recipe with some settings changed, by their own names."""
        layers = Layers()
        layers.add(self.to_table(), "recipe")
        layers.add(settings, "recipe")
        return recipe_of(layers.tables, "recipe")

    @property
    def transfer(self) -> bool:
        """Whether static images are shown in training."""
        return METHODS.get(self.method.name).static and self.data.static_fraction > 0

    @property
    def selection(self) -> str:
        """Part whose top-1 accuracy chooses the best epoch."""
        return "test" if self.data.protocol == "paper" else "validation"

    def groups(self) -> Iterator[tuple[str, Declared]]:
        """Yield the groups by name, in order."""
        for field in dataclasses.fields(self):
            yield field.name, getattr(self, field.name)

    def settings(self) -> dict[str, Any]:
        """Return every setting by its own name; the method's name is ``method``."""
        found: dict[str, Any] = {}
        for group, table in self.groups():
            for name, value in leaves(table):
                found["method" if (group, name) == ("method", "name") else name] = value
        return found

    def to_table(self) -> dict[str, Any]:
        """Return the settings as a TOML table of groups; what is absent is left out."""
        return {group: to_table(table) for group, table in self.groups()}

    def to_toml(self) -> str:
        """Return the settings as TOML text."""
        blocks = []
        for group, table in self.to_table().items():
            lines = [f"{key} = {toml_value(value)}" for key, value in table.items()]
            blocks.append("\n".join([f"[{group}]", *lines, ""]))
        return "\n".join(blocks)

    def check_parts(self) -> None:
        """Refuse names of networks, surrogates and augmentations that no door knows.

        Raises:
            UsageError: what is known, and how to add to it.
        """
        for _, table in self.groups():
            check_parts(table)


def recipe_of(tables: Mapping[str, Mapping[str, Any]], where: str) -> Recipe:
    """Return a recipe from one table of settings for each group.

    Args:
        tables: by group; the method's has its name.
        where: names them in errors.

    Raises:
        UsageError: an unknown key, a missing one, or an impossible value.
    """
    chosen = METHODS.get(str(tables["method"]["name"]))
    schemas = {**GROUPS, "method": chosen.Settings}
    return Recipe(
        **{name: from_table(schema, tables[name], where) for name, schema in schemas.items()}
    )
