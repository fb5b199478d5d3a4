"""Descriptions of settings: the page's rows escaped, and schemas that say what is declared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator

from snntx.declared.describe import json_schema, markdown, rows_of
from snntx.declared.fields import Declared, Setting


@dataclass(frozen=True)
class Inner(Declared):
    """A nested table."""

    count: Annotated[int, Setting("of things", low=0)]


@dataclass(frozen=True)
class Table(Declared):
    """Every kind of value."""

    title: Annotated[str, Setting("this | that", unit="words")]
    share: Annotated[float, Setting("of all", above=0, high=1)] = 0.5
    limit: Annotated[float | None, Setting("at most")] = None
    kind: Annotated[Literal["a", "b"], Setting("which", note="b is slow")] = "a"
    boards: Literal["auto"] | bool = "auto"
    box: tuple[int, int] | None = None
    names: str | tuple[str, ...] = ()
    inner: Inner | None = None


SCHEMA: dict[str, Any] = json.loads(json.dumps(json_schema({"table": Table}, "Tables")))


def valid(**values: Any) -> bool:
    table = {"title": "x", **values}
    return bool(Draft202012Validator(SCHEMA).is_valid({"table": table}))


def test_a_page_has_a_row_a_setting_and_no_broken_cell() -> None:
    text = markdown("Title", "About.", [("Heading", "Text.", rows_of("table", Table))])
    lines = text.splitlines()
    assert lines[:6] == ["# Title", "", "About.", "", "## Heading", ""]
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == 8
    assert rows[0] == r"| `title` | a string, words | `required` | this \| that |"
    assert rows[1] == "| `share` | a number, above 0, at most 1 | `0.5` | of all |"
    assert rows[3] == '| `kind` | a, b | `"a"` | which; b is slow |'


def test_a_table_without_settings_is_words_alone() -> None:
    assert markdown("T", "A.", [("H", "Nothing.", [])]).endswith("## H\n\nNothing.\n")


def test_a_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["title"] == "Tables"
    fields = SCHEMA["properties"]["table"]["properties"]
    assert fields["title"]["description"] == "this | that (words)"
    assert fields["share"]["default"] == 0.5
    assert "default" not in fields["limit"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"share": 1},
        {"share": 1.0, "limit": -3.5, "kind": "b"},
        {"boards": True},
        {"boards": "auto"},
        {"box": [1, 2]},
        {"names": "one"},
        {"names": ["one", "two"]},
        {"inner": {"count": 0}},
    ],
)
def test_what_is_declared_is_valid(values: dict[str, Any]) -> None:
    assert valid(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"title": 3},
        {"titel": "x"},
        {"share": 0},
        {"share": 1.5},
        {"share": "half"},
        {"kind": "c"},
        {"boards": "never"},
        {"box": [1]},
        {"box": [1, 2, 3]},
        {"box": [1, 2.5]},
        {"names": [1]},
        {"inner": {}},
        {"inner": {"count": -1}},
        {"inner": {"count": 1, "more": 2}},
    ],
)
def test_what_is_not_declared_is_invalid(values: dict[str, Any]) -> None:
    assert not valid(**values)


def test_a_setting_without_default_is_required() -> None:
    assert not Draft202012Validator(SCHEMA).is_valid({"table": {}})
    assert not Draft202012Validator(SCHEMA).is_valid({"other": {}})
