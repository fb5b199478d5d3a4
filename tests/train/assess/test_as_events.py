"""The way from frames that cannot be made worse to events that can: the command in the message."""

from __future__ import annotations

import csv
import io
import json
import shlex
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from snntx.cli import run

CARD = "simulated-digits"
TINY = ("epochs=1", "batch_size=16", "width=0.25", "recordings_per_class=0", "draws_per_epoch=0",
        "protocol=paper")  # fmt: skip


class Output(NamedTuple):
    code: int
    out: str
    err: str


class Snntx:
    """Calls the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object) -> Output:
        self.capsys.readouterr()
        return Output(run([*map(str, words)]), *self.capsys.readouterr())


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str]) -> Snntx:
    return Snntx(capsys)


@pytest.fixture
def binary(small_cache: Path, tmp_path: Path, snntx: Snntx) -> Path:
    """A folder with a cache of binary frames of other steps and size, and a run on it."""
    data, root = small_cache / "data", tmp_path / "a cache"
    folders = ["--raw", data / "raw", "--static", data / "static", "--cache", root]
    framing = ["--steps", 4, "--size", 30, "--values", "binary", "--tail", "keep"]
    assert snntx("preprocess", CARD, *folders, *framing, "--jobs", 1).code == 0
    settings = [word for each in TINY for word in ("--set", each)]
    (seal,) = root.glob("*/*/SEALED")
    words = ["--cache", root, "--key", seal.parent.name, "--out", tmp_path / "run"]
    done = snntx("train", CARD, *words, *settings)
    assert done.code == 0, done.err
    return tmp_path


def test_the_command_leads_out(binary: Path, small_cache: Path, snntx: Snntx) -> None:
    refused = snntx("evaluate", binary / "run", "--corruption", "drop")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "its frames hold binary and no counts" in refused.err
    command = refused.err.partition("run snntx ")[2].partition(", then give")[0]
    data = {"--raw": "raw", "--static": "static"}
    words = shlex.split(command)
    for flag, folder in data.items():
        words[words.index(flag) + 1] = str(small_cache / "data" / folder)
    before = set((binary / "a cache").glob("*/*/SEALED"))
    done = snntx(*words, "--jobs", 1)
    assert done.code == 0, done.err
    (seal,) = set((binary / "a cache").glob("*/*/SEALED")) - before
    plain = json.loads(snntx("evaluate", binary / "run", "--json").out)
    kinds = ["--corruption", "drop=0,0.5", "--corruption", "jitter=1", "--corruption", "time=5"]
    done = snntx("evaluate", binary / "run", "--key", seal.parent.name, *kinds, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["top1"], told["confusion"]) == (plain["top1"], plain["confusion"])
    assert [each["kind"] for each in told["corruption"]] == ["drop", "drop", "jitter", "time"]
    assert told["corruption"][0]["top1"] == told["top1"]


def test_a_protocol_that_another_card_lacks(binary: Path, small_cache: Path, snntx: Snntx) -> None:
    text = (files("snntx.data_cards") / "shipped" / f"{CARD}.toml").read_text()
    text = text.replace(f'name = "{CARD}"', 'name = "other"').replace("splits.paper", "splits.mine")
    (binary / "other.toml").write_text(text)
    root, raw = binary / "a cache", small_cache / "data/raw"
    framing = ["--steps", 4, "--size", 30, "--values", "binary", "--tail", "keep"]
    words = ["preprocess", binary / "other.toml", "--raw", raw, "--cache", root, *framing]
    done = snntx(*words, "--jobs", 1)
    assert done.code == 0, done.err
    (seal,) = root.glob("other/*/SEALED")
    words = ["evaluate", binary / "run", "--card", "other", "--key", seal.parent.name]
    refused = snntx(*words)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "has no protocol 'paper', by which" in refused.err
    assert "(it has: holdout, mine); --part all takes every recording" in refused.err
    done = snntx(*words, "--part", "all")
    assert done.code == 0, done.err


def test_names_in_csv_of_predict_are_no_formulas(
    binary: Path, small_cache: Path, snntx: Snntx
) -> None:
    content = torch.load(binary / "run/best.pt", weights_only=True)
    content["classes"] = [f"=1+{i}" for i in range(10)]
    torch.save(content, binary / "best.pt")
    raw = sorted((small_cache / "data/raw").glob("*/*/*.bin"))[0]
    done = snntx("predict", binary / "best.pt", raw, "--format", "csv")
    assert done.code == 0, done.err
    header, row = csv.reader(io.StringIO(done.out))
    assert header[3] == "probability =1+0"
    assert row[2].startswith("'=1+")
