"""TOML tables into frozen dataclasses, and back: every key known, every value of its type.

The dataclass is the schema (:mod:`snntx.declared.fields`). A key it lacks is an error that names
the nearest one; a field without a default is required; ``int`` passes for ``float``, lists become
tuples.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ..errors import UsageError, nearest
from .fields import Field, FieldError, declared_fields, fitted, union_of, words_of
from .hints import hint

Table = TypeVar("Table")


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
    fields = {field.key: field for field in declared_fields(schema)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise UsageError(
                f"{where}: unknown key '{key}'{nearest(key, fields)} (known: {', '.join(fields)})"
            )
        values[key] = _value(fields[key], value, where)
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in values:
            raise UsageError(f"{where}: the key '{name}' is missing; it is required")
    try:
        return schema(**{fields[key].name: value for key, value in values.items()})
    except FieldError as error:
        if getattr(schema, "what", ""):
            raise
        raise UsageError(f"{where}: {error}") from error


def _value(field: Field, value: Any, where: str) -> Any:
    """Return a key's value, converted to its field's type."""
    key = field.key
    arguments = [a for member in union_of(field.kind) for a in (member, *typing.get_args(member))]
    inner: list[Any] = [each for each in arguments if dataclasses.is_dataclass(each)]
    if inner and typing.get_origin(field.kind) is tuple:
        if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
            raise UsageError(f"{where}: {key} is not a list of tables ([[{key}]])")
        return tuple(
            from_table(inner[0], entry, f"{where} [[{key}]] {i + 1}")
            for i, entry in enumerate(value)
        )
    if inner and isinstance(value, Mapping):
        if typing.get_origin(field.kind) is not dict:
            return from_table(inner[0], value, f"{where} [{key}]")
        for name, entry in value.items():
            if not isinstance(entry, Mapping):
                raise UsageError(f"{where}: {key}.{name} = {entry!r} is not a table")
        return {
            name: from_table(inner[0], entry, f"{where} [{key}.{name}]")
            for name, entry in value.items()
        }
    fits, converted = fitted(value, field.kind)
    if not fits:
        wanted = words_of(field.kind)
        raise UsageError(f"{where}: {key} = {value!r} is not {wanted}{hint(field, value)}")
    return converted


def to_table(table: Any) -> dict[str, Any]:
    """Return a dataclass of settings as a TOML table; what is absent is left out."""
    found: dict[str, Any] = {}
    for field in declared_fields(type(table)):
        value = getattr(table, field.name)
        if dataclasses.is_dataclass(value):
            found[field.key] = to_table(value)
        elif value is not None:
            found[field.key] = list(value) if isinstance(value, tuple) else value
    return found


def toml_value(value: Any) -> str:
    """Return a setting's value as TOML.

    Raises:
        UsageError: no setting has values of this kind.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return repr(value)
    raise UsageError(f"{value!r} is not a setting's value: a number, a text, true, false or a list")
