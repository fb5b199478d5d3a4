"""Settings given as options and options given as settings: the error says what to type."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from snntx.cli import cli, run
from snntx.commands.words.meant import _fields, is_setting, setting_meant
from snntx.declared.fields import union_of
from snntx.errors import UsageError
from snntx.train.recipe.layout import OLD, known_settings, own_names
from snntx.train.recipe.sources import parse_settings

CARD = "simulated-digits"
TAKE_SETTINGS = (["train", CARD], ["sweep", "few-labels", CARD])
TAKE_NONE = (
    ["preprocess", CARD, "--raw", "x"],
    ["evaluate", "runs/x"],
    ["predict", "runs/x", "a.bin"],
    ["export", "runs/x", "--to", "torch"],
    ["compare", "runs/x"],
    ["demo"],
    ["cache", "ls"],
)


def parsed(words: list[str]) -> click.Context:
    """What a command would be called with; groups are entered."""
    context = cli.make_context("snntx", list(words))
    while isinstance(command := context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, chosen, left = command.resolve_command(context, rest)
        assert chosen is not None
        context = chosen.make_context(name, left, parent=context)
    return context


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("snntx: error: ")
    return str(line.removeprefix("snntx: error: "))


def advice(line: str) -> list[str]:
    """The words that an error says to write."""
    return shlex.split(line.partition("; write ")[2])


def value_of(name: str) -> str:
    """Some value that a setting takes, as it is typed behind an option."""
    field = _fields()[name]
    if field.choices:
        return str(field.choices[0])
    kinds = union_of(field.kind)
    first: Any = next(kind for kind in kinds if kind is not type(None))
    plain = {bool: "true", int: "3", float: "0.5", str: "some"}
    return plain.get(first) or ("[3]" if int in get_args(first) else '["some"]')


@pytest.mark.parametrize("command", TAKE_SETTINGS, ids=lambda words: words[0])
@pytest.mark.parametrize("name", [*known_settings(), *OLD])
def test_every_setting_given_as_an_option_names_its_set(
    name: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if command[0] == "sweep" and name == "seed":
        pytest.skip("a sweep has seeds")
    value = value_of(name)
    forms = ([f"--{name}", value], [f"--{name.replace('_', '-')}={value}"], [f"{name}={value}"],
             ["--set", name, value])  # fmt: skip
    for form in forms:
        line = refused([*command, *form], capsys)
        assert line.startswith(f"{' '.join(form)}: is a setting; write --set ")
        given = parsed([*command, *advice(line)]).params["settings"]
        assert own_names(parse_settings(given)) == parse_settings([f"{name}={value}"])


@pytest.mark.parametrize("command", TAKE_NONE, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize("form", [["--epochs", "3"], ["epochs=3"], ["--set", "epochs=3"]])
def test_a_command_without_settings_names_the_one_that_takes_them(
    command: list[str], form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if command[0] == "compare" and form == ["epochs=3"]:
        command = ["compare"]
    line = refused([*command, *form], capsys)
    start = f"{' '.join(form)}: is a setting, which a run is trained with: snntx "
    assert line.startswith(start)
    words = shlex.split(line.removeprefix(start))
    assert parsed([CARD if each == "CARD" else each for each in words]).params["settings"] == (
        "epochs=3",
    )


@pytest.mark.parametrize(
    ("words", "write"),
    [
        (["train", CARD, "--flip", "--device", "cpu"], "flip=true"),
        (["train", "--flip", CARD], "flip=true"),
        (["train", CARD, "--no-flip"], "flip=false"),
        (["train", CARD, "--flip", "no"], "flip=false"),
        (["train", CARD, "-epochs", "3"], "epochs=3"),
        (["train", "epochs=3", CARD], "epochs=3"),
        (["train", "epochs=3"], "epochs=3"),
        (["train", CARD, "--optim.lr", "0.1"], "optim.lr=0.1"),
        (["train", CARD, "--set", "lr", "=", "0.1"], "lr=0.1"),
        (["train", CARD, "--set", "lr=", "0.1"], "lr=0.1"),
        (["train", CARD, "--lr", "1,5"], "lr=1.5"),
        (["train", CARD, "--epoch", "3"], "epochs=3"),
        (["train", CARD, "--batchsize=8"], "batch_size=8"),
        (["train", CARD, "--initial", "my runs/a"], "initial=my runs/a"),
        (["train", CARD, "--randaugment-magnitude=3"], "randaugment_magnitude=3"),
    ],
)
def test_what_was_written_in_another_way(
    words: list[str], write: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(words, capsys)
    assert advice(line) == ["--set", write]
    assert parsed(["train", CARD, *advice(line)]).params["settings"] == (write,)


def test_a_setting_without_a_value_asks_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--lr"], ["--lr", "--resume"], ["--lr", "fast"]):
        assert (
            refused(["train", CARD, *words], capsys) == "--lr: is a setting; write --set lr=VALUE"
        )


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["preprocess", CARD, "--raw", "x", "--set", "steps=4"], "steps", 4),
        (["preprocess", CARD, "--raw", "x", "--set", "steps", "4"], "steps", 4),
        (["preprocess", CARD, "--raw", "x", "steps=4"], "steps", 4),
        (["preprocess", CARD, "steps=4"], "steps", 4),
        (["preprocess", CARD, "--raw", "x", "crop=[1, 2, 3, 4]"], "crop", (1, 2, 3, 4)),
        (["preprocess", CARD, "--raw", "x", "window-ms=2.5"], "window_ms", 2.5),
        (["preprocess", CARD, "--raw", "x", "rehash=true"], "rehash", True),
        (["train", CARD, "--set", "workers=2"], "workers", 2),
        (["train", CARD, "device=cpu"], "device", "cpu"),
        (["train", CARD, "out=my runs"], "out", Path("my runs")),
        (["sweep", "few-labels", CARD, "--set", "seed=3"], "seeds", (3,)),
        (["sweep", "few-labels", CARD, "--seed", "3"], "seeds", (3,)),
        (["sweep", "few-labels", CARD, "--set", "jobs=2"], "jobs", 2),
    ],
)
def test_an_option_given_as_a_setting_is_named(
    words: list[str], name: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(words, capsys)
    assert ": is an option of this command; write --" in line
    command = [each for each in words[:2] if "=" not in each]
    needed = ["--raw", "x"] if words[0] == "preprocess" else []
    command += [CARD] if words[0] == "sweep" else []
    assert parsed([*command, *needed, *advice(line)]).params[name] == value


@pytest.mark.parametrize(
    ("words", "write"),
    [
        (["preprocess", CARD, "--raw", "x", "--setps", "3"], ["--steps", "3"]),
        (["sweep", "few-labels", CARD, "--sede=3"], ["--seeds", "3"]),
    ],
)
def test_a_misspelt_option_is_not_taken_for_a_setting_alike(
    words: list[str], write: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(words, capsys)
    assert ": is no option of this command; write " in line
    assert advice(line) == write
    assert parsed([*words[: 4 if words[0] == "preprocess" else 3], *write])


def test_a_switch_that_is_off_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["train", CARD, "resume=false"], capsys)
    assert line.endswith("; leave it out for no --resume")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", CARD, "--rseume"], "No such option '--rseume'"),
        (["train", CARD, "extra"], "unexpected extra argument"),
        (["train", CARD, "--set", "nonsense=1"], "unknown key 'nonsense'"),
        (["train"], "Missing argument 'CARD|RUN'"),
        (["compare", "runs/few-recordings_per_class=2-seed1"], "runs/few-recordings_per_class=2"),
    ],
)
def test_other_mistakes_are_told_as_they_were(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) != 0
    assert message in capsys.readouterr().err


def test_a_file_of_such_a_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("epochs=3").mkdir()
    assert parsed(["compare", "epochs=3"]).params["runs"] == (Path("epochs=3"),)
    with pytest.raises(UsageError, match="is a setting"):
        parsed(["compare", "epochs=4"])


def test_names_are_guessed_of_options_alone() -> None:
    assert not is_setting("epoch")
    assert setting_meant("epoch", "3", guess=False) is None
    found = setting_meant("epoch", "3", guess=True)
    assert found is not None
    assert (found.pair, found.guessed) == ("epochs=3", True)
    assert setting_meant("colour", "3", guess=True) is None


def test_the_help_names_settings_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--help"]) == 0
    told = capsys.readouterr().out
    named = [line.split()[1] for line in told.splitlines() if line.startswith("  --set ") and "=" in
             line.split()[1] and line.split()[1] != "KEY=VALUE"]  # fmt: skip
    assert len(named) >= 8
    for pair in named:
        found = setting_meant(*pair.split("="), guess=False)
        assert found is not None
        assert found.takes
    assert "snntx settings" in told
