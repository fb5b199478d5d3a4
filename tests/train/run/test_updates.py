"""One training step: micro-batches, precision, clipping, compilation, several processes."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.batches.batch import Batch
from snntx.train.method.base import Inputs
from snntx.train.method.choice import make_method
from snntx.train.recipe.networks import build_model
from snntx.train.recipe.whole import Recipe
from snntx.train.run.distributed import Group
from snntx.train.run.objective import Objective
from snntx.train.run.updates import Updater

CPU = torch.device("cpu")
CLASSES, STEPS, SIZE = 4, 3, (16, 16)


def recipe(**changes: Any) -> Recipe:
    """A network without norms, whose loss is a mean over samples: SCNN without CKA."""
    plain = {"model": "scnn", "epochs": 1, "batch_size": 8, "domain_weight": 0.0, "lr": 1e-3}
    return Recipe.of(**{**plain, **changes})


def batch(samples: int = 8) -> Batch:
    draw = torch.Generator().manual_seed(3)
    event = torch.poisson(torch.full((samples, STEPS, 2, *SIZE), 1.5), generator=draw)
    image = 2 * torch.rand((samples, 1, 1, *SIZE), generator=draw)
    labels = torch.arange(samples) % CLASSES
    constant = torch.ones(samples, dtype=torch.bool)
    return Batch(event, image.expand_as(event).contiguous(), labels, constant)


def updater(chosen: Recipe, group: Group | None = None) -> tuple[Objective, Updater]:
    torch.manual_seed(0)
    model = build_model(chosen, num_classes=CLASSES, steps=STEPS, size=SIZE)
    objective = Objective(model, make_method(chosen))
    return objective, Updater(objective, chosen, CPU, group or Group())


def gradients(objective: Objective) -> dict[str, Tensor]:
    named = objective.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def additive(values: dict[str, float]) -> set[str]:
    """Names of the terms that are means over samples."""
    return {name for name in values if not name.startswith(("cka", "domain"))}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        largest = value.abs().max().item()
        torch.testing.assert_close(found[name], value, rtol=0, atol=tolerance * largest, msg=name)


def test_an_average_is_of_the_weights_and_copies_running_statistics() -> None:
    chosen = recipe(model="nmnist", width=0.06, ema_decay=0.75)
    objective, update = updater(chosen)
    seen: list[dict[str, Tensor]] = []
    for _ in range(3):
        update(batch())
        seen.append({name: p.detach().clone() for name, p in objective.model.named_parameters()})
    held = dict(update.judged.named_parameters())
    for name, first in seen[0].items():
        expected = 0.75 * (0.75 * first + 0.25 * seen[1][name]) + 0.25 * seen[2][name]
        torch.testing.assert_close(held[name].detach(), expected)
    trained = dict(objective.model.named_buffers())
    assert any("running" in name for name in trained)
    for name, value in update.judged.named_buffers():
        assert torch.equal(value, trained[name]), name
        assert value is not trained[name], name


def test_a_batch_is_split_evenly_and_whole() -> None:
    parts = batch(7).split(3)
    assert [len(part.labels) for part in parts] == [3, 2, 2]
    assert torch.equal(torch.cat([part.event for part in parts]), batch(7).event)
    assert [part.replaced for part in parts] == [0, 0, 0]
    assert batch().split(1)[0].labels.shape == (8,)


@pytest.mark.parametrize("transfer", [True, False])
@pytest.mark.parametrize("samples", [8, 7])
def test_micro_batches_add_up_where_nothing_is_taken_over_samples(
    transfer: bool, samples: int
) -> None:
    data = batch(samples)
    if not transfer:
        data = Batch(data.event, None, data.labels, None)
    method = "sliding" if transfer else "event-only"
    whole, step = updater(recipe().changed(method=method))
    values = step(data)
    cut, cut_step = updater(recipe(accumulate=3).changed(method=method))
    cut_values = cut_step(data)
    assert_close(gradients(cut), gradients(whole), 1e-5)
    shared = additive(values)
    assert {k: cut_values[k] for k in shared} == pytest.approx({k: values[k] for k in shared})


def test_cka_is_that_of_each_micro_batch() -> None:
    data = batch()
    objective, step = updater(recipe(accumulate=2))
    before = copy.deepcopy(objective)
    found = step(data)["cka"]
    by_part = [
        before(Inputs(p.event, p.static, p.labels, p.constant))["cka"] for p in data.split(2)
    ]
    assert found == pytest.approx(float(sum(by_part).detach()) / 2)
    whole = before(Inputs(data.event, data.static, data.labels, data.constant))["cka"]
    assert abs(found - float(whole.detach())) > 1e-3


def test_too_many_micro_batches_are_refused() -> None:
    with pytest.raises(UsageError, match="a batch of 8 cut into 5 micro-batches leaves fewer"):
        recipe(accumulate=5)


def test_clipping_bounds_the_gradient_and_reports_its_norm() -> None:
    free, step = updater(recipe())
    assert "gradient_norm" not in step(batch())
    norm = torch.stack([g.norm() for g in gradients(free).values()]).norm().item()
    clipped, clipped_step = updater(recipe(clip_norm=norm / 4))
    assert clipped_step(batch())["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    after = torch.stack([g.norm() for g in gradients(clipped).values()]).norm().item()
    assert after == pytest.approx(norm / 4, rel=1e-4)


@pytest.mark.parametrize("model", ["scnn", "nmnist"])
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_bfloat16_comes_near_float32(model: str, backend: str) -> None:
    """Spikes flip, so only the loss is near; weights stay float32, and they move."""
    changes: dict[str, Any] = {"model": model, "backend": backend, "domain_weight": 0.5}
    single, single_step = updater(recipe(**changes))
    mixed, mixed_step = updater(recipe(**changes, precision="bfloat16"))
    before = {name: p.clone() for name, p in mixed.named_parameters()}
    expected, found = single_step(batch()), mixed_step(batch())
    assert found["loss"] == pytest.approx(expected["loss"], rel=0.05)
    assert all(p.dtype == torch.float32 for p in mixed.parameters())
    moved = [n for n, p in mixed.named_parameters() if not torch.equal(p, before[n])]
    assert len(moved) >= len(gradients(single)) - 1


def test_checkpointing_changes_no_gradient_and_no_statistic() -> None:
    kept, step = updater(recipe(model="nmnist", domain_weight=0.5))
    again, again_step = updater(recipe(model="nmnist", domain_weight=0.5, checkpointing=True))
    assert step(batch()) == again_step(batch())
    assert_close(gradients(again), gradients(kept), 1e-6)
    for (name, a), (_, b) in zip(kept.named_buffers(), again.named_buffers(), strict=True):
        assert torch.equal(a, b), name


def test_a_loss_that_is_not_finite_moves_nothing() -> None:
    objective, step = updater(recipe())
    before = copy.deepcopy(objective.state_dict())
    data = batch()
    data.event[0, 0, 0, 0, 0] = float("nan")
    with torch.no_grad():
        objective.model.get_submodule("shared_head").bias[0] = float("nan")  # type: ignore[operator]
        before["model.shared_head.bias"][0] = float("nan")
    assert step(data)["loss"] != step(data)["loss"]
    for name, value in objective.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["scnn", "nmnist"])
def test_a_compiled_step_is_the_same_step(model: str) -> None:
    plain, step = updater(recipe(model=model, domain_weight=0.5))
    compiled, compiled_step = updater(recipe(model=model, domain_weight=0.5, compile=True))
    assert compiled_step(batch()) == pytest.approx(step(batch()), rel=1e-4)
    assert_close(gradients(compiled), gradients(plain), 1e-3)


TWO_PROCESSES = """
import sys, torch
sys.path.insert(0, {tests!r})
import test_updates as t
from snntx.train.run.distributed import joined
torch.set_num_threads(1)

def main(group):
    objective, step = t.updater(t.recipe(**{changes!r}), group)
    values = step(t.batch())
    if group.first:
        torch.save((values, t.gradients(objective)), {out!r})
    try:
        torch.testing.assert_close(group.same(values), values)
    finally:
        group.wait()

with joined(t.CPU) as group:
    main(group)
"""


def two_processes(folder: Path, **changes: Any) -> tuple[dict[str, float], dict[str, Tensor]]:
    script, out = folder / "two.py", folder / "out.pt"
    tests = str(Path(__file__).parent)
    script.write_text(TWO_PROCESSES.format(tests=tests, changes=changes, out=str(out)))
    call = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    call += ["--master-addr=127.0.0.1", "--master-port=0", "--rdzv-backend=c10d"]
    call += ["--rdzv-endpoint=127.0.0.1:0", str(script)]
    done = subprocess.run(
        call,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    values, grads = torch.load(out, weights_only=True)
    return values, {name.removeprefix("module."): g for name, g in grads.items()}


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_are_one_where_nothing_is_taken_over_samples(
    tmp_path: Path, accumulate: int
) -> None:
    alone, step = updater(recipe())
    expected = step(batch())
    values, grads = two_processes(tmp_path, accumulate=accumulate)
    shared = additive(expected)
    assert {k: values[k] for k in shared} == pytest.approx({k: expected[k] for k in shared})
    assert_close(grads, gradients(alone), 1e-5)


@pytest.mark.slow
def test_two_processes_take_cka_and_norms_over_their_own_samples(tmp_path: Path) -> None:
    """Then they equal two micro-batches of one process, which are cut at the same place."""
    changes: dict[str, Any] = {"model": "nmnist", "domain_weight": 0.5}
    alone, step = updater(recipe(**changes, accumulate=2))
    expected = step(batch())
    values, grads = two_processes(tmp_path, **changes)
    assert values == pytest.approx(expected, rel=1e-5)
    assert_close(grads, gradients(alone), 1e-4)


@pytest.mark.slow
def test_torchrun_trains_from_the_command_line(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    call = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    call += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "-m", "snntx", "train"]
    call += ["simulated-digits", "--cache", str(small_cache / "cache"), "--out", str(out)]
    settings = {"steps": 3, "epochs": 2, "batch_size": 16, "recordings_per_class": 4}
    for name, value in settings.items():
        call += ["--set", f"{name}={value}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("snntx: cache ") == 1  # one process speaks
    assert done.stdout.count("best epoch ") == 1
    assert len((out / "log.jsonl").read_text().splitlines()) == 2
    assert (out / "best.pt").is_file()
