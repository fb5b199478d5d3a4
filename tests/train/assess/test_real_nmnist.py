"""Real N-MNIST recordings from raw files to a tested network, by the public commands alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from snntx.cli import run
from snntx.preprocess.cache.frame_cache import FrameCache

pytestmark = [pytest.mark.real, pytest.mark.slow]

TOP1_AT_LEAST = 0.60
"""Chance is 0.10; four epochs give 0.79 with seed 42."""
EPOCHS = 4


def snntx(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run one command that must succeed and return its standard output."""
    code = run([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def test_from_raw_files_to_accuracy(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "cache", tmp_path / "run"
    folders = ["--raw", real / "n_mnist", "--static", real / "mnist"]
    made = json.loads(snntx(capsys, "preprocess", "n-mnist", *folders, "--cache", root, "--json"))
    assert (made["recordings"], made["classes"], made["skipped"]) == (1000, 10, [])
    assert (made["twins"], made["statics"]) == (100, 10_000)

    cache = FrameCache(made["directory"])
    parts = {p: cache.split("holdout", p) for p in ("train", "validation", "test")}
    assert [len(indices) for indices in parts.values()] == [698, 151, 151]
    held_out = np.concatenate([parts["validation"], parts["test"]])
    twins = {int(i) for i in cache.index.twin[held_out] if i >= 0}
    partners = set(cache.static_split("holdout", "train").tolist())
    assert len(twins) > 20
    assert len(partners) == 10_000 - len(twins)
    assert not partners & twins

    short = ["--set", f"epochs={EPOCHS}", "--set", "warmup_epochs=0"]
    snntx(capsys, "train", "n-mnist", "--cache", root, "--out", out, *short)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(log) == EPOCHS
    assert log[-1]["train"]["loss"] < log[0]["train"]["loss"]

    result = json.loads(snntx(capsys, "evaluate", out, "--cache", root, "--json"))
    assert (result["protocol"], result["part"], result["selected_on"]) == (
        "holdout", "test", "validation",
    )  # fmt: skip
    assert result["recordings"] == 151
    assert result["cache_key"] == made["key"]
    assert result["top1"] >= TOP1_AT_LEAST

    truth = [cache.identities[i] for i in parts["test"][:20]]
    files = [real / "n_mnist" / f"{identity}.bin" for identity in truth]
    predictions = json.loads(snntx(capsys, "predict", out, *files, "--json"))
    right = [p["predicted"] == t.split("/")[1] for p, t in zip(predictions, truth, strict=True)]
    assert sum(right) >= 8
