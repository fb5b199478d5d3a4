"""A setting declared at its field: type, range or choices, unit and meaning in one place.

A table of settings is a frozen dataclass that derives from :class:`Declared`. Each field is
``name: Annotated[type, Setting("what it is", …)] = default``; the type may be ``bool``, ``int``,
``float``, ``str``, a ``Literal`` of choices, one of these or None, or a tuple of them. Checks,
TOML, pages and schemas all read the fields by :func:`declared_fields`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from ..errors import UsageError, nearest
from .doors import Door


@dataclass(frozen=True)
class Setting:
    """What a field is, besides its type and default.

    Attributes:
        meaning: in one line, without a full stop.
        low: smallest value; of a number.
        high: largest value.
        above: the value must be larger than this.
        below: the value must be smaller than this.
        unit: of the value, such as ``px`` or ``ms``.
        door: parts whose names the value is one of.
        note: what it depends on, or what depends on it.
    """

    meaning: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    unit: str = ""
    door: Door[Any] | None = None
    note: str = ""


@dataclass(frozen=True)
class Field:
    """One declared setting.

    Attributes:
        name: in Python; ``key`` in TOML.
        key: its name in TOML, where Python reserves the word.
        kind: its type, without ``Annotated``.
        setting: what its declaration says.
        default: its default; ``dataclasses.MISSING`` where it is required.
    """

    name: str
    key: str
    kind: Any
    setting: Setting
    default: Any

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of its ``Literal``; empty where any value of its type will do."""
        options = union_of(self.kind)
        return tuple(
            value
            for option in options
            if typing.get_origin(option) is Literal
            for value in typing.get_args(option)
        )


class FieldError(UsageError):
    """A value that its field does not allow."""


class Declared:
    """A table of settings: every value is checked against its field when the table is made."""

    purpose: ClassVar[str] = ""
    """What the table is, for the page of settings."""
    what: ClassVar[str] = ""
    """Starts its error lines; empty where the place it was read from does."""

    def __post_init__(self) -> None:
        for field in declared_fields(type(self)):
            problem = problem_of(field, getattr(self, field.name))
            if problem is not None:
                raise FieldError(f"{self.what}: {problem}" if self.what else problem)


def declared_fields(table: type) -> tuple[Field, ...]:
    """Return the fields of a table of settings, in order; inherited ones come first."""
    hashable: Any = table
    return _fields(hashable)


@functools.cache
def _fields(table: Any) -> tuple[Field, ...]:
    hints = typing.get_type_hints(table, include_extras=True)
    found = []
    for field in dataclasses.fields(table):
        kind, setting = hints[field.name], Setting("")
        if typing.get_origin(kind) is Annotated:
            kind, *extras = typing.get_args(kind)
            setting = next((each for each in extras if isinstance(each, Setting)), setting)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        key = str(field.metadata.get("key", field.name))
        found.append(Field(field.name, key, kind, setting, default))
    return tuple(found)


def union_of(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the one type."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def problem_of(field: Field, value: Any) -> str | None:
    """Return what is wrong with a value of a field's own type; None for nothing."""
    if value is None:
        return None
    for each in value if isinstance(value, tuple) else (value,):
        problem = _unknown_choice(field, each) or _out_of_range(field, each)
        if problem is not None:
            return problem
    return None


def check_parts(table: Declared) -> None:
    """Refuse names of parts that no door knows.

    It is not done when a table is made: what is read of an older run may name a part that is not
    installed here.

    Raises:
        UsageError: what is known, and how to add to it.
    """
    for field in declared_fields(type(table)):
        door, value = field.setting.door, getattr(table, field.name)
        for name in value if isinstance(value, tuple) else (value,):
            if door is not None and name is not None and not door.knows(name):
                raise door.unknown(name, f"{table.what}: ")


def _unknown_choice(field: Field, value: Any) -> str | None:
    choices = field.choices
    if not choices or value in choices or not isinstance(value, str):
        return None
    known = [str(choice) for choice in choices]
    if bool in union_of(field.kind):
        known += ["true", "false"]
    return f"unknown {field.key} '{value}'{nearest(value, known)} (known: {', '.join(known)})"


def _out_of_range(field: Field, value: Any) -> str | None:
    setting, name = field.setting, field.key
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low = -math.inf if setting.low is None else setting.low
    high = math.inf if setting.high is None else setting.high
    if setting.above is not None and value == setting.above:
        return f"{name} must be above {setting.above:g}"
    if setting.below is not None and value == setting.below:
        return f"{name} must be below {setting.below:g}"
    low = low if setting.above is None else max(low, setting.above)
    high = high if setting.below is None else min(high, setting.below)
    if low <= value <= high and math.isfinite(value):
        return None
    if isinstance(value, float):
        bounds = f" from {low:g} to {high:g}" if (low, high) != (-math.inf, math.inf) else ""
        return f"{name} must be a finite number{bounds}, found {value}"
    if value < low:
        least = "not be negative" if low == 0 else f"be at least {low:g}"
        return f"{name} must {least}, found {value}"
    return f"{name} must be at most {_whole(high)}, found {value}"


def _whole(value: float) -> str:
    return str(int(value)) if math.isfinite(value) else str(value)


def words_of(kind: Any) -> str:
    """Return how a TOML author would say a type."""
    members = [each for each in union_of(kind) if each is not type(None)]
    if len(members) > 1:
        return " or ".join(dict.fromkeys(map(words_of, members)))
    kind = members[0]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return words_of(arguments[0])
    if origin is Literal:
        return words_of(type(arguments[0]))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list of {words_of(arguments[0])}"
        return f"[{', '.join(map(words_of, arguments))}]"
    names = {
        str: "a string",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        dict: "a table",
    }
    return "a table" if dataclasses.is_dataclass(kind) else names.get(origin or kind, str(kind))


def fitted(value: Any, kind: Any) -> tuple[bool, Any]:
    """Return whether ``value`` is of type ``kind``, and the value converted to it.

    ``int`` passes for ``float``, lists become tuples; whether a choice is known is no matter of
    its type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return fitted(value, arguments[0])
    if len(members := union_of(kind)) > 1:
        return _fitted_to_one(value, members)
    if origin is Literal:
        return type(value) is type(arguments[0]), value
    if origin is tuple and isinstance(value, list | tuple):
        kinds: Sequence[Any] = arguments
        if arguments[-1] is Ellipsis:
            kinds = arguments[:1] * len(value)
        pairs = [fitted(v, k) for v, k in zip(value, kinds, strict=False)]
        return len(kinds) == len(value) and all(f for f, _ in pairs), tuple(v for _, v in pairs)
    if origin is dict and isinstance(value, Mapping):
        pairs = [fitted(v, arguments[1]) for v in value.values()]
        return all(f for f, _ in pairs), dict(zip(value, (v for _, v in pairs), strict=True))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    if kind is Any:
        return True, value
    if isinstance(kind, type) and kind in (str, bool, int, float):
        return type(value) is kind, value
    return False, value


def _fitted_to_one(value: Any, members: Sequence[Any]) -> tuple[bool, Any]:
    for option in members:
        if option is not type(None):
            fits, converted = fitted(value, option)
            if fits:
                return True, converted
    return value is None and type(None) in members, value


def leaves(table: Declared) -> Iterator[tuple[str, Any]]:
    """Yield name in TOML and value of each field of a table."""
    for field in declared_fields(type(table)):
        yield field.key, getattr(table, field.name)
