"""Digests remembered between runs: by size and both times, never wrong, never in the way."""

import errno
import json
import os
from pathlib import Path

import pytest

from snntx.preprocess.disk.digests import digest
from snntx.preprocess.disk.memo import DigestMemo

OLD = 1_500_000_000
ONE, TWO = digest(b"one"), digest(b"two")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def memo(tmp_path: Path, path: Path) -> DigestMemo:
    """A memo on disk that knows the file."""
    memo = DigestMemo(tmp_path / "memo.json")
    memo.put(path, ONE, path.stat())
    assert memo.save()
    return DigestMemo(tmp_path / "memo.json")


def test_an_unchanged_file_is_known(memo: DigestMemo, path: Path) -> None:
    assert memo.get(path) == ONE


def test_a_young_file_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    memo = DigestMemo(tmp_path / "memo.json")
    memo.put(path, ONE, path.stat())
    assert memo.get(path) is None


def test_another_time_is_another_state(memo: DigestMemo, path: Path) -> None:
    os.utime(path, (OLD, OLD + 1))
    assert memo.get(path) is None


def test_a_change_under_the_old_size_and_time_is_seen(memo: DigestMemo, path: Path) -> None:
    path.write_bytes(b"two")
    os.utime(path, (OLD, OLD))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (3, OLD * 10**9)
    assert memo.get(path) is None


def test_what_is_forgotten_does_not_come_back(memo: DigestMemo, path: Path, tmp_path: Path) -> None:
    memo.forget(path)
    assert memo.get(path) is None
    assert memo.save()
    assert DigestMemo(tmp_path / "memo.json").get(path) is None
    memo.put(path, ONE, path.stat())
    assert memo.save()
    assert DigestMemo(tmp_path / "memo.json").get(path) == ONE


def test_a_fresh_memo_knows_nothing_and_keeps_the_others(
    memo: DigestMemo, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"two")
    os.utime(other, (OLD, OLD))
    fresh = DigestMemo(tmp_path / "memo.json", fresh=True)
    assert fresh.get(path) is None
    fresh.put(other, TWO, other.stat())
    assert fresh.save()
    again = DigestMemo(tmp_path / "memo.json")
    assert (again.get(path), again.get(other)) == (ONE, TWO)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "5", "[" * 100_000, '{"x": 5}', "\udcff", "entries"]
)
def test_any_other_content_is_read_as_empty(path: Path, tmp_path: Path, text: str) -> None:
    place = tmp_path / "memo.json"
    state = path.stat()
    key = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
    entries: list[object] = [
        5,
        None,
        [],
        {},
        key,
        [*key, None],
        [*key, 5],
        [*key, "x"],
        [*key[:2], ONE],
    ]
    texts = [json.dumps({str(path): e}) for e in entries] if text == "entries" else [text]
    for each in texts:
        place.write_bytes(each.encode(errors="surrogateescape"))
        memo = DigestMemo(place)
        assert memo.get(path) is None
        memo.put(path, ONE, path.stat())
        assert memo.save()
        assert DigestMemo(place).get(path) == ONE


@pytest.mark.parametrize(
    ("number", "harmless"),
    [(errno.EROFS, True), (errno.EACCES, True), (errno.ENOSPC, False), (errno.EIO, False)],
)
def test_only_a_folder_that_may_not_be_written_is_no_error(
    memo: DigestMemo, monkeypatch: pytest.MonkeyPatch, number: int, harmless: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkstemp", fail)
    if harmless:
        assert memo.save() is False
    else:
        with pytest.raises(OSError, match=os.strerror(number)) as error:
            memo.save()
        assert error.value.errno == number
