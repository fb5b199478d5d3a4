"""What is declared, for people and machines: rows, a Markdown page, and a JSON Schema.

In: tables of settings (:mod:`snntx.declared.fields`). Out: text and plain values.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from .fields import Field, declared_fields, union_of, words_of
from .tables import toml_value


class Row(NamedTuple):
    """One setting as it is shown.

    Attributes:
        group: its table.
        name: its own name.
        values: its type, or its choices.
        bounds: its range; empty for none.
        default: as TOML; ``required``, or ``absent`` for None.
        unit: of the value; empty for none.
        meaning: in one line.
        note: what depends on it; empty for nothing.
    """

    group: str
    name: str
    values: str
    bounds: str
    default: str
    unit: str
    meaning: str
    note: str


def rows_of(group: str, table: type) -> list[Row]:
    """Return a row for each setting of a table but a part's ``name``, which has no default."""
    return [
        Row(
            group,
            field.key,
            _values(field),
            _bounds(field),
            _default(field),
            field.setting.unit,
            field.setting.meaning,
            field.setting.note,
        )
        for field in declared_fields(table)
    ]


def _values(field: Field) -> str:
    door = field.setting.door
    if field.choices:
        words = [toml_value(choice).strip('"') for choice in field.choices]
        if any(option is bool for option in union_of(field.kind)):
            words += ["true", "false"]
        return ", ".join(words)
    return words_of(field.kind) if door is None else ", ".join(door.shipped())


def _bounds(field: Field) -> str:
    setting = field.setting
    least = "" if setting.low is None else f"at least {setting.low:g}"
    least = least if setting.above is None else f"above {setting.above:g}"
    most = "" if setting.high is None else f"at most {setting.high:g}"
    most = most if setting.below is None else f"below {setting.below:g}"
    return ", ".join(filter(None, (least, most)))


def _default(field: Field) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    return "absent" if field.default is None else toml_value(field.default)


def markdown(title: str, about: str, tables: Sequence[tuple[str, str, Sequence[Row]]]) -> str:
    """Return a page of settings.

    Args:
        title: of the page.
        about: below it.
        tables: heading, text and rows of each table.
    """
    lines = [f"# {title}", "", about]
    for heading, text, rows in tables:
        lines += ["", f"## {heading}", "", text]
        if rows:
            lines += ["", "| setting | values | default | meaning |", "|---|---|---|---|"]
        for row in rows:
            values = ", ".join(filter(None, (row.values, row.bounds, row.unit)))
            meaning = row.meaning + (f"; {row.note}" if row.note else "")
            cells = (f"`{row.name}`", values, f"`{row.default}`", meaning)
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def json_schema(tables: Mapping[str, type], title: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of tables by name."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _table_schema(table) for name, table in tables.items()},
    }


def _table_schema(table: type) -> dict[str, Any]:
    fields = declared_fields(table)
    required = [field.key for field in fields if field.default is dataclasses.MISSING]
    return {
        "type": "object",
        "additionalProperties": False,
        **({"required": required} if required else {}),
        "properties": {field.key: _field_schema(field) for field in fields},
    }


def _field_schema(field: Field) -> dict[str, Any]:
    setting = field.setting
    options = [_kind_schema(kind) for kind in union_of(field.kind) if kind is not type(None)]
    schema: dict[str, Any] = dict(options[0]) if len(options) == 1 else {"anyOf": options}
    if setting.meaning:
        unit = f" ({setting.unit})" if setting.unit else ""
        schema["description"] = setting.meaning + unit
    bounds = {
        "minimum": setting.low,
        "maximum": setting.high,
        "exclusiveMinimum": setting.above,
        "exclusiveMaximum": setting.below,
    }
    schema |= {
        key: value for key, value in bounds.items() if value is not None and math.isfinite(value)
    }
    if field.default not in (dataclasses.MISSING, None):
        schema["default"] = field.default
    return schema


def _kind_schema(kind: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": _kind_schema(arguments[0])}
        items = [_kind_schema(each) for each in arguments]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin is dict:
        return {"type": "object"}
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return {"type": names[kind]} if kind in names else _table_schema(kind)
