"""ATIS records framed as they lie in the file: bit for bit the frames of their columns."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events, frames_from_records
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.framing.records import plain_records
from snntx.preprocess.readers import reading as readers
from snntx.preprocess.readers.formats.atis import encode


def at_times(*times: int) -> Events:
    """Off events on pixel (0, 0) at some times."""
    n = len(times)
    zero = np.zeros(n, np.int16)
    return Events(zero, zero, np.array(times, np.int64), np.zeros(n, np.int8))


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
    taken = inspect.signature(frames_from_events).parameters.keys() - {"steps"}
    chosen = {name: value for name, value in vars(options).items() if name in taken}
    expected = frames_from_events(*events, steps=steps, **chosen)
    ours = frames_from_records(records, options)
    assert ours.shape == options.frame_shape
    assert ours.tobytes() == expected.tobytes()
    for column, known in zip(records.events(), events, strict=True):
        np.testing.assert_array_equal(column, known)


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


def test_the_readers_offer_records_for_atis_alone(tmp_path: Path) -> None:
    path = tmp_path / "one.bin"
    path.write_bytes(encode(at_times(1, 2, 3)))
    _, (found,) = readers.read_recordings(path, "atis", [()])
    assert not isinstance(found, Events)
    path.write_bytes(encode(at_times(3, 2, 1)))
    _, (found,) = readers.read_recordings(path, "atis", [()])
    assert isinstance(found, Events)
