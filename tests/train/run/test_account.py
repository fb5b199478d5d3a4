"""``run.json`` and the kept terminal: what it takes to make a run again from its folder."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.cli import run
from snntx.errors import SnntxError
from snntx.train.checkpoints.account import read_account
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.run import account, running, surroundings
from snntx.train.run.account import Account, command_line

CARD = "simulated-digits"
QUICK = ["--set", "steps=3", "--set", "width=0.125", "--set", "recordings_per_class=2", "--set",
         "draws_per_epoch=0", "--set", "batch_size=8", "--set", "tensorboard=false"]  # fmt: skip


@pytest.fixture
def here(small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to train in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
    return tmp_path


def train(*more: str, epochs: int = 1, out: str = "runs/a 'b'") -> int:
    return run(["train", CARD, *QUICK, "--set", f"epochs={epochs}", "--out", out, *more])


def told(out: Path | str = "runs/a 'b'") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(out) / "run.json").read_text(encoding="utf-8"))
    return found


def stop_at(patch: pytest.MonkeyPatch, step: int, error: BaseException | None = None) -> None:
    """Ask the run to end after some steps, or let it fail there."""
    taken, forward = [0], running.Running.step

    def ask(self: Any, batch: Any) -> Any:
        taken[0] += 1
        if taken[0] == step and error is not None:
            raise error
        if taken[0] == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, batch)

    patch.setattr(running.Running, "step", ask)


def test_a_run_says_what_it_was_called_with_on_what_and_when(here: Path) -> None:
    assert train("--recipe", "baseline", "--set", "seed=7") == 0
    found = told()
    last = load_checkpoint(Path("runs/a 'b'/last.pt"))
    assert (found["format"], found["card"]) == (1, CARD)
    assert (found["cache_key"], found["recipe"]) == (last.cache_key, "baseline")
    assert found["differences"]["seed"] == {"recipe": 42, "run": 7}
    assert found["differences"]["steps"] == {"recipe": None, "run": 3}
    assert "method" not in found["differences"]  # as the recipe has it
    statistics = {name for name in last.model if "running" in name or "num_batches" in name}
    counted = sum(v.numel() for name, v in last.model.items() if name not in statistics)
    assert 0 < found["parameters"] <= counted
    (start,) = found["starts"]
    assert start["folder"] == str(here)
    assert start["processes"] == 1
    assert (start["epochs_before"], start["epochs_after"]) == (0, 1)
    assert (start["how"], start["problem"]) == ("finished", None)
    began, ended = (datetime.fromisoformat(start[name]) for name in ("start", "end"))
    assert began <= ended
    assert began.utcoffset() is not None
    versions = start["versions"]
    assert versions["torch"] == torch.__version__
    assert {"snntx", "python", "numpy", "numba", "cuda", "driver"} <= set(versions)
    assert start["threads"] == torch.get_num_threads()
    assert (start["device"], bool(start["host"])) == ("cpu", True)
    assert start["environment"]["SNNTX_CACHE"] == os.environ["SNNTX_CACHE"]


def test_its_command_pasted_into_a_shell_makes_the_same_weights(here: Path) -> None:
    assert train("--set", "label_smoothing=0.1") == 0
    start = told()["starts"][0]
    out = here / "runs" / "a 'b'"
    first = load_checkpoint(out / "last.pt")
    out.rename(here / "kept")
    program = f"{shlex.quote(sys.executable)} -m snntx"
    command = start["command"].replace("snntx", program, 1)
    environment = {**os.environ, **start["environment"], "OMP_NUM_THREADS": str(start["threads"])}
    done = subprocess.run(
        ["sh", "-c", command], cwd=start["folder"], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = load_checkpoint(out / "last.pt")
    assert all(torch.equal(first.model[name], again.model[name]) for name in first.model)
    kept, new = told("kept"), told(out)
    for name in ("card", "cache_key", "recipe", "differences", "parameters"):
        assert kept[name] == new[name]


def test_going_on_adds_a_start_and_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 2)
        assert train("--recipe", "baseline") == 143
    (start,) = told()["starts"]
    assert (start["how"], start["epochs_after"]) == ("stopped", 0)
    capsys.readouterr()
    assert run(["train", "--resume", "runs/a 'b'"]) == 0
    assert run(["train", "--resume", "runs/a 'b'", "--set", "epochs=2"]) == 0
    captured = capsys.readouterr()
    assert "recipe baseline of card simulated-digits, changed:" in captured.err
    found = told()
    assert [each["how"] for each in found["starts"]] == ["stopped", "finished", "finished"]
    assert [each["epochs_before"] for each in found["starts"]] == [0, 0, 1]
    assert found["starts"][1]["command"] == command_line(("train", "--resume", "runs/a 'b'"))
    assert found["recipe"] == "baseline"  # which none of the later commands names
    assert found["differences"]["epochs"] == {"recipe": 10, "run": 2}
    lines = Path("runs/a 'b'/terminal.txt").read_text().splitlines()
    assert sum(line.startswith("snntx: cache ") for line in lines) == 3
    assert sum(line.startswith("epoch ") for line in lines) == 2
    assert "; run the same command again with --resume to go on" in "\n".join(lines)
    shown = [*captured.err.splitlines(), *captured.out.splitlines()]
    assert sorted(lines[-len(shown) :]) == sorted(shown)


def test_a_finished_run_is_left_as_it_is(here: Path) -> None:
    assert train() == 0
    before = {path.name: path.read_bytes() for path in Path("runs/a 'b'").iterdir()}
    assert train("--resume") == 0
    assert {path.name: path.read_bytes() for path in Path("runs/a 'b'").iterdir()} == before
    assert train() == 2
    assert {path.name: path.read_bytes() for path in Path("runs/a 'b'").iterdir()} == before


@pytest.mark.parametrize(
    ("error", "code", "problem", "last"),
    [
        (SnntxError("x: bad"), 1, "x: bad", "snntx: error: x: bad"),
        (OSError("disk is gone"), 1, "disk is gone", "snntx: error: disk is gone"),
    ],
)
def test_a_run_that_fails_says_why(
    here: Path, error: Exception, code: int, problem: str, last: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 1, error)
        assert train() == code
    (start,) = told()["starts"]
    assert (start["how"], start["problem"]) == ("failed", problem)
    assert Path("runs/a 'b'/terminal.txt").read_text().splitlines()[-1] == last


def test_a_run_that_is_killed_has_no_end_and_begins_anew(here: Path) -> None:
    program = (
        "import os, signal, sys; from snntx.train.run import running; "
        "running.Running.step = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "from snntx.cli import main; main(sys.argv[1:])"
    )
    words = ["train", CARD, *QUICK, "--set", "epochs=1", "--out", "runs/a 'b'"]
    done = subprocess.run([sys.executable, "-c", program, *words], check=False)
    assert done.returncode == -signal.SIGKILL
    (start,) = told()["starts"]
    assert (start["end"], "how" in start) == (None, False)
    lines = Path("runs/a 'b'/terminal.txt").read_text()
    assert lines.startswith("snntx: cache ")
    assert lines.endswith("\n")
    assert train("--resume") == 0  # nothing was trained, so it is another run
    (start,) = told()["starts"]
    assert start["how"] == "finished"
    assert Path("runs/a 'b'/terminal.txt").read_text().count("snntx: cache ") == 1


@pytest.mark.parametrize("content", ["{", "[]", '{"recipe": 3}', '{"recipe": "a", "starts": [1]}'])
def test_a_damaged_account_is_one_line_whose_advice_helps(
    here: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    assert train() == 0
    path = Path("runs/a 'b'/run.json")
    path.write_text(content)
    capsys.readouterr()
    assert train("--resume", epochs=2) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"snntx: error: {path}: not what snntx train writes")
    words = shlex.split(error.partition("go on with: snntx ")[2])
    path.unlink()
    assert run([*words, "--set", "epochs=2"]) == 0
    assert len(told()["starts"]) == 1


def test_a_run_of_an_older_release_gets_one(here: Path) -> None:
    assert train() == 0
    for name in ("run.json", "terminal.txt"):
        (Path("runs/a 'b'") / name).unlink()
    assert train("--resume", epochs=2) == 0
    assert [each["epochs_before"] for each in told()["starts"]] == [1]


def test_python_has_no_command(here: Path, small_cache: Path) -> None:
    from snntx.data_cards import load_card
    from snntx.preprocess.cache.opening import open_cache
    from snntx.train import Recipe
    from snntx.train import train as train_in_python

    card = load_card(CARD)
    cache = open_cache(small_cache / "cache", card, steps=3, size=None, key=None)
    recipe = Recipe.of(model="nmnist", epochs=1, width=0.125, tensorboard=False)
    out = here / "own"
    train_in_python(card, cache, recipe, out, device=torch.device("cpu"))
    found = told(out)
    assert (found["recipe"], found["starts"][0]["command"]) == ("default", None)
    assert found["differences"]["epochs"] == {"recipe": 10, "run": 1}
    assert not (out / "terminal.txt").exists()


def test_the_account_is_whole_at_every_moment(tmp_path: Path) -> None:
    content: dict[str, Any] = {"recipe": "default", "starts": [{"start": "now", "end": None}]}
    kept = Account(tmp_path, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            kept.end(3)
    assert read_account(tmp_path) == {
        "recipe": "default", "starts": [{"start": "now", "end": None}],
    }  # fmt: skip
    assert os.listdir(tmp_path) == ["run.json"]


def test_foreign_bytes_in_a_command_are_json(tmp_path: Path) -> None:
    command = command_line(("train", "a\udcff", "b c"))
    Account(tmp_path, {"recipe": "default", "starts": [{"start": "now", "command": command}]})
    found = read_account(tmp_path)
    assert found is not None
    assert found["starts"][0]["command"] == command == "snntx train $'a\\377' 'b c'"


def test_several_processes_are_started_by_torchrun() -> None:
    assert command_line(("train", "x"), 2) == "torchrun --nproc-per-node 2 -m snntx train x"


def test_a_card_whose_recipe_is_whole_with_settings_alone_has_no_differences() -> None:
    from dataclasses import replace

    from snntx.data_cards import load_card
    from snntx.train.recipe.sources import load_recipe

    card = load_card(CARD)
    bare = replace(card, recipes={"default": {"model": "nmnist"}})
    recipe = load_recipe(bare, settings=["epochs=3"])
    assert account._differences(bare, "default", recipe, ()) is None
    assert account._differences(bare, "default", recipe, ("epochs=3",)) == {
        "epochs": {"recipe": None, "run": 3}
    }


# what it runs on


def test_the_commit_is_that_of_a_checkout_alone(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    assert surroundings.commit(tmp_path) is None
    subprocess.run([*git, "init", "-q"], check=True)
    assert surroundings.commit(tmp_path) is None  # no commit yet
    (tmp_path / "file").write_text("a")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    (tmp_path / "new").write_text("untracked")
    found = surroundings.commit(tmp_path)
    assert found is not None
    assert len(found) == 40
    (tmp_path / "file").write_text("b")
    assert surroundings.commit(tmp_path) == f"{found}-dirty"
    inner = tmp_path / "site-packages"
    inner.mkdir()
    assert surroundings.commit(inner) is None  # another's checkout around it says nothing


def test_what_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "PARTS", ("torch", "no-such-package"))
    found = surroundings.versions(torch.device("cpu"))
    assert (found["no-such-package"], found["cuda"], found["driver"]) == (None, None, None)
    assert surroundings._told(["no-such-program"]) is None
    assert surroundings._told([sys.executable, "-c", "import sys; sys.exit(3)"]) is None
