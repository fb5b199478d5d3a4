"""Times that go back: a timer that started over, a recording to sort, or damage."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snntx.errors import BadFileError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.readers.base import reader_of
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.order import checked, unwrapped
from snntx.preprocess.readers.reading import read_events

ATIS = 1 << 23


def at(*times: int) -> Events:
    n = len(times)
    t = np.array(times, np.int64)
    x = np.arange(n).astype(np.int16)
    return Events(x, x, t, (x % 2).astype(np.int8))


def wrapped_file(path: Path, first: int, count: int = 400, step: int = 100) -> Events:
    """Write an ATIS file whose timer starts over; returns what was recorded."""
    rng = np.random.default_rng(0)
    whole = Events(
        rng.integers(0, 34, count).astype(np.int16),
        rng.integers(0, 34, count).astype(np.int16),
        first + step * np.arange(count, dtype=np.int64),
        rng.integers(0, 2, count).astype(np.int8),
    )
    path.write_bytes(encode(whole._replace(t=whole.t % ATIS)))
    return whole


@pytest.mark.parametrize(("count", "step"), [(400, 100), (400, 100_000)])
def test_the_advice_on_a_wrapped_timer_gives_the_right_frames(
    tmp_path: Path, count: int, step: int
) -> None:
    """Once, or every few seconds: the frames are those of a timer that never ends."""
    path = tmp_path / "a.bin"
    whole = wrapped_file(path, ATIS - 20_000, count, step)
    with pytest.raises(BadFileError) as refused:
        read_events(path, "atis")
    line = str(refused.value)
    assert f"timer of {ATIS} us that started over; set wraps = true in [events]" in line
    assert "sort" not in line
    with hearing() as heard:
        events = read_events(path, "atis", wraps=True)
    assert [each.kind for each in heard] == ["unwrapped"]
    np.testing.assert_array_equal(events.t, whole.t)
    found = frames_from_events(*events, steps=5, sensor=(34, 34))
    np.testing.assert_array_equal(found, frames_from_events(*whole, steps=5, sensor=(34, 34)))
    assert (found.sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize(
    ("format", "before", "after", "timer"),
    [
        ("atis", ATIS - 5, 3, ATIS),
        ("mat", 2**31 - 5, 3, 2**31),
        ("mat", 2**31 - 5, -(2**31) + 3, 2**32),
        ("mat", 2**32 - 5, 3, 2**32),
        ("tonic", ATIS - 5, 3, ATIS),
        ("tonic", 2**31 - 5, -(2**31) + 3, 2**32),
    ],
)
def test_every_format_has_its_own_timers(format: str, before: int, after: int, timer: int) -> None:
    timers = reader_of(format).timers
    with pytest.raises(BadFileError, match=rf"timer of {timer} us .* wraps = true"):
        checked(at(before, after), "a", timers=timers)
    assert checked(at(before, after), "a", wraps=True, timers=timers).t.tolist() == [
        before, before + 8,
    ]  # fmt: skip


def test_a_format_whose_timer_never_ends_has_none() -> None:
    assert reader_of("aedat4").timers == ()
    with pytest.raises(BadFileError, match="sort = true"):
        checked(at(ATIS - 5, 3), "a", timers=())


def test_a_step_back_of_another_size_is_one_to_sort() -> None:
    with pytest.raises(BadFileError, match=r"event 1, from 900 to 100 us \(1 such places\); set s"):
        checked(at(900, 100), "a", timers=(ATIS,))
    with hearing() as heard:
        events = checked(at(900, 100, 900), "a", sort=True, timers=(ATIS,))
    assert events.t.tolist() == [100, 900, 900]
    assert events.x.tolist() == [1, 0, 2]  # ties keep their order
    assert [each.kind for each in heard] == ["sorted"]


def test_events_in_the_wrong_order_around_a_turn() -> None:
    """Undone, they are a step back of their own size, which is to be sorted by its own name."""
    events = at(ATIS - 9, 2, ATIS - 1, 7)
    with pytest.raises(BadFileError, match=r"wraps = true"):
        checked(events, "a", timers=(ATIS,))
    with pytest.raises(BadFileError, match=r"from 8388610 to 8388607 us .* set sort = true"):
        checked(events, "a", wraps=True, timers=(ATIS,))
    both = checked(events, "a", wraps=True, sort=True, timers=(ATIS,))
    assert both.t.tolist() == [ATIS - 9, ATIS - 1, ATIS + 2, ATIS + 7]


def test_a_wrapped_timer_that_is_sorted_is_not_passed_over_in_silence() -> None:
    with hearing() as heard:
        checked(at(ATIS - 5, 3), "a", sort=True, timers=(ATIS,))
    assert [each.kind for each in heard] == ["wrapped"]
    assert "set wraps = true in [events]" in heard[0].text


def test_hundreds_of_steps_back_are_damage() -> None:
    times = np.random.default_rng(0).integers(0, 5_000_000, 1000)
    with pytest.raises(BadFileError, match=r"such places\); it is damaged or of another") as error:
        checked(at(*times.tolist()), "a", timers=(ATIS,))
    assert "sort" not in str(error.value)


@given(st.lists(st.integers(0, ATIS // 2), min_size=1, max_size=60), st.integers(0, 3 * ATIS))
def test_any_recording_without_a_long_pause_is_restored(steps: list[int], first: int) -> None:
    whole = np.cumsum([first, *(step // 4 for step in steps)])
    found = unwrapped(whole % ATIS, ATIS)
    np.testing.assert_array_equal(found - found[0], whole - whole[0])


# what is no recording at all


PAGE = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n" * 20
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n"


@pytest.mark.parametrize(
    "page", [PAGE, PAGE.lower(), POINTER, b"\n\n <html>\xc3\xa9" * 30, b"a,b\n" * 90]
)
@pytest.mark.parametrize("format", ["atis", "mat", "aedat4"])
def test_text_is_told_in_one_line(tmp_path: Path, page: bytes, format: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(page + b"x" * (-len(page) % 5))
    with pytest.raises(BadFileError, match=r"a\.bin: is text that starts with '") as error:
        read_events(path, format)
    assert "download the file again" in str(error.value)
    assert len(str(error.value)) < 250 + len(str(path))


def test_records_of_few_bytes_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"AB\x20\x20\x20" * 10)
    assert read_events(path, "atis").size == 10
