"""Comparisons of how often networks fire: NASFR as a metric, beside the accuracy, and refused."""

from __future__ import annotations

import csv
import io
import json
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.train.recipe.sources import load_recipe
from snntx.train.study.compare import compare
from snntx.train.study.tables import to_csv, to_json, to_markdown

Output = namedtuple("Output", "code out err")
CARD = "n-mnist"


def write_run(path: Path, top1: float, nasfr: float | None, *settings: str) -> Path:
    """A run directory as ``train`` and ``evaluate`` leave it, without the weights."""
    recipe = load_recipe(load_card(CARD), "default", ("epochs=1", *settings))
    path.mkdir(parents=True)
    (path / "recipe.toml").write_text(recipe.to_toml())
    part = {"part": "validation", "top1": top1, "top5": 1.0, "loss": 1.0}
    record = {"format": 2, "epoch": 1, "best_epoch": 1, "selection": part}
    (path / "log.jsonl").write_text(f"{json.dumps(record)}\n")
    metrics: dict[str, Any] = {"format": 2, "card": CARD, "cache_key": "k", "epoch": 1}
    metrics |= {"protocol": recipe.data.protocol, "part": "test", "seed": recipe.run.seed}
    metrics |= {"top1": top1, "top5": 1.0, "loss": 1.0, "per_class": {"0": [50, top1]}}
    metrics |= {} if nasfr is None else {"firing": {"nasfr": nasfr, "layers": {}}}
    (path / "metrics.json").write_text(json.dumps(metrics))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds each with and without attention."""
    for seed, shift in ((1, 0.0), (2, 0.02)):
        chosen = f"seed={seed}"
        write_run(tmp_path / "runs" / f"plain-seed{seed}", 0.8 + shift, 0.2 + shift, chosen)
        attended = 0.9 + 2 * shift, 0.05 + shift
        write_run(tmp_path / "runs" / f"asa-seed{seed}", *attended, chosen, "attention=asa")
    return tmp_path / "runs"


def called(capsys: pytest.CaptureFixture[str], *words: Any) -> Output:
    capsys.readouterr()
    code = run(["compare", *map(str, words)])
    return Output(code, *capsys.readouterr())


def test_accuracy_firing_and_its_change_stand_in_one_table(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = called(capsys, runs, "--baseline", "attention=none", "--firing")
    assert (output.code, output.err) == (0, "")
    lines: list[str] = output.out.splitlines()
    header, (plain, asa) = lines[2], sorted(lines[3:5], key=lambda line: line.startswith("asa"))
    assert header.split()[-2:] == ["NASFR", "change"]
    assert plain.split()[-2:] == ["0.2100", "-"]
    assert asa.split()[-3:] == ["0.0600", "-71.4", "%"]
    assert "NASFR: spikes per neuron and step" in output.out
    assert "NASFR" not in called(capsys, runs, "--baseline", "attention=none").out


def test_files_have_the_figures(runs: Path) -> None:
    found = compare([runs], baseline="attention=none", firing=True)
    rows = {row["group"]: row for row in csv.DictReader(io.StringIO(to_csv(found)))}
    assert float(rows["asa"]["nasfr"]) == pytest.approx(0.06)
    assert float(rows["asa"]["nasfr_change"]) == pytest.approx(0.06 / 0.21 - 1)
    assert rows["plain"]["nasfr_change"] == ""
    groups = {each["group"]: each for each in to_json(found)["groups"]}
    assert groups["plain"]["nasfr_change"] is None
    assert groups["asa"]["nasfr"] == pytest.approx(0.06)
    assert "| NASFR | change |" in to_markdown(found)
    plain = compare([runs])
    assert "nasfr" not in to_csv(plain)
    assert "nasfr" not in to_json(plain)["groups"][0]


def test_it_is_a_metric_of_its_own(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compare([runs], baseline="attention=none", metric="nasfr")
    (asa,) = (row for row in found.rows if row.paired is not None)
    assert asa.paired is not None
    assert asa.paired.sample.mean == pytest.approx(-0.15)
    assert called(capsys, runs, "--metric", "nasfr").out.startswith("NASFR on the test part")


def test_a_run_that_does_not_note_it_says_how_to_measure_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_run(tmp_path / "old", 0.5, None)
    (old / "best.pt").write_bytes(b"weights")
    graded = write_run(tmp_path / "graded", 0.5, None, "sends=membrane")
    for words in (["--firing"], ["--metric", "nasfr"]):
        output = called(capsys, old, *words)
        assert output.code == 2
        told = " ".join(output.err.split())
        way = f"make it again with: snntx evaluate {old}"
        assert f"has no NASFR, being of an earlier release; {way}" in told
        output = called(capsys, graded, *words)
        assert "its neurons send graded values (sends = membrane)" in " ".join(output.err.split())
    assert called(capsys, old).code == 0
    with pytest.raises(UsageError, match="leave out --part validation"):
        compare([old], part="validation", firing=True)


def test_a_rate_that_is_no_number_is_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_run(tmp_path / "run", 0.5, 0.1)
    metrics = path / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"nasfr": 0.1', '"nasfr": "much"'))
    assert "not what snntx evaluate writes" in called(capsys, path).err
