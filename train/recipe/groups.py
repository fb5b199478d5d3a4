"""The groups of a recipe by name, the method's among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from ...declared.fields import Declared, Setting, declared_fields
from .architecture import Network
from .doors import METHODS
from .inputs import Augment, Data
from .learning import Optim, Run

DEFAULT_METHOD = "sliding"


@dataclass(frozen=True)
class MethodSettings(Declared):
    """Settings of a method; each method derives its own from this."""

    purpose: ClassVar[str] = "what is shown to the static branch, and what both branches cost"
    what: ClassVar[str] = "recipe"

    name: Annotated[
        str, Setting("of the method, or your own as package.module:Name", door=METHODS)
    ] = DEFAULT_METHOD


GROUPS: dict[str, type[Declared]] = {
    "network": Network,
    "optim": Optim,
    "method": MethodSettings,
    "data": Data,
    "augment": Augment,
    "run": Run,
}
"""Groups of a recipe by name; the method's own settings stand in the place of the fourth."""


def method_fields(name: str) -> dict[str, Any]:
    """Return name and default of each setting that a method takes, but for its name."""
    fields = declared_fields(METHODS.get(name).Settings)
    return {field.key: field.default for field in fields if field.key != "name"}
