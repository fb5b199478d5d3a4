"""Windows of recordings: the published clips, number for number, and draws that stay inside."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snntx.errors import UsageError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_in_window
from snntx.preprocess.framing.grid import Span
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.framing.windows import Windows, clip_starts, random_starts

GOLDEN = np.load(Path(__file__).parents[2] / "golden/asa_windows.npz")
CASES = json.loads(str(GOLDEN["cases_json"]))


def recording(case: dict[str, int]) -> Events:
    """Rebuild the events of a case, as ``rules_json`` says."""
    name = "win.{D}.{clip}.{T}.{dt}".format(**case)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    t = np.sort(rng.integers(0, case["D"], 1500))
    t[0], t[-3:] = 0, case["D"] - 1
    x, y, p = rng.integers(0, 128, 1500), rng.integers(0, 128, 1500), rng.integers(0, 2, 1500)
    return Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))


@pytest.mark.parametrize("case", CASES, ids=lambda c: "{D}-{clip}-{T}-{dt}".format(**c))
def test_published_clips(case: dict[str, int]) -> None:
    """Golden: first and last event, number of events and frames of each clip."""
    golden: Any = {
        name: GOLDEN["win.{D}.{clip}.{T}.{dt}_".format(**case) + name]
        for name in ("first_t", "last_t", "n", "frame_counts", "frame_xmoment", "frame_ymoment")
    }
    events = recording(case)
    used = events.take(events.t < events.t[-1])
    length = case["T"] * case["dt"]
    starts = clip_starts(int(used.t[-1] - used.t[0]), Windows(length, case["clip"]))
    options = FrameOptions(
        steps=case["T"], sensor=(128, 128), window_ms=case["dt"] / 1000, downsample=4
    )
    assert starts.shape == (case["clip"],)
    for j, start in enumerate(starts.tolist()):
        part = events.take((events.t >= start) & (events.t < start + length))
        assert part.size == golden["n"][j]
        assert (part.t[0], part.t[-1]) == (golden["first_t"][j], golden["last_t"][j])
        frames = frames_in_window(part, Span(0, 127, 0, 127), options)
        assert frames.shape == (case["T"], 2, 32, 32)
        np.testing.assert_array_equal(frames.sum((2, 3)), golden["frame_counts"][j])
        columns, rows = np.arange(32), np.arange(32)[:, None]
        np.testing.assert_array_equal((frames * columns).sum((1, 2, 3)), golden["frame_xmoment"][j])
        np.testing.assert_array_equal((frames * rows).sum((1, 2, 3)), golden["frame_ymoment"][j])


@given(st.integers(0, 1 << 40), st.integers(1, 1 << 36), st.integers(1, 20))
def test_clips_lie_inside_or_hold_everything(duration: int, length: int, clips: int) -> None:
    starts = clip_starts(duration, Windows(length, clips))
    assert (starts + length <= max(duration, length)).all()
    if duration < length:
        assert (starts == duration - length).all()
    else:
        assert (starts >= 0).all()
        assert (np.diff(starts) >= 0).all()


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=5), st.integers(1, 1 << 36))
def test_random_windows_lie_inside(durations: list[int], length: int) -> None:
    held = np.array(durations, np.int64)
    for uniform in (0.0, 0.37, np.nextafter(1, 0)):
        starts = random_starts(np.full(held.size, uniform), held, length)
        assert (starts >= 0).all()
        assert ((starts + length <= held) | (starts == 0)).all()


@pytest.mark.parametrize("wrong", [{"length_us": 0}, {"length_us": 5, "clips": 0}])
def test_a_window_has_a_length_and_there_is_one(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="of windows must be at least 1, found 0"):
        Windows(**wrong)


def test_no_event_is_all_zero() -> None:
    nothing = Events(*(np.zeros(0, kind) for kind in (np.int16, np.int16, np.int64, np.int8)))  # type: ignore[arg-type]
    options = FrameOptions(steps=3, sensor=(8, 9), window_ms=1)
    frames = frames_in_window(nothing, Span(0, 8, 0, 7), options)
    assert frames.shape == (3, 2, 8, 9)
    assert not frames.any()


@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_down_sampling_is_integer_division(by: int, height: int, width: int, merged: bool) -> None:
    rng = np.random.default_rng(by)
    x, y = rng.integers(0, width, 200), rng.integers(0, height, 200)
    t, p = np.arange(200), rng.integers(0, 2, 200)
    options = FrameOptions(
        steps=1,
        sensor=(height, width),
        downsample=by,
        tail="keep",
        polarity="merged" if merged else "split",
    )
    events = Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))
    expected = np.zeros((1, 2, -(-height // by), -(-width // by)), np.float32)
    np.add.at(expected[0], (p, y // by, x // by), 1)
    if merged:
        expected = expected.sum(1, keepdims=True)
    found = frames_in_window(events, Span(0, width - 1, 0, height - 1), options)
    assert found.shape == options.frame_shape
    np.testing.assert_array_equal(found, expected)


def test_down_sampling_after_a_crop() -> None:
    places = np.array([3, 7, 8], np.int16)
    events = Events(places, places, np.arange(3, dtype=np.int64), np.ones(3, np.int8))
    options = FrameOptions(steps=1, sensor=(12, 12), crop=(3, 12, 3, 10), downsample=4, tail="keep")
    found = frames_in_window(events, Span(3, 8, 3, 8), options)
    assert found[0, 1].tolist() == [[1, 0], [0, 2], [0, 0]]


@pytest.mark.parametrize(("by", "size"), [(0, None), (-2, None), (2, (24, 24))])
def test_down_sampling_without_meaning(by: int, size: tuple[int, int] | None) -> None:
    with pytest.raises(UsageError, match="downsample must be at least 1, and takes the place"):
        FrameOptions(steps=2, sensor=(48, 48), downsample=by, size=size)
