"""Fields: what types, ranges, choices and units say, and what a value that breaks them is told."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snntx.declared.describe import rows_of
from snntx.declared.doors import Door
from snntx.declared.fields import (
    Declared,
    Setting,
    check_parts,
    declared_fields,
    fitted,
    leaves,
    problem_of,
    union_of,
    words_of,
)
from snntx.errors import UsageError

PARTS: Door[Any] = Door("lens", "snntx.test_lenses", {"wide": "a", "narrow": "b"}, also=("none",))


@dataclass(frozen=True)
class Camera(Declared):
    """Settings with every kind of declaration."""

    what: ClassVar[str] = "camera"

    width: Annotated[int, Setting("of the sensor", low=1, high=640, unit="px")]
    gain: Annotated[float, Setting("of the amplifier", low=0, high=4)] = 1.0
    rate: Annotated[float, Setting("of events", above=0, note="per pixel", unit="Hz")] = 10.0
    bias: Annotated[float | None, Setting("added")] = None
    mode: Annotated[Literal["on", "off", "both"], Setting("which polarities")] = "both"
    boards: Annotated[Literal["auto"] | bool, Setting("write them")] = "auto"
    crop: Annotated[tuple[int, int], Setting("height and width", low=0)] = (0, 0)
    lens: Annotated[str | tuple[str, ...], Setting("one or more", door=PARTS)] = "none"
    classes: Annotated[tuple[str, ...], Setting("their names")] = dataclasses.field(
        default=(), metadata={"key": "class"}
    )
    plain: bool = False


def field_of(name: str) -> Any:
    return next(field for field in declared_fields(Camera) if field.name == name)


def test_fields_come_in_order_with_what_is_declared() -> None:
    fields = declared_fields(Camera)
    assert [field.name for field in fields][:3] == ["width", "gain", "rate"]
    width, rate = field_of("width"), field_of("rate")
    assert (width.kind, width.setting.unit) == (int, "px")
    assert width.default is dataclasses.MISSING
    assert (rate.setting.above, rate.setting.note, rate.default) == (0, "per pixel", 10.0)
    assert field_of("plain").setting == Setting("")
    assert field_of("classes").key == "class"


def test_inherited_fields_come_first() -> None:
    @dataclass(frozen=True)
    class Zoom(Camera):
        factor: Annotated[float, Setting("of the zoom")] = 2.0

    assert [field.name for field in declared_fields(Zoom)] == [
        *(field.name for field in declared_fields(Camera)),
        "factor",
    ]
    with pytest.raises(UsageError, match="camera: width must be at least 1"):
        Zoom(width=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 0}, "camera: width must be at least 1, found 0"),
        ({"width": 641}, "camera: width must be at most 640, found 641"),
        ({"gain": -0.5}, "camera: gain must be a finite number from 0 to 4, found -0.5"),
        ({"gain": 4.5}, "camera: gain must be a finite number from 0 to 4, found 4.5"),
        ({"gain": math.nan}, "camera: gain must be a finite number from 0 to 4, found nan"),
        ({"rate": 0.0}, "camera: rate must be above 0"),
        ({"rate": -1.0}, "camera: rate must be a finite number from 0 to inf, found -1.0"),
        ({"rate": math.inf}, "camera: rate must be a finite number from 0 to inf, found inf"),
        ({"bias": math.inf}, "camera: bias must be a finite number, found inf"),
        ({"crop": (3, -1)}, "camera: crop must not be negative, found -1"),
        (
            {"mode": "bth"},
            "camera: unknown mode 'bth'; did you mean 'both'? (known: on, off, both)",
        ),
        ({"mode": "xyz"}, "camera: unknown mode 'xyz' (known: on, off, both)"),
        ({"boards": "never"}, "camera: unknown boards 'never' (known: auto, true, false)"),
    ],
)
def test_a_value_out_of_its_range_or_choices_is_one_line(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Camera(**{"width": 4, **values})
    assert str(caught.value) == message


def test_a_table_without_a_name_says_the_value_alone() -> None:
    @dataclass(frozen=True)
    class Nameless(Declared):
        count: Annotated[int, Setting("of things", low=0)] = 0

    with pytest.raises(UsageError, match=r"^count must not be negative, found -1$"):
        Nameless(count=-1)


def test_values_at_the_ends_of_their_ranges_pass() -> None:
    for width, gain in ((1, 0.0), (640, 4.0)):
        assert (Camera(width, gain).width, Camera(width, gain).gain) == (width, gain)
    assert Camera(width=4, rate=math.ulp(0.0)).rate > 0
    assert Camera(width=4, boards=False).boards is False


@given(st.floats(), st.booleans())
def test_a_number_passes_just_where_it_lies_in_its_range(value: float, strict: bool) -> None:
    field = field_of("rate" if strict else "gain")
    inside = 0 < value < math.inf if strict else 0 <= value <= 4
    assert (problem_of(field, value) is None) == inside


# ---------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        (3, int, 3),
        (3, float, 3.0),
        ("a", str, "a"),
        (True, bool, True),
        (None, float | None, None),
        (2, float | None, 2.0),
        ([1, 2], tuple[int, int], (1, 2)),
        ([1, 2, 3], tuple[float, ...], (1.0, 2.0, 3.0)),
        ([], tuple[str, ...], ()),
        (["a"], str | tuple[str, ...], ("a",)),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        (False, Literal["auto"] | bool, False),
        ("other", Literal["auto", "off"], "other"),  # its type fits; choices are another matter
        ([1], Any, [1]),
        (7, Annotated[float, "noted"], 7.0),
    ],
)
def test_a_value_of_its_type_is_converted(value: object, kind: Any, converted: object) -> None:
    fits, found = fitted(value, kind)
    assert fits
    assert found == converted
    assert type(found) is type(converted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, int),
        (True, float),
        (1, bool),
        (2.0, int),
        ("3", int),
        (3, str),
        (None, int),
        ([1], tuple[int, int]),
        ([1, 2, 3], tuple[int, int]),
        ([1, "a"], tuple[int, ...]),
        ("ab", tuple[str, ...]),
        ({"a": "b"}, dict[str, float]),
        (3, Literal["auto"]),
        (3, Literal["auto"] | bool),
        ([], int),
    ],
)
def test_a_value_of_another_type_does_not_fit(value: object, kind: Any) -> None:
    assert fitted(value, kind)[0] is False


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (float | None, "a number"),
        (bool, "true or false"),
        (Literal["a", "b"], "a string"),
        (Literal["auto"] | bool, "a string or true or false"),
        (str | tuple[str, ...], "a string or a list of a string"),
        (tuple[int, int], "[a whole number, a whole number]"),
        (dict[str, int], "a table"),
        (Camera, "a table"),
        (Annotated[int, "noted"], "a whole number"),
    ],
)
def test_a_type_is_said_as_a_toml_author_would(kind: Any, words: str) -> None:
    assert words_of(kind) == words


def test_unions_are_taken_apart_however_they_are_written() -> None:
    assert union_of(int | None) == (int, type(None))
    assert union_of(int) == (int,)
    assert field_of("mode").choices == ("on", "off", "both")
    assert field_of("boards").choices == ("auto",)
    assert field_of("gain").choices == ()


# ---------------------------------------------------------------- parts, leaves, rows


@pytest.mark.parametrize("lens", ["none", "wide", ("wide", "narrow"), "my.lenses:Fish", None])
def test_parts_that_a_door_knows_pass(lens: Any) -> None:
    check_parts(Camera(width=4, lens=lens))


def test_a_part_that_no_door_knows_is_refused_when_asked_and_not_before() -> None:
    camera = Camera(width=4, lens=("wide", "narow"))
    with pytest.raises(
        UsageError,
        match=r"^camera: unknown lens 'narow'; did you mean 'narrow'\? \(known: none, wide,",
    ):
        check_parts(camera)


def test_leaves_are_named_as_in_toml() -> None:
    found = dict(leaves(Camera(width=4, classes=("a",))))
    assert found["class"] == ("a",)
    assert "classes" not in found
    assert found["width"] == 4


def test_rows_say_type_range_unit_default_and_meaning() -> None:
    rows = {row.name: row for row in rows_of("camera", Camera)}
    width, rate, gain = rows["width"], rows["rate"], rows["gain"]
    assert (width.values, width.bounds) == ("a whole number", "at least 1, at most 640")
    assert (width.default, width.unit, width.meaning) == ("required", "px", "of the sensor")
    assert (rate.bounds, rate.default, rate.unit) == ("above 0", "10.0", "Hz")
    assert rate.note == "per pixel"
    assert (gain.bounds, gain.default) == ("at least 0, at most 4", "1.0")
    assert (rows["bias"].default, rows["bias"].values) == ("absent", "a number")
    assert (rows["mode"].values, rows["mode"].default) == ("on, off, both", '"both"')
    assert rows["boards"].values == "auto, true, false"
    assert rows["lens"].values == "wide, narrow"
    assert rows["class"].default == "[]"
