"""What compare advises of a run without a result, followed word by word until it compares."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snntx.cli import run
from snntx.train.checkpoints.way_on import lower_rate, training_again
from snntx.train.run.objective import Objective

CARD = "simulated-digits"
SETTINGS = (
    *("steps=3", "epochs=2", "method=event-only", "recordings_per_class=1", "batch_size=10"),
    *("draws_per_epoch=0", "width=0.25", "lr=0.5", "seed=4", "tensorboard=false"),
)
NAME = "it's a run"
AGAIN = "it's a run-again"


class Shell:
    """The command line, as a reader who pastes its advice sees it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], cache: Path, folder: Path) -> None:
        self._capsys, self._cache, self.run = capsys, cache, folder / NAME

    def __call__(self, *words: object) -> tuple[int, str]:
        code = run([str(word) for word in words])
        return code, self._capsys.readouterr().err

    def train(self, *more: str) -> tuple[int, str]:
        sets = [word for each in (*SETTINGS, *more) for word in ("--set", each)]
        return self("train", CARD, "--cache", self._cache, "--out", self.run, *sets)

    def follow(self, *compared: object) -> list[str]:
        """Compare a run, and do what is said until it has a result; returns all that was said."""
        target = self.run
        said: list[str] = []
        for _ in range(4):
            code, error = self("compare", target, *compared)
            if code == 0:
                return said
            (line,) = error.splitlines()
            said.append(line)
            words = advised(line)
            if "--out" in words:
                target = Path(words[words.index("--out") + 1])
            code, error = self(*words)
            assert code == 0, (line, error)
        raise AssertionError(said)


def advised(line: str) -> list[str]:
    """The one command of a line: up to its end, or a remark in brackets."""
    (command,) = re.findall(r": snntx ((?:train|evaluate) .*?)(?= \((?:and|or) |$)", line)
    return shlex.split(command)


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is trained and not evaluated; a test copies it."""
    out = tmp_path_factory.mktemp("trained") / NAME
    sets = [word for each in SETTINGS for word in ("--set", each)]
    words = ["train", CARD, "--cache", small_cache / "cache", "--out", out, *sets]
    assert run([str(word) for word in words]) == 0
    return out


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str],
    small_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNNTX_CACHE", str(tmp_path / "nowhere"))
    capsys.readouterr()
    return Shell(capsys, small_cache / "cache", tmp_path)


EVALUATE = "snntx evaluate {run}"
RESUME = "snntx train --resume {run}"
ANEW = "snntx train simulated-digits --recipe {recipe}"


def nothing(path: Path) -> None:
    pass


def without(*names: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        for name in names:
            (path / name).unlink()

    return spoil


def one_epoch(path: Path) -> None:
    """As a run that was stopped after one of three epochs by its log, and has two in last.pt."""
    text = (path / "recipe.toml").read_text()
    (path / "recipe.toml").write_text(text.replace("epochs = 2", "epochs = 3", 1))


def metrics(change: Callable[[dict[str, object]], bytes]) -> Callable[[Path], None]:
    """A result that was spoiled."""

    def spoil(path: Path) -> None:
        whole = {
            "card": CARD,
            "cache_key": "k",
            "protocol": "holdout",
            "part": "test",
            "seed": 4,
            "epoch": 1,
            "top1": 0.5,
            "top5": 1.0,
            "loss": 1.0,
            "per_class": {"0": [3, 0.5]},
        }
        (path / "metrics.json").write_bytes(change(whole))

    return spoil


def spoilt_and(spoil: Callable[[Path], None], *names: str) -> Callable[[Path], None]:
    def both(path: Path) -> None:
        spoil(path)
        without(*names)(path)

    return both


def bad_byte(whole: dict[str, object]) -> bytes:
    return json.dumps(whole).encode().replace(b"top1", b"top\xff")


def no_key(whole: dict[str, object]) -> bytes:
    return json.dumps({key: value for key, value in whole.items() if key != "loss"}).encode()


def stale(whole: dict[str, object]) -> bytes:
    return json.dumps({**whole, "seed": 5}).encode()


def bad_recipe(path: Path) -> None:
    (path / "recipe.toml").write_bytes(b"seed = \xff")


def bad_last(path: Path) -> None:
    (path / "last.pt").write_bytes(b"PK\x03\x04")
    (path / "log.jsonl").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason", "advice"),
    [
        (nothing, "has no metrics.json; make it with", [EVALUATE]),
        (metrics(bad_byte), "'utf-8' codec can't decode byte 0xff", [EVALUATE]),
        (metrics(no_key), "it has no loss", [EVALUATE]),
        (metrics(stale), "metrics.json is of an earlier training", [EVALUATE]),
        (one_epoch, "trained 2 of 3 epochs; go on with", [RESUME, EVALUATE]),
        (without("data.json"), "has no metrics.json", ["snntx evaluate {run}"]),
        (without("best.pt"), "it has no best.pt to make it from", [ANEW, EVALUATE]),
        (spoilt_and(metrics(bad_byte), "best.pt"), "it has no best.pt", [ANEW, EVALUATE]),
        (without("best.pt", "last.pt"), "it has no best.pt", [ANEW, EVALUATE]),
        (
            without("best.pt", "last.pt", "log.jsonl"),
            "ended before its first epoch was finished; start it again with",
            [RESUME, EVALUATE],
        ),
        (spoilt_and(one_epoch, "last.pt"), "no last.pt to go on from", [ANEW, EVALUATE]),
        (bad_recipe, "have it written again with", [RESUME, EVALUATE]),
        (bad_last, "last.pt: not a readable checkpoint", [ANEW, EVALUATE]),
    ],
)
def test_each_advice_leads_to_a_comparison(
    shell: Shell,
    trained: Path,
    small_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    reason: str,
    advice: list[str],
) -> None:
    shutil.copytree(trained, shell.run)
    spoil(shell.run)
    if not (shell.run / "data.json").is_file():  # the run cannot tell where its cache lies
        monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
    said = shell.follow()
    assert reason in said[0]
    assert len(said) == len(advice)
    recipe = shlex.quote(str(shell.run / "recipe.toml"))
    for line, words in zip(said, advice, strict=True):
        last = shell.run.with_name(AGAIN) if advice[0] == ANEW and words == EVALUATE else shell.run
        assert words.format(run=shlex.quote(str(last)), recipe=recipe) in line


def diverge(patch: pytest.MonkeyPatch, step: int) -> None:
    """Let the loss of one step be infinite."""
    forward, calls = Objective.forward, [0]

    def spoiled(*arguments: Any) -> Any:
        terms = forward(*arguments)
        calls[0] += 1
        return {**terms, "loss": terms["loss"] * (float("inf") if calls[0] == step else 1)}

    patch.setattr(Objective, "forward", spoiled)


@pytest.mark.parametrize("left", ["nothing", "recipe", "log"])
def test_a_run_that_diverged_at_once(
    shell: Shell, small_cache: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Before its first checkpoint: it starts in its own directory."""
    with monkeypatch.context() as patch:
        diverge(patch, step=1)
        code, error = shell.train()
    assert code == 1, error
    assert (shell.run / "diverged.pt").is_file()
    if left == "recipe":  # as release 0.1 left it
        (shell.run / "data.json").unlink()
        monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
    if left == "log":
        (shell.run / "log.jsonl").write_bytes(b"\xff{")
    _, error = shell("evaluate", shell.run)
    assert "start it again with: snntx train " in error
    if left == "recipe":
        _, error = shell("compare", shell.run)
        assert f"--set lr=0.001 --out {shlex.quote(str(shell.run))}" in error
        words = [CARD if word == "CARD" else word for word in advised(error.splitlines()[0])]
        assert shell(*words)[0] == 0
        assert shell.follow()[0].startswith("snntx: error: ")
        return
    said = shell.follow()
    assert "diverged before its first epoch was finished; train it again with a lower lr" in said[0]
    assert said[0].endswith(f"snntx train --resume {shlex.quote(str(shell.run))} --set lr=0.001")
    assert len(said) == 2


def test_a_run_that_diverged_later(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    diverge(monkeypatch, step=2)
    code, error = shell.train()
    assert code == 1, error
    assert "the last whole epoch is kept" in error
    assert (shell.run / "last.pt").is_file()
    said = shell.follow()
    assert (
        "trained 1 of 2 epochs and diverged; train it again with a lower lr (it is 0.5)" in said[0]
    )
    assert "--set lr=0.001 " in said[0]
    assert f"--out {shlex.quote(str(shell.run.with_name(AGAIN)))}" in said[0]
    assert len(said) == 2


@pytest.mark.parametrize("damage", [b"{", b"\xff", b"[]", b'{"epoch": 0}'])
@pytest.mark.parametrize("lasting", [True, False])
def test_a_broken_log(shell: Shell, trained: Path, damage: bytes, lasting: bool) -> None:
    shutil.copytree(trained, shell.run)
    assert shell("evaluate", shell.run)[0] == 0
    log = shell.run / "log.jsonl"
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"\n".join([lines[0], damage, lines[1]]))
    if not lasting:
        (shell.run / "last.pt").unlink()
    code, error = shell("compare", shell.run)
    assert code == 1
    assert error.startswith(f"snntx: error: {log}: line 2 is not what snntx train writes (")
    subprocess.run(error.partition("; remove this line: ")[2], shell=True, check=True)
    assert log.read_bytes() == b"\n".join(lines)
    assert shell.follow() == []
    assert shell.follow("--part", "validation") == []


def test_a_validation_part_that_nothing_holds(shell: Shell, trained: Path) -> None:
    shutil.copytree(trained, shell.run)
    without("log.jsonl", "last.pt")(shell.run)
    (line,) = shell.follow("--part", "validation")
    assert "has neither log.jsonl nor last.pt" in line
    shutil.copytree(trained, shell.run, dirs_exist_ok=True)
    assert shell("evaluate", shell.run)[0] == 0
    without("log.jsonl", "last.pt")(shell.run)
    assert shell.follow() == []  # without --part validation


def test_a_best_epoch_that_the_log_has_lost(shell: Shell, trained: Path) -> None:
    shutil.copytree(trained, shell.run)
    log = shell.run / "log.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    best = records[-1]["best_epoch"]
    moved = [{**each, "epoch": each["epoch"] + 5} for each in records]
    log.write_text("".join(f"{json.dumps(each)}\n" for each in moved))
    without("last.pt")(shell.run)
    (line,) = shell.follow("--part", "validation")
    assert f"log.jsonl has no line of the best epoch, {best}" in line


def test_runs_of_one_card_stay_apart_by_name(shell: Shell, trained: Path) -> None:
    """A second try of the same advice takes a name of its own."""
    shutil.copytree(trained, shell.run)
    first = training_again(shell.run)
    shell.run.with_name(AGAIN).mkdir()
    second = training_again(shell.run)
    assert shlex.split(first)[-1] == str(shell.run.with_name(AGAIN))
    assert shlex.split(second)[-1] == str(shell.run.with_name(f"{AGAIN}2"))


@pytest.mark.parametrize(
    ("rate", "words"),
    [(1e38, "lr=0.001"), (0.05, "lr=0.001"), (1e-3, "lr=0.0001"), (float("inf"), "lr=0.001")],
)
def test_a_lower_rate(rate: float, words: str) -> None:
    assert lower_rate(rate) == words


def test_a_protocol_without_validation(
    shell: Shell, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.train("protocol=paper", "epochs=1")[0] == 0
    code, error = shell("compare", shell.run, "--part", "validation")
    assert code == 2
    assert error.endswith("has no validation part; leave out --part validation, or the run\n")
    assert len(shell.follow()) == 1  # evaluate, without --part validation


def test_a_run_on_static_images_alone(shell: Shell) -> None:
    code, error = shell.train("method=static-only", "epochs=1")
    assert code == 0, error
    code, error = shell("compare", shell.run)
    assert code == 2
    assert error.endswith("compare it by --part validation, or leave it out\n")
    assert shell.follow("--part", "validation") == []
