"""Every setting of a recipe, group by group and method by method, for people and machines."""

from __future__ import annotations

from typing import Any

from ...declared.describe import Row, json_schema, markdown, rows_of
from ...errors import UsageError, nearest
from .doors import METHODS
from .groups import GROUPS

TITLE = "Settings"
ABOUT = """\
Every setting of a run: in a card's `[recipes.NAME]` or a recipe's file by group, such as
`[optim]` and `lr = 0.1` (without any group they are read as release 0.1 did); on the command line
as `--set lr=0.1` or `--set optim.lr=0.1`. Names are unique. This page is what `snntx settings`
prints, made from the declarations by `make settings`; a test compares them."""


def group_rows(group: str) -> list[Row]:
    """Return the settings of a group; of ``method``, its name alone."""
    return rows_of(group, GROUPS[group])


def method_rows(name: str) -> list[Row]:
    """Return the settings that a method takes, but for its name."""
    rows = rows_of(f"method {name}", METHODS.get(name).Settings)
    return [row for row in rows if row.name != "name"]


def all_rows() -> list[Row]:
    """Return every setting: the groups' in order, then each method's."""
    rows = [row for group in GROUPS for row in group_rows(group)]
    return [*rows, *(row for name in METHODS.names() for row in method_rows(name))]


def rows_named(wanted: str) -> list[Row]:
    """Return the settings of a group or a method, or those of one name.

    Raises:
        UsageError: there is no such group, method or setting.
    """
    if wanted == "method":
        return [row for row in all_rows() if row.group.partition(" ")[0] == "method"]
    if wanted in GROUPS:
        return group_rows(wanted)
    if wanted in METHODS.names():
        return method_rows(wanted)
    name = wanted.rpartition(".")[2]
    found = [row for row in all_rows() if row.name == name]
    if not found:
        known = dict.fromkeys([*GROUPS, *METHODS.names(), *(row.name for row in all_rows())])
        raise UsageError(
            f"no group, method or setting is called '{wanted}'{nearest(wanted, known)} "
            f"(groups: {', '.join(GROUPS)})"
        )
    return found


def page() -> str:
    """Return the page of all settings as Markdown."""
    tables = [
        (f"[{name}]", _sentence(table.purpose), group_rows(name)) for name, table in GROUPS.items()
    ]
    tables += [
        (f"[method] name = {name}", _sentence(METHODS.get(name).summary), method_rows(name))
        for name in METHODS.shipped()
    ]
    return markdown(TITLE, ABOUT, tables)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def schema(method: str = "sliding") -> dict[str, Any]:
    """Return the JSON Schema of a recipe in groups, with one method's settings."""
    tables = {**GROUPS, "method": METHODS.get(method).Settings}
    return json_schema(tables, f"snntx recipe, method {method}")
