"""The attention against the published code's numbers, float64."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snntx.train.network.attention.asa import ASA, pooled

GOLDEN = Path(__file__).parents[3] / "golden"
CASES = ("r1", "r2", "odd", "dup", "lam25", "batch8")
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


def stored(name: str) -> dict[str, Any]:
    with np.load(GOLDEN / f"{name}.npz") as archive:
        return dict(archive)


def rounded(name: str, shape: tuple[int, ...], factor: float = 1.0) -> Tensor:
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    values = (drawn * factor).astype(np.float32)
    return torch.from_numpy(values.astype(np.float64))


def configuration(case: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(stored("asa")["cases_json"]))[case]
    return found


def module(case: str, mode: str, backend: str) -> ASA:
    config = configuration(case)
    shape = config["T"], config["C"], config["reduction"], config["lam"]
    made = ASA(*shape, mode, backend=backend).double()
    with torch.no_grad():
        made.alpha.fill_(float(np.float32(0.7)))
        made.beta.fill_(float(np.float32(0.2)))
        for name, value in made.named_parameters():
            if name.startswith("fc"):
                value.copy_(rounded(f"asa.{name}", tuple(value.shape), value.shape[1] ** -0.5))
            elif name.startswith("conv"):
                value.copy_(rounded(f"asa.{name}", tuple(value.shape), 0.5))
    return made


def sequences(case: str) -> tuple[Tensor, Tensor]:
    """Maps and the gradient of the result, both ``(T, N, C, H, W)``."""
    config = configuration(case)
    shape = tuple(config[axis] for axis in "NTCHW")
    maps, gradient = (rounded(f"asa.{kind}.{case}", shape) for kind in "xg")
    if case == "dup":
        maps[1] = maps[0]
    return maps.transpose(0, 1), gradient.transpose(0, 1)


def close(found: Tensor | None, wanted: Any) -> None:
    assert found is not None
    assert np.abs(found.detach().numpy() - wanted).max() < 1e-9


@both_backends
@pytest.mark.parametrize("case", CASES)
def test_reference_mode_computes_what_the_published_code_does(case: str, backend: str) -> None:
    golden = stored("asa")
    made = module(case, "reference", backend)
    maps, gradient = sequences(case)
    maps = maps.requires_grad_()

    def value(name: str) -> Any:
        return golden[f"{case}_f64_{name}"]

    counts = made.important(maps)
    close(made.scores(maps).transpose(0, 1), value("score"))
    close(counts.transpose(0, 1), value("important_mask"))
    first, second = (part[..., None, None] * maps for part in (counts, 1 - counts))
    summaries = pooled(first, made.lam), pooled(second, 1 - made.lam)
    for kind, conv, summary in zip(("im", "sub"), (made.conv1, made.conv2), summaries, strict=True):
        close(summary, value(f"{kind}_pool"))
        close(made.spatial(summary, conv), value(f"{kind}_map"))
    out = made(maps)
    rows = out.transpose(0, 1)
    close(rows.flatten()[:64], value("out_head"))
    close(rows.norm(), value("out_norm"))
    close(rows.flatten(3).norm(dim=3), value("out_per_tc_norm"))
    out.backward(gradient)
    assert maps.grad is not None
    close(maps.grad.transpose(0, 1).flatten()[:64], value("grad_x_head"))
    close(maps.grad.norm(), value("grad_x_norm"))
    close(made.conv1.weight.grad, value("grad_conv1"))
    close(made.conv2.weight.grad, value("grad_conv2"))
    without = [name for name, each in made.named_parameters() if each.grad is None]
    assert without == [str(each) for each in value("params_without_grad")]


@both_backends
@pytest.mark.parametrize("mode", ["per-sample", "trainable"])
@pytest.mark.parametrize("case", CASES)
def test_per_sample_modes_compute_what_the_published_code_does_of_each_sample_twice(
    case: str, mode: str, backend: str
) -> None:
    golden = stored("asa_per_sample")
    made = module(case, mode, backend)
    maps, gradient = sequences(case)
    maps = maps.requires_grad_()
    out = made(maps)
    out.backward(gradient)
    assert maps.grad is not None
    for name, found in (("out", out), ("grad_x", maps.grad)):
        rows = found.transpose(0, 1).flatten(1)
        close(rows[:, :32], golden[f"{case}_{name}_head"])
        close(rows.norm(dim=1), golden[f"{case}_{name}_norm"])
    close(out.transpose(0, 1).flatten(3).norm(dim=3), golden[f"{case}_out_per_tc_norm"])
    close(made.conv1.weight.grad, golden[f"{case}_grad_conv1"])
    close(made.conv2.weight.grad, golden[f"{case}_grad_conv2"])
    silent = {name for name, each in made.named_parameters() if each.grad is None}
    assert bool(silent) == (mode == "per-sample")
