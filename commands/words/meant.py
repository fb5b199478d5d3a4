"""Which setting of a run a name and a value on the command line stand for.

In: both as they were written. Out: ``name=value`` as ``--set`` takes it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ...declared.fields import Field, Setting, declared_fields, fitted, union_of
from ...declared.hints import meant
from ...errors import nearest
from ...train.recipe.doors import METHODS
from ...train.recipe.groups import GROUPS, MethodSettings
from ...train.recipe.layout import OLD
from ...train.recipe.sources import parse_settings

ALIKE = 0.75
"""Least likeness of a misspelt name to the setting that is meant."""


class Meant(NamedTuple):
    """A setting that is meant.

    Attributes:
        name: as ``--set`` takes it.
        pair: ``name=value``; the value is ``VALUE`` where none is known.
        takes: whether the word that was written is its value.
        guessed: whether the name was misspelt.
    """

    name: str
    pair: str
    takes: bool
    guessed: bool


def is_setting(name: str) -> bool:
    """Whether this is a setting's name, with its group or without, of release 0.1 too."""
    return _own(name) in _fields()


def setting_meant(name: str, value: str | None, *, guess: bool) -> Meant | None:
    """Return the setting that some words stand for, or None.

    Args:
        name: with underscores.
        value: the word that may be its value; None for none.
        guess: whether the name may be misspelt.
    """
    fields, guessed = _fields(), not is_setting(name)
    if guessed:
        near = re.findall("'(.+)'", nearest(name, fields, ALIKE)) if guess else []
        if not near:
            return None
        name = near[0]
    field = fields[_own(name)]
    told = None if value is None else _value(field, value)
    if told is not None:
        return Meant(name, f"{name}={told}", True, guessed)
    on = bool in union_of(field.kind)
    return Meant(name, f"{name}={'true' if on else 'VALUE'}", False, guessed)


def _value(field: Field, text: str) -> str | None:
    """Return a text as a value that the setting takes; None where it takes none like it."""
    value: Any = parse_settings([f"{field.key}={text}"])[field.key]
    if fitted(value, field.kind)[0]:  # one out of its range is the recipe's to refuse
        return text
    found = meant(field, text)
    if found is None:
        return None
    return str(found).lower() if isinstance(found, bool) else repr(found)


def _own(name: str) -> str:
    """Return a setting's name without its group; the method's name is ``method``."""
    group, dot, own = name.partition(".")
    if name == "method.name":
        return "method"
    return own if dot and group in GROUPS else name


def settable() -> dict[str, Field]:
    """Return every setting by its own name, those of shipped methods too."""
    tables = [*GROUPS.values(), *(METHODS.get(name).Settings for name in METHODS.shipped())]
    found = {field.key: field for table in tables for field in declared_fields(table)}
    del found["name"]  # each method's own, which knows no other
    [found["method"]] = [each for each in declared_fields(MethodSettings) if each.key == "name"]
    return found


def _fields() -> dict[str, Field]:
    """Return every setting by its own name, those of release 0.1 too."""
    old = {name: Field(name, name, type(each), Setting(""), each) for name, each in OLD.items()}
    return {**old, **settable()}
