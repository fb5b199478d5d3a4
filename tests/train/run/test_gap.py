"""A gap that running statistics make: found, told once, and no part of the result."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from snntx.data_cards import load_card
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.preprocess.digits import write_simulated_digits
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.formats.atis import decode, encode
from snntx.train.assess.evaluate import evaluate_run
from snntx.train.measure.batch_statistics import ByBatch
from snntx.train.measure.metrics import Metrics
from snntx.train.network.create import create_model
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe
from snntx.train.run import gap as gaps
from snntx.train.run.fit import train
from snntx.train.run.gap import GAP, find_gap, gap_line, told_gap

CARD = load_card("simulated-digits")
MACHINE = {"seconds", "recordings_per_second", "peak_memory_mib"}
CASE = {
    "method": "event-only",
    "steps": 10,
    "epochs": 3,
    "batch_size": 16,
    "draws_per_epoch": 240,
    "recordings_per_class": 0,
    "lr": 0.1,
    "lr_scaling": "none",
    "warmup_epochs": 0,
    "width": 0.25,
    "norm": "per-step",
    "seed": 1,
    "tensorboard": False,
}
"""Many steps, so that running statistics are those of the last batch alone."""


def recipe(**changes: Any) -> Recipe:
    chosen = {**CASE, **changes}
    return load_recipe(CARD, settings=[f"{k}={str(v).lower()}" for k, v in chosen.items()])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    """Digits whose last third of steps is silent but for one event, and so unlike the others."""
    folder = tmp_path_factory.mktemp("digits")
    data = folder / "data"
    write_simulated_digits(data, seed=1, recordings=300)
    for path in data.rglob("*.bin"):
        events = decode(path.read_bytes(), path)
        kept = events.t < events.t.max() * 2 / 3
        kept[-1] = True
        path.write_bytes(encode(Events(*(column[kept] for column in events))))
    raw, static = data / "raw", data / "static"
    preprocess(make_request(CARD, raw=raw, static=static, cache=folder / "cache", steps=10))
    opened = open_cache(folder / "cache", CARD, steps=10, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


class Done:
    """A run that was trained: its directory and what was said of a gap."""

    def __init__(self, cache: FrameCache, out: Path, resume: bool = False, **changes: Any) -> None:
        self.out = out
        notes: list[str] = []
        asked = recipe(**changes)
        train(CARD, cache, asked, out, device=torch.device("cpu"), resume=resume,
              on_note=notes.append)  # fmt: skip
        self.said = [note for note in notes if "statistics" in note]

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "log.jsonl").open()]

    @property
    def timeless(self) -> list[dict[str, Any]]:
        return [{k: v for k, v in each.items() if k not in MACHINE} for each in self.log]


@pytest.fixture(scope="module")
def told(cache: FrameCache, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(cache, tmp_path_factory.mktemp("told") / "run")


def test_statistics_of_the_last_batch_are_told_of_once(told: Done) -> None:
    (line,) = told.said
    (record,) = [each for each in told.log if GAP in each]
    found = record[GAP]
    assert set(found) == {"train", "selection", "batch_statistics", "cause", "updates"}
    assert found["train"] == record["train"]["accuracy"]
    assert found["selection"] == record["selection"]["top1"]
    assert found["batch_statistics"] > found["selection"] + 0.15
    assert (found["cause"], found["updates"]) == ("steps", 10)
    assert line == gap_line(record, recipe(), told.out)
    assert f"{found['train']:.3f} right in training" in line
    assert f"{found['selection']:.3f} on validation" in line
    assert f"{found['batch_statistics']:.3f} there by each batch's own statistics" in line
    assert "norm = per-step moves one set of them 10 times a batch" in line
    assert all(f"--set norm={way}" in line for way in ("per-step-own", "merged"))
    filled = textwrap.wrap(f"snntx: {line}", 80, break_on_hyphens=False, break_long_words=False)
    assert max(map(len, filled)) <= 80


def test_evaluate_repeats_what_was_told(told: Done, cache: FrameCache) -> None:
    result = evaluate_run(told.out, cache.directory.parents[1], torch.device("cpu"))
    (record,) = [each for each in told.log if GAP in each]
    assert result.notes == (f"in training, {told.said[0]}",)
    kept = json.loads((told.out / "metrics.json").read_text())
    (told.out / "metrics.json").unlink()
    assert kept["norm_gap"] == {"epoch": record["epoch"], **record[GAP]}
    assert "notes" not in kept
    of_file = evaluate_run(told.out / "best.pt", cache.directory.parents[1], torch.device("cpu"))
    assert (of_file.notes, "norm_gap" in of_file.to_json()) == ((), False)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"norm_gap": {}}', '{"epoch": 1, "norm_gap": 3}', '{"norm_gap": ' * 9999]
)
def test_a_damaged_log_tells_of_none(told: Done, tmp_path: Path, text: str) -> None:
    (tmp_path / "log.jsonl").write_text(f"{text}\n")
    assert told_gap(tmp_path, recipe()) is None
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write((told.out / "log.jsonl").read_text())
    found = told_gap(tmp_path, recipe())
    assert found is not None
    assert (found[0]["cause"], found[1].startswith("epoch ")) == ("steps", True)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["merged", "per-step-own"])
def test_either_norm_that_it_names_is_the_way_out(
    cache: FrameCache, told: Done, tmp_path: Path, norm: str
) -> None:
    mended = Done(cache, tmp_path / "run", norm=norm)
    assert mended.said == []
    assert not any(GAP in each for each in mended.log)
    best, before = mended.log[-1]["selection"]["top1"], told.log[-1]["selection"]["top1"]
    assert best > before + 0.1


def test_looking_changes_no_byte_of_the_result(
    cache: FrameCache, told: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "WIDE", 2.0)
    blind = Done(cache, tmp_path / "run")
    assert blind.said == []
    for name in ("last.pt", "best.pt"):
        assert (blind.out / name).read_bytes() == (told.out / name).read_bytes()
    seen = [{k: v for k, v in each.items() if k != GAP} for each in told.timeless]
    assert seen == blind.timeless


@pytest.mark.parametrize("stop", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_resumed_it_is_told_once_in_all(
    cache: FrameCache, told: Done, tmp_path: Path, stop: int
) -> None:
    class StopError(Exception):
        pass

    def interrupt(record: dict[str, Any]) -> None:
        if len((out / "log.jsonl").read_text().splitlines()) == stop:
            raise StopError

    out = tmp_path / "run"
    with pytest.raises(StopError):
        train(CARD, cache, recipe(), out, device=torch.device("cpu"), on_epoch=interrupt)
    again = Done(cache, out, resume=True)
    assert again.timeless == told.timeless
    first = next(i for i, each in enumerate(told.log) if GAP in each)
    assert len(again.said) == (first >= stop)
    assert (out / "last.pt").read_bytes() == (told.out / "last.pt").read_bytes()


class Stepwise(nn.Module):
    """torch's own norm, called at each step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.BatchNorm2d(channels)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.inner(each) for each in sequence])


# the rule, by itself


def result(top1: float, recordings: int = 100) -> Metrics:
    return Metrics(recordings, top1, 1.0, 0.0, {}, [])


def network(updates: int = 100, norm: str = "per-step") -> nn.Module:
    model = create_model("nmnist", num_classes=10, steps=4, width=0.1, norm=norm)
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.fill_(updates)
    return model


def found(
    *,
    epochs: int = 2,
    train: float | None = 0.9,
    selection: float = 0.5,
    by_batch: float = 0.8,
    updates: float = 4.0,
    recordings: int = 100,
    model: nn.Module | None = None,
    **changes: Any,
) -> dict[str, Any] | None:
    def measure() -> ByBatch:
        return ByBatch(by_batch, updates)

    settings = recipe(**{"epochs": 5, "steps": 4, **changes})
    return find_gap(model or network(), settings, epochs, train, result(selection, recordings),
                    measure)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, True),
        ({"train": None}, False),
        ({"train": 0.6}, False),  # training is hardly ahead
        ({"train": 0.61, "by_batch": 0.62}, True),
        ({"by_batch": 0.69}, False),  # less than half of 0.4
        ({"by_batch": 0.71}, True),
        ({"by_batch": 0.3}, False),
        ({"recordings": 16, "by_batch": 0.74}, False),  # 1 / 4 may be chance
        ({"recordings": 16, "by_batch": 0.76}, True),
        ({"recordings": 1, "by_batch": 1.0}, False),
        ({"epochs": 3}, False),
        ({"epochs": 4}, True),
        ({"epochs": 5}, True),  # the last one
    ],
)
def test_when_a_gap_is_found(values: dict[str, Any], expected: bool) -> None:
    assert (found(**values) is not None) == expected


def test_the_second_validation_is_paid_where_it_may_tell_something() -> None:
    def refuse() -> ByBatch:
        raise AssertionError("measured")

    for epochs, ahead in ((3, 0.9), (2, 0.55)):
        assert find_gap(network(), recipe(epochs=9), epochs, ahead, result(0.5), refuse) is None
    bare = create_model("nmnist", num_classes=10, steps=4, width=0.1, norm="none")
    assert find_gap(bare, recipe(epochs=9), 2, 0.9, result(0.5), refuse) is None
    with pytest.raises(AssertionError, match="measured"):
        find_gap(network(), recipe(epochs=9), 2, 0.9, result(0.5), refuse)


CAUSE = {"train": 0.9, "selection": 0.5, "batch_statistics": 0.8}


def line(cause: dict[str, Any] | None, **changes: Any) -> str:
    assert cause is not None
    record = {"epoch": 2, GAP: cause, "selection": {"part": "validation"}}
    return gap_line(record, recipe(**changes), Path("runs/a run"))


def test_statistics_that_moved_too_seldom_count_at_the_end() -> None:
    early = network(updates=18, norm="merged")
    assert found(model=early, norm="merged", updates=1.0) is None
    cause = found(model=early, norm="merged", updates=1.0, epochs=5)
    assert cause is not None
    assert (cause["cause"], cause["epochs"]) == ("few", math.ceil(5 * 44 / 18))
    assert "snntx train --resume 'runs/a run' --set epochs=13" in line(cause)


def test_weights_that_are_too_fast_count_at_the_end() -> None:
    model = network(norm="merged")
    assert found(model=model, norm="merged", updates=1.0) is None
    cause = found(model=model, norm="merged", updates=1.0, epochs=5)
    assert line(cause).endswith("--set lr=0.01 (it is 0.1)")


def test_one_pooled_set_for_unlike_steps() -> None:
    cause = found(model=network(norm="per-step-pooled"), norm="per-step-pooled", updates=1.0)
    assert "norm = per-step-pooled keeps one set" in line(cause, norm="per-step-pooled")


def test_norms_of_a_network_of_ones_own() -> None:
    model = Stepwise(3)
    model.inner.num_batches_tracked = torch.tensor(100)
    cause = found(model=model, updates=4.0)
    assert cause is not None
    assert cause["cause"] == "modules"
    assert "the network's own BatchNorm modules move theirs 4 times a batch" in line(cause)


# ways out of the other causes


@pytest.mark.slow
def test_a_run_with_too_few_updates_goes_on_to_success(cache: FrameCache, tmp_path: Path) -> None:
    few: dict[str, Any] = {"norm": "merged", "draws_per_epoch": 48, "lr": 0.005, "width": 0.5}
    short = Done(cache, tmp_path / "run", **few, epochs=6)
    (said,) = short.said
    epochs = int(said.rpartition("--set epochs=")[2])
    assert (epochs, said.count(f"--resume {tmp_path / 'run'}")) == (15, 1)
    longer = Done(cache, tmp_path / "run", resume=True, **few, epochs=epochs)
    assert longer.said == []
    accuracy = [each["selection"]["top1"] for each in longer.log]
    assert accuracy[-1] > accuracy[5] + 0.3


@pytest.mark.slow
def test_the_lower_rate_that_it_names_is_the_way_out(cache: FrameCache, tmp_path: Path) -> None:
    fast: dict[str, Any] = {"norm": "merged", "schedule": "step", "lr": 0.5}
    lower = re.search(r"--set lr=(\S+) ", line({**CAUSE, "cause": "fast"}, **fast))
    assert lower is not None
    mended = Done(cache, tmp_path / "run", **{**fast, "lr": lower[1]})
    assert mended.said == []
    assert mended.log[-1]["selection"]["top1"] > 0.7


@pytest.mark.slow
def test_of_two_processes_the_first_one_looks_and_tells(cache: FrameCache, tmp_path: Path) -> None:
    out = tmp_path / "run"
    call = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    call += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "-m", "snntx", "train"]
    call += [CARD.name, "--cache", str(cache.directory.parents[1]), "--out", str(out)]
    call += [word for k, v in CASE.items() for word in ("--set", f"{k}={str(v).lower()}")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(call, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    records = [json.loads(each) for each in (out / "log.jsonl").open()]
    (found,) = [each for each in records if GAP in each]
    assert found[GAP]["cause"] == "steps"
    assert done.stderr.count("each batch's own statistics") == 1
