"""``snntx runs`` lists what was trained, as it is; what it lists is taken by the other commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snntx.cli import run
from snntx.commands.words.places import existing, name_of, run_at, settings_at
from snntx.errors import UsageError
from snntx.preprocess.disk.locks import Lock

CARD = "simulated-digits"
QUICK = ("steps=3", "epochs=1", "width=0.125", "draws_per_epoch=20", "batch_size=10",
         "backend=torch", "tensorboard=false")  # fmt: skip
Output = namedtuple("Output", "code out err")
Call = Callable[..., Output]


def words(*settings: str) -> list[str]:
    return [word for each in (*QUICK, *settings) for word in ("--set", each)]


@pytest.fixture(scope="module")
def made(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose ``runs`` has one run that was measured and one that was not."""
    here = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
        train = ["train", CARD, "--device", "cpu"]
        assert run([*train, *words("lr=0.05"), "--out", "runs/of mine/lr=0.05"]) == 0
        assert run([*train, *words("epochs=2"), "--recipe", "baseline", "--out", "runs/two"]) == 0
        assert run(["evaluate", "runs/of mine/lr=0.05", "--device", "cpu"]) == 0
    return here


@pytest.fixture
def here(made: Path, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "here"


@pytest.fixture
def snntx(here: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: Any) -> Output:
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        captured = capsys.readouterr()
        return Output(code, captured.out, captured.err)

    return call


def listed(snntx: Call, *folders: Any) -> dict[str, dict[str, Any]]:
    """What is listed, by its name."""
    output = snntx("runs", *folders, "--json")
    assert (output.code, output.err) == (0, "")
    return {each["run"]: each for each in json.loads(output.out)}


def rewritten(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_runs_are_listed_with_data_recipe_and_results(snntx: Call) -> None:
    found = listed(snntx)
    assert list(found) == ["of mine/lr=0.05", "two"]
    mine, two = found.values()
    metrics = json.loads(Path("runs/of mine/lr=0.05/metrics.json").read_text())
    [record] = Path("runs/of mine/lr=0.05/log.jsonl").read_text().splitlines()
    assert (mine["state"], two["state"]) == ("tested", "trained")
    assert (mine["card"], mine["cache_key"]) == (CARD, metrics["cache_key"])
    assert mine["tested"]["top1"] == metrics["top1"]
    assert mine["best"]["top1"] == json.loads(record)["selection"]["top1"]
    assert mine["best"]["epoch"] == 1
    assert (mine["recipe"], mine["changed"]["lr"]) == ("default", {"recipe": 0.1, "run": 0.05})
    assert (two["recipe"], two["epochs"], two["of"]) == ("baseline", 2, 2)
    assert two["tested"] is None
    assert "lr" not in two["changed"]


def test_the_table_fits_and_its_names_can_be_pasted(snntx: Call) -> None:
    output = snntx("runs")
    assert (output.code, output.err) == (0, "")
    assert max(map(len, output.out.splitlines())) <= 80
    lines = [line for line in output.out.splitlines() if re.match(r"t(est|rain)ed  ", line)]
    assert [shlex.split(line)[-1] for line in lines] == ["of mine/lr=0.05", "two"]
    assert f"{CARD}, recipe default with " in output.out
    assert " lr=0.05," in output.out
    assert output.out.endswith("2 runs: 1 trained, 1 tested\n")


def test_what_is_listed_is_taken(snntx: Call, small_cache: Path) -> None:
    name = "of mine/lr=0.05"
    recording = next((small_cache / "data/raw").glob("*/*/*.bin"))
    for command in (
        ["evaluate", name, "--json"],
        ["predict", name, recording],
        ["export", name, "--to", "torch"],
        ["compare", name],
        ["compare", "of mine"],
        ["show", name],
        ["show", "two", "--json"],
        ["runs", "of mine"],
        ["train", "--resume", "two", "--set", "epochs=3"],
    ):
        output = snntx(*command)
        assert output.code == 0, (command, output.err)
    assert listed(snntx)["two"]["of"] == 3
    start = f"initial={name}"
    output = snntx("train", CARD, *words(), "--set", start, "--out", "runs/after")
    assert output.code == 0, output.err
    assert listed(snntx)["after"]["changed"]["initial"]["run"] == f"runs/{name}"


def test_a_path_comes_before_a_name(snntx: Call) -> None:
    shutil.copytree("runs/of mine", "two")  # a folder here that is called as a run is
    assert run_at("two") == Path("two")
    assert set(listed(snntx)) == {"of mine/lr=0.05", "runs/two"}
    assert set(listed(snntx, "two")) == {"two/lr=0.05"}
    assert json.loads(snntx("show", "runs/two", "--json").out)["recipe"] == "baseline"


@pytest.mark.parametrize("name", ["-x", "a b", "it's", "\x1bred", "a\udcff", "lr=0.1", "é"])
def test_every_name_leads_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path("runs") / name, Path(name), Path("runs/runs") / name):
        path.mkdir(parents=True, exist_ok=True)
    for path in (Path("runs") / name, Path(name), Path("runs/runs") / name, Path("runs")):
        word = name_of(path)
        assert os.path.samefile(run_at(word), path), word
        assert not word.startswith("-")
    Path(name).rmdir()
    assert run_at(name) == Path("runs") / name


def test_an_unknown_name_says_where_it_was_looked_for(snntx: Call) -> None:
    for command in (["evaluate", "tow"], ["predict", "tow", "a.bin"], ["compare", "tow"],
                    ["export", "tow", "--to", "torch"], ["show", "tow"]):  # fmt: skip
        output = snntx(*command)
        assert output.code == 2
        assert "tow: no such run" in output.err
        assert "here or below runs/; did you mean 'two'?; list runs with: snntx runs" in output.err
        assert output.err.count("\n") == 1
    with pytest.raises(UsageError, match="/none: no such folder; list"):
        existing(Path("/none"), "folder")


def test_settings_name_runs_too(here: Path) -> None:
    assert settings_at(("initial=two", 'initial="of mine/lr=0.05"', "seed=1", "initial=")) == (
        "initial=runs/two", "initial=runs/of mine/lr=0.05", "seed=1", "initial=",
    )  # fmt: skip
    assert settings_at(("initial=elsewhere",)) == ("initial=elsewhere",)


# ---------------------------------------------------------------- what is not as it should be


def advised(problem: str) -> list[str]:
    """The command at the end of a problem."""
    return shlex.split(problem.rpartition(": snntx ")[2].partition(" (")[0])


def test_an_interrupted_run_says_how_to_go_on(snntx: Call) -> None:
    trained = "runs/two"
    rewritten(Path(trained, "recipe.toml"), "epochs = 2", "epochs = 4")
    found = listed(snntx)["two"]
    assert (found["state"], found["epochs"], found["of"]) == ("interrupted", 2, 4)
    assert found["problem"].endswith(
        "trained 2 of 4 epochs; go on with: snntx train --resume runs/two"
    )
    assert "interrupted" in snntx("runs").out
    rewritten(Path(trained, "recipe.toml"), "epochs = 4", "epochs = 2")
    with Lock(Path(trained, ".lock")):
        assert listed(snntx)["two"]["state"] == "trained"  # its end is known


def test_a_run_that_is_trained_now_is_running(snntx: Call) -> None:
    rewritten(Path("runs/two/recipe.toml"), "epochs = 2", "epochs = 4")
    with Lock(Path("runs/two/.lock")):
        found = listed(snntx)["two"]
        assert (found["state"], found["problem"]) == ("running", "")
        assert "2 of 4 epochs" in snntx("runs").out
    assert listed(snntx)["two"]["state"] == "interrupted"


def test_a_run_that_has_not_finished_an_epoch(snntx: Call) -> None:
    two = Path("runs/two")
    for name in ("last.pt", "best.pt", "log.jsonl"):
        (two / name).unlink()
    found = listed(snntx)["two"]
    assert (found["state"], found["epochs"], found["best"]) == ("interrupted", 0, None)
    output = snntx(*advised(found["problem"]))
    assert output.code == 0, output.err
    assert listed(snntx)["two"]["state"] == "trained"


def test_a_run_that_diverged(snntx: Call) -> None:
    output = snntx("train", CARD, *words("lr=1e30", "epochs=3", "lr_scaling=none"), "--out",
                   "runs/far")  # fmt: skip
    assert output.code == 1, output.err
    found = listed(snntx)["far"]
    assert found["state"] == "diverged"
    assert "diverged" in found["problem"]
    output = snntx(*advised(found["problem"]))
    assert output.code == 0, output.err


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("recipe.toml", b"x", "not a readable recipe"),
        ("log.jsonl", b"{}\n{}\n", "line 1 is not what snntx train writes"),
        ("metrics.json", b"{", "not what snntx evaluate writes"),
    ],
)
def test_a_damaged_run_is_broken_and_says_how_it_is_mended(
    name: str, content: bytes, reason: str, snntx: Call
) -> None:
    Path("runs/two", name).write_bytes(content)
    found = listed(snntx)
    assert found["two"]["state"] == "broken"
    assert reason in found["two"]["problem"]
    assert found["two"]["card"] == CARD
    assert found["of mine/lr=0.05"]["state"] == "tested"
    output = snntx("runs")
    assert output.code == 0
    assert reason in " ".join(output.out.split())
    if name == "log.jsonl":
        Path("runs/two", name).unlink()
    else:
        output = snntx(*advised(found["two"]["problem"]))
        assert output.code == 0, output.err
    assert listed(snntx)["two"]["state"] in ("trained", "tested")


def test_a_run_without_a_recipe_is_trained_again(snntx: Call) -> None:
    Path("runs/two/recipe.toml").unlink()
    found = listed(snntx)["two"]
    assert found["state"] == "broken"
    assert "holds last.pt without recipe.toml" in found["problem"]
    output = snntx(*advised(found["problem"]), *words())
    assert output.code == 0, output.err
    assert listed(snntx)["two-again"]["state"] == "trained"


@pytest.mark.parametrize("changed", ['{"a": 1}', '{"a": {"run": 1}}', '[]',
                                     '{"a": {"recipe": 1, "run": {}}}'])  # fmt: skip
def test_a_damaged_account_is_told_and_the_run_stays_what_it_is(changed: str, snntx: Call) -> None:
    text = f'{{"recipe": "x", "starts": [{{}}], "differences": {changed}}}'
    Path("runs/two/run.json").write_text(text)
    found = listed(snntx)["two"]
    assert found["state"] == "trained"
    assert "run.json: not what snntx train writes" in found["problem"]
    assert found["changed"]["method"] == {"recipe": "sliding", "run": "event-only"}
    assert snntx("show", "two").code == 0


def test_a_result_of_an_earlier_training_does_not_count(snntx: Call) -> None:
    mine = Path("runs/of mine/lr=0.05/metrics.json")
    rewritten(mine, '"epoch": 1', '"epoch": 7')
    found = listed(snntx)["of mine/lr=0.05"]
    assert (found["state"], found["tested"]) == ("trained", None)
    assert snntx(*advised(found["problem"])).code == 0
    assert listed(snntx)["of mine/lr=0.05"]["state"] == "tested"


def test_a_run_without_an_account_is_told_from_its_card(snntx: Call) -> None:
    Path("runs/of mine/lr=0.05/run.json").unlink()
    found = listed(snntx)["of mine/lr=0.05"]
    assert found["recipe"] == "default"
    assert found["changed"]["lr"] == {"recipe": 0.1, "run": 0.05}
    rewritten(Path("runs/of mine/lr=0.05/data.json"), f'"given": "{CARD}"', '"given": "gone.toml"')
    found = listed(snntx)["of mine/lr=0.05"]
    assert (found["state"], found["recipe"], found["changed"]) == ("tested", None, None)


def test_other_folders_are_listed_as_no_runs(snntx: Call, here: Path) -> None:
    Path("runs/photos/deep/deeper").mkdir(parents=True)
    Path("runs/.hidden").mkdir()
    Path("runs/of mine/logs").mkdir()
    Path("runs/of mine/sweep.json").write_text('{"format": 1, "runs": {}}')
    Path("runs/of mine/round").symlink_to(here / "runs")
    found = listed(snntx)
    assert [name for name, each in found.items() if each["state"] == "no run"] == ["photos"]
    assert len(found) == 3
    assert "no run" in snntx("runs").out
    Path("runs/of mine/sweep.json").unlink()
    assert "of mine/logs" in listed(snntx)


def test_a_folder_that_cannot_be_read_is_said(snntx: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runs/closed").mkdir()
    scan = os.scandir

    def refuse(folder: Path) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = listed(snntx)["closed"]
    assert (found["state"], found["problem"]) == ("no run", "cannot be read: Permission denied")


def test_folders_that_cannot_be_listed(snntx: Call, tmp_path: Path) -> None:
    Path("a file").touch()
    for word, problem in (("a file", "is a file"), ("none", "no such folder")):
        output = snntx("runs", word)
        assert (output.code, output.err.count("\n")) == (2, 1)
        assert f"{word}: {problem}" in output.err
    Path("empty").mkdir()
    assert snntx("runs", "empty").out == "no runs in empty; snntx train makes one\n"
    shutil.rmtree("runs")
    assert "snntx train makes one" in snntx("runs").out
    assert listed(snntx) == {}


# ---------------------------------------------------------------- one run


def test_one_run_is_told_whole_and_made_again_by_its_command(snntx: Call) -> None:
    output = snntx("show", "of mine/lr=0.05")
    assert max(map(len, output.out.splitlines())) <= 80
    for text in ("lr=0.05 (not 0.1)", "epochs      1 of 1", "tested      epoch 1, test top-1 "):
        assert text in re.sub(r"\n {10,}", " ", output.out)
    command = output.out.partition("made by\n")[2].replace("\\\n", " ")
    arguments = shlex.split(command)[1:]
    arguments[arguments.index("--out") + 1] = "runs/again"
    assert snntx(*arguments).code == 0
    found = listed(snntx)
    assert found["again"]["best"] == found["of mine/lr=0.05"]["best"]


def test_what_is_no_run_is_not_shown(snntx: Call, small_cache: Path) -> None:
    output = snntx("show", "of mine")
    assert output.code == 2
    assert "snntx runs 'runs/of mine'" in output.err
    Path("empty").mkdir()
    assert "snntx show CARD IDENTITY" in snntx("show", "empty").err
    assert "add its IDENTITY" in snntx("show", "two", "--out", "x.png").err
    output = snntx("show", CARD, "Train/0/00001", "--out", "x.png")
    assert output.code == 0, output.err


def test_listing_imports_no_torch(here: Path) -> None:
    program = (
        "import sys; from snntx.cli import run; code = run(['runs']); "
        "sys.exit(code or ('torch imported' if 'torch' in sys.modules else 0))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 runs" in done.stdout


def test_nothing_is_written_by_a_list(snntx: Call) -> None:
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in Path("runs").rglob("*")}

    before = state()
    assert snntx("runs").code == 0
    assert state() == before
