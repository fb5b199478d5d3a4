"""Raw files that vanish after they were listed, and links that lead nowhere."""

import os
from pathlib import Path

import numpy as np
import pytest

from snntx.cli import run
from snntx.preprocess.build import builder as build
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning import plan as plans
from snntx.preprocess.readers.formats import atis

GONE = "Train/1/00002.bin"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Six recordings of three digits."""
    rng = np.random.default_rng(0)
    for i in range(6):
        x, y = rng.integers(0, 34, (2, 100))
        t, p = np.sort(rng.integers(0, 90_000, 100)), rng.integers(0, 2, 100)
        path = tmp_path / f"raw/Train/{i % 3}/{i + 1:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(atis.encode(Events(x, y, t, p)))  # type: ignore[arg-type]
        os.utime(path, (1_500_000_000, 1_500_000_000))
    return tmp_path / "raw"


def snntx(raw: Path, *more: str) -> int:
    cache = raw.parent / "cache"
    arguments = ["preprocess", "n-mnist", "--raw", str(raw), "--cache", str(cache), "--steps", "3"]
    return run([*arguments, "--jobs", "1", *more])


def kept(raw: Path) -> FrameCache:
    (seal,) = (raw.parent / "cache/n-mnist").glob("[!.]*/SEALED")
    return FrameCache(seal.parent)


def vanishing(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Have a file go once it was listed."""
    plain = plans.make_plan

    def make(*arguments: object, **options: object) -> plans.Plan:
        plan = plain(*arguments, **options)  # type: ignore[arg-type]
        path.unlink(missing_ok=True)
        return plan

    monkeypatch.setattr(build, "make_plan", make)


def test_a_vanished_recording_is_named_and_can_be_passed_over(
    raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = raw / GONE
    content = path.read_bytes()
    vanishing(monkeypatch, path)
    assert snntx(raw) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == (
        f"snntx: error: {path}: cannot be read: No such file or directory; copy it again, or "
        "pass over it with --bad-files skip"
    )
    path.write_bytes(content)
    assert snntx(raw, "--bad-files", "skip") == 0
    cache = kept(raw)
    assert len(cache) == 5
    assert [name for name, _ in cache.index.rows.skipped] == [f"raw/{GONE}"]
    assert str(raw) not in cache.index.rows.skipped[0][1]


def test_a_dead_link_is_named_and_can_be_passed_over(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = raw / GONE
    path.unlink()
    path.symlink_to("nowhere.bin")
    assert snntx(raw) == 2
    error = capsys.readouterr().err.strip()
    assert error == (
        f"snntx: error: {path}: is a link that leads nowhere; remove or mend it, or pass over it "
        "with --bad-files skip"
    )
    assert snntx(raw, "--bad-files", "skip") == 0
    cache = kept(raw)
    assert len(cache) == 5
    assert cache.index.rows.skipped == ((f"raw/{GONE}", "is a link that leads nowhere"),)


def test_without_the_dead_link_it_is_another_cache(raw: Path) -> None:
    path = raw / GONE
    path.unlink()
    path.symlink_to("nowhere.bin")
    assert snntx(raw, "--bad-files", "skip") == 0
    assert snntx(raw, "--bad-files", "skip") == 0  # found again
    assert len(kept(raw)) == 5
    path.unlink()
    assert snntx(raw) == 0  # the other advice: what was passed over is no hindrance


def test_names_with_control_characters_are_shown_escaped(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = raw / "Train/1/9\n\x1b[31m.bin"
    path.write_bytes(b"1234567")
    assert snntx(raw) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert r"Train/1/9\n\x1b[31m.bin: 7 bytes is not a whole number" in error
    assert snntx(raw, "--bad-files", "skip") == 0
    captured = capsys.readouterr()
    assert "\x1b[31m" not in captured.out + captured.err


def test_junk_is_counted(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (raw / "Train/1/._00002.bin").write_bytes(b"\0\5\x16\7 Mac OS X")
    (raw / "Train/1/.DS_Store").write_bytes(b"x")
    assert snntx(raw) == 0
    note = "files that file managers left below --raw passed over: 2, such as Train/1/.DS_Store"
    assert note in " ".join(capsys.readouterr().out.split())
    assert len(kept(raw)) == 6
