"""The training run from outside: its files, repeating, resuming, and one line for each mistake."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.cli import run
from snntx.commands.terminal import text as terminal
from snntx.data_cards import load_card, parse_card
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.opening import open_cache, sealed_caches
from snntx.preprocess.planning.plan import make_request
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.measure.metrics import Metrics
from snntx.train.network.create import create_model
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe
from snntx.train.run import running
from snntx.train.run.distributed import pick_device
from snntx.train.run.gap import GAP
from snntx.train.run.objective import Objective

Output = namedtuple("Output", "code out err")

CARD = "simulated-digits"
SETTINGS = {
    "steps": 3,
    "epochs": 2,
    "batch_size": 16,
    "lr": 0.05,
    "recordings_per_class": 4,
    "draws_per_epoch": 0,
    "regularization": True,
    "tensorboard": False,
}
STEPS_PER_EPOCH = 2
"""39 recordings (a class has 3) in batches of 16."""


FILES = [
    "best.pt", "data.json", "last.pt", "log.jsonl", "recipe.toml", "run.json", "terminal.txt",
]  # fmt: skip
"""What a run leaves."""


def left_in(run: Path) -> list[str]:
    """Names in a run directory but for its lock."""
    return sorted(set(os.listdir(run)) - {".lock"})


def words(out: Path, root: Path, *more: Any, card: Any = CARD, **settings: Any) -> list[str]:
    """The command line of a training run."""
    chosen = {**SETTINGS, **settings}
    overrides = [w for k, v in chosen.items() for w in ("--set", f"{k}={str(v).lower()}")]
    return [str(w) for w in ("train", card, "--cache", root, "--out", out, *overrides, *more)]


class Snntx:
    """Calls the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], root: Path, out: Path) -> None:
        self.capsys, self.root, self.out = capsys, root, out

    def __call__(self, *arguments: Any) -> Output:
        code = run([str(a) for a in arguments])
        captured = self.capsys.readouterr()
        return Output(code, captured.out, captured.err)

    def train(
        self, *more: Any, out: Path | None = None, root: Path | None = None, **settings: Any
    ) -> Output:
        return self(*words(out or self.out, root or self.root, *more, **settings))


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str], small_cache: Path, tmp_path: Path) -> Snntx:
    return Snntx(capsys, small_cache / "cache", tmp_path / "runs" / "a run")


def one_line(output: Output, code: int, *parts: str) -> None:
    """The command failed, and its last line says why; the lines before it announce the run."""
    assert output.code == code, output
    assert output.out == ""
    *before, last = output.err.splitlines()
    assert last.startswith("snntx: error: ")
    assert all(line.startswith(("snntx: ", "epoch ")) for line in before)
    assert not any(line.startswith("snntx: error") for line in before)
    for part in parts:
        assert part in last


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def timeless(out: Path) -> list[dict[str, Any]]:
    """The log without what a clock and the machine say."""
    machine = {"seconds", "recordings_per_second", "peak_memory_mib"}
    return [{k: v for k, v in record.items() if k not in machine} for record in log_of(out)]


def differing(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that are not equal to the bit."""
    assert list(a) == list(b)
    return [name for name in a if not torch.equal(a[name], b[name])]


def assert_same_run(a: Path, b: Path) -> None:
    """Weights, optimizer, best epoch and log are equal to the bit."""
    for name in ("last.pt", "best.pt"):
        first, second = load_checkpoint(a / name), load_checkpoint(b / name)
        assert differing(first.model, second.model) == []
        assert (first.epoch, first.validation) == (second.epoch, second.validation)
        assert first.best == second.best
        states = first.optimizer["state"], second.optimizer["state"]
        assert list(states[0]) == list(states[1])
        for i in states[0]:
            assert differing(states[0][i], states[1][i]) == []
    assert timeless(a) == timeless(b)
    assert (a / "recipe.toml").read_text() == (b / "recipe.toml").read_text()


@pytest.fixture(scope="module")
def three_epochs(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that nothing stopped."""
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert run(words(out, small_cache / "cache", epochs=3)) == 0
    return out


# a run and what it leaves


def test_a_run_writes_its_files(snntx: Snntx) -> None:
    output = snntx.train()
    assert output.code == 0
    assert left_in(snntx.out) == FILES

    recipe = load_recipe(
        load_card(CARD), settings=[f"{k}={v}".lower() for k, v in SETTINGS.items()]
    )
    assert Recipe.of(**tomllib.loads((snntx.out / "recipe.toml").read_text())) == recipe
    last, best = load_checkpoint(snntx.out / "last.pt"), load_checkpoint(snntx.out / "best.pt")
    (cache,) = sealed_caches(snntx.root, CARD)
    assert last.epoch == 2
    for checkpoint in (last, best):
        assert checkpoint.recipe == recipe
        assert (checkpoint.card, checkpoint.cache_key) == (CARD, cache.name)
        assert (checkpoint.classes, checkpoint.event_format) == (list("0123456789"), "atis")
        assert checkpoint.frames.frame_shape == (3, 2, 34, 34)

    line, following = output.out.splitlines()
    assert line.startswith(f"best epoch {last.best['epoch']}: validation top-1 ")
    assert line.endswith("(protocol holdout)")
    assert following == f"next: snntx evaluate '{snntx.out}'"
    assert f"snntx: cache {cache}\n" in output.err
    assert f"snntx: device cpu, backend numba, run {snntx.out}\n" in output.err
    assert f"snntx: recipe default of card {CARD}, changed:\n" in output.err
    assert output.err.count("epoch   ") == 2


def test_the_log_has_one_line_an_epoch(snntx: Snntx) -> None:
    snntx.train()
    first, second = log_of(snntx.out)
    base = 0.05 * 16 / 1024
    assert first["lr"] == pytest.approx(base)
    assert second["lr"] == pytest.approx(1e-5 + (base - 1e-5) / 2)  # half a cosine of two epochs
    for epoch, record in enumerate((first, second), 1):
        assert (record["format"], record["epoch"]) == (2, epoch)
        assert set(record) - {GAP} == {
            "format", "epoch", "lr", "P", "train", "cka", "coefficient", "selection", "best_epoch",
            "rates", "recordings_per_second", "peak_memory_mib", "seconds",
        }  # fmt: skip
        train, selection = record["train"], record["selection"]
        assert set(train) == {
            "loss", "static", "event", "domain", "cka", "accuracy", "replaced",
        }  # fmt: skip
        assert train["loss"] == pytest.approx(
            train["static"] + train["event"] + 0.5 * train["domain"], rel=1e-5
        )
        assert (train["accuracy"] * 32).is_integer()
        assert (train["replaced"] * 32).is_integer()
        assert set(selection) == {"part", "top1", "top5", "loss"}
        assert selection["part"] == "validation"
        assert 0 <= selection["top1"] <= selection["top5"] <= 1
        assert len(record["coefficient"]) == 3
        assert all(
            c == pytest.approx(1 / (1 + math.exp(-1)), abs=0.01) for c in record["coefficient"]
        )
        assert record["seconds"] > 0
    assert second["coefficient"] != first["coefficient"]


def test_json_is_json_alone(snntx: Snntx) -> None:
    output = snntx.train("--json", epochs=1)
    result = json.loads(output.out)
    assert set(result) == {"run", "protocol", "best"}
    assert (result["run"], result["protocol"]) == (str(snntx.out), "holdout")
    assert result["best"] == {"epoch": 1, **log_of(snntx.out)[0]["selection"]}


def test_the_default_run_directory(snntx: Snntx, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = snntx.out.parent
    folder.mkdir()
    monkeypatch.chdir(folder)
    arguments = words(snntx.out, snntx.root, "--recipe", "baseline", epochs=1, seed=7)
    del arguments[arguments.index("--out") : arguments.index("--out") + 2]
    assert snntx(*arguments).code == 0
    (found,) = (folder / "runs").iterdir()
    assert re.fullmatch(rf"{CARD}-baseline-epochs=1-\S+-[0-9a-f]{{6}}-seed7", found.name)
    assert (found / "last.pt").is_file()


def test_an_empty_directory_is_taken(snntx: Snntx) -> None:
    snntx.out.mkdir(parents=True)
    assert snntx.train(epochs=1).code == 0


def test_the_paper_protocol_chooses_on_the_test_part(snntx: Snntx) -> None:
    output = snntx.train(epochs=1, protocol="paper")
    assert log_of(snntx.out)[0]["selection"]["part"] == "test"
    assert "test top-1" in output.out
    assert "(protocol paper)" in output.out


def test_help_names_every_option(snntx: Snntx) -> None:
    output = snntx("train", "--help")
    assert output.code == 0
    for option in ("CARD", "--cache", "--key", "--recipe", "--set", "--out", "--device",
                   "--resume", "--json"):  # fmt: skip
        assert option in output.out


def scripted(results: list[tuple[float, float]]) -> Callable[..., Metrics]:
    """Stands for ``evaluate_part``: (top-1, loss) of one epoch after the other."""
    left = iter(results)

    def evaluate(*arguments: Any) -> Metrics:
        top1, loss = next(left)
        return Metrics(10, top1, 1.0, loss, {}, [])

    return evaluate


@pytest.mark.parametrize(
    ("results", "best"),
    [
        ([(0.5, 1.0), (0.4, 0.5), (0.3, 0.1)], 1),
        ([(0.5, 1.0), (0.6, 2.0), (0.6, 2.5)], 2),
        ([(0.5, 1.0), (0.5, 0.9), (0.5, 0.8)], 3),
        ([(0.5, 1.0), (0.5, 1.0), (0.5, 1.0)], 1),
        ([(0.0, 9.0), (0.0, 9.5), (0.1, 9.0)], 3),
    ],
)
def test_the_best_epoch_has_the_highest_top1_then_the_lowest_loss(
    snntx: Snntx, monkeypatch: pytest.MonkeyPatch, results: list[tuple[float, float]], best: int
) -> None:
    monkeypatch.setattr(running, "evaluate_part", scripted(results))
    output = snntx.train(epochs=3, recordings_per_class=1, batch_size=10, transfer=False)
    assert output.out.startswith(f"best epoch {best}: validation top-1 {results[best - 1][0]:.4f}")
    checkpoint = load_checkpoint(snntx.out / "best.pt")
    assert checkpoint.epoch == best
    top1, loss = results[best - 1]
    chosen = {"part": "validation", "top1": top1, "top5": 1.0, "loss": loss}
    assert checkpoint.validation == chosen
    last = load_checkpoint(snntx.out / "last.pt")
    assert (last.epoch, last.best) == (3, {"epoch": best, **chosen})


# the same seed, the same weights


def test_a_seed_decides_every_weight(snntx: Snntx, tmp_path: Path) -> None:
    for state, (name, seed) in enumerate((("first", 1), ("again", 1), ("other", 2))):
        torch.manual_seed(state)  # what ran before in this process has no influence
        assert snntx.train(out=tmp_path / name, seed=seed, crop_padding=1).code == 0
    assert_same_run(tmp_path / "first", tmp_path / "again")
    models = [load_checkpoint(tmp_path / name / "last.pt").model for name in ("first", "other")]
    assert "event_head.weight" in differing(*models)


def test_training_changes_every_part_of_the_network(three_epochs: Path) -> None:
    torch.manual_seed(42)
    fresh = create_model("nmnist", num_classes=10, steps=3, norm="per-step-own").state_dict()
    trained = load_checkpoint(three_epochs / "last.pt").model
    assert differing(dict(fresh), trained) == list(fresh)
    updates = trained["first.norm.num_batches_tracked"]
    assert updates == 3 * STEPS_PER_EPOCH * 2  # epochs, batches, branches; a set for each step


# resuming


class Stop:
    """Interrupts a run as a person at the keyboard would."""

    def __init__(self, **when: int) -> None:
        self.when = when

    def __call__(self, display: terminal.TrainingDisplay, record: dict[str, Any]) -> None:
        if all(record[key] == value for key, value in self.when.items()):
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("event", "stop", "finished"),
    [("epoch", Stop(epoch=1), 1), ("epoch", Stop(epoch=2), 2), ("step", Stop(epoch=2, step=2), 1)],
)
def test_an_interrupted_run_ends_at_the_same_weights(
    snntx: Snntx, three_epochs: Path, event: str, stop: Stop, finished: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            terminal.TrainingDisplay, event, lambda display, record: stop(display, record)
        )
        output = snntx.train(epochs=3)
    assert output.code == 130
    assert output.out == ""
    message = "snntx: interrupted; run the same command again with --resume to go on"
    assert output.err.splitlines()[-1] == message
    assert load_checkpoint(snntx.out / "last.pt").epoch == finished

    assert snntx.train("--resume", epochs=3).code == 0
    assert_same_run(snntx.out, three_epochs)


def test_resuming_again_and_again(snntx: Snntx, three_epochs: Path) -> None:
    for epoch in range(3):
        with pytest.MonkeyPatch.context() as patch:
            stop = Stop(epoch=epoch + 1)
            patch.setattr(terminal.TrainingDisplay, "epoch", lambda d, r, stop=stop: stop(d, r))
            assert snntx.train(*["--resume"][: epoch > 0], epochs=3).code == 130
    assert_same_run(snntx.out, three_epochs)


def test_a_run_stopped_in_its_first_epoch_starts_again(snntx: Snntx, three_epochs: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop = Stop(epoch=1, step=2)
        patch.setattr(terminal.TrainingDisplay, "step", lambda d, r: stop(d, r))
        output = snntx.train(epochs=3)
    assert output.code == 130
    assert output.err.splitlines()[-1] == "snntx: interrupted; run the same command again to go on"
    assert snntx.train(epochs=3).code == 0
    assert_same_run(snntx.out, three_epochs)


KILLED = """
import os, signal, sys, torch
from snntx.cli import run

save, left = torch.save, [int(sys.argv[1])]

def die_half_way(content, file):
    left[0] -= 1
    if left[0]:
        return save(content, file)
    file.write(b"half a checkpoint")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

torch.save = die_half_way
run(sys.argv[2:])
"""


def test_a_killed_run_ends_at_the_same_weights(snntx: Snntx, three_epochs: Path) -> None:
    """The process dies while it writes the second epoch's first checkpoint, its log written."""
    command = [sys.executable, "-c", KILLED, "3", *words(snntx.out, snntx.root, epochs=3)]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # they decide the last bits
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=snntx.out.parents[1],
        env={**os.environ, **threads},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(log_of(snntx.out)) == 2
    assert load_checkpoint(snntx.out / "last.pt").epoch == 1
    assert len(left_in(snntx.out)) == 8  # the seven files and half a checkpoint

    assert snntx.train("--resume", epochs=3).code == 0
    assert left_in(snntx.out) == FILES
    assert_same_run(snntx.out, three_epochs)


def test_a_log_line_cut_short_is_dropped(snntx: Snntx, three_epochs: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop = Stop(epoch=2)
        patch.setattr(terminal.TrainingDisplay, "epoch", lambda d, r: stop(d, r))
        snntx.train(epochs=3)
    with (snntx.out / "log.jsonl").open("a") as log:
        log.write('{"format": 2, "epoch": 3, "lr": 0.0')
    assert snntx.train("--resume", epochs=3).code == 0
    assert timeless(snntx.out) == timeless(three_epochs)


def test_resuming_a_finished_run_changes_nothing(snntx: Snntx, three_epochs: Path) -> None:
    shutil.copytree(three_epochs, snntx.out)
    before = {name: (snntx.out / name).read_bytes() for name in os.listdir(snntx.out)}
    output = snntx.train("--resume", epochs=3)
    assert output.code == 0
    assert output.out.startswith("best epoch ")
    assert {name: (snntx.out / name).read_bytes() for name in os.listdir(snntx.out)} == before


def test_resuming_from_a_damaged_checkpoint(snntx: Snntx, three_epochs: Path) -> None:
    shutil.copytree(three_epochs, snntx.out)
    last = snntx.out / "last.pt"
    last.write_bytes(last.read_bytes()[:5000])
    one_line(snntx.train("--resume", epochs=3), 1, f"{last}: not a readable checkpoint")


def test_a_taken_run_directory(snntx: Snntx, three_epochs: Path) -> None:
    before = {name: (three_epochs / name).read_bytes() for name in os.listdir(three_epochs)}
    output = snntx.train(out=three_epochs, epochs=3)
    one_line(output, 2, f"{three_epochs}: exists already and is finished, after 3 epochs; measure")
    assert {name: (three_epochs / name).read_bytes() for name in os.listdir(three_epochs)} == before


def test_a_directory_of_other_files_is_left_alone(snntx: Snntx) -> None:
    snntx.out.mkdir(parents=True)
    for name in ("thesis.tex", "best.pt"):
        (snntx.out / name).write_text("precious")
        one_line(snntx.train(), 2, f"{snntx.out}: exists already, with no last.pt to go on from")
        assert os.listdir(snntx.out) == [name]
        (snntx.out / name).unlink()


def test_a_file_in_the_way(snntx: Snntx, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    one_line(snntx.train(out=tmp_path / "file"), 2, "/file: exists already and is a file")
    one_line(snntx.train(out=tmp_path / "file/run"), 2, "/file/run: cannot be written: Not a dir")
    assert (tmp_path / "file").read_text() == "precious"


# the event-only baseline


@pytest.fixture(scope="module")
def two_caches(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of the small cache and of an event-only one of the same recordings."""
    root = tmp_path_factory.mktemp("two") / "cache"
    shutil.copytree(small_cache / "cache", root)
    card, raw = load_card(CARD), small_cache / "data/raw"
    preprocess(make_request(card, raw=raw, static=None, cache=root, steps=3))
    return root


@pytest.fixture(scope="module")
def event_only(small_cache: Path, two_caches: Path) -> str:
    """Key of the event-only cache."""
    with_statics = sealed_caches(small_cache / "cache", CARD)[0].name
    (key,) = {path.name for path in sealed_caches(two_caches, CARD)} - {with_statics}
    return key


def test_events_alone_leave_the_static_head_untouched(
    snntx: Snntx, two_caches: Path, event_only: str
) -> None:
    key = ["--key", event_only]
    assert snntx.train(*key, root=two_caches, transfer=False).code == 0
    trained = load_checkpoint(snntx.out / "last.pt")
    assert trained.cache_key == event_only
    torch.manual_seed(42)
    fresh = dict(create_model("nmnist", num_classes=10, steps=3, norm="per-step-own").state_dict())
    same = set(fresh) - set(differing(fresh, trained.model))
    assert same == {"coefficient", "static_head.weight", "static_head.bias"}
    assert trained.model["first.norm.num_batches_tracked"] == 2 * STEPS_PER_EPOCH
    for record in log_of(snntx.out):
        assert set(record["train"]) == {"loss", "event", "accuracy", "replaced"}
        assert record["train"]["replaced"] == 0


def test_events_alone_do_not_depend_on_statics(
    snntx: Snntx, tmp_path: Path, two_caches: Path, event_only: str
) -> None:
    assert snntx.train(out=tmp_path / "with", transfer=False).code == 0
    key = ["--key", event_only]
    assert snntx.train(*key, root=two_caches, out=tmp_path / "without", transfer=False).code == 0
    models = [load_checkpoint(tmp_path / name / "last.pt").model for name in ("with", "without")]
    assert differing(*models) == []


def test_transfer_needs_statics(snntx: Snntx, two_caches: Path, event_only: str) -> None:
    output = snntx.train("--key", event_only, root=two_caches)
    one_line(output, 1, "no static partner for class 0, 1, 2, 3, 4 and others", "method=event-only")
    assert not snntx.out.exists()


# divergence


@pytest.mark.parametrize(
    ("epoch", "kept"),
    [(0, "no epoch was finished"), (1, "the last whole epoch is kept in last.pt")],
)
def test_a_loss_of_nan_stops_the_run(
    snntx: Snntx, monkeypatch: pytest.MonkeyPatch, epoch: int, kept: str
) -> None:
    forward, calls = Objective.forward, [0]

    def spoiled(*arguments: Any) -> dict[str, torch.Tensor]:
        terms = forward(*arguments)
        calls[0] += 1
        if calls[0] == epoch * STEPS_PER_EPOCH + 2:
            terms["loss"] = terms["loss"] * float("nan")
        return terms

    monkeypatch.setattr(Objective, "forward", spoiled)
    output = snntx.train()
    one_line(
        output, 1, f"{snntx.out}: the loss is nan in epoch {epoch + 1}, step 2; lower lr; {kept}"
    )
    assert (snntx.out / "last.pt").exists() == bool(epoch)
    assert calls[0] == epoch * STEPS_PER_EPOCH + 2
    if epoch:
        state = load_checkpoint(snntx.out / "last.pt").model
        assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize("transfer", [True, False])
def test_a_learning_rate_beyond_all_measure_stops_the_run(snntx: Snntx, transfer: bool) -> None:
    """A network that has overflowed may still have a finite loss: NaN never fires."""
    output = snntx.train(lr=1e38, transfer=transfer)
    one_line(output, 1, f"{snntx.out}: ", " in epoch 1, step ", "lower lr")
    assert not (snntx.out / "last.pt").exists()


def test_a_weight_that_is_not_finite_is_never_saved(
    snntx: Snntx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The static head's weight overflows, which the event branch's loss does not show."""
    step = torch.optim.AdamW.step

    def spoiled(optimizer: torch.optim.AdamW) -> None:
        step(optimizer)
        static_head = optimizer.param_groups[1]["params"][-2]
        static_head.data[0, 0] = float("inf")

    monkeypatch.setattr(torch.optim.AdamW, "step", spoiled)
    output = snntx.train(transfer=False)
    one_line(output, 1, "a weight is not finite in epoch 1, step 2; lower lr; no epoch was")
    assert not (snntx.out / "last.pt").exists()


def test_a_full_disk(snntx: Snntx, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(content: Any, file: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    one_line(snntx.train(), 1, "best.pt: cannot be written: the disk is full; mend that and go on")
    left = ["data.json", "log.jsonl", "recipe.toml", "run.json", "terminal.txt"]
    assert left_in(snntx.out) == left


# which cache


def test_no_cache_prints_the_command_that_makes_it(snntx: Snntx, tmp_path: Path) -> None:
    output = snntx.train(root=tmp_path / "none")
    one_line(
        output, 1, "no sealed cache with frames (3, 2, 34, 34)", "(sealed there: none)",
        f"snntx preprocess {CARD} --raw DIR --static DIR --cache {tmp_path / 'none'} --steps 3",
    )  # fmt: skip
    assert not snntx.out.exists()


def test_the_printed_command_makes_the_cache(
    snntx: Snntx, small_cache: Path, tmp_path: Path
) -> None:
    root = tmp_path / "new"
    error = snntx.train(root=root, epochs=1).err
    command = error.split("make it with: snntx ")[1].split()
    folders = iter([small_cache / "data/raw", small_cache / "data/static"])
    assert snntx(*[next(folders) if word == "DIR" else word for word in command]).code == 0
    assert snntx.train(root=root, epochs=1).code == 0


def test_a_cache_of_other_frames_is_listed(snntx: Snntx) -> None:
    (cache,) = sealed_caches(snntx.root, CARD)
    output = snntx.train(steps=4, size=48)
    words = f"{cache.name}: steps 3 (card: 10), 80 recordings (--set steps=3)"
    one_line(output, 1, "frames (4, 2, 48, 48)", words,
             "--steps 4 --size 48")  # fmt: skip


def test_a_card_of_ones_own_is_named_by_its_path(snntx: Snntx, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(own_card("holdout"))
    output = snntx.train(card=path)
    one_line(output, 1, f"snntx preprocess {path} --raw DIR --cache")


def test_several_caches_are_listed_and_a_key_chooses(snntx: Snntx, two_caches: Path) -> None:
    keys = [path.name for path in sealed_caches(two_caches, CARD)]
    assert len(keys) == 2
    output = snntx.train(root=two_caches)
    one_line(output, 2, "2 caches have frames (3, 2, 34, 34)", *(f"(--key {key})" for key in keys))
    assert not snntx.out.exists()
    for key in keys:
        out = snntx.out.with_name(key)
        output = snntx.train("--key", key[:6], root=two_caches, out=out, epochs=1, transfer=False)
        assert output.code == 0
        assert load_checkpoint(out / "last.pt").cache_key == key


def test_an_unknown_key(snntx: Snntx, two_caches: Path) -> None:
    keys = [path.name for path in sealed_caches(two_caches, CARD)]
    wrong = keys[0][:-1] + "x"
    output = snntx.train("--key", wrong, root=two_caches)
    one_line(output, 2, f"no cache has key '{wrong}'; did you mean '{keys[0]}'?", keys[1])
    one_line(snntx.train("--key", "", root=two_caches), 2, "several caches have key ''")


def test_a_key_that_contradicts_the_recipe(snntx: Snntx) -> None:
    (cache,) = sealed_caches(snntx.root, CARD)
    output = snntx.train("--key", cache.name, steps=10)
    one_line(output, 2, f"{cache}: has frames (3, 2, 34, 34), but the recipe asks for steps = 10")
    output = snntx.train("--key", cache.name, size=48)
    one_line(output, 2, "steps = 3 and size = 48; leave out --key or the setting")


def test_resuming_on_another_cache(snntx: Snntx, two_caches: Path, event_only: str) -> None:
    assert snntx.train(epochs=1, transfer=False).code == 0
    trained = load_checkpoint(snntx.out / "last.pt").cache_key
    again = ["--resume", "--key", event_only]
    output = snntx.train(*again, root=two_caches, epochs=1, transfer=False)
    one_line(output, 2, f"was trained on cache {trained}, not {event_only}; choose it with --key")


def damage(directory: Path, name: str) -> Path:
    """Flip the bits in the middle of a file of a sealed cache."""
    path = directory / name
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 64):
        content[place] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["frames-00000.h5", "index.h5", "static.h5"])
def test_a_damaged_cache(snntx: Snntx, tmp_path: Path, name: str) -> None:
    root = tmp_path / "cache"
    shutil.copytree(snntx.root, root)
    (cache,) = sealed_caches(root, CARD)
    path = damage(cache, name)
    output = snntx.train("--key", cache.name, root=root)
    one_line(output, 1, f"{path}: ", "remove the cache and build it again")
    assert not snntx.out.exists()


def test_a_cache_without_its_seal_is_no_cache(snntx: Snntx, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    shutil.copytree(snntx.root, root)
    (cache,) = sealed_caches(root, CARD)
    (cache / "SEALED").unlink()
    one_line(snntx.train(root=root), 1, "no sealed cache", "snntx preprocess")


# protocols


def own_card(name: str, **shares: float) -> str:
    """A card of the user's own over the simulated recordings, without static images."""
    rule = "\n".join(f"{part} = {share}" for part, share in shares.items())
    return f"""
name = "mine"
[about]
title = "Mine"
summary = "Mine."
homepage = ""
licence = ""
citation = ""
obtain = ""
[events]
format = "atis"
pattern = "{{split}}/{{class}}/{{number}}.bin"
sensor = [34, 34]
[framing]
steps = 3
[splits.{name}]
rule = "hash"
{rule}
[splits.paper]
rule = "field"
field = "split"
train_value = "Train"
test_value = "Test"
[recipes.default]
model = "nmnist"
epochs = 1
transfer = false
"""


@pytest.fixture(scope="module")
def own(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a card whose holdout has no validation and whose paper has no test recordings."""
    folder = tmp_path_factory.mktemp("own")
    text = own_card("holdout", test=0.2)
    (folder / "mine.toml").write_text(text)
    card, raw = parse_card(text.encode(), "mine.toml"), small_cache / "data/raw"
    preprocess(make_request(card, raw=raw, static=None, cache=folder / "cache"))
    return folder


@pytest.mark.parametrize(("protocol", "part"), [("holdout", "validation"), ("paper", "test")])
def test_nothing_to_choose_the_best_epoch_by(
    snntx: Snntx, own: Path, protocol: str, part: str
) -> None:
    output = snntx.train(
        card=own / "mine.toml", root=own / "cache", protocol=protocol, transfer=False
    )
    one_line(output, 2, f"protocol {protocol} has no {part} recordings in this cache")
    assert not snntx.out.exists()


def test_an_unknown_protocol(snntx: Snntx) -> None:
    output = snntx.train(protocol="papper")
    one_line(output, 2, "unknown protocol 'papper'; did you mean 'paper'?", "holdout, paper")
    assert not snntx.out.exists()
    assert snntx.train(epochs=1).code == 0  # the mended call goes through


# other wrong calls


def test_other_mistakes_in_the_call(snntx: Snntx) -> None:
    one_line(snntx.train(model="nmist"), 2, "unknown model 'nmist'", "did you mean 'nmnist'?")
    one_line(snntx.train(epoch=3), 2, "unknown key 'epoch'; did you mean 'epochs'?")
    one_line(snntx.train("--recipe", "baselin"), 2, "did you mean 'baseline'?")
    one_line(snntx.train(card="n-mnis"), 2, "unknown card 'n-mnis'; did you mean 'n-mnist'?")
    assert not snntx.out.exists()


def test_a_model_made_for_other_frames_takes_the_size_of_the_cache(snntx: Snntx) -> None:
    assert snntx.train(model="scnn", width=0.5, epochs=1).code == 0
    model = load_checkpoint(snntx.out / "last.pt").build_model(torch.device("cpu"))
    assert model.size == (34, 34)
    assert model.forward_event(torch.zeros(1, 3, 2, 34, 34)).shape == (3, 1, 10)


def test_cuda_without_cuda(snntx: Snntx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    one_line(snntx.train("--device", "cuda"), 2, "--device cuda: torch finds no CUDA device here")
    assert not snntx.out.exists()
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")


def test_an_unknown_device(snntx: Snntx) -> None:
    output = snntx.train("--device", "tpu")
    assert output.code == 2
    assert "'tpu' is not one of 'auto', 'cpu', 'cuda'" in output.err


# the cache alone


WATCHED = """
import sys

data = sys.argv[1]
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from snntx.cli import run

code = run(sys.argv[2:])
touched = [path for path in opened if path.startswith(data) or path.endswith(".bin")]
others = {"tonic", "snntx.preprocess.build.builder", "snntx.preprocess.statics.images"}
imported = others & set(sys.modules)
sys.exit(f"{code}, opened {touched}, imported {imported}" if code or touched or imported else 0)
"""


def test_training_needs_the_cache_alone(snntx: Snntx, small_cache: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(small_cache / "data", data)
    request = make_request(
        load_card(CARD), raw=data / "raw", static=data / "static", cache=tmp_path / "own", steps=3
    )
    preprocess(request)
    shutil.rmtree(data)
    command = [sys.executable, "-c", WATCHED, str(data)]
    command += words(snntx.out, tmp_path / "own", epochs=1)
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_cache_is_opened_as_the_card_says(small_cache: Path) -> None:
    cache = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert cache.frame_shape == (3, 2, 34, 34)
    again = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=34, key=cache.key)
    assert again.key == cache.key
