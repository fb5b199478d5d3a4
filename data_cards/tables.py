"""TOML tables into frozen dataclasses: every key known, every value of its type.

The dataclass is the schema. A key it lacks is an error that names the nearest one; a field
without a default is required; ``int`` passes for ``float``, lists become tuples.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ..errors import UsageError, nearest

Table = TypeVar("Table")


def _wanted(kind: Any) -> str:
    """Return how a TOML author would say a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_wanted(a) for a in arguments if a is not type(None))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list of {_wanted(arguments[0])}"
        return f"[{', '.join(_wanted(a) for a in arguments)}]"
    names = {
        str: "a string",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        dict: "a table",
    }
    return "a table" if dataclasses.is_dataclass(kind) else names.get(origin or kind, str(kind))


def _fits(value: Any, kind: Any) -> tuple[bool, Any]:
    """Return whether ``value`` fits ``kind``, and the value converted to it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            if option is not type(None):
                fits, converted = _fits(value, option)
                if fits:
                    return True, converted
        return value is None and type(None) in arguments, value
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        pairs = [_fits(v, k) for v, k in zip(value, kinds, strict=False)]
        return len(kinds) == len(value) and all(f for f, _ in pairs), tuple(v for _, v in pairs)
    if origin is dict and isinstance(value, Mapping):
        pairs = [_fits(v, arguments[1]) for v in value.values()]
        return all(f for f, _ in pairs), dict(zip(value, (v for _, v in pairs), strict=True))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    if kind is Any:
        return True, value
    if isinstance(kind, type) and kind in (str, bool, int, float):
        return type(value) is kind, value
    return False, value


def from_table(schema: type[Table], table: Mapping[str, Any], where: str) -> Table:
    """Build ``schema`` from a parsed TOML table.

    Args:
        schema: a dataclass; nested dataclasses are nested tables. A field's metadata ``key`` is
            its name in TOML, where Python reserves the word.
        table: the parsed table.
        where: names the table in errors, such as ``card.toml [events]``.

    Raises:
        UsageError: an unknown key, a missing key, or a value of the wrong type.
    """
    hints = typing.get_type_hints(schema)
    schema_fields = dataclasses.fields(schema)  # type: ignore[arg-type]
    fields = {f.metadata.get("key", f.name): f for f in schema_fields}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise UsageError(
                f"{where}: unknown key '{key}'{nearest(key, fields)} (known: {', '.join(fields)})"
            )
        kind = hints[fields[key].name]
        options = (kind, *typing.get_args(kind))
        inner: list[Any] = [k for k in options if dataclasses.is_dataclass(k)]
        if inner and typing.get_origin(kind) is tuple:
            if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
                raise UsageError(f"{where}: {key} is not a list of tables ([[{key}]])")
            values[key] = tuple(
                from_table(inner[0], entry, f"{where} [[{key}]] {i + 1}")
                for i, entry in enumerate(value)
            )
            continue
        if inner and isinstance(value, Mapping):
            if typing.get_origin(kind) is dict:
                for name, entry in value.items():
                    if not isinstance(entry, Mapping):
                        raise UsageError(f"{where}: {key}.{name} = {entry!r} is not a table")
                values[key] = {
                    name: from_table(inner[0], entry, f"{where} [{key}.{name}]")
                    for name, entry in value.items()
                }
            else:
                values[key] = from_table(inner[0], value, f"{where} [{key}]")
            continue
        fits, converted = _fits(value, kind)
        if not fits:
            raise UsageError(f"{where}: {key} = {value!r} is not {_wanted(kind)}")
        values[key] = converted
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise UsageError(f"{where}: the key '{name}' is missing; it is required")
    return schema(**{fields[key].name: value for key, value in values.items()})
