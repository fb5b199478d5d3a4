"""Shell completion: click's own script, and the names that this program adds to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from snntx.cli import cli
from snntx.train.network.doors import MODELS

RUNS = ("digits-seed1", "digits-seed2", "few-digits/a-seed1")


def completed(*words: str) -> list[str]:
    """What may stand in place of the last word."""
    *before, start = words
    found = ShellComplete(cli, {}, "snntx", "_SNNTX_COMPLETE").get_completions(before, start)
    return [each.value for each in found if each.type == "plain"]


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*RUNS, "a name"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.toml").touch()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ev"], ["evaluate"]),
        (["cache", "ver"], ["verify"]),
        (["train", "n-m"], ["n-mnist"]),
        (["preprocess", "cep"], ["cep-dvs"]),
        (["fetch", "n-o"], ["n-omniglot"]),
        (["cards", "n-c"], ["n-caltech101"]),
        (["cache", "show", "n-m"], ["n-mnist"]),
        (["show", "sim"], ["simulated-digits"]),
        (["train", "n-mnist", "--recipe", "pub"], ["published"]),
        (["train", "n-mnist", "--set", "batch_s"], ["batch_size="]),
        (["train", "n-mnist", "--set", "domain_w"], ["domain_weight="]),
        (["train", "n-mnist", "--set", "lr_scaling=lin"], ["lr_scaling=linear",
                                                           "lr_scaling=linear-nominal"]),
        (["train", "n-mnist", "--set", "method=sl"], ["method=sliding"]),
        (["train", "n-mnist", "--set", "epochs=3"], []),
        (["train", "n-mnist", "--set", "no_setting="], []),
        (["train", "n-mnist", "--set", "epochs=3", "--dev"], ["--device"]),
        (["train", "n-mnist", "epochs=3", "--set", "batch_s"], ["batch_size="]),
        (["evaluate", "runs", "--device", "c"], ["cpu", "cuda"]),
        (["sweep", "few"], ["few-labels"]),
        (["sweep", "few-labels", "n-m"], ["n-mnist"]),
        (["settings", "opt"], ["optim", "optimizer"]),
        (["evaluate", "digits"], ["digits-seed1", "digits-seed2"]),
        (["compare", "few"], ["few-digits/a-seed1"]),
        (["predict", "digits-seed2"], ["digits-seed2"]),
        (["train", "--resume", "few"], ["few-digits/a-seed1"]),
        (["show", "few"], ["few-digits/a-seed1"]),
        (["evaluate", "a"], []),  # it would need quotes
        (["trian", "n-"], []),
    ],
)  # fmt: skip
def test_a_beginning_is_completed(words: list[str], expected: list[str]) -> None:
    assert completed(*words) == expected


def test_every_command_and_network_is_offered() -> None:
    assert completed("") == list(cli.commands)
    offered = completed("train", "n-mnist", "--set", "model=")
    assert offered == [f"model={name}" for name in MODELS.shipped()]
    assert {"flip=true", "flip=false"} == set(completed("train", "n-mnist", "--set", "flip="))


def test_files_are_offered_where_no_name_begins_so() -> None:
    before, start = ["train"], "my/ca"
    [found] = ShellComplete(cli, {}, "snntx", "_SNNTX_COMPLETE").get_completions(before, start)
    assert (found.type, found.value) == ("file", start)


def program(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has ``snntx``."""
    start = tmp_path / "bin/snntx"
    start.parent.mkdir()
    start.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m snntx "$@"\n')
    start.chmod(0o755)
    return {**os.environ, "PATH": f"{start.parent}:{os.environ['PATH']}"}


def test_bash_completes_by_clicks_script(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    script = """
        eval "$(_SNNTX_COMPLETE=bash_source snntx)"
        complete -p snntx
        declare -f _snntx_completion | grep -c 'compopt -o nospace'
        for line in 'snntx ev' 'snntx train n-m' 'snntx train n-mnist --set batch_s'; do
            COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
            _snntx_completion snntx
            echo "${COMPREPLY[@]}"
        done
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=program(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    set_up, blank, *found = done.stdout.splitlines()
    assert set_up == "complete -o nosort -F _snntx_completion snntx"
    assert blank == "1"  # none behind a setting's name
    assert found == ["evaluate", "n-mnist", "batch_size="]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_too(shell: str, tmp_path: Path) -> None:
    environment = {**program(tmp_path), "_SNNTX_COMPLETE": f"{shell}_source"}
    done = subprocess.run(["snntx"], env=environment, capture_output=True, text=True, check=True)
    assert f"_SNNTX_COMPLETE={shell}_complete" in done.stdout


def test_what_is_completed_needs_no_torch() -> None:
    program = (
        "import sys; from click.shell_completion import ShellComplete; from snntx.cli import cli; "
        "shell = ShellComplete(cli, {}, 'snntx', '_SNNTX_COMPLETE'); "
        "print(len(shell.get_completions(['train', 'n-mnist', '--set'], '')) > 50); "
        "print(len(shell.get_completions(['evaluate'], 'digits')), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "2", "False"], done.stderr
