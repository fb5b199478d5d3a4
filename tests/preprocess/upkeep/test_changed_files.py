"""A raw file whose content changes in secret: seen by the next call, or by the way that is named.

A file system without ctime is stood in for by a memo that holds the old digest under the new
state.
"""

import json
import os
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.cli import run
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode

OLD = 1_500_000_000
Output = namedtuple("Output", "code out err")
Call = Callable[..., Output]


def write(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 34, (2, 100))
    t, p = np.sort(rng.integers(0, 90_000, 100)), rng.integers(0, 2, 100)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]
    os.utime(path, (OLD, OLD))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for i in range(6):
        write(tmp_path / f"raw/Train/{i % 2}/{i:05d}.bin", i)
    return tmp_path / "raw"


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    def call(*arguments: Any) -> Output:
        code = run([*map(str, arguments), "--cache", str(tmp_path / "cache")])
        captured = capsys.readouterr()
        return Output(code, captured.out, captured.err)

    return call


def key_of(snntx: Call, raw: Path, *more: str) -> str:
    output = snntx("preprocess", "n-mnist", "--raw", raw, "--json", *more)
    assert output.code == 0, output
    return str(json.loads(output.out)["key"])


def change_unseen(raw: Path, tmp_path: Path) -> Path:
    """Change a file under the old size and time, and remember the old digest of the new state."""
    path = raw / "Train/0/00002.bin"
    memo = tmp_path / "cache/n-mnist/digests.json"
    known = json.loads(memo.read_text())
    size = path.stat().st_size
    write(path, 77)
    state = path.stat()
    assert (state.st_size, state.st_mtime_ns) == (size, OLD * 10**9)
    known[str(path)] = [size, state.st_mtime_ns, state.st_ctime_ns, known[str(path)][-1]]
    memo.write_text(json.dumps(known))
    return path


def test_a_change_under_the_old_size_and_time_makes_another_cache(snntx: Call, raw: Path) -> None:
    before = key_of(snntx, raw)
    write(raw / "Train/0/00002.bin", 77)
    assert key_of(snntx, raw) != before


def test_what_verify_advises_helps(snntx: Call, raw: Path, tmp_path: Path) -> None:
    before = key_of(snntx, raw)
    path = change_unseen(raw, tmp_path)
    assert key_of(snntx, raw) == before
    output = snntx("cache", "verify", "n-mnist", "--raw", raw)
    assert output.code == 1
    assert str(path) in output.out
    assert "run snntx preprocess again for a cache of what is there now" in output.out
    after = key_of(snntx, raw)
    assert after != before
    assert snntx("cache", "verify", "n-mnist", "--raw", raw, "--key", after).code == 0
    write(path, 2)  # the other way out: put back
    assert key_of(snntx, raw) == before


def test_verify_forgets_what_an_interrupted_build_remembers(
    snntx: Call, raw: Path, tmp_path: Path
) -> None:
    key_of(snntx, raw)
    change_unseen(raw, tmp_path)
    home = tmp_path / "cache/n-mnist"
    notes = home / ".building-0123456789abcdef.notes/frames-00000.h5.json"
    notes.parent.mkdir()
    notes.write_text((home / "digests.json").read_text())
    assert snntx("cache", "verify", "n-mnist", "--raw", raw).code == 1
    assert json.loads(notes.read_text()) == json.loads((home / "digests.json").read_text())
    assert len(json.loads(notes.read_text())) == 5


def test_a_memo_that_cannot_be_written_is_answered_with_rehash(
    snntx: Call, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_of(snntx, raw)
    change_unseen(raw, tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkstemp", refuse)
        output = snntx("cache", "verify", "n-mnist", "--raw", raw)
    assert output.code == 1
    assert "run snntx preprocess with --rehash" in output.out
    assert key_of(snntx, raw) == before
    assert key_of(snntx, raw, "--rehash") != before


def test_rehash_finds_the_same_cache_where_nothing_changed(snntx: Call, raw: Path) -> None:
    assert key_of(snntx, raw) == key_of(snntx, raw, "--rehash")


def test_rehash_takes_no_shard_of_an_interrupted_build(
    snntx: Call, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die)
        assert snntx("preprocess", "n-mnist", "--raw", raw).code == 130
    (notes,) = (tmp_path / "cache/n-mnist").glob(".building-*.notes")
    assert list(notes.iterdir())
    output = snntx("preprocess", "n-mnist", "--raw", raw, "--rehash", "--json")
    assert json.loads(output.out)["resumed_shards"] == 0
