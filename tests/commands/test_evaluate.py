"""snntx evaluate: everything it prints and writes, against scikit-like counts by hand."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from snntx.cli import run
from snntx.commands.assess.sheets import csv_text
from snntx.commands.terminal.evaluation import print_matrix
from snntx.commands.terminal.spreadsheet import cell

CARD = "simulated-digits"
TINY = ("steps=3", "epochs=1", "batch_size=16", "width=0.25", "recordings_per_class=0",
        "draws_per_epoch=0")  # fmt: skip


Runs = tuple[Path, Path]


class Output(NamedTuple):
    code: int
    out: str
    err: str


Evaluate = Callable[..., Output]


@pytest.fixture(scope="module")
def runs(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with images, and one without."""
    folder = tmp_path_factory.mktemp("runs")
    made = folder / "both", folder / "events"
    for out, more in zip(made, ((), ("method=event-only",)), strict=True):
        settings = [word for each in (*TINY, *more) for word in ("--set", each)]
        words = ["train", CARD, "--cache", str(small_cache / "cache"), "--out", str(out)]
        assert run([*words, *settings]) == 0
    return made


@pytest.fixture
def evaluate(small_cache: Path, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    def call(*words: object) -> Output:
        capsys.readouterr()
        cache = ["--cache", str(small_cache / "cache"), "--device", "cpu"]
        return Output(run(["evaluate", *map(str, words), *cache]), *capsys.readouterr())

    return call


def test_every_number_follows_from_the_predictions(
    runs: Runs, evaluate: Evaluate, tmp_path: Path
) -> None:
    done = evaluate(runs[0], "--json", "--predictions", tmp_path / "all.csv")
    assert done.code == 0, done.err
    assert f"are in {tmp_path / 'all.csv'}" in done.err.replace("\n", " ")
    told = json.loads(done.out)
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert len(rows) == told["recordings"]
    names = [name.removeprefix("probability ") for name in rows[0] if name.startswith("prob")]
    true = np.array([names.index(row["class"]) for row in rows])
    chances = np.array([[float(row[f"probability {name}"]) for name in names] for row in rows])
    assert chances.sum(1) == pytest.approx(1)
    guess = chances.argmax(1)
    right = guess == true
    assert [row["predicted"] for row in rows] == [names[i] for i in guess]
    assert [row["right"] for row in rows] == [str(each) for each in right.tolist()]
    assert told["top1"] == pytest.approx(right.mean())
    order = np.argsort(-chances, 1, kind="stable")[:, :5]
    assert told["top5"] == pytest.approx((order == true[:, None]).any(1).mean())
    assert told["loss"] == pytest.approx(
        -np.log(chances[np.arange(len(true)), true]).mean(), rel=1e-5
    )
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (true, guess), 1)
    assert told["confusion"] == confusion.tolist()
    shares = [right[true == c].mean() for c in np.unique(true)]
    assert told["balanced"] == pytest.approx(np.mean(shares))
    low, high = told["interval"]
    assert low <= told["top1"] <= high
    width = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / len(right))
    assert high - low == pytest.approx(2 * width, abs=2.1 / len(right))
    confidence, ece = chances.max(1), 0.0
    for lower in np.arange(15) / 15:
        held = (confidence > lower) & (confidence <= lower + 1 / 15 + 1e-12)
        if held.any():
            ece += held.mean() * abs(confidence[held].mean() - right[held].mean())
    assert told["calibration"]["ece"] == pytest.approx(ece)
    assert len(told["by_step"]) == 3
    assert told["by_step"][-1] == told["top1"]


def test_every_number_is_that_of_scikit_learn(
    runs: Runs, evaluate: Evaluate, tmp_path: Path
) -> None:
    sheet = tmp_path / "all.csv"
    words = ("--part", "all", "--json", "--predictions", sheet)
    told = json.loads(evaluate(runs[0], *words).out)
    rows = list(csv.DictReader(sheet.read_text().splitlines()))
    names = [name.removeprefix("probability ") for name in rows[0] if name.startswith("prob")]
    true, guess = ([row[column] for row in rows] for column in ("class", "predicted"))
    chances = np.array([[float(row[f"probability {name}"]) for name in names] for row in rows])
    assert told["top1"] == pytest.approx(metrics.accuracy_score(true, guess))
    assert told["balanced"] == pytest.approx(metrics.balanced_accuracy_score(true, guess))
    assert told["confusion"] == metrics.confusion_matrix(true, guess, labels=names).tolist()
    recalls = metrics.recall_score(true, guess, labels=names, average=None, zero_division=0)
    assert [told["per_class"][name][1] for name in names] == pytest.approx(recalls.tolist())
    assert told["top5"] == metrics.top_k_accuracy_score(true, chances, k=5, labels=names)
    assert told["loss"] == pytest.approx(metrics.log_loss(true, chances, labels=names), rel=1e-5)
    right, confidence = np.array(true) == np.array(guess), chances.max(1)
    bins = told["calibration"]
    kept, said = calibration_curve(right, confidence, n_bins=15)
    assert bins["right"] == pytest.approx(kept.tolist())
    assert bins["confidence"] == pytest.approx(said.tolist())
    assert sum(bins["answers"]) == len(rows)


def test_the_matrix_is_printed_of_few_classes(
    runs: Runs, evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(evaluate(runs[0], "--json").out)
    lines = evaluate(runs[0]).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("class taken for"))
    assert lines[at].split()[3:] == [str(digit) for digit in range(10)]
    found = [
        [int(cell) for cell in line.replace("·", "0").split()] for line in lines[at + 1 :][:10]
    ]
    assert found == [[i, *row] for i, row in enumerate(told["confusion"])]
    print_matrix([[1, 0], [2, 1234]], ["hand clapping", "air drums"])
    assert capsys.readouterr().out.splitlines() == [
        "class taken for  1      2",
        "1 hand clapping  1      ·",
        "2 air drums      2  1,234",
    ]


def test_several_runs_stand_side_by_side(runs: Runs, evaluate: Evaluate, tmp_path: Path) -> None:
    done = evaluate(*runs)
    assert done.code == 0, done.err
    header, *rows = done.out.splitlines()
    assert header.split()[:2] == ["checkpoint", "recordings"]
    assert [row.split()[0].endswith("best.pt") for row in rows[:2]] == [True, True]
    told = json.loads(evaluate(*runs, "--json").out)
    assert [each["transfer"] for each in told] == [True, False]
    printed = evaluate(*runs, "--csv").out
    found = list(csv.DictReader(printed.splitlines()))
    assert [float(row["top1"]) for row in found] == [each["top1"] for each in told]
    assert {"top1_low", "ece", "nasfr", "top1_step_3"} <= set(found[0])
    one = evaluate(runs[0], "--csv").out
    assert one.splitlines() == printed.splitlines()[:2]


def test_the_result_beside_the_run_is_what_is_printed(runs: Runs, evaluate: Evaluate) -> None:
    told = json.loads(evaluate(runs[0], "--json").out)
    assert json.loads((runs[0] / "metrics.json").read_text()) == told


def test_what_was_measured_is_printed_when_a_later_run_fails(
    runs: Runs, evaluate: Evaluate, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "best.pt").write_bytes(b"nothing")
    done = evaluate(runs[0], broken)
    assert done.code == 1
    assert f"{runs[0].name}/best.pt" in done.out
    assert done.err.splitlines()[-1].startswith(f"snntx: error: {broken}")


def test_the_static_branch_on_the_twins(runs: Runs, evaluate: Evaluate) -> None:
    done = evaluate(runs[0], "--static", "--json")
    static = json.loads(done.out)["static"]
    assert 0 < static["images"] <= static["recordings"]
    assert static["metrics"]["recordings"] == static["images"]
    assert "static" in evaluate(runs[0], "--static").out
    refused = evaluate(runs[1], "--static")
    assert refused.code == 2
    assert "was trained on events alone" in refused.err


def test_curves_under_corruption(runs: Runs, evaluate: Evaluate) -> None:
    words = (runs[0], "--corruption", "drop=0,0.9", "--corruption", "steps=3")
    told = json.loads(evaluate(*words, "--json").out)
    curve = {(each["kind"], each["severity"]): each for each in told["corruption"]}
    assert curve["drop", 0.0]["top1"] == curve["steps", 3.0]["top1"] == told["top1"]
    assert curve["drop", 0.0]["interval"] == told["interval"]
    assert ("drop", 0.9) in curve
    printed = evaluate(*words).out.splitlines()
    assert any(line.split()[:2] == ["drop", "0.9"] for line in printed)
    refused = evaluate(runs[0], "--corruption", "jitter")
    assert refused.code == 2
    assert "--as events" in refused.err


def test_files_of_other_names_are_refused_before_anything_is_computed(
    runs: Runs, evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = evaluate(runs[0], "--predictions", tmp_path / "all.xlsx")
    assert (done.code, done.out) == (2, "")
    assert "expected a name that ends with .csv or .parquet" in done.err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = evaluate(runs[0], "--predictions", tmp_path / "all.parquet")
    assert (done.code, done.out) == (2, "")
    assert 'pip install "snntx[parquet]"' in done.err
    assert evaluate(runs[0], "--csv", "--json").code == 2


def test_parquet_holds_the_same(runs: Runs, evaluate: Evaluate, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("all.csv", "all.parquet"):
        assert evaluate(runs[0], "--predictions", tmp_path / name).code == 0
    found = parquet.read_table(tmp_path / "all.parquet").to_pylist()
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert [row["recording"] for row in found] == [row["recording"] for row in rows]
    assert [row["probability 3"] for row in found] == [float(row["probability 3"]) for row in rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.csv", "all.parquet"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\ttab", "\rreturn"])
def test_cells_that_would_be_formulas_are_defused(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert csv_text([{text: text, "b": -1.5}]).splitlines()[-1].endswith("-1.5")


def test_rows_of_other_names_leave_cells_empty() -> None:
    assert csv_text([{"a": 1}, {"b": "x,y"}]) == 'a,b\n1,\n,"x,y"\n'
