"""``--bad-files``: stop at a file that cannot be used, or go on without it and say so."""

import errno
import gzip
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import BadFileError, SnntxError
from snntx.preprocess.build import builder as build
from snntx.preprocess.build import stages
from snntx.preprocess.build.tasks import Member, RawFile
from snntx.preprocess.cache import format as cache_format
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.formats import atis

OLD = 1_500_000_000
COUNT = 12


def settle(path: Path) -> None:
    os.utime(path, (OLD, OLD))


def spoil(path: Path) -> None:
    path.write_bytes(b"1234567")
    settle(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve recordings of three digits with their twelve twins, four to a shard."""
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        x, y = rng.integers(0, 34, (2, 100))
        t, p = np.sort(rng.integers(0, 90_000, 100)), rng.integers(0, 2, 100)
        path = tmp_path / f"raw/Train/{i % 3}/{i + 1:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(atis.encode(Events(x, y, t, p)))  # type: ignore[arg-type]
        settle(path)
    static = tmp_path / "static"
    static.mkdir()
    images = rng.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
    header = struct.pack(">4I", 0x803, COUNT, 28, 28)
    (static / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(header + images.tobytes(), mtime=0)
    )
    labels = bytes(i % 3 for i in range(COUNT))
    (static / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, COUNT) + labels)
    for path in static.iterdir():
        settle(path)
    return tmp_path


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_format, "SHARD_RECORDINGS", 4)
    monkeypatch.setattr(stages, "WORTHWHILE_BYTES", 0)


def make(data: Path, cache: str = "cache", *, skip: bool = True, jobs: int = 1) -> build.Summary:
    request = make_request(
        load_card("n-mnist"), raw=data / "raw", static=data / "static", cache=data / cache, steps=3
    )
    return build.preprocess(request, skip=skip, jobs=jobs)


def content(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(directory.iterdir())}


BAD = ("Train/1/00002.bin", "Train/2/00012.bin")
REASON = (
    "7 bytes is not a whole number of 5-byte ATIS records; the record at byte 5 is cut off: copy "
    "or download the file again"
)


def test_skipped_files_leave_no_row_and_are_listed(data: Path) -> None:
    whole = FrameCache(make(data, "whole").directory)
    for name in BAD:
        spoil(data / "raw" / name)
    summary = make(data)
    expected = tuple((f"raw/{name}", REASON) for name in BAD)
    assert summary.skipped == expected
    assert (summary.recordings, summary.twins, summary.statics) == (10, 10, 12)
    cache = FrameCache(summary.directory)
    assert tuple(cache.index.rows.skipped) == expected
    kept = [i for i, name in enumerate(whole.identities) if f"{name}.bin" not in BAD]
    assert cache.identities == [whole.identities[i] for i in kept]
    np.testing.assert_array_equal(cache.labels, whole.labels[kept])
    np.testing.assert_array_equal(cache.index.twin, whole.index.twin[kept])
    np.testing.assert_array_equal(cache.frames(np.arange(10)), whole.frames(kept))
    assert np.bincount(cache.index.shard).tolist() == [4, 3, 3]
    for protocol in cache.protocols:
        parts = [cache.split(protocol, part) for part in ("train", "validation", "test", "unused")]
        assert sorted(np.concatenate(parts)) == list(range(10))


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_bytes_elsewhere_and_by_any_number_of_jobs(data: Path, jobs: int) -> None:
    for name in BAD:
        spoil(data / "raw" / name)
    first = make(data)
    (data / "elsewhere").mkdir()
    for name in ("raw", "static"):
        (data / name).rename(data / "elsewhere" / name)
    second = make(data / "elsewhere", jobs=jobs)
    assert content(second.directory) == content(first.directory)


def test_stop_does_not_take_a_cache_with_skipped_files(data: Path) -> None:
    for name in BAD:
        spoil(data / "raw" / name)
    with pytest.raises(BadFileError, match=r"00002\.bin: 7 bytes"):
        make(data, skip=False)
    directory = make(data).directory
    with pytest.raises(
        SnntxError,
        match=r"sealed without 2 bad files, the first raw/Train/1/00002\.bin: 7 .*--bad-files skip",
    ):
        make(data, skip=False)
    again = make(data)
    assert (again.reused, again.directory, len(again.skipped)) == (True, directory, 2)


def test_mended_files_make_the_whole_cache(data: Path) -> None:
    whole = make(data, "whole", skip=False)
    path = data / "raw" / BAD[0]
    good = path.read_bytes()
    path.write_bytes(b"0" * len(good))  # of the same size
    settle(path)
    skipping = make(data)
    assert len(skipping.skipped) == 1
    path.write_bytes(good)
    os.utime(path, (OLD, OLD + 1))
    mended = make(data, skip=False)
    assert content(mended.directory) == content(whole.directory)


def test_skipping_nothing_is_the_same_cache(data: Path) -> None:
    assert content(make(data, "one").directory) == content(make(data, "two", skip=False).directory)


def test_an_interrupted_build_resumes_with_its_skipped_files(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in BAD:
        spoil(data / "raw" / name)
    whole = make(data, "whole")
    with monkeypatch.context() as patch:
        patch.setattr(cache_format.Index, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(data)
    resumed = make(data)
    assert resumed.resumed_shards == 3
    assert content(resumed.directory) == content(whole.directory)


def test_shards_with_skipped_files_are_not_resumed_by_stop(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(data / "raw" / BAD[0])
    with monkeypatch.context() as patch:
        patch.setattr(cache_format.Index, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(data)
    with pytest.raises(BadFileError, match=r"00002\.bin: 7 bytes"):
        make(data, skip=False)


def test_all_bad_is_an_error(data: Path) -> None:
    for path in (data / "raw").rglob("*.bin"):
        spoil(path)
    with pytest.raises(
        BadFileError, match=r"all 12 recordings are bad, the first: raw/Train/0/00001\.bin: 7 byt"
    ):
        make(data)
    assert not list(data.rglob("SEALED"))


def test_an_empty_and_an_unreadable_file(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = data / "raw" / BAD[0]
    empty.write_bytes(b"")
    settle(empty)
    opened, read = Path.open, Path.read_bytes

    def allowed(path: Path) -> Path:
        if path.name == "00012.bin":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return path

    monkeypatch.setattr(Path, "read_bytes", lambda path: read(allowed(path)))
    monkeypatch.setattr(Path, "open", lambda path, *a, **k: opened(allowed(path), *a, **k))
    assert [reason for _, reason in make(data).skipped] == [
        "the file is empty (0 bytes); copy or download it again",
        "cannot be read: Permission denied",
    ]
    assert make(data).reused
    monkeypatch.undo()
    assert [name for name, _ in make(data).skipped] == [f"raw/{BAD[0]}"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_bad_photographs(tmp_path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr(cache_format, "STATICS_PER_CHUNK", 2)
    rng = np.random.default_rng(1)
    for i in range(1, 21):
        x, y = rng.integers(0, 200, 50), rng.integers(0, 150, 50)
        events = Events(x, y, np.arange(50), rng.integers(0, 2, 50))  # type: ignore[arg-type]
        recording = tmp_path / f"raw/Caltech101/airplanes/image_{i:04d}.bin"
        picture = tmp_path / f"static/airplanes/image_{i:04d}.jpg"
        for path in (recording, picture):
            path.parent.mkdir(parents=True, exist_ok=True)
        recording.write_bytes(atis.encode(events))
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(picture)
    bad = tmp_path / "static/airplanes/image_0003.jpg"
    bad.write_bytes(b"no picture")
    request = make_request(
        load_card("n-caltech101"),
        raw=tmp_path / "raw",
        static=tmp_path / "static",
        cache=tmp_path / "cache",
    )
    with pytest.raises(BadFileError, match=r"image_0003\.jpg: not a readable picture"):
        build.preprocess(request, jobs=jobs)
    summary = build.preprocess(request, jobs=jobs, skip=True)
    ((name, reason),) = summary.skipped
    assert name.startswith("static/")
    assert name.endswith("airplanes/image_0003.jpg")
    assert reason.startswith("not a readable picture")
    assert str(tmp_path) not in reason
    assert (summary.statics, summary.twins, summary.recordings) == (19, 19, 20)
    cache = FrameCache(summary.directory)
    assert cache.static_images().shape == (19, 3, 48, 48)
    for identity, twin in zip(cache.identities, cache.index.twin, strict=True):
        if identity.endswith("0003"):
            assert twin == -1
        else:
            assert cache.index.static_identity[twin] == identity
    for path in (tmp_path / "static").rglob("*.jpg"):
        path.write_bytes(b"none")
    with pytest.raises(BadFileError, match="all 20 static images are bad, the first: static/"):
        build.preprocess(request, jobs=jobs, skip=True)


# files of many recordings


def events(seed: int) -> Events:
    rng = np.random.default_rng(seed)
    x, y, p = rng.integers(0, 34, 50), rng.integers(0, 34, 50), rng.integers(0, 2, 50)
    return Events(x, y, np.arange(50) * 100, p)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["yields", "raises", "outside"])
def test_one_bad_recording_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Alone where the reader goes on after it, with its whole file where it cannot."""
    path = tmp_path / "many"
    path.write_bytes(b"many")

    def recordings(path: Path, parts: Any) -> Iterator[Events | BadFileError]:
        for (number,) in parts:
            if number != 1:
                yield events(number)
            elif how == "yields":
                yield BadFileError(f"{path}: slice 1 is damaged")
            elif how == "outside":
                yield events(1)._replace(x=np.full(50, 99, np.int16))
            else:
                raise BadFileError(f"{path}: broken off in slice 1")

    monkeypatch.setattr(atis.Atis, "recordings", lambda self, *given: recordings(*given))
    request = make_request(load_card("n-mnist"), raw=tmp_path, static=None, cache=tmp_path, steps=3)
    task = stages.ShardTask(
        path=tmp_path / "frames.h5",
        memo=tmp_path / "memo.json",
        files=(RawFile(path, "raw/many", tuple(Member(f"r/{i}", i, (i,)) for i in range(3))),),
        format="atis",
        sort=False,
        options=request.options,
        skip=True,
    )
    rows = task.run(lambda n: None)
    if how == "raises":
        assert list(rows.identity) == []
        assert rows.skipped == (("raw/many", "broken off in slice 1"),)
    else:
        assert list(rows.identity) == ["r/0", "r/2"]
        ((name, reason),) = rows.skipped
        assert name == "raw/many (r/1)"
        assert ("slice 1 is damaged" if how == "yields" else "outside the sensor") in reason


# from outside


def test_on_the_command_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data / "raw" / BAD[0])
    command = ["preprocess", "n-mnist", "--raw", str(data / "raw"), "--cache", str(data / "cache")]
    assert run(command) == 1
    assert "00002.bin: 7 bytes" in capsys.readouterr().err
    assert run([*command, "--bad-files", "skip", "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "skipped     1 files" in said
    assert f"    raw/{BAD[0]}: {REASON}" in said
    assert run([*command, "--bad-files", "skip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == [[f"raw/{BAD[0]}", REASON]]
    assert run(command) == 1
    said = capsys.readouterr().err
    assert "sealed without 1 bad files" in said
    assert said.count("\n") == 1
