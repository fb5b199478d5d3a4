"""Framing by name: bins, tail, values, polarity, crop; in cards, keys and flags."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess import readers
from snntx.preprocess.cache import FrameCache
from snntx.preprocess.events import Events
from snntx.preprocess.framing import frames_from_events, frames_from_records
from snntx.preprocess.options import FrameOptions
from snntx.preprocess.readers.atis import decode, encode
from snntx.preprocess.records import plain_records
from snntx.train.caches import open_cache
from snntx.train.checkpoint import frame_options

Frames = NDArray[np.float32]


def at_times(*times: int) -> Events:
    """Off events on pixel (0, 0) at some times."""
    n = len(times)
    zero = np.zeros(n, np.int16)
    return Events(zero, zero, np.array(times, np.int64), np.zeros(n, np.int8))


def per_step(events: Events, **options: Any) -> list[float]:
    frames = frames_from_events(*events, sensor=(1, 1), **options)
    return [float(v) for v in frames.sum(axis=(1, 2, 3))]


@st.composite
def recordings(draw: st.DrawFn) -> tuple[Events, tuple[int, int]]:
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 300))
    t = np.sort(rng.integers(0, draw(st.sampled_from([1, 5, 5000, 8_000_000])), n))
    x, y, p = rng.integers(0, width, n), rng.integers(0, height, n), rng.integers(0, 2, n)
    events = Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))
    return events, (height, width)


steps_of = st.integers(1, 12)
sizes = st.none() | st.tuples(st.integers(1, 40), st.integers(1, 40))
binned = st.sampled_from(
    [{}, {"bins": "count"}, {"window_ms": 0.001}, {"window_ms": 1.5}, {"window_ms": 4000.0}]
)


# bins and tail


def test_count_bins_by_hand() -> None:
    # 7 events, 3 frames: 2 events each, whatever their times; the seventh remains
    events = at_times(0, 0, 0, 5, 5, 90, 91)
    assert per_step(events, steps=3, bins="count") == [2, 2, 2]
    assert per_step(events, steps=3, bins="count", tail="keep") == [2, 2, 3]


def test_fewer_events_than_frames() -> None:
    assert per_step(at_times(0, 1, 9), steps=5, bins="count") == [1, 1, 1, 0, 0]
    assert per_step(at_times(0, 1, 9), steps=5, bins="count", tail="keep") == [1, 1, 1, 0, 0]


def test_fixed_windows_by_hand() -> None:
    # windows of 2 us from t = 10: [10, 12) [12, 14) [14, 16); beyond: 17, 30
    events = at_times(10, 11, 12, 17, 30)
    assert per_step(events, steps=3, window_ms=0.002) == [2, 1, 0]
    assert per_step(events, steps=3, window_ms=0.002, tail="keep") == [2, 1, 2]


@pytest.mark.parametrize("tail", ["drop", "keep"])
def test_frames_beyond_the_recording_are_empty(tail: str) -> None:
    events = at_times(0, 1500, 2000)
    assert per_step(events, steps=5, window_ms=1, tail=tail) == [1, 1, 1, 0, 0]


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, st.sampled_from(["drop", "keep"]))
def test_count_bins_equal_numpy_splitting(
    case: tuple[Events, tuple[int, int]], steps: int, tail: str
) -> None:
    events, sensor = case
    frames = frames_from_events(*events, steps=steps, sensor=sensor, bins="count", tail=tail)
    each = max(1, events.size // steps)
    parts = np.split(np.arange(events.size), np.minimum(each * np.arange(1, steps + 1), 10**6))
    groups = [*parts[: steps - 1], np.concatenate(parts[steps - 1 :])]
    groups = groups if tail == "keep" else parts[:steps]
    expected = np.zeros_like(frames)
    for step, group in enumerate(groups):
        np.add.at(expected, (step, events.p[group], events.y[group], events.x[group]), 1)
    np.testing.assert_array_equal(frames, expected)


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of)
def test_equals_tonic_where_tonic_is_defined(
    case: tuple[Events, tuple[int, int]], steps: int
) -> None:
    from tonic.transforms import ToFrame

    events, (height, width) = case
    table = np.empty(events.size, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")])
    for name, column in zip("xytp", events, strict=True):
        table[name] = column
    sensor = (width, height, 2)
    if events.size >= steps:
        theirs = ToFrame(sensor_size=sensor, n_event_bins=steps)(table)
        ours = frames_from_events(*events, steps=steps, sensor=(height, width), bins="count")
        np.testing.assert_array_equal(ours, theirs)
    window = max(1, events.duration_us // steps)
    theirs = ToFrame(sensor_size=sensor, time_window=window)(table)
    ours = frames_from_events(
        *events, steps=len(theirs), sensor=(height, width), window_ms=window / 1000
    )
    np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, binned)
def test_keep_loses_no_event(
    case: tuple[Events, tuple[int, int]], steps: int, bins: dict[str, Any]
) -> None:
    events, sensor = case
    frames = frames_from_events(*events, steps=steps, sensor=sensor, tail="keep", **bins)
    assert frames.sum() == events.size


# values, polarity, crop


def test_values_by_hand() -> None:
    events = at_times(0, 0, 0, 5, 10)  # counts 3 and 1
    two = {"steps": 2, "size": None}
    assert per_step(events, **two) == [3, 1]
    assert per_step(events, **two, values="binary") == [1, 1]
    assert per_step(events, **two, values="log") == pytest.approx([np.log(4), np.log(2)])
    assert per_step(events, **two, values="max") == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize("values", ["binary", "log", "max"])
def test_values_of_empty_frames_are_zero(values: str) -> None:
    # the only event lies outside the crop
    frames = frames_from_events([5], [5], [0], [1], steps=2, values=values, crop=(0, 2, 0, 2))
    np.testing.assert_array_equal(frames, np.zeros((2, 2, 2, 2), np.float32))


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, sizes)
def test_values_are_functions_of_the_counts(
    case: tuple[Events, tuple[int, int]], steps: int, size: tuple[int, int] | None
) -> None:
    events, sensor = case

    def frames(values: str) -> Frames:
        return frames_from_events(*events, steps=steps, size=size, sensor=sensor, values=values)

    counts = frames("counts")
    np.testing.assert_array_equal(frames("binary"), counts > 0)
    np.testing.assert_allclose(frames("log"), np.log(1 + counts.astype(float)), rtol=1e-6)
    np.testing.assert_allclose(frames("max"), counts / max(counts.max(), 1e-9), rtol=1e-6)
    assert {frames(v).dtype for v in ("counts", "binary", "log", "max")} == {np.dtype(np.float32)}


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, sizes, binned)
def test_merged_is_the_sum_of_split(
    case: tuple[Events, tuple[int, int]],
    steps: int,
    size: tuple[int, int] | None,
    bins: dict[str, Any],
) -> None:
    events, sensor = case
    options: dict[str, Any] = {"steps": steps, "size": size, "sensor": sensor, **bins}
    split = frames_from_events(*events, **options)
    merged = frames_from_events(*events, **options, polarity="merged")
    assert merged.shape == (steps, 1, *split.shape[2:])
    exact = 0 if size is None else 1e-5
    np.testing.assert_allclose(merged[:, 0], split.sum(axis=1), rtol=exact, atol=exact)


@settings(deadline=None, max_examples=80)
@given(recordings(), steps_of, binned, st.booleans(), st.data())
def test_crop_is_a_slice_of_the_native_frames(
    case: tuple[Events, tuple[int, int]],
    steps: int,
    bins: dict[str, Any],
    zero_origin: bool,
    data: st.DataObject,
) -> None:
    events, (height, width) = case
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = (
        data.draw(st.integers(top + 1, height)),
        data.draw(st.integers(left + 1, width)),
    )
    options: dict[str, Any] = {"steps": steps, "zero_origin": zero_origin, **bins}
    native = frames_from_events(*events, sensor=(height, width), **options)
    crop = (top, bottom, left, right)
    cropped = frames_from_events(*events, sensor=(height, width), crop=crop, **options)
    np.testing.assert_array_equal(cropped, native[:, :, top:bottom, left:right])
    # where the sensor is inferred, pixels past it are empty
    np.testing.assert_array_equal(frames_from_events(*events, crop=crop, **options), cropped)
    resized = frames_from_events(
        *events, sensor=(height, width), crop=crop, size=(bottom - top, right - left), **options
    )
    np.testing.assert_allclose(resized, cropped, atol=1e-4)


# records framed as they lie in the file


@settings(deadline=None, max_examples=150)
@given(recordings(), steps_of, sizes, binned, st.data())
def test_records_equal_columns_bit_for_bit(
    case: tuple[Events, tuple[int, int]],
    steps: int,
    size: tuple[int, int] | None,
    bins: dict[str, Any],
    data: st.DataObject,
) -> None:
    events, sensor = case
    options = FrameOptions(
        steps=steps,
        size=size,
        sensor=sensor if size is None else data.draw(st.sampled_from([None, sensor])),
        tail=data.draw(st.sampled_from(["drop", "keep"])),
        zero_origin=data.draw(st.booleans()),
        values=data.draw(st.sampled_from(["counts", "binary", "log", "max"])),
        polarity=data.draw(st.sampled_from(["split", "merged"])),
        crop=data.draw(st.sampled_from([None, (0, 1, 0, 1)])),
        **bins,
    )
    records = plain_records(encode(events))
    assert records is not None
    assert (records.size, records.extent, records.reach, records.duration_us) == (
        events.size,
        events.extent,
        events.reach,
        events.duration_us,
    )
    chosen = {k: v for k, v in vars(options).items() if k in frames_from_events.__kwdefaults__}
    expected = frames_from_events(*events, steps=steps, **chosen)
    ours = frames_from_records(records, options)
    assert ours.shape == options.frame_shape
    assert ours.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1\1\0\0",  # a cut record
        b"\1\1\0\0\5" + b"\1\1\0\0\4",  # time goes back
        b"\1\1\0\1\0" + b"\1\1\0\0\xff",  # by its middle byte alone
        b"\1\1\1\0\0" + b"\1\1\x80\xff\xff",  # by its high byte, polarity on
        b"\1\xf0\0\0\0" + b"\1\1\0\0\1",  # an overflow marker
        b"\1\xff\0\0\0",  # beyond any sensor
    ],
)
def test_unusual_files_go_through_their_reader(data: bytes) -> None:
    assert plain_records(data) is None


def test_records_of_many_blocks_find_the_extremes_anywhere() -> None:
    n = 1000
    for place in (0, 1, 127, 128, 640, 895, 896, 999):
        x, y = np.full(n, 7), np.full(n, 9)
        x[place], y[place] = 200, 3
        events = Events(x, y, np.arange(n), np.zeros(n))  # type: ignore[arg-type]
        records = plain_records(encode(events))
        assert records is not None
        assert records.span == (7, 200, 3, 9)


def test_a_late_step_back_is_found() -> None:
    for place in (1, 500, 999):
        t = np.arange(1000) * 3
        t[place:] -= 4
        t -= t.min()
        zero = np.zeros(1000)
        events = Events(zero, zero, t, zero)  # type: ignore[arg-type]
        assert plain_records(encode(events)) is None


def test_40000_events_on_one_pixel_of_a_file() -> None:
    zero = np.zeros(40_000)
    events = Events(zero, zero, zero, zero + 1)  # type: ignore[arg-type]
    records = plain_records(encode(events))
    assert records is not None
    frames = frames_from_records(records, FrameOptions(steps=1, size=(1, 1), tail="keep"))
    assert frames.ravel().tolist() == [0, 40_000]


def test_the_same_cache_with_and_without_decoding(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(name: str) -> FrameCache:
        preprocess_demo(small_cache, tmp_path / name, "--size", 9, "--jobs", 1)
        return only_cache(tmp_path / name)

    direct = build("direct")
    monkeypatch.setattr("snntx.preprocess.readers.atis.plain_records", lambda data: None)
    decoded = build("decoded")
    assert direct.key == decoded.key
    for name in ("checksum", "extent", "events", "duration_us"):
        np.testing.assert_array_equal(
            getattr(direct.index.rows, name), getattr(decoded.index.rows, name)
        )


# options, cards, cache, command line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": "tme"}, "bins must be one of time, count, found 'tme'; did you mean 'time'"),
        ({"values": "binry"}, "found 'binry'; did you mean 'binary'"),
        ({"polarity": "merge"}, "found 'merge'; did you mean 'merged'"),
        ({"tail": "kep"}, "found 'kep'; did you mean 'keep'"),
        ({"bins": "count", "window_ms": 5}, "window_ms needs bins = 'time'"),
        ({"window_ms": 0}, "window_ms must be a whole number of microseconds"),
        ({"window_ms": 0.0015}, "at least 0.001, found 0.0015"),
        ({"window_ms": float("nan")}, "found nan"),
        ({"window_ms": 1e300}, "longer than any recording"),
        ({"crop": (2, 2, 0, 4)}, "0 <= top < bottom"),
        ({"crop": (-1, 2, 0, 4)}, "found \\(-1, 2, 0, 4\\)"),
        ({"crop": (0, 9, 0, 4)}, "reaches beyond the sensor of 8 rows and 8 columns"),
    ],
)
@pytest.mark.parametrize("make", [FrameOptions, lambda **o: frames_from_events(*[[0]] * 4, **o)])
def test_options_without_meaning(
    make: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make(steps=3, sensor=(8, 8), **options)


def test_frame_shape() -> None:
    assert FrameOptions(steps=3, sensor=(4, 5), polarity="merged").frame_shape == (3, 1, 4, 5)
    assert FrameOptions(steps=3, crop=(1, 3, 2, 5)).frame_shape == (3, 2, 2, 3)
    assert FrameOptions(steps=3, crop=(1, 3, 2, 5), size=(7, 8)).frame_shape == (3, 2, 7, 8)


def test_what_is_given_replaces_the_cards() -> None:
    card = load_card("n-mnist")
    assert FrameOptions.from_card(card, steps=None, size=None) == FrameOptions.from_card(card)
    given = FrameOptions.from_card(card, size=20, bins="count", crop=(0, 8, 0, 8))
    assert given.frame_shape == (card.framing.steps, 2, 20, 20)
    assert (given.bins, given.window_ms, given.crop) == ("count", None, (0, 8, 0, 8))
    assert FrameOptions.from_card(card, size="native").size is None
    with pytest.raises(UsageError, match="give a size, a crop, or a fixed sensor"):
        FrameOptions.from_card(load_card("n-caltech101"), size="native")


def preprocess_demo(small_cache: Path, cache: Path, *flags: Any) -> int:
    where = ("--raw", small_cache / "data/raw", "--cache", cache)
    return run([str(a) for a in ("preprocess", "simulated-digits", *where, *flags)])


def only_cache(root: Path) -> FrameCache:
    (seal,) = root.glob("*/*/SEALED")
    return FrameCache(seal.parent)


ALL_FLAGS = (
    *("--steps", 4, "--size", 12, "--window-ms", 20, "--tail", "keep"),
    *("--values", "log", "--polarity", "split", "--crop", 2, 30, 4, 34),
)


def test_flags_reach_the_cache_and_a_checkpoint(small_cache: Path, tmp_path: Path) -> None:
    assert preprocess_demo(small_cache, tmp_path, *ALL_FLAGS) == 0
    cache = only_cache(tmp_path)
    expected = FrameOptions(
        steps=4,
        size=(12, 12),
        sensor=(34, 34),
        tail="keep",
        window_ms=20.0,
        values="log",
        crop=(2, 30, 4, 34),
    )
    assert frame_options(cache) == expected
    attributes = cache.index.attributes
    named = {name: attributes[name] for name in ("bins", "window_ms", "values", "crop")}
    assert named == {
        "bins": "time",
        "window_ms": 20.0,
        "values": "log",
        "crop": "rows 2:30, columns 4:34",
    }
    path = next(iter((small_cache / "data/raw").rglob(f"{cache.index.rows.identity[0]}.bin")))
    events = decode(path.read_bytes(), path)
    frames = frames_from_events(
        *events, steps=4, size=12, sensor=(34, 34), tail="keep", window_ms=20, values="log",
        crop=(2, 30, 4, 34),
    )  # fmt: skip
    np.testing.assert_array_equal(cache.frames(np.array([0]))[0], frames)


def test_every_flag_changes_the_key(small_cache: Path, tmp_path: Path) -> None:
    flags = [
        ("--bins", "count"),
        ("--window-ms", 30),
        ("--tail", "keep"),
        ("--values", "max"),
        ("--polarity", "merged"),
        ("--crop", 0, 34, 0, 30),
    ]
    for i, flag in enumerate([("--bins", "time"), *flags]):
        assert preprocess_demo(small_cache, tmp_path / str(i), "--steps", 2, *flag) == 0
    keys = {only_cache(tmp_path / str(i)).key for i in range(len(flags) + 1)}
    assert len(keys) == len(flags) + 1


def test_training_refuses_one_channel(small_cache: Path, tmp_path: Path) -> None:
    assert preprocess_demo(small_cache, tmp_path, "--polarity", "merged") == 0
    card, key = load_card("simulated-digits"), only_cache(tmp_path).key
    with pytest.raises(UsageError, match="has one channel .* --polarity split"):
        open_cache(tmp_path, card, steps=None, size=None, key=key)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--bins", "cuont"), "found 'cuont'; did you mean 'count'?"),
        (("--values", "lgo"), "found 'lgo'; did you mean 'log'?"),
        (("--window-ms", "0"), "window_ms must be a whole number of microseconds"),
        (("--crop", "0", "35", "0", "34"), "reaches beyond the sensor of 34 rows"),
        (("--size", "natve"), "'natve' is neither a whole number nor native"),
        (("--crop", "0", "5"), "--crop"),
    ],
)
def test_wrong_flags_are_one_line(
    small_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    message: str,
) -> None:
    assert preprocess_demo(small_cache, tmp_path / "none", *flags) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]
    assert not (tmp_path / "none").exists()


def test_the_readers_offer_records_for_atis_alone(tmp_path: Path) -> None:
    path = tmp_path / "one.bin"
    path.write_bytes(encode(at_times(1, 2, 3)))
    _, (found,) = readers.read_recordings(path, "atis", [()])
    assert not isinstance(found, Events)
    path.write_bytes(encode(at_times(3, 2, 1)))
    _, (found,) = readers.read_recordings(path, "atis", [()])
    assert isinstance(found, Events)
