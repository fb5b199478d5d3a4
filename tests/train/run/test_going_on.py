"""Going on with a run: by its directory alone, for more epochs, and after any kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.cli import run
from snntx.commands.terminal.transcript import Transcript
from snntx.preprocess.disk.atomic import write_atomic
from snntx.train.checkpoints import run_directory
from snntx.train.checkpoints.started import write_started
from snntx.train.checkpoints.state import load_checkpoint, save_checkpoint
from snntx.train.run import account, running
from snntx.train.run.logs import RunLog
from snntx.train.run.schedule import learning_rate

CARD = "simulated-digits"
SETTINGS = {
    "steps": 3,
    "epochs": 2,
    "batch_size": 16,
    "lr": 0.05,
    "recordings_per_class": 4,
    "draws_per_epoch": 0,
    "width": 0.5,
    "tensorboard": False,
}
QUICK = {
    "method": "event-only",
    "recordings_per_class": 1,
    "batch_size": 10,
    "width": 0.25,
    "lr": 0.5,
    "seed": 4,
}
"""Of runs of one step an epoch, where nothing else matters; the second epoch is the better one."""
Output = namedtuple("Output", "code out err")


def words(settings: dict[str, Any]) -> list[str]:
    return [w for k, v in settings.items() for w in ("--set", f"{k}={str(v).lower()}")]


class Snntx:
    """Calls the command line in this process, in a folder of the test's own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], root: Path, folder: Path) -> None:
        self.capsys, self.root, self.out = capsys, root, folder / "run"

    def __call__(self, *arguments: Any) -> Output:
        code = run([str(a) for a in arguments])
        captured = self.capsys.readouterr()
        return Output(code, captured.out, captured.err)

    def train(self, *more: Any, **settings: Any) -> Output:
        chosen = words({**SETTINGS, **settings})
        return self("train", CARD, "--cache", self.root, "--out", self.out, *chosen, *more)


@pytest.fixture
def snntx(
    capsys: pytest.CaptureFixture[str],
    small_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Snntx:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNNTX_CACHE", str(tmp_path / "nowhere"))
    return Snntx(capsys, small_cache / "cache", tmp_path)


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs that nothing stopped; a test copies it."""
    out = tmp_path_factory.mktemp("trained") / "run"
    call = ["train", CARD, "--cache", small_cache / "cache", "--out", out, *words(SETTINGS)]
    assert run([str(word) for word in call]) == 0
    return out


@pytest.fixture(scope="module")
def quick(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs of one step that nothing stopped."""
    out = tmp_path_factory.mktemp("quick") / "run"
    settings = words({**SETTINGS, **QUICK})
    call = ["train", CARD, "--cache", small_cache / "cache", "--out", out, *settings]
    assert run([str(word) for word in call]) == 0
    assert load_checkpoint(out / "last.pt").best["epoch"] == 2
    return out


def refused(output: Output, *parts: str, code: int = 2) -> str:
    """The command failed; returns its last line, which has these parts."""
    assert output.code == code, output
    last = str(output.err.splitlines()[-1])
    assert last.startswith("snntx: error: ")
    for part in parts:
        assert part in last, last
    return last


def advised(line: str) -> list[str]:
    """The words of the first ``snntx train`` in a line."""
    command = line.partition("snntx train ")[2].partition(",")[0].partition("; ")[0]
    return ["train", *command.strip().split()]


def same_weights(a: Path, b: Path) -> None:
    for name in ("last.pt", "best.pt"):
        ours, theirs = load_checkpoint(a / name), load_checkpoint(b / name)
        assert (ours.epoch, ours.best) == (theirs.epoch, theirs.best)
        assert all(torch.equal(ours.model[key], theirs.model[key]) for key in theirs.model)
    logs = [[json.loads(line)["train"] for line in (x / "log.jsonl").open()] for x in (a, b)]
    assert logs[0] == logs[1]


class KilledError(BaseException):
    """Stands for SIGKILL: nothing between here and the test runs."""


POINTS = [
    (name, epoch, when)
    for epoch in (0, 1)
    for name in ("best.pt", "last.pt", "log.jsonl")
    for when in ("before", "after")
] + [
    (name, number, when)
    for name, number in (
        ("recipe.toml", 0), ("data.json", 0), ("run.json", 0), ("run.json", 1), ("terminal.txt", 0),
    )
    for when in ("before", "after")
]  # fmt: skip
"""File, epoch or number of the write, and whether the process dies before it or right after."""


def kill_at(patch: pytest.MonkeyPatch, name: str, epoch: int, when: str) -> None:
    """Let the process die at one of its writes."""
    left = [epoch]

    def dying(write: Any, what: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> None:
            hit = what(*arguments) == name and left[0] == 0
            left[0] -= what(*arguments) == name
            if hit and when == "before":
                raise KilledError
            write(*arguments, **named)
            if hit:
                raise KilledError

        return wrapped

    save = dying(save_checkpoint, lambda path, _: path.name)
    patch.setattr(running, "save_checkpoint", save)
    log = dying(RunLog.epoch, lambda _, __: "log.jsonl")
    patch.setattr(RunLog, "epoch", log)
    write = dying(write_atomic, lambda path, _: path.name)
    patch.setattr(run_directory, "write_atomic", write)
    started = dying(write_started, lambda *_: "data.json")
    patch.setattr(run_directory, "write_started", started)
    patch.setattr(account, "write_atomic", dying(write_atomic, lambda path, _: path.name))
    begin = dying(Transcript.begin, lambda _, path: path.name)
    patch.setattr(Transcript, "begin", begin)


@pytest.mark.parametrize(("name", "epoch", "when"), POINTS)
@pytest.mark.parametrize("way", ["plain", "resume", "run"])
def test_killed_between_any_two_writes_a_run_goes_on(
    snntx: Snntx, quick: Path, name: str, epoch: int, when: str, way: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, name, epoch, when)
        with pytest.raises(KilledError):
            snntx.train(**QUICK)
    begun = (snntx.out / "last.pt").is_file()
    if way == "plain":
        output = snntx.train(**QUICK)
        if begun:
            finished = (name, epoch, when) == LAST or (name, epoch) == ("run.json", 1)
            advice = "and is finished, after 2" if finished else "with --resume"
            refused(output, f"{snntx.out}: exists already", advice)
            output = snntx.train("--resume", **QUICK)
    elif way == "resume":
        output = snntx.train("--resume", **QUICK)
    else:
        output = snntx("train", "--resume", snntx.out)
        if (name, when) in (("recipe.toml", "before"), ("recipe.toml", "after"), NO_DATA):
            assert output.code == 2
            output = snntx.train("--resume", **QUICK)
    assert output.code == 0, output
    same_weights(snntx.out, quick)


LAST = ("last.pt", 1, "after")
NO_DATA = ("data.json", "before")


def test_a_best_checkpoint_of_strangers_is_left_alone(snntx: Snntx, trained: Path) -> None:
    shutil.copytree(trained, snntx.out)
    (snntx.out / "last.pt").unlink()  # two epochs are in the log: somebody keeps the best
    kept = (snntx.out / "best.pt").read_bytes()
    refused(snntx.train(), "exists already, with no last.pt to go on from; choose another --out")
    refused(snntx.train("--resume"), "with no last.pt to go on from; choose another --out")
    assert (snntx.out / "best.pt").read_bytes() == kept
    assert snntx.train("--out", snntx.out.with_name("other"), epochs=1).code == 0


def test_the_left_over_of_another_run_is_gone_once_the_directory_is_taken(
    snntx: Snntx, trained: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, "last.pt", 0, "before")
        with pytest.raises(KilledError):
            snntx.train()
    assert (snntx.out / "best.pt").is_file()
    refused(snntx.train(lr=1e38), "lower lr", code=1)
    assert not (snntx.out / "best.pt").exists()


# by the directory alone


def stopped(snntx: Snntx, *, step: int, **settings: Any) -> None:
    """Leave a run that SIGTERM stopped after some steps."""
    taken, forward = [0], running.Running.step

    def ask(self: Any, batch: Any) -> Any:
        taken[0] += 1
        if taken[0] == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.Running, "step", ask)
        output = snntx.train(**settings)
    assert output.code == 143
    assert output.err.splitlines()[-1].endswith(
        "; run the same command again with --resume to go on"
    )


@pytest.mark.parametrize("step", [1, 3])
def test_the_run_directory_is_all_that_going_on_needs(
    snntx: Snntx, trained: Path, step: int
) -> None:
    stopped(snntx, step=step)
    output = snntx("train", "--resume", snntx.out)
    assert output.code == 0, output
    same_weights(snntx.out, trained)


def test_it_goes_on_from_another_folder_and_where_its_cache_has_moved(
    snntx: Snntx, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "moved"
    shutil.copytree(snntx.root, root)
    snntx.root = root
    stopped(snntx, step=3)
    root.rename(tmp_path / "again")
    last = refused(snntx("train", "--resume", snntx.out), "was trained on cache", "--cache")
    assert str(snntx.out) in last
    monkeypatch.chdir("/")
    again = snntx("train", "--resume", snntx.out, "--cache", tmp_path / "again")
    assert again.code == 0, again
    same_weights(snntx.out, trained)


def test_a_directory_without_a_run(snntx: Snntx, tmp_path: Path) -> None:
    last = refused(snntx("train", "--resume", tmp_path / "typo"), "holds no run of snntx train")
    call = [CARD if word == "CARD" else word for word in advised(last)]
    more = words({**SETTINGS, "epochs": 1})
    assert snntx(*call, "--cache", snntx.root, *more).code == 0
    assert load_checkpoint(tmp_path / "typo" / "last.pt").epoch == 1


def test_the_same_line_starts_and_goes_on(snntx: Snntx, trained: Path) -> None:
    assert f"{snntx.out}: nothing to go on from yet, so it starts" in snntx.train("--resume").err
    same_weights(snntx.out, trained)
    again = snntx.train("--resume")
    assert again.code == 0
    assert "was finished after 2 epochs; to train it on: snntx train --resume" in again.err


def test_what_a_command_leaves_out_is_the_runs_own_and_said(snntx: Snntx) -> None:
    stopped(snntx, step=1, size=34)
    call = ["train", CARD, "--out", snntx.out, "--resume"]
    output = snntx(*call, "--set", "lr=0.05")
    assert output.code == 0, output
    assert "goes on with its own settings: width (the run has 0.5, the command 1.0), epo" in (
        output.err
    )
    recipe = load_checkpoint(snntx.out / "last.pt").recipe
    assert (recipe.data.size, recipe.optim.epochs) == (34, 2)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lr": 0.01}, "lr (the run has 0.05, asked 0.01)"),
        (
            {"seed": 1, "channel": "mean"},
            'channel (the run has "V", asked "mean"), seed (the run has 42, asked 1)',
        ),
        ({"size": 34}, "size (the run has none, asked 34)"),
        ({"epochs": 1}, "epochs (the run has 2, asked 1)"),
        ({"method": "event-only"}, 'method (the run has "sliding", asked "event-only")'),
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_setting_that_differs_is_refused_with_both_values(
    snntx: Snntx, trained: Path, settings: dict[str, Any], told: str, resume: bool
) -> None:
    shutil.copytree(trained, snntx.out)
    before = {path.name: path.read_bytes() for path in snntx.out.iterdir()}
    output = snntx.train(*["--resume"] * resume, **settings)
    last = refused(output, f"{snntx.out}: was trained with other settings: {told}; go on with")
    assert {path.name: path.read_bytes() for path in snntx.out.iterdir()} == before
    assert snntx(*advised(last)).code == 0
    assert snntx.train("--out", snntx.out.with_name("other"), **settings).code == 0


def test_a_recipe_that_differs_is_refused(snntx: Snntx, trained: Path) -> None:
    shutil.copytree(trained, snntx.out)
    call = ["train", CARD, "--out", snntx.out, "--resume", "--recipe"]
    refused(snntx(*call, "baseline"), 'method (the run has "sliding", asked "event-only")')
    refused(snntx("train", "n-mnist", "--out", snntx.out, "--resume"), "was trained on card simul")


# for more epochs


@pytest.mark.parametrize("step", [None, 3])
def test_a_run_is_trained_on_for_more_epochs_by_name(
    snntx: Snntx, trained: Path, step: int | None
) -> None:
    if step is None:
        shutil.copytree(trained, snntx.out)
    else:
        stopped(snntx, step=step)
    last = refused(snntx.train(epochs=4), "epochs (the run has 2, asked 4)", "--set epochs=4")
    word = last.partition("train it on by ")[2].partition(", or")[0]
    output = snntx("train", *word.split())
    assert output.code == 0, output
    begun = 3 if step is None else 2
    lines = ("trains on for 4 epochs instead of 2", f"from epoch {begun} on, learning rate and")
    for line in lines:
        assert line in output.err
    records = [json.loads(each) for each in (snntx.out / "log.jsonl").open()]
    base = 0.05 * 16 / 1024
    expected = [
        learning_rate(epoch, base_lr=base, epochs=2 if epoch < begun - 1 else 4)
        for epoch in range(4)
    ]
    assert [record["lr"] for record in records] == expected
    assert records[-1]["P"] == pytest.approx(((3.0 + 0.25) / 4) ** 3, rel=0.1)
    assert load_checkpoint(snntx.out / "last.pt").recipe.optim.epochs == 4
    assert "epochs = 4" in (snntx.out / "recipe.toml").read_text()
    assert snntx("train", "--resume", snntx.out).code == 0
    refused(snntx("train", "--resume", snntx.out, "--set", "epochs=3"), "has 4, asked 3")


# several processes


def test_the_number_of_processes_is_the_runs(snntx: Snntx, trained: Path) -> None:
    shutil.copytree(trained, snntx.out)
    assert load_checkpoint(snntx.out / "last.pt").processes == 1
    keep(snntx.out, processes=2)
    last = refused(
        snntx.train("--resume"),
        f"{snntx.out}: was trained by 2 processes, not 1, and norms are over the part of each",
    )
    how = last.partition("go on with: ")[2]
    assert how == f"torchrun --nproc-per-node 2 -m snntx train --resume {snntx.out}"


def keep(out: Path, **changes: Any) -> None:
    """Change fields of a run's last checkpoint."""
    content = torch.load(out / "last.pt", weights_only=True)
    torch.save({**content, **changes}, out / "last.pt")


def test_an_older_checkpoint_does_not_say_and_goes_on(snntx: Snntx, trained: Path) -> None:
    shutil.copytree(trained, snntx.out)
    content = torch.load(snntx.out / "last.pt", weights_only=True)
    del content["processes"]
    torch.save(content, snntx.out / "last.pt")
    assert load_checkpoint(snntx.out / "last.pt").processes == 0
    output = snntx.train("--resume")
    assert output.code == 0
    assert "does not say how many processes it was trained by" in output.err


@pytest.mark.slow
def test_a_run_on_two_processes_goes_on_on_two(
    snntx: Snntx, tmp_path: Path, small_cache: Path
) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    call = [*torchrun, "-m", "snntx", "train"]
    here = ["--cache", str(snntx.root), "--out", str(snntx.out), *words({**SETTINGS, "epochs": 1})]
    subprocess.run([*call, CARD, *here], check=True, capture_output=True, cwd=tmp_path)
    assert load_checkpoint(snntx.out / "last.pt").processes == 2
    last = refused(snntx("train", "--resume", snntx.out, "--set", "epochs=2"), "by 2 processes")
    how = last.partition("go on with: ")[2].split()
    subprocess.run([*call, *how[how.index("train") + 1 :]], check=True, capture_output=True)
