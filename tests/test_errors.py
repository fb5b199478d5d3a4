"""Errors: their lines show foreign text as it is, and never obey it."""

import os
import pickle
import subprocess
from pathlib import Path

import pytest

from snntx.errors import BadFileError, SnntxError, UsageError, nearest, plain, shell_word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ångström/文 1.bin", "Ångström/文 1.bin"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nerror: b", r"a\nerror: b"),
        ("a\r\tb", r"a\r\tb"),
        ("a\x85\u2028b", r"a\x85\u2028b"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\udcff\x9b", r"\xff\x9b"),
        (r"C:\new", r"C:\new"),
        (Path("a\nb"), r"a\nb"),
    ],
)
def test_foreign_text_is_one_visible_line(text: object, expected: str) -> None:
    assert plain(text) == expected
    assert plain(plain(text)) == expected


@pytest.mark.parametrize("kind", [SnntxError, UsageError, BadFileError])
def test_every_error_is_plain_by_itself(kind: type[SnntxError]) -> None:
    error = kind("a\nb\x1b[31m: bad")
    assert str(error) == r"a\nb\x1b[31m: bad"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert type(pickle.loads(pickle.dumps(error))) is kind


@pytest.mark.parametrize(
    "name",
    ["plain", "two words", "$(touch x)", "it's", "-- ; rm", "a\nb", "\x1b]0;x\x07", "\udcff'\\"],
)
def test_a_pasted_word_is_the_very_name(name: str) -> None:
    word = shell_word(name)
    assert word.isprintable()
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s' {word}"], capture_output=True, check=True
    ).stdout
    assert shown == os.fsencode(name)


def test_the_nearest_name_is_a_hint_only_where_one_is_near() -> None:
    assert nearest("holdot", ["holdout", "paper"]) == "; did you mean 'holdout'?"
    assert nearest("x", ["holdout", "paper"]) == ""
