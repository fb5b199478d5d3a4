"""The cache: same input same bytes, one key per content, damage named, builds that resume."""

import dataclasses
import gzip
import json
import multiprocessing
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from snntx import data_cards
from snntx.data_cards import load_card, parse_card
from snntx.data_cards.schema import Card, SplitRule
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess.build import builder as build
from snntx.preprocess.build import pictures, writing
from snntx.preprocess.cache import format as cache_format
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.disk import digests
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.framing.recording import frame_recording
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.planning.unpaired import Unpaired
from snntx.preprocess.readers import reading as readers
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.reading import read_events

DIGITS = "3141592653"
OLD = 1_500_000_000


def write_recording(path: Path, seed: int, count: int = 200) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 34, (2, count))
    t = np.sort(rng.integers(0, 300_000, count))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Events(x, y, t, rng.integers(0, 2, count))))  # type: ignore[arg-type]
    os.utime(path, (OLD, OLD))  # settled: young files are not remembered


def idx(values: NDArray[np.uint8], magic: int) -> bytes:
    return struct.pack(f">{1 + values.ndim}I", magic, *values.shape) + values.tobytes()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten N-MNIST recordings, eight for training, with the MNIST images 1 to 6 of training."""
    for i, digit in enumerate(DIGITS):
        part = "Train" if i < 8 else "Test"
        write_recording(tmp_path / f"data/raw/{part}/{digit}/{i + 1:05d}.bin", seed=i)
    static = tmp_path / "data/static"
    static.mkdir()
    images = np.random.default_rng(9).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    labels = np.array([int(d) for d in DIGITS[:6]], np.uint8)
    (static / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images, 0x803), mtime=0))
    (static / "train-labels-idx1-ubyte").write_bytes(idx(labels, 0x801))
    for path in static.iterdir():
        os.utime(path, (OLD, OLD))
    return tmp_path / "data"


def make(
    data: Path,
    cache: Path,
    *,
    card: Card | None = None,
    steps: int | None = 4,
    size: int | None = None,
    static: bool = True,
    unpaired: Unpaired = "stop",
    say: Callable[[str], None] = lambda line: None,
) -> build.Summary:
    request = make_request(
        card or load_card("n-mnist"),
        raw=data / "raw",
        static=data / "static" if static else None,
        cache=cache,
        unpaired=unpaired,
        steps=steps,
        size=size,
    )
    return build.preprocess(request, say=say)


def content(directory: Path) -> dict[str, bytes]:
    """Every file of a cache and its bytes."""
    return {p.name: p.read_bytes() for p in sorted(directory.iterdir())}


def overwrite(path: Path, change: Callable[[bytearray], object]) -> None:
    """Change the bytes of a sealed file."""
    data = bytearray(path.read_bytes())
    change(data)
    path.chmod(0o644)
    path.write_bytes(data)


def reseal(directory: Path, **values: Any) -> None:
    path = directory / cache_format.SEALED
    sealed = json.loads(path.read_text())
    path.chmod(0o644)
    path.write_text(json.dumps({**sealed, **values}))


# what is written is what is read


def test_reopen_and_compare(data: Path, tmp_path: Path) -> None:
    summary = make(data, tmp_path / "cache")
    assert (summary.recordings, summary.classes, summary.reused) == (10, 7, False)
    assert (summary.statics, summary.twins, summary.events) == (6, 6, 2000)
    assert summary.raw_bytes == 10_000
    assert summary.cache_bytes == sum(map(len, content(summary.directory).values()))
    assert "3 of 10 classes have no recording here" in summary.notes
    assert summary.directory == tmp_path / "cache/n-mnist" / summary.key
    cache = FrameCache(summary.directory)
    assert cache.key == summary.key
    names = sorted(f"{'Train' if i < 8 else 'Test'}/{d}/{i + 1:05d}" for i, d in enumerate(DIGITS))
    assert cache.identities == names
    assert cache.labels.tolist() == [int(name.split("/")[1]) for name in names]
    assert cache.classes == list("0123456789")
    assert cache.frame_shape == (4, 2, 34, 34)
    for i, name in enumerate(names):
        events = read_events(data / f"raw/{name}.bin", "atis")
        frames = frames_from_events(*events, steps=4, sensor=(34, 34))
        np.testing.assert_array_equal(cache.frames(i), frames)
        rows = cache.index.rows
        assert rows.events[i] == 200
        assert rows.duration_us[i] == events.t[-1] - events.t[0]
        extent = (events.y.max() - events.y.min() + 1, events.x.max() - events.x.min() + 1)
        assert tuple(rows.extent[i]) == extent
        twin = cache.index.twin[i]
        number = int(name[-5:])
        if number <= 6:
            assert cache.index.static_identity[twin] == f"Train/{number:05d}"
            assert cache.index.static_label[twin] == cache.labels[i]
        else:
            assert twin == -1
    assert cache.static_images().shape == (6, 1, 34, 34)
    assert tuple(cache.index.planes) == ("L",)


def test_batches_in_any_order_and_in_memory(data: Path, tmp_path: Path) -> None:
    cache = FrameCache(make(data, tmp_path / "cache").directory)
    batch = cache.frames([7, 0, 7])
    for place, i in enumerate([7, 0, 7]):
        np.testing.assert_array_equal(batch[place], cache.frames(i))
    assert cache.frames(np.array([], np.int64)).shape == (0, 4, 2, 34, 34)
    size = 10 * 4 * 2 * 34 * 34 * 4
    assert not cache.hold(size - 1)
    assert cache.hold(size)
    np.testing.assert_array_equal(cache.frames([7, 0, 7]), batch)
    np.testing.assert_array_equal(cache.frames(7), batch[0])


def test_splits_and_partners(data: Path, tmp_path: Path) -> None:
    cache = FrameCache(make(data, tmp_path / "cache").directory)
    assert cache.protocols == ["holdout", "paper"]
    for protocol in cache.protocols:
        parts = [cache.split(protocol, part) for part in ("train", "validation", "test", "unused")]
        assert sorted(np.concatenate(parts)) == list(range(10))
        held_out = np.concatenate(parts[1:])
        partners = cache.static_split(protocol, "train")
        assert not set(partners) & set(cache.index.twin[held_out])
    test = [cache.identities[i] for i in cache.split("paper", "test")]
    assert test == ["Test/3/00010", "Test/5/00009"]


def test_unknown_protocol_and_part(data: Path, tmp_path: Path) -> None:
    cache = FrameCache(make(data, tmp_path / "cache").directory)
    with pytest.raises(UsageError, match="'holdot'; did you mean 'holdout'"):
        cache.split("holdot", "train")
    with pytest.raises(UsageError, match="'valid'; did you mean 'validation'"):
        cache.split("holdout", "valid")


def test_a_cache_explains_itself(data: Path, tmp_path: Path) -> None:
    summary = make(data, tmp_path / "cache", size=40)
    with h5py.File(summary.directory / "index.h5") as file:
        found = dict(file.attrs)
        parts = h5py.check_enum_dtype(file["recordings/split/holdout"].dtype)
    shape = found.pop("frame_shape")
    assert shape.tolist() == [4, 2, 40, 40]
    assert "recording i of this index is row[i] of shard[i]" in found.pop("about")
    settings = json.loads(found.pop("settings"))
    assert settings["options"]["size"] == [40, 40]
    assert settings["splits"]["holdout"]["test"] == 0.15
    assert found == {
        "format_version": cache_format.VERSION,
        "key": summary.key,
        "card": "n-mnist",
        "event_format": "atis",
        "sort": False,
        "frame_axes": "time step, polarity (off, on), row, column",
        "steps": 4,
        "size": "40 x 40",
        "sensor": "34 x 34",
        "tail": "drop",
        "zero_origin": False,
        "bins": "time",
        "window_ms": "duration / steps",
        "values": "counts",
        "polarity": "split",
        "crop": "none",
        "interpolation": "bilinear, aligned corners, no antialias",
        "static_fit": "pad",
        "static_order": "resize-then-channel",
        "twin_rule": "{split}/{number}",
    }
    assert parts == {"train": 0, "validation": 1, "test": 2, "unused": 3}


def test_event_only(data: Path, tmp_path: Path) -> None:
    cache = FrameCache(make(data, tmp_path / "cache", static=False).directory)
    assert (cache.index.twin == -1).all()
    assert len(cache.static_images()) == 0
    assert cache.static_split("holdout", "train").size == 0


def test_sealed_files_are_read_only(data: Path, tmp_path: Path) -> None:
    directory = make(data, tmp_path / "cache").directory
    names = ["SEALED", "frames-00000.h5", "index.h5", "static.h5"]
    assert sorted(p.name for p in directory.iterdir()) == names
    assert {p.stat().st_mode & 0o777 for p in directory.iterdir()} == {0o444}
    left = sorted(p.name for p in directory.parent.iterdir() if p.suffix != ".lock")
    assert left == sorted([directory.name, "digests.json"])


# one key for one content, and the same bytes for it


def test_same_bytes_again_later_and_elsewhere(data: Path, tmp_path: Path) -> None:
    first = make(data, tmp_path / "one")
    shutil.copytree(data, tmp_path / "moved")  # with new times of change
    for path in (tmp_path / "moved").rglob("*.bin"):
        path.touch()
    time.sleep(1.1)  # a file format that keeps seconds would differ now
    second = make(tmp_path / "moved", tmp_path / "two")
    assert second.key == first.key
    assert content(second.directory) == content(first.directory)


@pytest.mark.parametrize(
    "change", [{"steps": 5}, {"size": 34}, {"size": 33}, {"static": False}], ids=str
)
def test_key_changes_with_the_call(data: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    assert make(data, tmp_path, **change).key != make(data, tmp_path).key


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("framing", {"tail": "keep"}),
        ("framing", {"zero_origin": True}),
        ("events", {"sensor": (35, 34)}),
        ("events", {"sort": True}),
        ("static", {"fit": "stretch"}),
        ("static", {"twin": "{split}/0{number}"}),
        ("", {"name": "other"}),
        ("", {"classes": tuple("9876543210")}),
        ("", {"splits": {"holdout": SplitRule("hash", validation=0.15, test=0.16)}}),
    ],
    ids=str,
)
def test_key_changes_with_the_card(
    data: Path, tmp_path: Path, table: str, change: dict[str, Any]
) -> None:
    card = load_card("n-mnist")
    part: Any = getattr(card, table) if table else card
    part = dataclasses.replace(part, **change)
    other = dataclasses.replace(card, **{table: part}) if table else part
    changed = make(data, tmp_path, card=other, unpaired="class")  # of another twin none matches
    assert changed.key != make(data, tmp_path).key


def test_key_ignores_prose_and_recipes(data: Path, tmp_path: Path) -> None:
    card = load_card("n-mnist")
    assert card.static is not None
    other = dataclasses.replace(
        card,
        about=dataclasses.replace(card.about, summary="Other words."),
        static=dataclasses.replace(card.static, twin_evidence="Other words.", min_paired=0.2),
        recipes={"default": {"epochs": 1}},
    )
    assert make(data, tmp_path, card=other).key == make(data, tmp_path).key


def test_key_changes_with_one_byte_of_a_recording(data: Path, tmp_path: Path) -> None:
    before = make(data, tmp_path).key
    overwrite(data / "raw/Train/3/00001.bin", lambda b: b.__setitem__(0, b[0] ^ 1))
    after = make(data, tmp_path)
    assert after.key != before
    assert not after.reused


def test_key_changes_with_one_byte_of_an_image(data: Path, tmp_path: Path) -> None:
    before = make(data, tmp_path).key
    path = data / "static/train-images-idx3-ubyte.gz"
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(plain), mtime=0))
    assert make(data, tmp_path).key != before


def test_key_changes_with_a_name_and_with_a_file(data: Path, tmp_path: Path) -> None:
    keys = {make(data, tmp_path).key}
    (data / "raw/Train/3/00001.bin").rename(data / "raw/Train/3/00011.bin")
    keys.add(make(data, tmp_path).key)
    (data / "raw/Train/3/00011.bin").unlink()
    keys.add(make(data, tmp_path).key)
    assert len(keys) == 3


def test_swapped_files_of_one_size_are_another_content(data: Path, tmp_path: Path) -> None:
    before = make(data, tmp_path)
    one, two = data / "raw/Train/3/00001.bin", data / "raw/Train/1/00002.bin"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    after = make(data, tmp_path)
    assert after.key != before.key
    assert FrameCache(after.directory).frames(0).sum() > 0
    one.write_bytes(first)
    two.write_bytes(second)
    assert make(data, tmp_path).key == before.key


def test_the_second_run_opens_no_raw_file(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(data, tmp_path / "cache")
    before = content(first.directory)

    def refuse(path: object) -> bytes:
        raise AssertionError(f"{path} was opened")

    for module, name in (
        (pictures, "read_file"),
        (readers, "read_file"),
        (digests, "digest_file"),
    ):
        monkeypatch.setattr(module, name, refuse)
    second = make(data, tmp_path / "cache")
    assert second.reused
    assert second.directory == first.directory
    assert content(first.directory) == before
    same = ("recordings", "classes", "events", "raw_bytes", "cache_bytes", "statics", "twins")
    assert [getattr(second, n) for n in same] == [getattr(first, n) for n in same]


@pytest.mark.parametrize("memo", ["", "{", "[]", '{"x": 5}', None, "entries"])
def test_a_damaged_memo_costs_time_only(data: Path, tmp_path: Path, memo: str | None) -> None:
    first = make(data, tmp_path / "cache")
    path = tmp_path / "cache/n-mnist/digests.json"
    if memo is None:
        path.unlink()
    elif memo == "entries":
        path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), 5)))
    else:
        path.write_text(memo)
    second = make(data, tmp_path / "cache")
    assert second.reused
    assert second.key == first.key


# damage


def damaged(directory: Path, message: str) -> None:
    with pytest.raises(SnntxError, match=message):
        FrameCache(directory)


def test_not_sealed(data: Path, tmp_path: Path) -> None:
    directory = make(data, tmp_path).directory
    (directory / "SEALED").unlink()
    damaged(directory, r"not a sealed cache \(no file SEALED\)")
    damaged(tmp_path / "none", "not a sealed cache")


@pytest.mark.parametrize("version", [0, cache_format.EVENT_VERSION + 1, "1", None])
def test_wrong_version_names_both(data: Path, tmp_path: Path, version: object) -> None:
    directory = make(data, tmp_path).directory
    reseal(directory, version=version)
    damaged(directory, f"cache format {version}, this release reads {cache_format.VERSION}")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "5", '{"version": 1}', "\udcff"])
def test_damaged_seal(data: Path, tmp_path: Path, text: str) -> None:
    directory = make(data, tmp_path).directory
    (directory / "SEALED").chmod(0o644)
    (directory / "SEALED").write_bytes(text.encode(errors="surrogateescape"))
    damaged(directory, "SEALED: damaged: .*; remove the cache and build it again")


@pytest.mark.parametrize("name", ["frames-00000.h5", "static.h5", "index.h5"])
def test_missing_or_truncated_file(data: Path, tmp_path: Path, name: str) -> None:
    directory = make(data, tmp_path).directory
    size = (directory / name).stat().st_size
    overwrite(directory / name, lambda b: b.__delitem__(slice(size - 1, None)))
    damaged(directory, rf"{name}: has {size - 1} bytes, sealed with {size} bytes")
    (directory / name).unlink()
    damaged(directory, f"{name}: is missing, sealed with {size} bytes")


def test_flipped_byte_in_a_chunk(data: Path, tmp_path: Path) -> None:
    directory = make(data, tmp_path).directory
    path = directory / "frames-00000.h5"
    with h5py.File(path) as file:
        chunk = file["frames"].id.get_chunk_info(3)
    flipped = 0
    for at in range(chunk.size):
        if at % 37 == 0:
            place = chunk.byte_offset + at
            overwrite(path, lambda b, place=place: b.__setitem__(place, b[place] ^ 4))  # type: ignore[misc]
            cache = FrameCache(directory)
            name = cache.identities[3]
            with pytest.raises(
                SnntxError, match=rf"{name} \(row 3\) does not match its checksum; remove"
            ):
                cache.frames(3)
            assert cache.frames(2).any()
            overwrite(path, lambda b, place=place: b.__setitem__(place, b[place] ^ 4))  # type: ignore[misc]
            flipped += 1
    assert flipped > 10
    assert FrameCache(directory).frames(3).any()


@pytest.mark.parametrize("name", ["frames-00000.h5", "static.h5", "index.h5"])
def test_a_flipped_byte_anywhere_is_never_another_number(
    data: Path, tmp_path: Path, name: str
) -> None:
    directory = make(data, tmp_path).directory
    whole = FrameCache(directory)
    frames, images = whole.frames(np.arange(10)), whole.static_images()
    size = (directory / name).stat().st_size
    refused = 0
    for place in np.random.default_rng(0).choice(size, 60, replace=False).tolist():
        flip = lambda b, place=place: b.__setitem__(place, b[place] ^ 16)  # noqa: E731
        overwrite(directory / name, flip)
        try:
            cache = FrameCache(directory)
            np.testing.assert_array_equal(cache.frames(np.arange(10)), frames)
            np.testing.assert_array_equal(cache.static_images(), images)
            assert cache.labels.tolist() == whole.labels.tolist()
        except SnntxError:
            refused += 1
        overwrite(directory / name, flip)
    assert refused == 60 if name == "index.h5" else refused > 5


@pytest.mark.parametrize("harm", ["seal", "shard", "unsealed", "index"])
def test_preprocess_again_mends_a_damaged_cache(data: Path, tmp_path: Path, harm: str) -> None:
    first = make(data, tmp_path)
    before = content(first.directory)
    if harm == "seal":
        overwrite(first.directory / "SEALED", lambda b: b.clear())
    elif harm == "unsealed":
        (first.directory / "SEALED").unlink()
    elif harm == "index":
        overwrite(first.directory / "index.h5", lambda b: b.__setitem__(-1, b[-1] ^ 1))
    else:
        (first.directory / "frames-00000.h5").unlink()
    said: list[str] = []
    again = make(data, tmp_path, say=said.append)
    assert not again.reused
    assert content(again.directory) == before
    assert said == [f"{first.directory} is damaged; putting the new build in its place"]


def test_a_damaged_neighbour_does_not_stop_a_build(data: Path, tmp_path: Path) -> None:
    old = make(data, tmp_path, steps=3).directory
    reseal(old, version=0)
    assert not make(data, tmp_path, steps=4).reused
    assert old.is_dir()


# many processes


def total(cache: FrameCache, which: list[int]) -> float:
    return float(cache.frames(which).sum())


def read_many(arguments: tuple[FrameCache, list[int]]) -> list[float]:
    cache, which = arguments
    return [total(cache, [i]) for _ in range(20) for i in which]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_reading_in_other_processes(data: Path, tmp_path: Path, method: str) -> None:
    cache = FrameCache(make(data, tmp_path).directory)
    which = list(range(10))
    expected = read_many((cache, which))  # the parent's handles are open now
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map_async(read_many, [(cache, which)] * 4)
        assert read_many((cache, which)) == expected
        assert results.get(timeout=60) == [expected] * 4


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_opens_its_own_files(data: Path, tmp_path: Path) -> None:
    cache = FrameCache(make(data, tmp_path).directory)
    expected = read_many((cache, [0, 9]))
    parents = list(cache._shards.values())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def child() -> None:
        sums = read_many((cache, [0, 9]))
        shared = [file for file in cache._shards.values() if any(file is p for p in parents)]
        queue.put((sums, len(shared)))

    children = [context.Process(target=child) for _ in range(3)]
    for process in children:
        process.start()
    assert read_many((cache, [0, 9])) == expected
    assert [queue.get(timeout=60) for _ in children] == [(expected, 0)] * 3
    for process in children:
        process.join(60)
    assert [process.exitcode for process in children] == [0, 0, 0]


BUILDER = """
import sys, time
from pathlib import Path
from snntx.data_cards import load_card
from snntx.preprocess.build import builder as build
from snntx.preprocess.readers import reading as readers
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.planning.unpaired import Unpaired

data, cache, started = map(Path, sys.argv[1:])
read = readers.read_file
def slow(path):
    started.touch()
    time.sleep(0.1)
    return read(path)
readers.read_file = slow
request = make_request(
    load_card("n-mnist"), raw=data / "raw", static=data / "static", cache=cache, steps=4
)
summary = build.preprocess(request, say=lambda line: print(line, flush=True))
print(summary.key, summary.reused)
"""


def test_two_builders_at_once_make_one_cache(data: Path, tmp_path: Path) -> None:
    cache, started = tmp_path / "cache", tmp_path / "started"
    command = [sys.executable, "-c", BUILDER, str(data), str(cache), str(started)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    while not started.exists():
        assert first.poll() is None
        time.sleep(0.01)
    said: list[str] = []
    second = make(data, cache, say=said.append)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert output.split() == [second.key, "False"]
    (line,) = said
    assert line.startswith(f"process {first.pid} on {socket.gethostname()} (since ")
    assert line.endswith(" is building this cache; waiting for it, at most 24 hours")
    assert second.reused
    assert content(second.directory) == content(make(data, tmp_path / "alone").directory)


# interrupted builds


class StopHere(Exception):
    """Stands for a killed process."""


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[Path]:
    """Make the framing of the ``number``-th recording fail; returns the recordings framed."""
    framed: list[Path] = []

    def stopping(events: Any, path: Path, options: Any) -> Any:
        if len(framed) == number:
            raise StopHere
        framed.append(path)
        return frame_recording(events, path, options)

    monkeypatch.setattr(writing, "frame_recording", stopping)
    return framed


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_format, "SHARD_RECORDINGS", 3)


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_build_resumes(data: Path, tmp_path: Path) -> None:
    whole = make(data, tmp_path / "whole")
    assert [n for n in content(whole.directory) if n.startswith("frames")] == [
        f"frames-0000{i}.h5" for i in range(4)
    ]
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 7)
        with pytest.raises(StopHere):
            make(data, tmp_path / "cut")
    assert not list((tmp_path / "cut").rglob("SEALED"))
    with pytest.MonkeyPatch.context() as patch:
        framed = stop_at(patch, 99)
        resumed = make(data, tmp_path / "cut")
    assert resumed.resumed_shards == 2
    assert len(framed) == 4
    assert resumed.key == whole.key
    assert content(resumed.directory) == content(whole.directory)
    cache = FrameCache(resumed.directory)
    frames = cache.frames(np.arange(10))
    np.testing.assert_array_equal(frames, FrameCache(whole.directory).frames(np.arange(10)))
    assert cache.index.shard.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert cache.index.row.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


@pytest.mark.usefixtures("small_shards")
def test_a_recording_changed_meanwhile_is_read_again(data: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 7)
        with pytest.raises(StopHere):
            make(data, tmp_path / "cut")
    path = sorted((data / "raw").glob("*/*/*.bin"))[1]
    write_recording(path, seed=77)  # of the same size
    os.utime(path, (OLD, OLD + 1))
    resumed = make(data, tmp_path / "cut")
    assert resumed.resumed_shards == 1
    assert content(resumed.directory) == content(make(data, tmp_path / "whole").directory)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("harm", ["cut", "empty", "foreign"])
def test_a_damaged_shard_is_built_again(data: Path, tmp_path: Path, harm: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 7)
        with pytest.raises(StopHere):
            make(data, tmp_path / "cut")
    (shard,) = (tmp_path / "cut").rglob("frames-00001.h5")
    if harm == "foreign":
        with h5py.File(shard, "w") as file:
            file["other"] = 5
    else:
        overwrite(shard, lambda b: b.__delitem__(slice(len(b) // 2 if harm == "cut" else 0, None)))
    resumed = make(data, tmp_path / "cut")
    assert resumed.resumed_shards == 1
    assert content(resumed.directory) == content(make(data, tmp_path / "whole").directory)


def test_a_build_that_dies_between_seal_and_rename_is_finished(data: Path, tmp_path: Path) -> None:
    def die(*_: object) -> None:
        raise StopHere

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", die)
        with pytest.raises(StopHere):
            make(data, tmp_path / "cut")
    resumed = make(data, tmp_path / "cut")
    assert resumed.resumed_shards == 1
    assert content(resumed.directory) == content(make(data, tmp_path / "whole").directory)


def test_a_bad_recording_stops_the_build_and_mending_it_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_format, "SHARD_RECORDINGS", 3)
    path = data / "raw/Train/9/00006.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(BadFileError, match=r"Train/9/00006\.bin: 999 bytes is not a whole"):
        make(data, tmp_path)
    assert not list(tmp_path.rglob("SEALED"))
    path.write_bytes(whole)
    assert FrameCache(make(data, tmp_path).directory).frames(9).any()


def test_an_event_outside_the_sensor_names_its_file(data: Path, tmp_path: Path) -> None:
    overwrite(data / "raw/Train/3/00001.bin", lambda b: b.__setitem__(0, 34))
    with pytest.raises(BadFileError, match=r"00001\.bin: events lie in x .*34 rows and 34 col"):
        make(data, tmp_path)


@pytest.mark.parametrize(("x", "y", "ok"), [(239, 179, True), (240, 0, False), (0, 180, False)])
def test_a_coordinate_beyond_the_largest_sensor(tmp_path: Path, x: int, y: int, ok: bool) -> None:
    """Where extents differ per recording, there still is a largest one."""
    path = tmp_path / "raw/Caltech101/ant/image_0001.bin"
    path.parent.mkdir(parents=True)
    columns = ([0, x], [0, y], [0, 9], [0, 1])
    path.write_bytes(encode(Events(*map(np.array, columns))))
    card = load_card("n-caltech101")
    request = make_request(card, raw=tmp_path / "raw", static=None, cache=tmp_path)
    if ok:
        assert build.preprocess(request).events == 2
        return
    with pytest.raises(BadFileError, match=r"image_0001\.bin: .* the sensor has 180 rows and 240"):
        build.preprocess(request)


def test_photographs_of_every_mode_and_pairs_that_lack_one_side(tmp_path: Path) -> None:
    """Grey, palette, CMYK and transparent pictures, names with blanks, twins missing both ways."""
    raw, static = tmp_path / "rohe Daten é", tmp_path / "Bilder ü/101_ObjectCategories"
    text = (Path(data_cards.__file__).parent / "shipped/n-caltech101.toml").read_text("utf-8")
    names = {"sea lion": "L", "été": "P", "漢字": "CMYK", "owl": "RGBA"}
    listed = text[text.index("classes = ") : text.index("[about]")]
    card = parse_card(
        text.replace(listed, f"classes = {json.dumps(list(names))}\n\n").encode(), "x"
    )
    colour: dict[str, Any] = {"L": 90, "CMYK": (0, 255, 255, 0), "RGBA": (9, 200, 7, 128)}
    for name, mode in names.items():
        for i in (1, 2, 3):
            if i < 3:  # photograph 3 has no recording
                write_recording(raw / f"Caltech101/{name}/image {i}.bin", seed=i)
            if i > 1:  # recording 1 has no photograph
                picture = Image.new(mode, (40, 30), colour.get(mode, 1))
                if mode == "P":
                    picture.putpalette([0, 0, 0, 10, 20, 230])
                path = static / f"{name}/image {i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path, "JPEG" if mode in ("L", "CMYK") else "PNG")
    (static / "owl/loop").symlink_to(tmp_path)
    (raw / "Caltech101/owl/loop").symlink_to(tmp_path)
    request = make_request(
        card, raw=raw, static=static.parent, cache=tmp_path / "cache", unpaired="class"
    )
    summary = build.preprocess(request)
    assert (summary.recordings, summary.statics, summary.twins) == (8, 8, 4)
    cache = FrameCache(summary.directory)
    for identity, twin in zip(cache.identities, cache.index.twin, strict=True):
        expected = identity if identity.endswith(" 2") else None
        assert (cache.index.static_identity[twin] if twin >= 0 else None) == expected
    shown = {name: [90, 90, 90] for name in names}
    shown |= {"été": [10, 20, 230], "漢字": [254, 0, 0], "owl": [132, 227, 131]}
    for label, image in zip(cache.index.static_label, cache.static_images(), strict=True):
        np.testing.assert_allclose(image.mean(axis=(1, 2)), shown[cache.classes[label]], atol=2)
    empty = static / "owl/image 3.jpg"
    empty.write_bytes(b"")
    with pytest.raises(BadFileError, match=r"owl/image 3\.jpg: the file is empty \(0 bytes\)"):
        build.preprocess(request)


def test_a_twin_of_another_class_stops_the_build(data: Path, tmp_path: Path) -> None:
    (data / "raw/Train/3/00001.bin").rename(data / "raw/Train/1/00001.bin")
    with pytest.raises(
        BadFileError, match=r"class 1, but its twin Train/00001 .* of class 3 \(1 s"
    ):
        make(data, tmp_path)


def test_preprocessing_imports_no_torch(data: Path, tmp_path: Path) -> None:
    program = """
import sys
from snntx.cli import run
code = run(sys.argv[1:])
heavy = {"torch", "tonic", "librosa", "sklearn", "matplotlib", "tensorboard"} & set(sys.modules)
sys.exit(f"{code}, imported {heavy}" if code or heavy else 0)
"""
    arguments = ["--raw", data / "raw", "--static", data / "static", "--cache", tmp_path / "cache"]
    done = subprocess.run(
        [sys.executable, "-c", program, "preprocess", "n-mnist", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "sealed a new cache" in done.stdout


@pytest.mark.real
def test_real_recordings_with_real_twins(real: Path, tmp_path: Path) -> None:
    request = make_request(
        load_card("n-mnist"), raw=real / "n_mnist", static=real / "mnist", cache=tmp_path
    )
    summary = build.preprocess(request)
    assert (summary.recordings, summary.statics, summary.twins) == (1000, 10000, 100)
    cache = FrameCache(summary.directory)
    frames, images = cache.frames(np.arange(1000)), cache.static_images()[:, 0]
    assert (cache.index.static_label[cache.index.twin[cache.index.twin >= 0]]).tolist() == (
        cache.labels[cache.index.twin >= 0].tolist()
    )
    # a recording looks like its twin: events lie where the image is bright, far more so than
    # with any other of the hundred images
    activity = frames.sum(axis=(1, 2)).reshape(1000, -1)
    paired = np.flatnonzero(cache.index.twin >= 0)
    pictures = images[cache.index.twin[paired]].reshape(100, -1).astype(float)
    assert np.diag(np.corrcoef(activity[paired], pictures)[:100, 100:]).min() > 0.4
    own = activity[paired] - activity[paired].mean(axis=0)
    match = np.corrcoef(own, pictures - pictures.mean(axis=0))[:100, 100:]
    assert (match.argmax(axis=1) == np.arange(100)).sum() > 50  # by chance: 1


@pytest.mark.real
def test_generated_recordings_with_real_photographs(real: Path, tmp_path: Path) -> None:
    for i in (1, 3, 9):  # there is no photograph 9
        write_recording(tmp_path / f"raw/Caltech101/airplanes/image_{i:04d}.bin", seed=i)
    write_recording(tmp_path / "raw/Caltech101/Faces/image_0001.bin", seed=4)
    request = make_request(
        load_card("n-caltech101"),
        raw=tmp_path / "raw",
        static=real / "caltech101",
        cache=tmp_path,
        unpaired="class",
    )
    summary = build.preprocess(request)
    assert summary.notes == (
        "1 recordings of classes that card n-caltech101 does not name: Faces (1)",
        "13 static images have no recording of their name and are class partners, such as "
        "airplanes/image_0002, airplanes/image_0004, airplanes/image_0005 and 10 more: for 3 of "
        "them, whose classes have recordings without a twin, it cannot be promised that no twin "
        "of a test recording is shown in training",
        "1 recordings have no twin, such as airplanes/image_0009",
        "100 of 101 classes have no recording here",
    )
    cache = FrameCache(summary.directory)
    assert cache.identities == [f"airplanes/image_000{i}" for i in (1, 3, 9)]
    assert cache.labels.tolist() == [5, 5, 5]
    assert [cache.index.static_identity[i] for i in cache.index.twin[:2]] == cache.identities[:2]
    assert cache.index.twin[2] == -1
    assert (cache.static_images().shape, cache.frame_shape) == ((15, 3, 48, 48), (10, 2, 48, 48))
    events = read_events(tmp_path / "raw/Caltech101/airplanes/image_0003.bin", "atis")
    frames = frames_from_events(*events, steps=10, size=48, zero_origin=True)
    np.testing.assert_array_equal(cache.frames(1), frames)
