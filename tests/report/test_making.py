"""``snntx report``: one run, several, a sweep's file, and what it refuses."""

import json
import os
import shutil
from pathlib import Path

import pytest

from snntx.cli import run
from snntx.report.making import names


def report(small_cache: Path, out: Path, *words: object) -> int:
    given = [*map(str, words), "--out", str(out), "--cache", str(small_cache / "cache")]
    return run(["report", *given, "--device", "cpu"])


def test_a_run_gets_its_page_and_stays_as_it_was(
    runs: dict[str, Path], small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file.name: file.read_bytes() for file in runs["both"].iterdir() if file.is_file()}
    assert report(small_cache, tmp_path / "new" / "page.html", runs["both"]) == 0
    text = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert '<h2 id="run1-title">Run both</h2>' in text
    assert os.listdir(tmp_path / "new") == ["page.html"]
    assert before == {f.name: f.read_bytes() for f in runs["both"].iterdir() if f.is_file()}
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "test recordings" in printed.err


def test_runs_stand_side_by_side_with_their_difference(
    runs: dict[str, Path], small_cache: Path, tmp_path: Path
) -> None:
    for name, path in runs.items():
        shutil.copytree(path, tmp_path / "folder" / name)
        measured = ["evaluate", str(tmp_path / "folder" / name), "--device", "cpu"]
        assert run([*measured, "--cache", str(small_cache / "cache")]) == 0
    out = tmp_path / "page.html"
    assert report(small_cache, out, tmp_path / "folder") == 0
    text = out.read_text(encoding="utf-8")
    assert "Groups: top-1 on the test part" in text
    assert "No differences: --baseline" in text
    assert text.count("<h2") == 3
    assert report(small_cache, out, tmp_path / "folder", "--baseline", "method=event-only") == 0
    text = out.read_text(encoding="utf-8")
    top = [json.loads((tmp_path / "folder" / n / "metrics.json").read_text())["top1"] for n in runs]
    assert f">{top[0] - top[1]:+.4f}</td>" in text


def test_unmeasured_runs_and_many_runs_say_so(
    runs: dict[str, Path], small_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    assert report(small_cache, out, *runs.values()) == 0
    assert "Groups over seeds are not compared" in out.read_text(encoding="utf-8")
    for number in range(5):
        shutil.copytree(runs["alone"], tmp_path / "many" / f"run{number}")
    assert report(small_cache, out, tmp_path / "many") == 0
    text = out.read_text(encoding="utf-8")
    assert "With 5 runs (more than 4) the sections of each run are left out" in text
    assert text.count("<h2") == 1


def test_one_of_several_that_cannot_be_measured_is_named(
    runs: dict[str, Path], small_cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs["both"], tmp_path / "begun")
    (tmp_path / "begun" / "best.pt").unlink()
    assert report(small_cache, tmp_path / "page.html", runs["alone"], tmp_path / "begun") == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Run begun has no sections of its own" in text
    assert "has no best.pt" in text
    assert "Run alone" in text
    assert text.count("<h2") == 2


def test_a_sweeps_file_stands_for_its_folder(
    runs: dict[str, Path],
    small_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("few.toml").write_text('card = "simulated-digits"\nrecipes = ["default"]\nseeds = [1]\n')
    assert report(small_cache, tmp_path / "page.html", "few.toml") == 2
    assert "run it first: snntx sweep few.toml" in capsys.readouterr().err
    shutil.copytree(runs["alone"], "runs/few-simulated-digits/one")
    assert report(small_cache, tmp_path / "page.html", "few.toml") == 0
    assert "Run one" in Path("page.html").read_text(encoding="utf-8")
    Path("bare.toml").write_text('recipes = ["default"]\nseeds = [1]\n')
    assert report(small_cache, tmp_path / "page.html", "bare.toml") == 2
    assert "names no card" in capsys.readouterr().err


def test_wrong_calls_are_one_line(
    runs: dict[str, Path],
    small_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(expected: str, out: Path, *words: object, code: int = 2) -> None:
        assert report(small_cache, out, *words) == code
        printed = capsys.readouterr().err.strip().splitlines()[-1]
        assert expected in printed

    page = tmp_path / "page.html"
    refused("has to end with .html", tmp_path / "page.pdf", runs["both"])
    (tmp_path / "folder.html").mkdir()
    refused("is a folder", tmp_path / "folder.html", runs["both"])
    refused("no such run", page, "nowhere")
    refused("neither a run directory", page, tmp_path)
    refused("there is one run", page, runs["both"], "--baseline", "x")
    shutil.copytree(runs["both"], tmp_path / "begun")
    (tmp_path / "begun" / "best.pt").unlink()
    refused("has no best.pt", page, tmp_path / "begun")
    shutil.copytree(runs["both"], tmp_path / "torn")
    (tmp_path / "torn" / "run.json").write_text("{")
    refused("not what snntx train writes", page, tmp_path / "torn", code=1)
    assert not page.exists()


def test_names_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    assert names([Path("/a/one"), Path("/a/two")]) == ["one", "two"]
    assert names([Path("/a/one"), Path("/b/one")]) == ["a/one", "b/one"]
    assert names([Path("/a/one")]) == ["one"]
