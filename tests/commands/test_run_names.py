"""Default run directories: runs that differ have names that differ, the same run has one."""

from __future__ import annotations

import re
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from snntx.cli import run
from snntx.commands.run_names import LONGEST, run_name
from snntx.data_cards import load_card
from snntx.preprocess.disk.locks import Lock
from snntx.train.recipe.sources import load_recipe

CARD = "simulated-digits"
FEW = ["steps=3", "epochs=1", "width=0.25"]
Output = namedtuple("Output", "code out err")


def named(*settings: str, recipe: str = "default") -> str:
    card = load_card(CARD)
    return run_name(card, recipe, load_recipe(card, recipe, settings), settings)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ([], "simulated-digits-default-seed42"),
        (["seed=7"], "simulated-digits-default-seed7"),
        (["lr=0.1", "epochs=10"], "simulated-digits-default-seed42"),  # the card's own values
        (["lr=0.01"], "simulated-digits-default-lr=0.01-seed42"),
        (["epochs=3", "flip=true"], "simulated-digits-default-epochs=3-flip=true-seed42"),
        (["method=event-only"], "simulated-digits-default-method=event-only-seed42"),
        (["transfer=false"], "simulated-digits-default-method=event-only-seed42"),
        (["method=time-mixup", "modality_weight=0.5"],
         "simulated-digits-default-method=time-mixup-modality_weight=0.5-seed42"),
        (['augment=["nda", "mixup"]'], "simulated-digits-default-augment=nda+mixup-seed42"),
        (["initial=/some/where/my run/"], "simulated-digits-default-initial=my_run-seed42"),
    ],
)  # fmt: skip
def test_a_name_has_the_settings_that_differ(settings: list[str], name: str) -> None:
    assert named(*settings) == name


def test_a_recipes_own_settings_are_in_its_name() -> None:
    assert named(recipe="baseline") == "simulated-digits-baseline-seed42"
    assert named("lr=0.5", recipe="baseline") == "simulated-digits-baseline-lr=0.5-seed42"


def test_long_names_are_cut_and_still_differ() -> None:
    many = ["recordings_per_class=3", "draws_per_epoch=100", "surrogate_alpha=1.5", "tau=1.5",
            "threshold=0.25", "clip_norm=1.0", "weight_decay=0.5"]  # fmt: skip
    first, second = named(*many), named(*many[:-1], "weight_decay=0.25")
    assert first != second
    for name in (first, second):
        assert re.fullmatch(r"simulated-digits-default-\S+-[0-9a-f]{6}-seed42", name)
        assert len(name) <= len("simulated-digits-default--seed42") + LONGEST


@pytest.fixture
def runs(
    small_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
    return tmp_path / "runs"


def train(capsys: pytest.CaptureFixture[str], *settings: str, more: tuple[str, ...] = ()) -> Any:
    words = [word for each in [*FEW, *settings] for word in ("--set", each)]
    code = run(["train", CARD, *words, *more])
    captured = capsys.readouterr()
    return Output(code, captured.out, captured.err)


def test_runs_that_differ_have_directories_of_their_own(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for settings in ([], ["lr=0.01"], ["seed=1"], ["epochs=2"]):
        assert train(capsys, *settings).code == 0
    assert len(list(runs.iterdir())) == 4


def test_the_same_command_twice_says_that_it_is_finished(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(capsys).code == 0
    again = train(capsys)
    (out,) = runs.iterdir()
    assert again.code == 2
    name = out.relative_to(runs.parent)
    last = again.err.splitlines()[-1]
    assert last.startswith(f"snntx: error: {name}: exists already and is finished, after 1 epochs")
    command = last.partition("train it on: snntx ")[2].partition(", or")[0]
    assert run(command.replace("epochs=N", "epochs=2").split()) == 0
    assert train(capsys, more=("--resume",)).code == 2  # it names epochs=1, the run has 2
    assert len(list(runs.iterdir())) == 1


def test_a_taken_name_gets_a_number(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(capsys).code == 0
    (first,) = runs.iterdir()
    shutil.rmtree(first)
    first.write_text("a file of somebody's")
    assert train(capsys).code == 0
    second = first.with_name(f"{first.name}-2")
    assert (second / "last.pt").is_file()
    assert train(capsys, more=("--resume",)).code == 0  # goes on with that one
    (second / "last.pt").unlink()
    (second / "notes.txt").write_text("somebody's")
    assert train(capsys, more=("--resume",)).code == 0
    assert (first.with_name(f"{first.name}-3") / "last.pt").is_file()
    assert first.read_text() == "a file of somebody's"


def test_a_directory_where_another_run_begins_is_taken(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = runs / named(*FEW)
    out.mkdir(parents=True)
    other = load_recipe(load_card(CARD), settings=[*FEW, "lr=0.01"])
    (out / "recipe.toml").write_text(other.to_toml())
    with Lock(out / ".lock"):
        assert train(capsys).code == 0
    assert (out.with_name(f"{out.name}-2") / "last.pt").is_file()


def test_values_are_read_before_any_directory(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(capsys).code == 0
    (out,) = runs.iterdir()
    wrong = train(capsys, "lr=fast", more=("--out", str(out)))
    assert (wrong.code, "lr = 'fast' is not a number" in wrong.err) == (2, True)
    assert train(capsys, "lr=0.5").code == 0
