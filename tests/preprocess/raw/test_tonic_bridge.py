"""The bridge to tonic: its recordings in our frames, its files by content, never a download."""

import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from snntx.cli import run
from snntx.data_cards import load_card, parse_card
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess.build import builder as build
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.raw.tonic_cards import card_text, tonic_downloads, write_card
from snntx.preprocess.raw.tonic_listing import list_tonic_recordings
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.formats.tonic import events_of
from snntx.preprocess.readers.reading import read_events
from snntx.preprocess.readers.tonic_sets import dataset_class

pytest.importorskip("tonic")

OLD = 1_500_000_000
Output = namedtuple("Output", "code out err")


def events(seed: int, side: int, count: int = 150) -> Events:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, side, (2, count))
    t, p = np.sort(rng.integers(0, 90_000, count)), rng.integers(0, 2, count)
    return Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (OLD, OLD))


def aedat4(recording: Events, packets: int = 2) -> bytes:
    """An uncompressed AEDAT 4 file of one event stream of a 128 x 128 sensor."""
    xml = (
        b'<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">'
        b'<node name="0" path="/mainloop/Recorder/outInfo/0/">'
        b'<attr key="compression" type="string">NONE</attr>'
        b'<attr key="typeIdentifier" type="string">EVTS</attr>'
        b'<node name="info" path="/mainloop/Recorder/outInfo/0/info/">'
        b'<attr key="sizeX" type="int">128</attr><attr key="sizeY" type="int">128</attr>'
        b"</node></node></node></dv>"
    )
    head = struct.pack("<I4s6x5Hi", 24, b"IOHE", 10, 20, 4, 12, 8, 10)
    head += struct.pack("<iIqI", 0, 12, -1, len(xml)) + xml + b"\0" * (4 - len(xml) % 4)
    data = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(head)) + head
    rows = np.zeros(recording.size, "<i8, <i2, <i2, u1, 3V1")
    for field, column in zip(("f0", "f1", "f2", "f3"), (2, 0, 1, 3), strict=True):
        rows[field] = recording[column]
    for chunk in np.array_split(rows, packets):
        body = struct.pack("<I4s2x3Hi", 16, b"EVTS", 6, 8, 4, 6)
        body += struct.pack("<II", 4, len(chunk)) + chunk.tobytes()
        data += struct.pack("<iiI", 0, 4 + len(body), len(body)) + body
    return data


@pytest.fixture
def nmnist(tmp_path: Path) -> Path:
    """A folder as tonic lays it out, of eight training and four test recordings, no archive."""
    for i in range(12):
        part = "Train" if i < 8 else "Test"
        path = tmp_path / f"data/NMNIST/{part}/{i % 4}/{i + 1:05d}.bin"
        put(path, encode(events(i, 34)))
    return tmp_path / "data"


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    for i in range(10):
        name = ("cat", "truck")[i % 2]
        path = tmp_path / f"data/CIFAR10DVS/{name}/cifar10_{name}_{i}.aedat4"
        put(path, aedat4(events(i, 128)))
    return tmp_path / "data"


def make(name: str, data: Path, cache: Path, **options: Any) -> build.Summary:
    card = write_card(name, cache)
    return build.preprocess(make_request(card, raw=data, static=None, cache=cache, **options))


class Snntx:
    """Calls the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], cache: Path) -> None:
        self.capsys, self.cache = capsys, cache

    def __call__(self, *arguments: Any) -> Output:
        code = run([str(a) for a in arguments])
        captured = self.capsys.readouterr()
        return Output(code, captured.out, captured.err)

    def preprocess(self, name: str, raw: Path, *more: Any) -> Output:
        jobs = ("--jobs", 1, "--cache", self.cache)
        return self("preprocess", f"tonic:{name}", "--raw", raw, *jobs, *more)


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Snntx:
    return Snntx(capsys, tmp_path / "cache")


def one_line(output: Output, code: int, *parts: str) -> None:
    assert output.code == code, output
    assert output.out == ""
    assert output.err.count("\n") == 1, output.err
    assert output.err.startswith("snntx: error: ")
    for part in parts:
        assert part in output.err


# what is framed


def test_nmnist_equals_our_own_card(nmnist: Path, tmp_path: Path) -> None:
    theirs = FrameCache(make("NMNIST", nmnist, tmp_path / "cache").directory)
    card = load_card("n-mnist")
    request = make_request(card, raw=nmnist / "NMNIST", static=None, cache=tmp_path / "cache")
    ours = FrameCache(build.preprocess(request).directory)
    assert theirs.identities == ours.identities
    assert theirs.labels.tolist() == ours.labels.tolist()
    assert [name[0] for name in theirs.classes] == ours.classes
    np.testing.assert_array_equal(theirs.frames(np.arange(12)), ours.frames(np.arange(12)))
    for protocol in ("holdout", "paper"):
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(theirs.split(protocol, part), ours.split(protocol, part))


@pytest.mark.real
def test_real_nmnist_frame_by_frame(real: Path, tmp_path: Path) -> None:
    for path in sorted((real / "n_mnist/Train").rglob("*.bin")):
        link = tmp_path / "data/NMNIST/Train" / path.parent.name / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    theirs = FrameCache(make("NMNIST", tmp_path / "data", tmp_path / "cache").directory)
    card = load_card("n-mnist")
    request = make_request(card, raw=real / "n_mnist", static=None, cache=tmp_path / "cache")
    ours = FrameCache(build.preprocess(request).directory)
    assert len(theirs) == 1000
    assert theirs.identities == ours.identities
    assert theirs.labels.tolist() == ours.labels.tolist()
    for i in range(1000):
        np.testing.assert_array_equal(theirs.frames(i), ours.frames(i))


def test_cifar10dvs_of_generated_files(cifar: Path, tmp_path: Path) -> None:
    summary = make("CIFAR10DVS", cifar, tmp_path / "cache", steps=5)
    assert (summary.recordings, summary.events) == (10, 1500)
    cache = FrameCache(summary.directory)
    assert cache.frame_shape == (5, 2, 48, 48)
    assert [cache.classes[label] for label in cache.labels] == ["cat"] * 5 + ["truck"] * 5
    assert cache.protocols == ["holdout"]  # the data set has no split of its own
    for place, i in enumerate([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]):
        name = ("cat", "truck")[i % 2]
        assert cache.identities[place] == f"{name}/cifar10_{name}_{i}"
        expected = frames_from_events(*events(i, 128), steps=5, size=48, sensor=(128, 128))
        np.testing.assert_array_equal(cache.frames(place), expected)


def test_extents_that_differ(tmp_path: Path) -> None:
    for i, name in enumerate(["airplanes", "ant", "airplanes", "ant"]):
        path = tmp_path / f"data/NCALTECH101/Caltech101/{name}/image_{i:04d}.bin"
        put(path, encode(events(i, 60 + 20 * i)))
    cache = FrameCache(make("NCALTECH101", tmp_path / "data", tmp_path / "cache").directory)
    assert cache.classes == ["airplanes", "ant"]
    assert cache.identities[0] == "Caltech101/airplanes/image_0000"
    assert cache.frame_shape == (10, 2, 48, 48)
    expected = frames_from_events(*events(0, 60), steps=10, size=48, zero_origin=True)
    np.testing.assert_array_equal(cache.frames(0), expected)


def test_parts_of_many_workers_are_the_same(nmnist: Path, tmp_path: Path) -> None:
    one = make("NMNIST", nmnist, tmp_path / "one")
    card = load_card("tonic:NMNIST", tmp_path / "one")
    request = make_request(card, raw=nmnist, static=None, cache=tmp_path / "two")
    two = build.preprocess(request, jobs=2)
    assert one.key == two.key
    for path in one.directory.iterdir():
        assert path.read_bytes() == (two.directory / path.name).read_bytes()


# junk, and what cannot be listed


JUNK = ("Test/0/._00009.bin", "Test/__MACOSX/00009.bin", "Test/0/.DS_Store", "Test/0/Thumbs.db")


def test_what_file_managers_leave_is_hidden_from_tonic(
    nmnist: Path, tmp_path: Path, snntx: Snntx
) -> None:
    first = make("NMNIST", nmnist, tmp_path / "one")
    for name in JUNK:
        put(nmnist / "NMNIST" / name, b"12345")
    second = make("NMNIST", nmnist, tmp_path / "two")
    assert (second.key, second.recordings) == (first.key, 12)
    told = "files that file managers left below NMNIST passed over: 4, such as Test/0/.DS_Store"
    assert told in second.notes
    assert not [line for line in first.notes if "file managers" in line]
    names = {p.name: p.read_bytes() for p in first.directory.glob("frames*")}
    assert names == {p.name: p.read_bytes() for p in second.directory.glob("frames*")}


def gesture(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [rng.integers(0, 128, 100), rng.integers(0, 128, 100), rng.integers(0, 2, 100)]
    np.save(path, np.stack([*columns, np.sort(rng.integers(0, 90_000, 100))], 1).astype(float))


@pytest.fixture
def gestures(tmp_path: Path) -> Path:
    for part, count in (("ibmGestureTrain", 4), ("ibmGestureTest", 2)):
        for i in range(count):
            gesture(tmp_path / f"data/DVSGesture/{part}/user0{i}_led/{i}.npy", 10 * count + i)
    return tmp_path / "data"


@pytest.mark.parametrize("junk", ["._0.npy", "__MACOSX/user00_led/0.npy", "user00_led/._0.npy"])
def test_one_junk_file_does_not_lose_a_subset(gestures: Path, tmp_path: Path, junk: str) -> None:
    put(gestures / "DVSGesture/ibmGestureTest" / junk, b"\0\5\x16\7")
    summary = make("DVSGesture", gestures, tmp_path / "cache", steps=2)
    assert summary.recordings == 6
    (told,) = [line for line in summary.notes if "file managers" in line]
    assert "passed over: 1, such as ibmGestureTest/" in told


def test_a_subset_that_is_there_and_cannot_be_listed_stops_the_build(
    gestures: Path, snntx: Snntx
) -> None:
    folder = gestures / "DVSGesture/ibmGestureTest/user00_led"
    put(folder / "notes.npy", b"12345")  # tonic takes the class from the name
    output = snntx.preprocess("DVSGesture", gestures, "--steps", 2)
    one_line(output, 2, f"{folder}: tonic cannot list", "subset 'test'", "invalid literal for int")
    (folder / "notes.npy").unlink()  # as it says
    output = snntx.preprocess("DVSGesture", gestures, "--steps", 2)
    assert output.code == 0, output.err


def test_a_subset_that_is_a_file_or_absent_is_said(
    nmnist: Path, tmp_path: Path, snntx: Snntx
) -> None:
    test = nmnist / "NMNIST/Test"
    shutil.rmtree(test)
    summary = make("NMNIST", nmnist, tmp_path / "one")
    assert "tonic finds no recording of its subset 'test' below NMNIST" in summary.notes
    test.write_bytes(b"x")
    one_line(snntx.preprocess("NMNIST", nmnist), 2, f"{test}: tonic cannot list", "'test'")


def test_a_dead_link_is_named_and_can_be_passed_over(nmnist: Path, snntx: Snntx) -> None:
    path = nmnist / "NMNIST/Train/0/00001.bin"
    path.unlink()
    path.symlink_to("nowhere")
    output = snntx.preprocess("NMNIST", nmnist)
    one_line(output, 2, f"{path}: is a link that leads nowhere", "--bad-files skip")
    output = snntx.preprocess("NMNIST", nmnist, "--bad-files", "skip")
    assert output.code == 0, output.err
    assert "raw/train/0 - zero/Train/0/00001.bin: is a link" in output.err + output.out


# the key


def test_found_again_wherever_the_folder_lies(nmnist: Path, tmp_path: Path) -> None:
    first = make("NMNIST", nmnist, tmp_path / "cache")
    shutil.copytree(nmnist, tmp_path / "elsewhere")
    (tmp_path / "elsewhere/NMNIST/train.zip").write_bytes(b"the archive they came from")
    second = make("NMNIST", tmp_path / "elsewhere", tmp_path / "cache")
    assert (second.reused, second.key) == (True, first.key)
    assert make("NMNIST", nmnist, tmp_path / "cache", steps=3).key != first.key


def test_content_and_tonic_make_the_key(
    nmnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make("NMNIST", nmnist, tmp_path / "cache")
    put(nmnist / "NMNIST/Train/0/00001.bin", encode(events(99, 34)))
    os.utime(nmnist / "NMNIST/Train/0/00001.bin", (OLD + 60, OLD + 60))
    second = make("NMNIST", nmnist, tmp_path / "cache")
    monkeypatch.setattr("snntx.preprocess.raw.tonic_listing.reader_version", lambda: "tonic 99.0")
    third = make("NMNIST", nmnist, tmp_path / "cache")
    assert len({first.key, second.key, third.key}) == 3


def test_order_on_disk_changes_nothing(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = list_tonic_recordings("CIFAR10DVS", cifar)
    walk = os.walk

    def backwards(*arguments: Any, **options: Any) -> Any:
        for path, folders, files in walk(*arguments, **options):
            yield path, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    assert list_tonic_recordings("CIFAR10DVS", cifar) == first


# odd recordings, as our own readers treat them


def record(x: int, y: int, p: int, t: int) -> bytes:
    return bytes([x, y]) + ((p << 23) | t).to_bytes(3, "big")


@pytest.mark.parametrize(
    "content",
    [
        record(3, 4, 1, 99),  # one event
        record(3, 4, 0, 7) * 5,  # one microsecond, one polarity
        record(1, 1, 1, 5) + record(1, 2, 1, 5) + record(2, 2, 0, 8),  # ties, 3 us in 10 steps
        record(1, 1, 1, 0) * 40_000 + record(2, 2, 1, 90),  # beyond int16
        record(1, 1, 1, 8000) + record(9, 240, 0, 77) + record(2, 2, 0, 100),  # timer overflow
    ],
    ids=["one", "same time", "short", "40000", "marker"],
)
def test_odd_recordings_keep_their_events(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data/NMNIST/Train/3/00001.bin"
    put(path, content)
    cache = FrameCache(make("NMNIST", tmp_path / "data", tmp_path / "cache", tail="keep").directory)
    ours = read_events(path, "atis")
    expected = frames_from_events(*ours, steps=10, sensor=(34, 34), tail="keep")
    assert expected.sum() == ours.size
    np.testing.assert_array_equal(cache.frames(0), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty (0 bytes); copy or download it again"),
        (record(1, 1, 1, 5) * 50 + b"\1", "251 bytes is not a whole number of 5-byte ATIS records"),
        (record(1, 1, 1, 5) * 50 + b"\1\xf0", "the record at byte 250 is cut off"),
        (record(1, 1, 1, 5) + record(1, 1, 1, 9)[:4], "the record at byte 5 is cut off"),
        (record(0, 240, 0, 0), "no events; a recording needs at least one"),
        (record(1, 1, 1, 9) + record(1, 1, 1, 5), "time goes back at event 1, from 9 to 5 us"),
        (record(34, 1, 1, 5), "outside the sensor of 34 rows and 34 columns"),
    ],
)
def test_bad_recordings(snntx: Snntx, tmp_path: Path, content: bytes, message: str) -> None:
    """Of a cut record tonic drops one byte, or a marker's first two, without a word."""
    path = tmp_path / "data/NMNIST/Train/3/00001.bin"
    put(path, content)
    one_line(snntx.preprocess("NMNIST", tmp_path / "data"), 1, f"{path}: ", message)


def test_names_and_a_symlink_loop(tmp_path: Path) -> None:
    for i, name in enumerate(["Faces easy", "été 漢字"]):
        folder = tmp_path / f"data/NCALTECH101/Caltech101/{name}"
        put(folder / "image 1.bin", encode(events(i, 60)))
        (folder / "loop").symlink_to(tmp_path / "data")
    cache = FrameCache(make("NCALTECH101", tmp_path / "data", tmp_path / "cache").directory)
    assert cache.classes == ["Faces easy", "été 漢字"]
    assert cache.identities == [f"Caltech101/{name}/image 1" for name in cache.classes]


def damaged(data: bytes, how: str) -> bytes:
    if how == "text":
        at = data.index(b"outInfo")
        return data[:at] + b"\xeb" + data[at + 1 :]
    return {"empty": b"", "cut": data[:-1], "header": data[:14] + b"\xff\xff\xff\x7f"}[how]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "the file is empty (0 bytes)"),
        ("cut", "damaged or truncated"),
        ("header", "header of 2147483647 bytes at byte 14"),
        ("text", "'utf-8' codec can't decode byte 0xeb"),
    ],
)
def test_damaged_aedat4_never_ends_the_process(
    cifar: Path, tmp_path: Path, how: str, message: str
) -> None:
    """The decoding library panics at some headers, so this runs in a process of its own."""
    path = cifar / "CIFAR10DVS/cat/cifar10_cat_4.aedat4"
    put(path, damaged(path.read_bytes(), how))
    command = [sys.executable, "-m", "snntx", "preprocess", "tonic:CIFAR10DVS", "--raw", str(cifar)]
    done = subprocess.run(
        [*command, "--cache", str(tmp_path / "cache"), "--jobs", "1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    one_line(Output(done.returncode, done.stdout, done.stderr), 1, f"{path}: ", message)


# what cannot be framed


def test_a_missing_data_set(snntx: Snntx, tmp_path: Path) -> None:
    (tmp_path / "data/other").mkdir(parents=True)
    output = snntx.preprocess("NMNIST", tmp_path / "data")
    where = tmp_path / "data/NMNIST"
    command = f"snntx fetch tonic:NMNIST --to {tmp_path / 'data'}"
    one_line(output, 2, str(where), "train.zip, test.zip", command)
    assert not where.exists()
    one_line(snntx.preprocess("DVSLip", tmp_path / "data"), 2, "DVS-Lip.zip", "tonic says")


def test_the_command_it_names_can_be_pasted(snntx: Snntx, tmp_path: Path) -> None:
    data = tmp_path / "my data; $(touch x)"
    (data / "other").mkdir(parents=True)
    line = snntx.preprocess("NMNIST", data).err
    words = shlex.split(line[line.index("snntx fetch") :].partition("; nor is")[0])
    assert words[:5] == ["snntx", "fetch", "tonic:NMNIST", "--to", str(data)]


def test_nothing_is_ever_downloaded(
    snntx: Snntx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refuse(*arguments: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "data/other").mkdir(parents=True)
    import tonic

    for name in tonic.datasets.__all__:
        output = snntx.preprocess(name, tmp_path / "data")
        one_line(output, 2, name)
    assert [p.name for p in (tmp_path / "data").rglob("*")] == ["other"]


@pytest.mark.parametrize("name", ["SHD", "SSC", "SMNIST", "NTIDIGITS18"])
def test_no_event_camera(snntx: Snntx, tmp_path: Path, name: str) -> None:
    (tmp_path / "data/other").mkdir(parents=True)
    one_line(snntx.preprocess(name, tmp_path / "data"), 2, name, "without y")


@pytest.mark.parametrize("name", ["DSEC", "NERDD"])
def test_no_class_per_recording(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no recordings of one class each"):
        dataset_class(name)


def test_files_unknown(tmp_path: Path) -> None:
    folder = tmp_path / "POKERDVS/pips_train/cl"
    folder.mkdir(parents=True)
    np.save(folder / "a.npy", np.zeros((3, 4)))
    with pytest.raises(UsageError, match="does not say which file"):
        list_tonic_recordings("POKERDVS", tmp_path)


def test_unknown_data_set(snntx: Snntx, tmp_path: Path) -> None:
    output = snntx.preprocess("NMNST", tmp_path)
    one_line(output, 2, "no data set 'NMNST'; did you mean 'NMNIST'?")


def test_without_tonic(snntx: Snntx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    output = snntx.preprocess("NMNIST", tmp_path)
    one_line(output, 2, "tonic:NMNIST needs the package tonic", "pip install tonic")


def test_a_damaged_recording(snntx: Snntx, cifar: Path) -> None:
    path = cifar / "CIFAR10DVS/cat/cifar10_cat_4.aedat4"
    put(path, path.read_bytes().replace(b"EVTS</attr>", b"EVTX</attr>"))
    one_line(snntx.preprocess("CIFAR10DVS", cifar), 1, f"{path}: tonic cannot read it: ")


def structured(**columns: Any) -> NDArray[Any]:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    rows = np.zeros(2, [(name, array.dtype) for name, array in arrays.items()])
    for name, array in arrays.items():
        rows[name] = array
    return rows


def test_any_order_and_type() -> None:
    wanted = [[3, 4], [5, 6], [7, 1 << 33], [0, 1]]
    t, x, y = np.array([7, 1 << 33], np.uint64), np.array([3, 4], np.uint16), np.array([5, 6.0])
    for p in (np.array([False, True]), np.array([-1, 1], np.int8), np.array([0, 1], np.uint8)):
        found = events_of(structured(p=p, t=t, y=y, x=x), "file")
        assert [column.tolist() for column in found] == wanted
        assert [c.dtype for c in found] == [np.int16, np.int16, np.int64, np.int8]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (np.zeros((3, 4)), "gives a ndarray, expected events"),
        (structured(x=[1, 2], t=[0, 1], p=[0, 1]), "gives the columns x, t, p, expected"),
        (structured(x=[1, -2], y=[0, 1], t=[0, 1], p=[0, 1]), "event 1 has x = -2"),
        (structured(x=[1, 40000], y=[0, 1], t=[0, 1], p=[0, 1]), "event 1 has x = 40000"),
        (structured(x=[1, 2], y=[0, 1], t=[0.0, np.nan], p=[0, 1]), "event 1 has t = nan"),
        (structured(x=[1, 2], y=[0, 1], t=[0, 1], p=[0, 2]), "polarities 0, 2"),
        (structured(x=[1, 2], y=[0, 1], t=[0, 1], p=[-1, 0]), "polarities -1, 0"),
    ],
)
def test_samples_that_are_no_events(sample: Any, message: str) -> None:
    with pytest.raises(BadFileError, match=f"^file: .*{message}"):
        events_of(sample, "file")


def test_a_single_file_cannot_be_read() -> None:
    with pytest.raises(UsageError, match=r"'tonic' is read as a whole .* which: tonic:NAME"):
        read_events("file", "tonic")


# the card, and training on it


def test_the_card_is_found_again_without_tonic(nmnist: Path, tmp_path: Path) -> None:
    for i in range(16):  # enough for a validation part
        put(nmnist / f"NMNIST/Train/{i % 4}/{100 + i:05d}.bin", encode(events(100 + i, 34)))
    make("NMNIST", nmnist, tmp_path / "cache", steps=2)
    shutil.rmtree(nmnist)
    program = """
import sys
sys.modules["tonic"] = None
from snntx.cli import run
sys.exit(run(sys.argv[1:]))
"""
    settings = ["epochs=1", "batch_size=2", "steps=2", "warmup_epochs=0"]
    arguments = ["train", "tonic:NMNIST", "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    arguments += ["--out", str(tmp_path / "run"), "--json"]
    for setting in settings:
        arguments += ["--set", setting]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["protocol"] == "holdout"
    assert (tmp_path / "run/best.pt").is_file()


def test_training_before_preprocessing(snntx: Snntx) -> None:
    output = snntx("train", "tonic:NMNIST", "--cache", snntx.cache)
    one_line(output, 1, "no cache of it here", "snntx preprocess tonic:NMNIST --raw DIR")
    with pytest.raises(SnntxError, match="no cache"):
        load_card("tonic:../x", snntx.cache)


def test_every_class_that_can_be_framed_has_a_card() -> None:
    for name in ("NMNIST", "NCALTECH101", "CIFAR10DVS", "ASLDVS", "DVSGesture", "DVSLip"):
        card = parse_card(card_text(name).encode(), name)
        assert card.name == f"tonic-{name.lower()}"
        assert ("paper" in card.splits) == (name in ("NMNIST", "DVSGesture", "DVSLip"))
    assert parse_card(card_text("ASLDVS").encode(), "").events.sensor == (180, 240)


def test_a_copied_card_can_be_changed(nmnist: Path, tmp_path: Path, snntx: Snntx) -> None:
    text = card_text("NMNIST").replace("tonic-nmnist", "mine").replace("steps = 10", "steps = 3")
    (tmp_path / "mine.toml").write_text(text)
    arguments = ("--raw", nmnist, "--cache", snntx.cache, "--jobs", 1)
    assert snntx("preprocess", tmp_path / "mine.toml", *arguments).code == 0
    (directory,) = (snntx.cache / "mine").glob("*/SEALED")
    assert FrameCache(directory.parent).frame_shape == (3, 2, 34, 34)


def test_what_tonic_would_download() -> None:
    found = tonic_downloads("NMNIST")
    assert [d.file for d in found] == ["train.zip", "test.zip"]
    assert [d.md5[:6] for d in found] == ["20959b", "69ca87"]
    (archive,) = tonic_downloads("NCALTECH101")
    assert archive == load_card("n-caltech101").downloads[0].__class__(
        archive.url, "N-Caltech101-archive.zip", md5=archive.md5, unpack=True
    )
    assert archive.url == load_card("n-caltech101").downloads[0].url
    with pytest.raises(SnntxError, match=r"tonic:DVSLip: .* by hand"):
        tonic_downloads("DVSLip")
