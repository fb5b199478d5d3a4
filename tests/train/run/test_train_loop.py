"""The loop's own settings: stopping in the middle, averages, patience, optimizers, logs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.assess.evaluate import evaluate_run
from snntx.train.checkpoints.run_directory import claim_directory
from snntx.train.checkpoints.state import Checkpoint, load_checkpoint
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe
from snntx.train.run import stopping
from snntx.train.run.fit import train
from snntx.train.run.objective import Objective

CPU = torch.device("cpu")
SMALL = {
    "steps": 3,
    "epochs": 3,
    "batch_size": 16,
    "lr": 0.05,
    "recordings_per_class": 4,
    "draws_per_epoch": 0,
    "width": 0.5,
    "tensorboard": False,
}


def recipe(**changes: Any) -> Recipe:
    settings = [f"{k}={str(v).lower()}" for k, v in {**SMALL, **changes}.items()]
    return load_recipe(load_card("simulated-digits"), settings=settings)


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    card = load_card("simulated-digits")
    opened = open_cache(small_cache / "cache", card, steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


def fit(cache: FrameCache, out: Path, *, resume: bool = False, **changes: Any) -> Checkpoint:
    train(load_card("simulated-digits"), cache, recipe(**changes), out, device=CPU, resume=resume)
    return load_checkpoint(out / "last.pt")


def assert_same(a: Checkpoint, b: Checkpoint) -> None:
    assert a.model.keys() == b.model.keys()
    assert all(torch.equal(a.model[name], b.model[name]) for name in a.model)
    assert (a.epoch, a.batch, a.best, a.sums) == (b.epoch, b.batch, b.best, b.sums)
    for i, state in a.optimizer["state"].items():
        for name, value in state.items():
            assert torch.equal(
                torch.as_tensor(value), torch.as_tensor(b.optimizer["state"][i][name])
            )
    assert a.average.keys() == b.average.keys()
    assert all(torch.equal(a.average[name], b.average[name]) for name in a.average)


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "ema_decay": 0.9, "clip_norm": 1}])
def test_asked_to_end_a_run_stops_between_steps_and_goes_on(
    cache: FrameCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    changes: dict[str, Any],
) -> None:
    whole = fit(cache, tmp_path / "whole", **changes)
    steps = [0]

    def ask(self: Any, *arguments: Any) -> Any:
        if steps[0] == step:
            os.kill(os.getpid(), signal.SIGTERM)
        steps[0] += 1
        return forward(self, *arguments)

    forward = Objective.forward
    with monkeypatch.context() as patch:
        patch.setattr(Objective, "forward", ask)
        with pytest.raises(
            stopping.StoppedError,
            match=f"stopped in epoch {step // 2 + 1}, after step {step % 2 + 1}",
        ):
            fit(cache, tmp_path / "cut", **changes)
    assert steps[0] == step + 1
    kept = load_checkpoint(tmp_path / "cut" / "last.pt")
    assert (kept.epoch, kept.batch) == (step // 2, step % 2 + 1)
    assert_same(fit(cache, tmp_path / "cut", resume=True, **changes), whole)
    for file in ("last.pt", "best.pt"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    terms = [[json.loads(line)["train"] for line in log] for log in logs]
    assert terms[0] == terms[1]


def test_the_signal_is_given_back(cache: FrameCache, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    fit(cache, tmp_path / "run", epochs=1)
    assert signal.getsignal(signal.SIGTERM) is before


KILLED = """
import sys
from snntx.cli import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.slow
def test_killed_at_twenty_random_points_a_run_ends_at_the_same_weights(
    small_cache: Path, tmp_path: Path
) -> None:
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    settings = {**SMALL, "epochs": 6, "ema_decay": 0.9}
    overrides = [w for k, v in settings.items() for w in ("--set", f"{k}={str(v).lower()}")]

    def command(out: Path, *more: str) -> list[str]:
        call = ["train", "simulated-digits", "--cache", str(small_cache / "cache")]
        return [sys.executable, "-c", KILLED, *call, "--out", str(out), *overrides, *more]

    began = time.monotonic()
    done = subprocess.run(command(tmp_path / "whole"), capture_output=True, text=True, env=threads)
    assert done.returncode == 0, done.stderr
    length = time.monotonic() - began
    draw = random.Random(5)
    kills = 0
    for number in range(20):
        out = tmp_path / f"killed-{number}"
        with subprocess.Popen(command(out), stderr=subprocess.DEVNULL, env=threads) as process:
            try:
                process.wait(length * draw.uniform(0.3, 1.0))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        more = ["--resume"] if (out / "last.pt").exists() else []
        done = subprocess.run(command(out, *more), capture_output=True, text=True, env=threads)
        assert done.returncode == 0, done.stderr
        assert_same(load_checkpoint(out / "last.pt"), load_checkpoint(tmp_path / "whole/last.pt"))
    assert kills >= 10


def test_an_average_follows_the_weights_and_is_what_is_kept(
    cache: FrameCache, tmp_path: Path
) -> None:
    plain = fit(cache, tmp_path / "plain", epochs=1)
    averaged = fit(cache, tmp_path / "average", epochs=1, ema_decay=0.75)
    assert all(torch.equal(plain.model[name], averaged.model[name]) for name in plain.model)
    assert plain.average == {}
    best = load_checkpoint(tmp_path / "average" / "best.pt").model
    name = "event_head.weight"
    assert torch.equal(best[name], averaged.average[f"module.{name}"])
    assert not torch.equal(best[name], averaged.model[name])
    assert averaged.average["n_averaged"] == 2
    # two steps: the first is taken over, the second moves it by a quarter
    first = fit_steps(cache, tmp_path, 1)[name]
    expected = first + 0.25 * (averaged.model[name] - first)
    torch.testing.assert_close(best[name], expected)


def fit_steps(cache: FrameCache, folder: Path, steps: int) -> dict[str, torch.Tensor]:
    """Weights after the first steps of the same run."""
    forward, taken = Objective.forward, [0]

    def ask(self: Any, *arguments: Any) -> Any:
        taken[0] += 1
        if taken[0] == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "forward", ask)
        with pytest.raises(stopping.StoppedError):
            fit(cache, folder / "steps", epochs=1)
    return load_checkpoint(folder / "steps" / "last.pt").model


def test_patience_ends_a_run_that_gets_no_better(cache: FrameCache, tmp_path: Path) -> None:
    out = tmp_path / "run"
    last = fit(cache, out, epochs=40, lr=1e-9, min_lr=1e-12, warmup_lr=1e-12, patience=2)
    waited = last.epoch - last.best["epoch"]
    assert waited == 2
    assert last.epoch < 40
    again = fit(
        cache, out, epochs=40, lr=1e-9, min_lr=1e-12, warmup_lr=1e-12, patience=2, resume=True
    )
    assert again.epoch == last.epoch


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lamb"])
def test_every_optimizer_moves_the_weights(
    cache: FrameCache, tmp_path: Path, optimizer: str
) -> None:
    last = fit(cache, tmp_path / optimizer, epochs=1, optimizer=optimizer)
    moments = {"adamw": "exp_avg_sq", "sgd": "momentum_buffer", "lamb": "exp_avg"}
    assert all(moments[optimizer] in state for state in last.optimizer["state"].values())
    assert last.optimizer["state"]
    assert last.optimizer["param_groups"][0]["weight_decay"] == 0.0
    assert last.optimizer["param_groups"][1]["weight_decay"] == 0.01


def test_lamb_without_its_package(
    cache: FrameCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(UsageError, match=r"pip install 'snntx\[lamb\]'"):
        fit(cache, tmp_path / "run", optimizer="lamb")
    assert not (tmp_path / "run").exists()


def test_a_step_that_diverges_leaves_its_inputs(
    cache: FrameCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, forward = tmp_path / "run", Objective.forward

    def spoiled(self: Any, *arguments: Any) -> Any:
        terms = forward(self, *arguments)
        return {**terms, "loss": terms["loss"] * float("inf")}

    with monkeypatch.context() as patch:
        patch.setattr(Objective, "forward", spoiled)
        with pytest.raises(
            SnntxError, match=r"the loss is inf in epoch 1, step 1.*inputs are in diverged"
        ):
            fit(cache, out)
    kept = torch.load(out / "diverged.pt", weights_only=True)
    assert kept["event"].shape == kept["static"].shape == (16, 3, 2, 34, 34)
    assert (kept["epoch"], kept["step"], kept["labels"].shape) == (1, 1, (16,))
    fit(cache, out, epochs=1)  # the directory is free, and the inputs are gone
    assert not (out / "diverged.pt").exists()


def test_tensorboard_shows_the_run(cache: FrameCache, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    fit(cache, out, tensorboard=True, epochs=2)
    events = EventAccumulator(str(out)).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/loss", "train/domain", "validation/top1", "run/P", "run/lr"} <= tags
    assert {f"{group}/{t}" for group in ("coefficient", "cka") for t in range(3)} <= tags
    assert {f"firing rate/{layer}" for layer in ("first", "second", "hidden")} <= tags
    assert {"run/recordings_per_second", "run/peak_memory_mib"} <= tags
    shown = [event.value for event in events.Scalars("train/loss")]
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert shown == pytest.approx([record["train"]["loss"] for record in logged])
    assert all(0 <= rate < 1 for rate in logged[0]["rates"].values())
    assert logged[0]["rates"]["first"] > 0
    assert not any(name.startswith("cka.") for name in logged[0]["train"])


def test_pretraining_on_statics_then_fine_tuning(cache: FrameCache, tmp_path: Path) -> None:
    static = fit(cache, tmp_path / "static", branch="static", epochs=2)
    assert static.best["part"] == "validation"
    assert static.recipe.transfer
    notes: list[str] = []
    changes = {"initial": f'"{tmp_path / "static"}"', "branch": "event", "epochs": 1}
    tuned = recipe(**changes, lr=1e-9, min_lr=0, warmup_lr=0, weight_decay=0)
    train(
        load_card("simulated-digits"),
        cache,
        tuned,
        tmp_path / "tuned",
        device=CPU,
        on_note=notes.append,
    )
    first = [note.split(":")[:2] for note in notes if note.startswith("initial")]
    assert first == [["initial weights", " event_head"]]
    model = load_checkpoint(tmp_path / "tuned" / "last.pt").model
    best = load_checkpoint(tmp_path / "static" / "best.pt").model
    torch.testing.assert_close(model["first.conv.weight"], best["first.conv.weight"])
    torch.testing.assert_close(model["event_head.weight"], best["static_head.weight"])
    assert_same(fit(cache, tmp_path / "static", resume=True, branch="static", epochs=2), static)
    with pytest.raises(UsageError, match="its event head is untrained; fine-tune it"):
        evaluate_run(tmp_path / "static", cache.directory.parents[1], CPU)


@pytest.mark.parametrize("augment", ["mixup", "cutmix", "eventmix"])
def test_mixed_labels_reach_the_loss(
    cache: FrameCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: str
) -> None:
    forward, seen = Objective.forward, []

    def watched(self: Any, *arguments: Any) -> Any:
        seen.append((arguments[0].event_mixture, arguments[0].static_mixture))
        return forward(self, *arguments)

    monkeypatch.setattr(Objective, "forward", watched)
    fit(cache, tmp_path / "run", epochs=1, augment=augment)
    for event, static in seen:
        assert ((event.share >= 0) & (event.share <= 1)).all()
        assert (event.share < 1).any()
        assert (static.share >= event.share).all()


@pytest.mark.parametrize("step", [1, 3])
def test_time_mixup_goes_on_with_its_heads(cache: FrameCache, tmp_path: Path, step: int) -> None:
    changes: dict[str, Any] = {"strategy": "time-mixup", "epochs": 2}
    whole = fit(cache, tmp_path / "whole", **changes)
    forward, steps = Objective.forward, [0]

    def ask(self: Any, *arguments: Any) -> Any:
        if steps[0] == step:
            os.kill(os.getpid(), signal.SIGTERM)
        steps[0] += 1
        return forward(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "forward", ask)
        with pytest.raises(stopping.StoppedError):
            fit(cache, tmp_path / "cut", **changes)
    again = fit(cache, tmp_path / "cut", resume=True, **changes)
    assert_same(again, whole)
    assert whole.auxiliary.keys() == again.auxiliary.keys() != set()
    assert all(torch.equal(whole.auxiliary[n], again.auxiliary[n]) for n in whole.auxiliary)


# one directory, one training


def test_two_trainings_on_one_directory(cache: FrameCache, tmp_path: Path) -> None:
    out = tmp_path / "run"
    chosen = recipe(epochs=1)
    lock = claim_directory(out, chosen, None)
    with pytest.raises(
        UsageError, match=r"another training is writing here, .*; choose another --out"
    ):
        fit(cache, out, epochs=1)
    lock.release()
    fit(cache, out, epochs=1)
    with pytest.raises(UsageError, match="another training was here first; choose another --out"):
        claim_directory(out, chosen, None)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_memory_that_runs_out_is_one_line(
    cache: FrameCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: RuntimeError,
    told: bool,
) -> None:
    def fails(self: Any, *arguments: Any) -> Any:
        raise error

    monkeypatch.setattr(Objective, "forward", fails)
    expected = "a batch of 16 does not fit into the memory of the CPU; lower batch_size"
    kind, text = (SnntxError, expected) if told else (RuntimeError, "shape mismatch")
    with pytest.raises(kind, match=text):
        fit(cache, tmp_path / "run")
