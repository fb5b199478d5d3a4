"""MATLAB 5 files: what SciPy writes is read back; what strangers write is refused in one line."""

import contextlib
import io
import re
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from snntx.errors import BadFileError, SnntxError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.readers.formats import mat as reader
from snntx.preprocess.readers.formats.mat import decode
from snntx.preprocess.readers.reading import checked, read_events

X, Y, T, P = [3, 345, 0], [259, 1, 0], [10, 10, 1_600_000_000_000_123], [-1, 1, 1]


def saved(compress: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays, do_compression=compress)
    return file.getvalue()


def column(values: Any, dtype: Any = np.float64) -> NDArray[Any]:
    return np.asarray(values, dtype).reshape(-1, 1)


def whole(compress: bool = False, **changed: Any) -> bytes:
    """The three events above, with some arrays changed; None leaves one out."""
    arrays = {"x": column(X), "y": column(Y), "ts": column(T), "p": column(P)} | changed
    return saved(compress, **{k: v for k, v in arrays.items() if v is not None})


def refused(data: bytes) -> str:
    with pytest.raises(BadFileError) as caught:
        decode(data, "a b/é.mat")
    line = str(caught.value)
    assert line.startswith("a b/é.mat: ")
    assert "\n" not in line
    return line


# what is read


@pytest.mark.parametrize("compress", [False, True])
def test_by_hand(compress: bool) -> None:
    events = decode(whole(compress), "a.mat")
    assert [c.tolist() for c in events] == [X, Y, T, [0, 1, 1]]
    assert [c.dtype for c in events] == [np.int16, np.int16, np.int64, np.int8]


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("compress", [False, True])
def test_every_numeric_type(kind: str, compress: bool) -> None:
    x, y, t, p = column([0, 127, 5], kind), column([1, 2, 3], kind), column([4, 4, 9], kind), P
    events = decode(saved(compress, x=x, y=y.T, ts=t.T, p=column(p, "i1")), "a.mat")
    assert [c.tolist() for c in events] == [[0, 127, 5], [1, 2, 3], [4, 4, 9], [0, 1, 1]]


@pytest.mark.parametrize("p", [[0, 1, 1], [False, True, True]])
def test_polarity_may_be_0_and_1(p: list[Any]) -> None:
    assert decode(whole(p=np.array(p)[:, None]), "a.mat").p.tolist() == [0, 1, 1]


@pytest.mark.parametrize("value", [-1, 0, 1])
def test_one_polarity_alone(value: int) -> None:
    events = decode(whole(p=column([value] * 3)), "a.mat")
    assert events.p.tolist() == [int(value > 0)] * 3


def test_long_columns_and_large_times_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    n = 50_000
    x, y, p = rng.integers(0, 346, n), rng.integers(0, 260, n), rng.choice([-1, 1], n)
    t = np.sort(rng.integers(0, 1 << 53, n))
    events = decode(saved(True, x=x[:, None], y=y[None], ts=column(t), p=p[:, None]), "a.mat")
    for found, expected in zip(events, (x, y, t, (p + 1) // 2), strict=True):
        np.testing.assert_array_equal(found, expected)
    exact = decode(whole(ts=column([0, 1, (1 << 62) - 1], "i8")), "a.mat")
    assert exact.t[-1] == (1 << 62) - 1


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_further_numbers_and_text_are_passed_over(compress: bool, first: bool) -> None:
    """Of any shape, before the four or after them."""
    extra = {
        "sizeX": [[346]],
        "X": column([9.5]),
        "frame": np.ones((4, 5, 3), np.uint8),
        "none": np.zeros((0, 0)),
        "flags": np.array([[True, False]]),
        "note": "Größe 3",
        "lines": np.array(["two", "rows"]),
    }
    four = {"x": column(X), "y": column(Y), "ts": column(T), "p": column(P)}
    events = decode(saved(compress, **({**extra, **four} if first else {**four, **extra})), "a")
    assert [c.tolist() for c in events] == [X, Y, T, [0, 1, 1]]


def test_further_arrays_stay_out_of_memory_and_count_against_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = whole(True, large=np.zeros((1 << 19, 1)), note="x" * 100)
    tracemalloc.start()
    try:
        events = decode(data, "a.mat")
        assert tracemalloc.get_traced_memory()[0] < 1 << 20  # the four megabytes are let go
    finally:
        tracemalloc.stop()
    assert events.size == 3
    monkeypatch.setattr(reader, "MAX_BYTES", 1 << 20)
    assert "the limit is 1048576; split the recording" in refused(data)


def element(kind: int, content: bytes, order: str = ">") -> bytes:
    return struct.pack(f"{order}2I", kind, len(content)) + content + bytes(-len(content) % 8)


def test_big_endian_by_hand() -> None:
    """A file of a big-endian machine, composed from the format's description."""
    data = b"MATLAB 5.0 MAT-file".ljust(124, b" ") + b"\x01\x00MI"
    for name, values in {"x": [7], "y": [300], "ts": [70_000], "p": [1]}.items():
        content = np.array(values, ">i4").tobytes()
        small = struct.pack(">2H", 4, 5) + content  # four bytes share a word with their tag
        named = struct.pack(">2H", len(name), 1) + name.encode().ljust(4, b"\0")
        data += element(
            14,
            element(6, struct.pack(">2I", 6, 0)) + element(5, struct.pack(">2i", 1, 1))
            + named + small,
        )  # fmt: skip
    # x and y lie in [0, 32767], whatever the sensor: framing refuses what is outside it
    assert [c.tolist() for c in decode(data, "a.mat")] == [[7], [300], [70_000], [1]]


# what recordings may be


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "0.mat"
    path.touch()
    with pytest.raises(BadFileError, match=r"0\.mat: the file is empty"):
        read_events(path, "mat")


@pytest.mark.parametrize("shape", [(0, 0), (0, 1), (1, 0)])
def test_no_events(shape: tuple[int, int]) -> None:
    none = np.zeros(shape)
    with pytest.raises(BadFileError, match="no events"):
        checked(decode(saved(x=none, y=none, ts=none, p=none), "a.mat"), "a.mat")


def test_one_event() -> None:
    one = decode(saved(x=[[2]], y=[[1]], ts=[[5]], p=[[-1]]), "a.mat")
    frames = frames_from_events(*one, steps=3, sensor=(3, 4))
    assert frames.sum() == frames[0, 0, 1, 2] == 1


def test_one_microsecond_and_shorter_than_the_steps() -> None:
    same = decode(whole(ts=column([5, 5, 5])), "a.mat")
    assert frames_from_events(*same, steps=4, sensor=(260, 346))[0].sum() == 3
    short = decode(whole(ts=column([5, 6, 7])), "a.mat")
    assert frames_from_events(*short, steps=6, sensor=(260, 346)).sum() == 3


def test_ties_are_no_step_back_and_one_polarity_has_two_channels(tmp_path: Path) -> None:
    path = tmp_path / "0.mat"
    path.write_bytes(whole(ts=column([7, 7, 9]), p=column([-1, -1, -1])))
    events = read_events(path, "mat")
    assert events.t.tolist() == [7, 7, 9]
    frames = frames_from_events(*events, steps=1, sensor=(260, 346), tail="keep")
    assert frames.sum(axis=(2, 3)).tolist() == [[3, 0]]


def test_times_that_go_back(tmp_path: Path) -> None:
    path = tmp_path / "with space é.mat"
    path.write_bytes(whole(ts=column([9, 3, 5])))
    with pytest.raises(BadFileError, match=r"é\.mat: time goes back at event 1, from 9 to 3 us"):
        read_events(path, "mat")
    assert read_events(path, "mat", sort=True).t.tolist() == [3, 5, 9]


def test_40000_events_on_one_pixel() -> None:
    n = 40_000
    one, t = np.ones((n, 1), np.uint8), np.append(np.zeros(n - 1), 10.0)[:, None]
    events = decode(saved(True, x=one, y=one, ts=t, p=one), "a.mat")
    assert frames_from_events(*events, steps=2, sensor=(2, 2)).max() == n - 1


def test_y_240_is_an_event_like_any_other() -> None:
    assert decode(whole(y=column([240, 240, 1])), "a.mat").y.tolist() == [240, 240, 1]


def test_a_coordinate_outside_the_sensor() -> None:
    events = decode(whole(x=column([346, 0, 0])), "a.mat")
    with pytest.raises(SnntxError, match="outside the sensor of 260 rows and 346 columns"):
        frames_from_events(*events, steps=2, sensor=(260, 346))


# what is refused


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": None}, r"no array x \(found y, ts, p\); expected x, y, ts, p"),
        ({"ts": None, "t": column(T)}, r"no array ts \(found x, y, p, t\)"),
        ({"y": column([1, 2])}, r"differ in length \(x 3, y 2, ts 3, p 3\); expected one length"),
        ({"y": np.ones((3, 2))}, "array y is 3 x 2, expected n x 1 or 1 x n"),
        ({"y": np.ones((3, 1, 1))}, "array y is 3 x 1 x 1, expected n x 1 or 1 x n"),
        ({"x": column([0, 1.5, 2])}, r"x\[1\] is 1.5 \(1 such values\), expected whole numbers"),
        ({"x": column([0, np.nan, -1])}, r"x\[1\] is nan \(2 such values\)"),
        ({"y": column([0, -1, 2])}, r"y\[1\] is -1\.0"),
        ({"y": column([0, 1, 40_000])}, r"y\[2\] is 40000.0 .* from 0 to 32767"),
        ({"ts": column([0, 1, np.inf])}, r"ts\[2\] is inf"),
        ({"ts": column([0, -(1 << 62), 1], "i8")}, r"ts\[1\] is -4611686018427387904"),
        (
            {"ts": column([0, 0.25, 1.5])},
            r"ts\[1\] is 0.25 \(2 .* microsec.* seconds or milliseconds; multiply",
        ),
        ({"ts": column([0, 5e6 + 0.5, 6e6])}, r"ts\[1\] is 5000000.5 .* fractions of one; round"),
        ({"ts": column([0, 1, 2**64 - 1], "u8")}, r"ts\[2\] is 18446744073709551615"),
        ({"p": column([0, 2, 1])}, r"p\[1\] is 2.0 .* from -1 to 1"),
        ({"p": column([-1, 0, 1])}, r"p\[1\] is 0, but others are -1"),
        ({"p": column([1j, 0, 1], complex)}, "array p of class complex, expected real numbers"),
        ({"p": "abc"}, "array p of class char, expected real numbers"),
        ({"p": {"a": 1}}, "array p of class struct, expected real numbers"),
        ({"p": np.array([[1], ["a"], [2]], object)}, "array p of class cell"),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_arrays_that_are_no_events(changed: dict[str, Any], message: str, compress: bool) -> None:
    assert re.search(message, refused(whole(compress, **changed)))


def test_sparse_arrays() -> None:
    from scipy.sparse import csc_array

    assert "array p of class sparse" in refused(whole(p=csc_array(np.ones((3, 1)))))
    assert decode(whole(extra=csc_array(np.ones((3, 1)))), "a.mat").t.tolist() == T


@pytest.mark.parametrize(
    "extra", [{"a": 1}, np.array([[1], ["a"]], object), column([1j], complex), "note"]
)
def test_further_arrays_are_passed_over_with_a_remark(extra: Any) -> None:
    with hearing() as heard:
        events = decode(whole(extra=extra), "a.mat")
    assert [c.tolist() for c in events] == [X, Y, T, [0, 1, 1]]
    assert [each.text for each in heard] == [
        "with arrays beside x, y, ts and p in their file: passed over"
    ]
    with hearing() as heard:
        decode(whole(), "a.mat")
    assert heard == []


def test_times_may_start_below_zero() -> None:
    """A signed counter's do, and frames are the same wherever it starts."""
    events = decode(whole(ts=column([-500, -20, 90], "i4")), "a.mat")
    assert events.t.tolist() == [-500, -20, 90]
    later = events._replace(t=events.t + 500)
    np.testing.assert_array_equal(
        frames_from_events(*events, steps=3, sensor=(260, 346)),
        frames_from_events(*later, steps=3, sensor=(260, 346)),
    )


def test_seconds_are_told_and_microseconds_of_them_are_read() -> None:
    seconds = np.array([0.000004, 0.000004, 0.000009])
    line = refused(whole(ts=seconds[:, None]))
    assert "expected whole microseconds: these look like seconds or milliseconds; " in line
    assert "multiply them by 1e6 or 1e3, round them, and save the file again" in line
    for times, factor in ((seconds, 1e6), (seconds * 1e3, 1e3)):
        mended = decode(whole(ts=np.round(times * factor)[:, None]), "a.mat")
        assert mended.t.tolist() == [4, 4, 9]


def test_an_array_twice() -> None:
    again = whole() + saved(p=column(P))[128:]
    assert "2 arrays p, expected x, y, ts, p" in refused(again)


@pytest.mark.parametrize("last", ["p", "extra"])
@pytest.mark.parametrize("code", [3, 16, 17, 99])
def test_objects_and_functions_are_never_built(code: int, last: str) -> None:
    further: dict[str, Any] = {} if last == "p" else {last: column([1])}
    data = bytearray(whole(**further))
    at = data.rindex(b"\x06\0\0\0\x08\0\0\0") + 8  # the flags of the last array
    assert data[at] == 6
    data[at] = code
    if last == "extra":
        with hearing() as heard:
            assert decode(bytes(data), "a.mat").t.tolist() == T
        assert [each.kind for each in heard] == ["arrays"]
        return
    line = refused(bytes(data))
    assert "function" in line or "object" in line or "unknown (99)" in line


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x", "bytes 124 to 127 are '', expected '0001494d'"),
        (b"\0" * 128, "bytes 124 to 127 are '00000000'"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 600, r"a MATLAB 7.3 (HDF5) file, expected MATLAB 5"),
        (b"MATLAB 7.3".ljust(124) + b"\x00\x02IM", r"a MATLAB 7.3 (HDF5) file"),
        (whole()[:128], "no array x, y, ts, p (found nothing)"),
        (whole() + b"\0" * 8, "element type 0, expected 14 (an array) or 15"),
        (whole() + b"\x0e", "cut off after 1 bytes"),
    ],
)
def test_other_files(data: bytes, message: str) -> None:
    assert message in refused(data)


@pytest.mark.parametrize("compress", [False, True])
def test_truncated_anywhere(compress: bool) -> None:
    data = whole(compress)
    for size in range(1, len(data)):
        refused(data[:size])


def bomb(stated: int, actual: int) -> bytes:
    """A compressed element that states one size and inflates to another."""
    stream = zlib.compressobj(9)
    packed = stream.compress(struct.pack("<2I", 14, stated))
    for _ in range(actual >> 20):
        packed += stream.compress(bytes(1 << 20))
    packed += stream.flush()
    return whole()[:128] + struct.pack("<2I", 15, len(packed)) + packed


@pytest.mark.parametrize("stated", [8, 1 << 10, (1 << 32) - 1])
def test_compressed_bombs_are_never_inflated(stated: int) -> None:
    data = bomb(stated, 64 << 20)
    tracemalloc.start()
    try:
        line = refused(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    limit = "the limit is 536870912" if stated > 1 << 20 else f"more than {stated} bytes"
    assert limit in line


def test_the_limit_counts_all_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    for compress in (False, True):
        data = whole(compress)
        monkeypatch.setattr(reader, "MAX_BYTES", 4 * 72)
        assert decode(data, "a.mat").size == 3
        monkeypatch.setattr(reader, "MAX_BYTES", 4 * 72 - 1)
        assert "the limit is 287; split the recording" in refused(data)


def test_a_stream_that_stops_early() -> None:
    assert "inflates to 0 bytes, states 100" in refused(bomb(100, 0))


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    for header in (b"", whole()[:128], whole()[:128] + struct.pack("<2I", 14, len(data))):
        with contextlib.suppress(BadFileError):
            decode(header + data, "a.mat")


WORDS = [0, 1, 2, 5, 6, 8, 9, 12, 14, 15, 17, 18, 100, 255, 1 << 16, 2**31 - 1, 2**31, 2**32 - 1]
CHANGE = st.tuples(st.integers(128, 500), st.sampled_from(WORDS) | st.integers(0, 2**32 - 1))


@settings(max_examples=400)
@given(st.lists(CHANGE, min_size=1, max_size=4), st.integers(1, 600), st.booleans())
def test_damaged_files(changes: list[tuple[int, int]], size: int, inner: bool) -> None:
    """Any word of a whole file changed, outside compression or inside it."""
    data = bytearray(whole())
    for at, word in changes:
        at = min(at // 4 * 4, len(data) - 4)
        struct.pack_into("<I", data, at, word)
    if inner:  # the same damage, compressed
        packed = zlib.compress(bytes(data[128:]))
        data[128:] = struct.pack("<2I", 15, len(packed)) + packed
    for damaged in (bytes(data), bytes(data[:size])):
        try:
            events = decode(damaged, "a.mat")
        except BadFileError:
            refused(damaged)
            continue
        assert {c.size for c in events} == {events.size}
        assert events.size == 0 or (events.x.min() >= 0 and set(events.p.tolist()) <= {0, 1})
