"""Tables that fit the terminal: broken in their cells, then by columns."""

from __future__ import annotations

import sys

import pytest

from snntx.commands.terminal.columns import prose_width, table_lines, terminal_width

ROWS = [
    ["group", "n", "mean", "interval"],
    ["default, recordings_per_class = 2", "5", "0.7123", "+0.0123 to +0.1234"],
    ["baseline", "5", "0.6", "-"],
]


def test_a_table_that_fits_is_on_one_line_a_row() -> None:
    lines = table_lines(ROWS, width=80)
    assert lines == table_lines(ROWS)
    assert lines[0] == "group                              n    mean            interval"
    assert len(lines) == 3


def test_texts_are_broken_in_their_cells_first() -> None:
    assert table_lines(ROWS, width=60) == [
        "group                          n    mean            interval",
        "default, recordings_per_class  5  0.7123  +0.0123 to +0.1234",
        "= 2",
        "baseline                       5     0.6                   -",
    ]


def test_columns_that_do_not_fit_follow_below_each_with_the_first_one() -> None:
    assert table_lines(ROWS, width=40) == [
        "group                 n    mean",
        "default,              5  0.7123",
        "recordings_per_class",
        "= 2",
        "baseline              5     0.6",
        "",
        "group                           interval",
        "default,              +0.0123 to +0.1234",
        "recordings_per_class",
        "= 2",
        "baseline                               -",
    ]


@pytest.mark.parametrize("width", range(20, 90))
def test_no_cell_is_lost_and_no_line_is_wider_than_a_word_needs(width: int) -> None:
    lines = table_lines(ROWS, width=width)
    words = [word for row in ROWS for cell in row for word in cell.split()]
    text = " ".join(lines)
    assert not [word for word in words if word not in text]
    least = len("recordings_per_class") + 2 + len("+0.0123 to +0.1234")
    assert max(map(len, lines)) <= max(width, least)


def test_a_word_is_never_broken() -> None:
    path = "a/long-path/of-a/file.bin"
    lines = table_lines([["file", "n"], [path, "3"]], width=10)
    assert [line.split() for line in lines] == [["file", "n"], [path, "3"]]


def test_a_table_of_texts_alone_is_broken_in_its_widest() -> None:
    rows = [["run", "settings"], ["a", "lr=0.1, epochs=3, seed=1, width=0.5"]]
    lines = table_lines(rows, right=2, width=24)
    assert max(map(len, lines)) <= 24
    assert len(lines) > 2


def test_the_width_is_what_the_environment_or_the_terminal_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "61")
    assert (terminal_width(), prose_width(96), prose_width(50)) == (61, 61, 50)
    for nothing in ("", "0", "wide"):
        monkeypatch.setenv("COLUMNS", nothing)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
        assert terminal_width() is None
        assert prose_width(96) == 96
