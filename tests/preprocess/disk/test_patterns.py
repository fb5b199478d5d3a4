"""Patterns: the fields of a name, as a greedy expression finds them, in one pass."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snntx.preprocess.disk.patterns import Component, is_junk, match_names

LITERALS = st.sampled_from(["", "a", "_", "ab", "_a", ".b"])


@given(
    st.lists(LITERALS, min_size=1, max_size=4),
    st.sampled_from(["", "a", ".b", "_a"]),
    st.text("ab_.B", max_size=12),
)
def test_equal_to_a_greedy_expression(before: list[str], end: str, name: str) -> None:
    pattern = "".join(f"{text}{{f{i}}}" for i, text in enumerate(before)) + end
    greedy = "".join(f"{re.escape(text)}(?P<f{i}>.+)" for i, text in enumerate(before))
    match = re.fullmatch(f"{greedy}(?i:{re.escape(end)})", name)
    assert Component(pattern).match(name) == (match.groupdict() if match else None)


@pytest.mark.parametrize(
    ("pattern", "suffixes", "name", "expected"),
    [
        ("{stem}.bin", (), "a.BIN", {"stem": "a"}),
        ("{stem}", ("jpg", "png"), "a.b.PnG", {"stem": "a.b"}),
        ("{stem}", ("jpg",), ".jpg", None),
        ("{a}_{b}.png", (), "x_y_z.png", {"a": "x_y", "b": "z"}),
        ("data", (), "Data", {}),
        ("data", (), "data2", None),
        ("{stem}.bin", (), "a\nb.bin", {"stem": "a\nb"}),  # such a name is not lost
    ],
)
def test_fields_of_a_name(
    pattern: str, suffixes: tuple[str, ...], name: str, expected: dict[str, str] | None
) -> None:
    assert Component(pattern, suffixes).match(name) == expected


@pytest.mark.parametrize("name", ["a" * 200, "a_" * 100, "_" * 200])
def test_many_fields_on_a_long_name_end_at_once(name: str) -> None:
    pattern = "_a".join(f"{{f{i}}}" for i in range(8)) + "z"
    started = time.process_time()
    assert Component(pattern).match(name) is None
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "name", ["._1.bin", "__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini"]
)
def test_what_file_managers_leave_is_junk_in_archives_too(name: str) -> None:
    assert is_junk(name)
    names = [f"a/{name}", f"{name}/1.bin", "a/1.bin"]
    assert list(match_names(names, "{class}/{stem}")) == [
        ("a/1.bin", {"class": "a", "stem": "1.bin"})
    ]


@pytest.mark.parametrize("name", ["_1.bin", "MACOSX", "Thumbs.db.bin", "1._bin"])
def test_other_names_are_none(name: str) -> None:
    assert not is_junk(name)
