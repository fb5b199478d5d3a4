"""AEDAT 4 packets that are cut short: found before the library sees them, which would panic."""

import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
import xxhash

from snntx.errors import BadFileError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.readers.container import check_container
from snntx.preprocess.readers.formats.aedat4 import recordings
from snntx.preprocess.readers.formats.tonic import Tonic
from snntx.preprocess.readers.packets import LEAST, START, is_short
from snntx.preprocess.readers.reading import read_events
from snntx.tests.own_card import own_card

KINDS = {"none": 0, "LZ4": 1, "ZSTD": 3}


def chunk(content: bytes, filters: Any) -> bytes:
    """What a compressor of HDF5's makes of some bytes."""
    with h5py.File(io.BytesIO(), "w") as file:
        data = np.frombuffer(content, np.uint8)
        held = file.create_dataset("a", data=data, chunks=data.shape, **filters)
        return bytes(held.id.read_direct_chunk((0,))[1])


def lz4(content: bytes, *, stored: bool = False, checks: int = 0) -> bytes:
    """An LZ4 frame of one block; ``checks`` are bits of its header."""
    made = chunk(content, hdf5plugin.LZ4()) if content and not stored else b""
    block = made[16:] if made[12:16] != made[8:12] else b""
    head = bytes([0x60 | checks, 0x40]) + (struct.pack("<Q", len(content)) if checks & 8 else b"")
    frame = struct.pack("<I", 0x184D2204) + head
    frame += bytes([xxhash.xxh32(head).intdigest() >> 8 & 255])
    if content:
        size = len(block) if block else len(content) | 1 << 31
        frame += struct.pack("<I", size) + (block or content)
        if checks & 16:
            frame += struct.pack("<I", xxhash.xxh32(block or content).intdigest())
    return frame + bytes(4)


def zstd(content: bytes, *, stated: bool = True, stored: bool = False) -> bytes:
    """A ZSTD frame, with or without its content's length."""
    if stored or not content:
        size = bytes([0x20, len(content)]) if stated else b"\0\0"
        return (
            struct.pack("<I", 0xFD2FB528)
            + size
            + struct.pack("<I", len(content) << 3 | 1)[:3]
            + (content)
        )
    frame = chunk(content, hdf5plugin.Zstd())
    if stated:
        return frame
    assert frame[4] == 0x20  # one byte of length, no window
    assert len(content) < 256
    return frame[:4] + b"\0\0" + frame[6:]


CONTENTS = [
    *(bytes(range(n)) for n in range(20)),
    *(bytes(n) for n in range(20)),
    *(b"ab" * n for n in range(10)),
    *(b"abcdefg" + bytes(n) + b"abcdefg" * 3 for n in range(0, 60, 7)),
    bytes(range(200)),
]
WAYS: dict[str, list[Callable[[bytes], bytes]]] = {
    "LZ4": [
        lz4,
        lambda c: lz4(c, stored=True),
        lambda c: lz4(c, checks=8),
        lambda c: lz4(c, checks=16),
    ],
    "ZSTD": [
        zstd,
        lambda c: zstd(c, stored=True),
        lambda c: zstd(c, stored=True, stated=False),
        lambda c: zstd(c, stated=False),
    ],
}


@pytest.mark.parametrize("way", range(4))
@pytest.mark.parametrize("kind", WAYS)
def test_contents_of_any_length(kind: str, way: int) -> None:
    for content in CONTENTS:
        packet = WAYS[kind][way](content)
        short = len(content) < LEAST
        found = is_short(packet, len(packet), kind)
        if kind == "ZSTD" and way == 3 and not short and len(set(content)) < 8:
            assert found in (True, False)  # of matches alone no length is known
        else:
            assert found == short, content
        for end in range(min(len(packet), START)):  # a start tells, or does not
            assert is_short(packet[:end], len(packet), kind) in (None, found), (content, end)


def test_a_start_tells_nearly_always() -> None:
    content = bytes(range(200))
    for packet, kind in ((lz4(content), "LZ4"), (zstd(content), "ZSTD")):
        assert is_short(packet[:START], len(packet), kind) is False


def test_a_frame_that_may_be_skipped_is_not_counted() -> None:
    skipped = struct.pack("<II", 0x184D2A53, 20) + bytes(20)
    assert is_short(skipped, len(skipped), "ZSTD")
    packet = skipped + zstd(bytes(range(12)))
    assert is_short(packet, len(packet), "ZSTD") is False
    packet = zstd(b"abc") + zstd(bytes(range(9)))
    assert is_short(packet, len(packet), "ZSTD") is False


@pytest.mark.parametrize("kind", WAYS)
def test_what_is_no_frame_is_left_to_the_library(kind: str) -> None:
    assert is_short(b"\xff" * 30, 30, kind) is False
    assert is_short(b"", 30, kind) is None
    for end in (4, 5):
        cut = WAYS[kind][0](bytes(range(40)))[:end]
        assert is_short(cut, end, kind)


def packed(content: bytes, kind: str) -> bytes:
    return content if kind == "none" else WAYS[kind][0](content)


def write(path: Path, files: Any, kind: str, packets: list[tuple[int, bytes]]) -> None:
    """Write packets as they lie in a file, of stream 7 of events or 3 of frames."""
    data = files.header(files.description({7: "EVTS", 3: "FRME"}).encode(), KINDS[kind])
    data += b"".join(struct.pack("<ii", n, len(content)) + content for n, content in packets)
    path.write_bytes(data)


def events(files: Any, at: int) -> bytes:
    return bytes(files.event_packet(files.events((1, 2, at, 1), (3, 4, at + 1, 0))))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_one_line_reaches_the_terminal(
    tmp_path: Path, aedat4_files: Any, kind: str
) -> None:
    """A process, since the library's panic is written past Python."""
    raw, card = tmp_path / "raw/a", tmp_path / "mine.toml"
    raw.mkdir(parents=True)
    card.write_text(own_card("aedat4", "sensor = [260, 346]"))
    whole = packed(events(aedat4_files, 100), kind)
    write(raw / "good.aedat4", aedat4_files, kind, [(7, whole)])
    for number, length in enumerate((1, 4, 11)):
        cut = packed(events(aedat4_files, 102)[:length], kind)
        write(raw / f"{number}.aedat4", aedat4_files, kind, [(7, whole), (7, cut), (7, whole)])
    call = [sys.executable, "-m", "snntx", "preprocess", str(card), "--raw", str(tmp_path / "raw")]
    call += ["--cache", str(tmp_path / "cache"), "--jobs", "1"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == (
        f"snntx: error: {raw}/0.aedat4: packet 1 of 3 cannot be decoded: its content is cut off "
        "after fewer than 12 bytes; copy or download it again"
    )
    done = subprocess.run([*call, "--bad-files", "skip"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "panicked" not in done.stdout + done.stderr
    assert "backtrace" not in done.stdout + done.stderr
    assert done.stdout.count("its content is cut off after fewer than 12 bytes") == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", [False, True])
def test_short_packets_of_frames_are_passed_over_without_a_word_of_the_library(
    tmp_path: Path, aedat4_files: Any, capfd: pytest.CaptureFixture[str], kind: str, table: bool
) -> None:
    path = tmp_path / "a.aedat4"
    parts = []
    for at in (100, 102, 104):
        parts += [(7, packed(events(aedat4_files, at), kind)), (3, packed(b"FRME", kind))]
    write(path, aedat4_files, kind, parts)
    if table:  # what follows the packets is none
        data = path.read_bytes()
        at = check_container(path).table
        data = data[:at] + struct.pack("<q", len(data)) + data[at + 8 :]
        path.write_bytes(data + b"the data table")
    assert check_container(path).short == {1, 3, 5}
    with hearing() as heard:
        found = read_events(path, "aedat4")
        (part,) = recordings(path, [(101, 104, 1)])
    assert found.t.tolist() == [100, 101, 102, 103, 104, 105]
    assert not isinstance(part, BadFileError)
    assert part.t.tolist() == [101, 102, 103]
    assert [each.kind for each in heard] == ["packets"]
    assert capfd.readouterr() == ("", "")


def test_a_packet_after_a_short_one_has_its_own_number(tmp_path: Path, aedat4_files: Any) -> None:
    path = tmp_path / "a.aedat4"
    spoilt = events(aedat4_files, 100)[:4] + b"\xff" * 60
    write(path, aedat4_files, "none", [(3, b"FRME"), (7, events(aedat4_files, 100)), (7, spoilt)])
    with pytest.raises(BadFileError, match=r"packet 2 of 3 cannot be decoded: "):
        read_events(path, "aedat4")


def test_tonic_is_not_given_what_it_cannot_pass_over(
    tmp_path: Path, aedat4_files: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tonic")
    folder = tmp_path / "CIFAR10DVS"
    folder.mkdir()
    path = folder / "a.aedat4"
    write(path, aedat4_files, "none", [(3, b"FRME"), (7, events(aedat4_files, 100))])
    with pytest.raises(BadFileError, match=r"has packets that tonic cannot decode"):
        list(Tonic().recordings(path, [(0, 0, 0)]))
    assert capfd.readouterr() == ("", "")
    assert os.listdir(folder) == ["a.aedat4"]
