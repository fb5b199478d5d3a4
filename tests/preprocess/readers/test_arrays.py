"""Arrays of recordings: read from pickles that nothing is run of, and from plain arrays."""

import io
import os
import pickle
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snntx.errors import BadFileError, UsageError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.framing.events import NOWHERE, Events
from snntx.preprocess.readers.arrays import machine, numbers, stored, unpickled
from snntx.preprocess.readers.arrays.unpickled import objects
from snntx.preprocess.readers.base import reader_of
from snntx.preprocess.readers.reading import read_events, read_recordings
from snntx.tests import plain_files

COUNTS = (3, 7, 5, 4_000)


def made(counts: tuple[int, ...] = COUNTS, kind: Any = np.int64) -> list[np.ndarray[Any, Any]]:
    return [plain_files.table(plain_files.some(n, n)).astype(kind) for n in counts]


def all_of(path: Path, count: int, **options: Any) -> list[Events | BadFileError]:
    parts = [(at, count) for at in range(count)]
    return list(read_recordings(path, "gait", parts, **options)[1])  # type: ignore[arg-type]


def same(found: list[Any], wanted: list[np.ndarray[Any, Any]]) -> None:
    assert len(found) == len(wanted)
    for one, known in zip(found, wanted, strict=True):
        assert isinstance(one, Events), one
        np.testing.assert_array_equal(np.stack([one.t, one.x, one.y, one.p], 1), known)


def refused(path: Path) -> str:
    with pytest.raises(BadFileError) as caught:
        all_of(path, 1)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


def npy(path: Path, content: bytes, shape: tuple[int, ...] = (1,), descr: str = "|O") -> Path:
    """A ``.npy`` file of any content."""
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    path.write_bytes(file.getvalue() + content)
    return path


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint32, np.float32, np.float64])
def test_arrays_of_any_type(tmp_path: Path, kind: Any) -> None:
    recordings = [
        np.minimum(each, 30_000).astype(kind) if kind == np.int16 else each for each in made()
    ]
    path = plain_files.write_arrays(tmp_path / "a.npy", [each.astype(kind) for each in recordings])
    same(all_of(path, len(COUNTS)), recordings)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("old", [False, True], ids=["numpy-2", "numpy-1"])
def test_old_and_new_names_and_protocols(tmp_path: Path, protocol: int, old: bool) -> None:
    held = np.empty(len(COUNTS), object)
    held[:] = made()
    content = pickle.dumps(held, protocol)
    assert b"numpy._core" in content
    if old and protocol == 3:
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    elif old:  # in these the length of a name stands before it
        new = b"\x8c\x16numpy._core.multiarray"
        assert new in content
        content = content.replace(new, b"\x8c\x15numpy.core.multiarray")
        content = content.replace(b"\x8c\x13numpy._core.numeric", b"\x8c\x12numpy.core.numeric")
    path = npy(tmp_path / "a.npy", content, (len(COUNTS),))
    same(all_of(path, len(COUNTS)), made())


def test_fortran_arrays_and_big_endian_ones(tmp_path: Path) -> None:
    recordings = [np.asfortranarray(made()[0]), made()[1].astype(">i8")]
    same(all_of(plain_files.write_arrays(tmp_path / "a.npy", recordings), 2), recordings)


def test_equal_lengths_are_a_plain_array(tmp_path: Path) -> None:
    recordings = [plain_files.table(plain_files.some(9, seed)) for seed in range(5)]
    path = plain_files.write_arrays(tmp_path / "a.npy", recordings, objects=False)
    assert b"multiarray" not in path.read_bytes()
    same(all_of(path, 5), recordings)
    np.save(path, np.asfortranarray(np.stack(recordings)))
    assert "save it again with numpy.save(path, numpy.ascontiguousarray(array))" in refused(path)
    np.save(path, np.ascontiguousarray(np.load(path)))
    same(all_of(path, 5), recordings)


def test_recordings_in_any_order_and_one_alone(tmp_path: Path) -> None:
    path = plain_files.write_arrays(tmp_path / "a.npy", made())
    _, found = read_recordings(path, "gait", [(2, 4), (0, 4)])
    same(list(found), [made()[2], made()[0]])
    with pytest.raises(UsageError, match=r"holds 4 recordings, expected one; save the one"):
        read_events(path, "gait")
    alone = tmp_path / "alone.npy"
    np.save(alone, made()[2])
    same([read_events(alone, "gait")], [made()[2]])


def test_numbers_stay_in_the_file_until_they_are_wanted(tmp_path: Path) -> None:
    path = plain_files.write_arrays(tmp_path / "a.npy", made())
    with path.open("rb") as file:
        held = stored.arrays_of(file, path)
    assert [each.size for each in held] == [n * 32 for n in COUNTS]
    assert sum(map(sys.getsizeof, held)) < 1_000
    assert [path.read_bytes()[n.start : n.start + n.size] for n in held] == [
        each.tobytes() for each in made()
    ]


@pytest.mark.parametrize("objects", [False, True], ids=["plain", "objects"])
def test_labels(tmp_path: Path, objects: bool) -> None:
    path = plain_files.write_labels(tmp_path / "l.npy", [3, 0, 19, 3], objects=objects)
    assert stored.labels_of(path) == [3, 0, 19, 3]


def test_labels_of_other_types(tmp_path: Path) -> None:
    path = tmp_path / "l.npy"
    for held in (
        np.array([np.int64(3), np.uint8(0)], object),
        np.array([[3], [0]]),
        np.array([3.0, 0.0]),
    ):
        np.save(path, held)
        assert stored.labels_of(path) == [3, 0]
    for bad in (np.array([1.5]), np.zeros((2, 2)), np.array(["a"]), np.array([None])):
        np.save(path, bad)
        with pytest.raises(BadFileError, match=r"l\.npy: "):
            stored.labels_of(path)
    with pytest.raises(BadFileError, match=r"gone\.npy: cannot be read: No such file"):
        stored.labels_of(tmp_path / "gone.npy")


# ---------------------------------------------------------------- what is not run


class Call:
    """Something that a pickle calls when it is unpickled."""

    def __init__(self, called: Callable[..., Any], *arguments: Any) -> None:
        self._made = called, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._made


def hostile(marker: Path) -> dict[str, Any]:
    touch = f"touch '{marker}'"
    return {
        "os.system": Call(os.system, touch),
        "builtins.eval": Call(eval, f"__import__('os').system({touch!r})"),
        "builtins.exec": Call(exec, f"open({str(marker)!r}, 'w')"),
        "builtins.getattr": Call(getattr, Call(__import__, "os"), "system"),
        "builtins.__import__": Call(__import__, "antigravity"),
        "numpy.load": Call(np.load, str(marker), None, True),
        "numpy.memmap": Call(np.memmap, str(marker), "u1", "w+", 0, (4,)),
        "numpy.fromfile": Call(np.fromfile, "/etc/passwd", "u1"),
        "numpy.zeros": Call(np.zeros, (1 << 40,)),
    }


@pytest.mark.parametrize("name", sorted(hostile(Path("x"))))
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "beside-a-recording"])
def test_nothing_is_run(tmp_path: Path, name: str, protocol: int, inside: bool) -> None:
    marker = tmp_path / "ran"
    call = hostile(marker)[name]
    held = np.empty(2, object)
    held[:] = [made()[0], call]
    content = pickle.dumps(held if inside else call, protocol)
    line = refused(npy(tmp_path / "a.npy", content, (2,)))
    if not (inside and protocol == 2):  # whose bytes need a name of another module first
        assert "which was not run; expected arrays of numbers" in line
        module = re.sub("posix", "os", line.replace("__builtin__", "builtins"))
        assert f"names {name.partition('.')[0]}." in module
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy\nndarray\n(K\x04K\x04tR.",  # ndarray called itself
        b"cnumpy\ndtype\n(X\x01\x00\x00\x00VJ\xff\xff\xff\x7ftR.",
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\ndtype\nK\x00\x85C\x01btR.",
        b"(lp0\nI1\na.",
        b"cos\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"Ppersistent\n.",
        b"\x80\x02]K\x01Q.",  # a persistent id
        b"}.",
        b"\x82\x01.",  # an extension
        b"cnumpy\nndarray\n)\x81.",  # a new object
        b"icopyreg\n_reconstructor\n.",
        b"\x80\x05\x97.",  # a buffer from outside
    ],
)
def test_other_codes_are_refused(tmp_path: Path, content: bytes) -> None:
    line = refused(npy(tmp_path / "a.npy", content))
    assert "pickle at byte" in line


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.",  # bytes
        b"\x80\x03B" + struct.pack("<I", 0xFFFFFFF0) + b"abc.",
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"abc.",  # text
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 33) + b"abc.",  # an array of bytes
        b"\x80\x04X" + struct.pack("<I", 1 << 31) + b"abc.",
        b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"abc.",  # a number of so many bytes
    ],
)
def test_what_is_claimed_has_to_be_there(tmp_path: Path, content: bytes) -> None:
    line = refused(npy(tmp_path / "a.npy", content))
    assert "are left: cut off" in line


def test_a_place_in_memory_is_no_size_of_it(tmp_path: Path) -> None:
    content = b"\x80\x03K\x01r" + struct.pack("<I", 0xFFFFFFFF) + b"."
    assert "holds something else" in refused(npy(tmp_path / "a.npy", content))


def test_a_shape_has_to_be_filled(tmp_path: Path) -> None:
    held = np.empty(1, object)
    held[0] = made()[0]
    content = pickle.dumps(held, 3)
    assert content.count(b"K\x03K\x04\x86") == 1
    for sides in (b"K\x04K\x04\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"):
        path = npy(tmp_path / "a.npy", content.replace(b"K\x03K\x04\x86", sides))
        assert "numbers of 8 bytes in 96: damaged" in refused(path)


def test_deep_and_wide_ones_are_refused(tmp_path: Path) -> None:
    for content in (
        b"\x80\x02)" + b"\x85" * 100_000 + b".",
        b"(" * 100_000 + b"t" * 100_000 + b".",
    ):
        assert "deep; expected" in refused(npy(tmp_path / "a.npy", content))
    many = b"\x80\x02(" + b"N" * (machine.MOST_VALUES + 2) + b"t."
    assert f"more than {machine.MOST_VALUES} values" in refused(npy(tmp_path / "a.npy", many))
    kept = b"\x80\x04N" + b"\x94" * (machine.MOST_VALUES + 2) + b"."
    assert f"more than {machine.MOST_VALUES} values" in refused(npy(tmp_path / "a.npy", kept))


def test_an_array_that_holds_itself(tmp_path: Path) -> None:
    held = np.empty(2, object)
    held[:] = [made()[0], None]
    held[1] = held
    line = refused(npy(tmp_path / "a.npy", pickle.dumps(held, 4), (2,)))
    assert "an array of more than arrays and whole numbers" in line


@pytest.mark.parametrize("value", [None, "text", 1.5, b"bytes", {"a": 1}, [1, 2], {1}, 1j])
def test_other_values_are_refused(tmp_path: Path, value: Any) -> None:
    held = np.empty(2, object)
    held[:] = [made()[0], None]
    held[1] = value
    assert "pickle at byte" in refused(npy(tmp_path / "a.npy", pickle.dumps(held, 4), (2,)))


def test_arrays_of_before_numpy_1_17_are_told_how_to_go_on(tmp_path: Path) -> None:
    held = np.empty(2, object)
    held[:] = made()[:2]
    path = npy(tmp_path / "a.npy", pickle.dumps(held, 2), (2,))
    line = refused(path)
    assert "names _codecs.encode, which was not run" in line
    assert "numpy.save(path, numpy.load(path, allow_pickle=True))" in line
    np.save(path, np.load(path, allow_pickle=True))
    same(all_of(path, 2), made()[:2])


def whole_file() -> bytes:
    held = np.empty(2, object)
    held[:] = made((5, 6))
    file = io.BytesIO()
    np.save(file, held)
    return file.getvalue()


WHOLE = whole_file()


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255), length=st.integers(1, len(WHOLE))
)
def test_damage_is_one_line(tmp_path: Path, at: int, byte: int, length: int) -> None:
    content = bytearray(WHOLE)
    content[at] = byte
    path = tmp_path / "a.npy"
    path.write_bytes(content[:length])
    outcomes: list[Any] = []
    try:
        outcomes += all_of(path, 2)
    except BadFileError as error:
        outcomes.append(error)
    assert all(isinstance(each, Events) or "\n" not in str(each) for each in outcomes)
    assert length == len(WHOLE) or any(isinstance(each, BadFileError) for each in outcomes)


@pytest.mark.parametrize("lost", [1, 2, 40, 200, 100_000])
def test_a_truncated_file(tmp_path: Path, lost: int) -> None:
    path = plain_files.write_arrays(tmp_path / "a.npy", made())
    path.write_bytes(path.read_bytes()[:-lost])
    assert "copy or download it again" in refused(path)


# ---------------------------------------------------------------- what is no recording


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            made()[1].T,
            r"recording 0 is an array \(4, 7\) of int64, expected \(n, 4\).*transpose it",
        ),
        (np.zeros((4, 4), np.int64), "recording 0 is 4 x 4: nobody can say"),
        (np.zeros((7, 5), np.int64), r"recording 0 is an array \(7, 5\) of int64, expected \(n, 4"),
        (np.zeros(9, np.int64), r"recording 0 is an array \(9,\) of int64"),
        (made()[1] + 0.5, r"recording 0: x\[0\] is \d+\.5 \(7 such values\)"),
        (made()[1] * 2, r"recording 0: p\[\d\] is 2 "),
    ],
)
def test_arrays_that_are_no_recordings(tmp_path: Path, array: Any, message: str) -> None:
    path = plain_files.write_arrays(tmp_path / "a.npy", [array, made()[0]])
    bad, good = all_of(path, 2)
    same([good], [made()[0]])
    assert isinstance(bad, BadFileError)
    assert re.search(message, str(bad)), bad


def test_as_many_recordings_as_labels(tmp_path: Path) -> None:
    path = plain_files.write_arrays(tmp_path / "a.npy", made())
    with pytest.raises(BadFileError, match=r"4 recordings, but 3 labels; the files do not belong"):
        all_of(path, 3)
    labels = plain_files.write_labels(tmp_path / "l.npy", [1, 2])
    assert "holds whole numbers, expected an array for each recording" in refused(labels)


def test_coordinates_outside_are_left_where_they_are(tmp_path: Path) -> None:
    array = made()[1].copy()
    array[2, 1] = -5
    path = plain_files.write_arrays(tmp_path / "a.npy", [array])
    [bad] = all_of(path, 1)
    assert isinstance(bad, BadFileError)
    assert 'set outside = "drop"' in str(bad)
    [kept] = all_of(path, 1, drops=True)
    assert isinstance(kept, Events)
    assert kept.x[2] == NOWHERE


def test_one_array_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpickled, "MOST_BYTES", 1000)
    path = plain_files.write_arrays(tmp_path / "a.npy", made())
    assert f"{COUNTS[-1] * 32} bytes in one piece, the limit is 1000" in refused(path)


def test_a_file_that_shrinks_meanwhile(tmp_path: Path) -> None:
    path = plain_files.write_arrays(tmp_path / "a.npy", made())
    with path.open("rb") as file:
        held = stored.arrays_of(file, path)
        os.truncate(path, held[-1].start)
        with pytest.raises(BadFileError, match=r"a\.npy: became shorter while it was read"):
            held[-1].read(file, path)


def test_nothing_is_said_of_good_files(tmp_path: Path) -> None:
    path = plain_files.write_arrays(tmp_path / "a.npy", made())
    with hearing() as heard:
        all_of(path, len(COUNTS))
    assert heard == []
    assert reader_of("gait").numbered
    assert numbers.MOST_BYTES == 1 << 29


def test_objects_of_a_scalar_pickle(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_bytes(pickle.dumps(np.array([1, np.int32(-7)], object)))
    with path.open("rb") as file:
        assert objects(file, path) == ((2,), [1, -7])
