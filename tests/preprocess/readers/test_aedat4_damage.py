"""AEDAT 4 files that are damaged: one clear line each, and the process lives on."""

import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.errors import BadFileError
from snntx.preprocess.readers.formats.aedat4 import read
from snntx.preprocess.readers.reading import read_events

T0 = 1_600_000_000_000_000


def random_events(files: Any, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Events in order of time, about 50 at each time."""
    draw = np.random.default_rng(seed)
    rows = np.zeros(count, files.COLUMNS)
    rows["t"] = T0 + np.sort(draw.integers(0, max(1, count // 50), count))
    rows["x"], rows["y"] = draw.integers(0, 346, count), draw.integers(0, 260, count)
    rows["p"] = draw.integers(0, 2, count)
    return rows


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"#!AER-DAT3.1\r\n\0\0\0\0", r"starts with b'#!AER-DAT3\.1\\r\\n', expected"),
        (b"#!AER-DAT4.0\r\n\xff\xff\xff\x7f", "header of 2147483647 bytes at byte 14"),
        (b"#!AER-DAT4.0\r\n\x08\0\0\0\0\0\0\0NONE", "identifier b'NONE', expected b'IOHE'"),
    ],
)
def test_bad_beginnings(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.aedat4").write_bytes(data)
    with pytest.raises(BadFileError, match=rf"a\.aedat4: .*{message}"):
        read(tmp_path / "a.aedat4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no element found"),
        (b"\xff\xfe", "'utf-8' codec can't decode"),
        (b"<dv></dv>", "names no stream"),
        (b"<!DOCTYPE dv []><dv></dv>", "holds a document type, expected none"),
        (b"<dv><node name='outInfo'><node name='x'/></node></dv>", "stream 'x', expected whole"),
        (b"<dv><node name='outInfo'><node name='1'/></node></dv>", "stream 1 is of type ''"),
    ],
)
def test_bad_descriptions(tmp_path: Path, aedat4_files: Any, text: bytes, message: str) -> None:
    (tmp_path / "a.aedat4").write_bytes(aedat4_files.header(text))
    with pytest.raises(BadFileError, match=rf"a\.aedat4: header at byte 14: .*{message}"):
        read(tmp_path / "a.aedat4")


def test_bad_header_numbers(tmp_path: Path, aedat4_files: Any) -> None:
    text = aedat4_files.description({0: "EVTS"}).encode()
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4_files.header(text, compression=9))
    with pytest.raises(BadFileError, match="compression 9, expected 0 to 4"):
        read(path)
    path.write_bytes(aedat4_files.header(text, table=1 << 40))
    with pytest.raises(BadFileError, match=r"data table at byte 1099511627776, .*truncated"):
        read(path)


def test_truncated_anywhere(tmp_path: Path, aedat4_files: Any) -> None:
    rows = random_events(aedat4_files, 60)
    path = tmp_path / "a.aedat4"
    whole = aedat4_files.write_plain(path, np.array_split(rows, 3))
    refused = 0
    for cut in range(0, len(whole), 13):
        path.write_bytes(whole[:cut])
        try:
            left = read(path).size
        except BadFileError:
            refused += 1
        else:  # a file that was never closed may end after any packet
            assert left in (0, 20, 40)
    assert refused > len(whole) // 13 - 4
    path.write_bytes(whole[:-1])
    with pytest.raises(
        BadFileError, match=r"packet 2 at byte \d+ has 352 bytes, expected 1 to 351"
    ):
        read(path)


@pytest.mark.parametrize("left", [1, 8, 15])
def test_an_event_that_is_cut_off(tmp_path: Path, aedat4_files: Any, left: int) -> None:
    """The packet is whole by its own length, but ends within the last of its 16-byte events."""
    content = aedat4_files.event_packet(random_events(aedat4_files, 4))[: left - 16]
    data = aedat4_files.header(aedat4_files.description({7: "EVTS"}).encode())
    path = tmp_path / "a.aedat4"
    path.write_bytes(data + struct.pack("<ii", 7, len(content)) + content)
    with pytest.raises(BadFileError, match=r"a\.aedat4: packet 0 of 1 cannot be decoded: "):
        read(path)
    # nor where the length of the buffer inside agrees with what is left
    content = struct.pack("<I", len(content) - 4) + content[4:]
    path.write_bytes(data + struct.pack("<ii", 7, len(content)) + content)
    with pytest.raises(BadFileError, match=r"a\.aedat4: packet 0 of 1 cannot be decoded: "):
        read(path)


DAMAGE = """
import sys
from pathlib import Path
from snntx.errors import BadFileError
from snntx.preprocess.readers.formats.aedat4 import read
for name in sys.argv[1:]:
    try:
        print("whole", read(Path(name)).size)
    except BadFileError as error:
        print("refused", str(error).count(chr(10)))
"""


@pytest.mark.parametrize("compression", ["LZ4", "ZSTD"])
def test_damage_never_ends_the_process(tmp_path: Path, aedat4_files: Any, compression: str) -> None:
    """The decoding library aborts on some headers, so this runs in a process of its own."""
    aedat4_files.write_dv(
        tmp_path / "whole.aedat4", [random_events(aedat4_files, 3000)], compression=compression
    )
    data = (tmp_path / "whole.aedat4").read_bytes()
    head = 18 + int.from_bytes(data[14:18], "little")
    draw = np.random.default_rng(3)
    names = []
    for trial in range(240):
        damaged = bytearray(data)
        if trial % 4 == 0:
            del damaged[int(draw.integers(len(data))) :]
        else:
            low, high = [(0, 90), (90, head), (head, len(data))][trial % 4 - 1]
            damaged[int(draw.integers(low, high))] ^= int(draw.integers(1, 256))
        names.append(tmp_path / f"{trial}.aedat4")
        names[-1].write_bytes(damaged)
    command = [sys.executable, "-c", DAMAGE, *map(str, names)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-500:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(names)
    assert lines.count("refused 0") > 100
    assert not any(re.fullmatch("refused [1-9].*", line) for line in lines)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"a\.aedat4: cannot be read: No such file"):
        read_events(tmp_path / "a.aedat4", "aedat4")
