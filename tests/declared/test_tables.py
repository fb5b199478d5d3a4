"""TOML tables into dataclasses and back: the round trip, and what a wrong table is told."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snntx.declared.fields import Declared, Setting
from snntx.declared.tables import from_table, to_table, toml_value
from snntx.errors import UsageError


@dataclass(frozen=True)
class Inner(Declared):
    """A nested table."""

    count: Annotated[int, Setting("of things", low=0)]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer(Declared):
    """Every kind of value."""

    title: str
    share: Annotated[float, Setting("of all", low=0, high=1)] = 0.5
    limit: float | None = None
    kind: Literal["a", "b"] = "a"
    on: bool = False
    box: tuple[int, int] | None = None
    class_name: str = field(default="", metadata={"key": "class"})
    inner: Inner | None = None


@dataclass(frozen=True)
class Shelf(Declared):
    """Tables in lists and by name."""

    rows: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = field(default_factory=dict)


inners = st.builds(
    Inner, count=st.integers(0, 2**40), names=st.lists(st.text(), max_size=3).map(tuple)
)
finite = st.floats(allow_nan=False, allow_infinity=False)
outers = st.builds(
    Outer,
    title=st.text(),
    share=st.floats(0, 1),
    limit=st.none() | finite,
    kind=st.sampled_from(["a", "b"]),
    on=st.booleans(),
    box=st.none() | st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    class_name=st.text(),
    inner=st.none() | inners,
)


@given(outers)
def test_a_table_made_of_settings_gives_them_back(settings: Outer) -> None:
    table = to_table(settings)
    assert "class_name" not in table
    assert None not in table.values()
    assert from_table(Outer, table, "here") == settings


values = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), finite, st.text(), st.lists(finite, max_size=3)
)


@given(values)
def test_a_value_written_as_toml_reads_the_same(value: Any) -> None:
    try:
        found = tomllib.loads(f"value = {toml_value(value)}")["value"]
    except tomllib.TOMLDecodeError:
        assert isinstance(value, str)
        assert "\x7f" in value or any(0xD800 <= ord(c) <= 0xDFFF for c in value)
        return
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [None, {"a": 1}, {1}, object()])
def test_what_no_setting_has_is_not_written(value: Any) -> None:
    with pytest.raises(UsageError, match="is not a setting's value"):
        toml_value(value)


def test_whole_numbers_become_numbers_and_lists_tuples() -> None:
    found = from_table(Outer, {"title": "x", "share": 1, "box": [1, 2]}, "here")
    assert found.share == 1.0
    assert isinstance(found.share, float)
    assert found.box == (1, 2)


def test_tables_in_lists_and_by_name() -> None:
    found = from_table(
        Shelf, {"rows": [{"count": 1}], "by_name": {"a": {"count": 2, "names": ["b"]}}}, "here"
    )
    assert found == Shelf((Inner(1),), {"a": Inner(2, ("b",))})


@pytest.mark.parametrize(
    ("schema", "table", "message"),
    [
        (Outer, {"titel": "x"}, "unknown key 'titel'; did you mean 'title'? (known: title, share,"),
        (
            Outer,
            {"title": "x", "class_name": "y"},
            "unknown key 'class_name'; did you mean 'class'?",
        ),
        (Outer, {}, "here: the key 'title' is missing; it is required"),
        (Outer, {"title": 3}, "here: title = 3 is not a string"),
        (Outer, {"title": "x", "share": "half"}, "here: share = 'half' is not a number"),
        (Outer, {"title": "x", "share": True}, "here: share = True is not a number"),
        (Outer, {"title": "x", "on": 1}, "here: on = 1 is not true or false"),
        (Outer, {"title": "x", "box": [1]}, "box = [1] is not [a whole number, a whole number]"),
        (Outer, {"title": "x", "kind": "c"}, "here: unknown kind 'c' (known: a, b)"),
        (Outer, {"title": "x", "share": 2}, "here: share must be a finite number from 0 to 1"),
        (Outer, {"title": "x", "inner": 3}, "here: inner = 3 is not a table"),
        (Outer, {"title": "x", "inner": {}}, "here [inner]: the key 'count' is missing"),
        (
            Outer,
            {"title": "x", "inner": {"cuont": 1}},
            "here [inner]: unknown key 'cuont'; did you",
        ),
        (Outer, {"title": "x", "inner": {"count": -1}}, "here [inner]: count must not be negative"),
        (Shelf, {"rows": {"count": 1}}, "here: rows is not a list of tables ([[rows]])"),
        (Shelf, {"rows": [1]}, "here: rows is not a list of tables ([[rows]])"),
        (Shelf, {"rows": [{"count": 1}, {}]}, "here [[rows]] 2: the key 'count' is missing"),
        (Shelf, {"by_name": {"a": 3}}, "here: by_name.a = 3 is not a table"),
        (Shelf, {"by_name": {"a": {}}}, "here [by_name.a]: the key 'count' is missing"),
    ],
)
def test_a_wrong_table_is_one_line(schema: type, table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_table(schema, table, "here")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
