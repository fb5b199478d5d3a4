"""Groups of a sweep: their curves are means over seeds, their figures those of ``compare``."""

import json
import re
import shutil
from pathlib import Path

import pytest

from snntx.cli import run
from snntx.report.blocks import Figures, Table
from snntx.report.together import together
from snntx.tests.report.conftest import train


@pytest.fixture(scope="module")
def folder(
    runs: dict[str, Path], small_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two seeds of the event branch alone and one run with both branches, all measured."""
    where = tmp_path_factory.mktemp("sweep")
    for name, path in runs.items():
        shutil.copytree(path, where / name)
    train(where / "again", small_cache, "method=event-only", "seed=7")
    for each in where.iterdir():
        words = ["evaluate", str(each), "--device", "cpu", "--cache", str(small_cache / "cache")]
        assert run(words) == 0
    return where


def test_groups_have_means_and_curves_over_their_seeds(folder: Path) -> None:
    paths = [(each, each.name) for each in sorted(folder.iterdir())]
    section = together([folder], paths, [], "")
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    assert sorted(row[1].text for row in table.rows) == ["1", "2"]
    figures = [f for block in section.blocks if isinstance(block, Figures) for f in block.figures]
    assert [f.title for f in figures] == [
        "Means of the groups", "Accuracy that the epoch was chosen by",
    ]  # fmt: skip
    curves = figures[1].numbers
    assert curves is not None
    logs = [
        [json.loads(line) for line in (folder / name / "log.jsonl").read_text().splitlines()]
        for name in ("alone", "again")
    ]
    wanted = [
        sum(r["selection"]["top1"] for r in at) / 2
        for at in zip(*([r for r in log if "selection" in r] for log in logs), strict=True)
    ]
    columns = [[row[i].value for row in curves.rows] for i in range(1, len(curves.header))]
    assert pytest.approx(wanted) in columns
    assert str(figures[0].svg).count("<circle") == 3


def test_differences_are_drawn_with_a_baseline(folder: Path) -> None:
    paths = [(each, each.name) for each in sorted(folder.iterdir())]
    section = together([folder], paths, [], "method=event-only")
    figures = [f for block in section.blocks if isinstance(block, Figures) for f in block.figures]
    [drawn] = [f for f in figures if f.title == "Differences from the baseline"]
    assert len(re.findall("<circle", str(drawn.svg))) == 1, "the seed that both have"


def test_groups_without_logs_say_so(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bare")
    runs = sorted((tmp_path / "bare").iterdir())
    for each in runs:
        (each / "log.jsonl").unlink()
    section = together([tmp_path / "bare"], [(each, each.name) for each in runs], [], "")
    words = [getattr(block, "text", "") for block in section.blocks]
    assert any("No curve" in each for each in words)
