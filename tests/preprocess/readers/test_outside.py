"""Events outside the sensor: refused, left out by name, or noticed where no sensor is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from snntx.cli import run
from snntx.errors import BadFileError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.outside import within
from snntx.preprocess.readers.reading import read_events, read_recordings
from snntx.tests.own_card import own_card


def recording(count: int = 500, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 34, (2, count)).astype(np.int16)
    t = np.sort(rng.integers(0, 90_000, count))
    return Events(x, y, t, rng.integers(0, 2, count).astype(np.int8))


@pytest.mark.parametrize("count", [64, 200_000])
def test_a_hole_where_a_file_should_be(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(count // 5 * 5 + 5))
    with pytest.raises(BadFileError, match="bytes are 0, as a copy that was broken off leaves"):
        read_events(path, "atis")
    with pytest.raises(BadFileError, match="bytes are 0"):
        read_recordings(path, "atis", [()])


def test_one_event_may_be_all_zero(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(5))
    assert read_events(path, "atis").t.tolist() == [0]


def with_stray(events: Events, y: int) -> Events:
    rows = events.y.copy()
    rows[100] = y
    return events._replace(y=rows)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Four recordings, of which the second has a stray event."""
    for i in range(4):
        events = recording(seed=i)
        path = tmp_path / f"raw/a/{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(with_stray(events, 200) if i == 1 else events))
    return tmp_path / "raw"


def make(raw: Path, events: str) -> int:
    card = raw.parent / "mine.toml"
    card.write_text(own_card("atis", events))
    cache = str(raw.parent / "cache")
    return run(["preprocess", str(card), "--raw", str(raw), "--cache", cache, "--jobs", "1"])


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, as one line."""
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def newest(raw: Path) -> FrameCache:
    seals = sorted(
        (raw.parent / "cache/mine").glob("[!.]*/SEALED"), key=lambda p: p.stat().st_ctime
    )
    return FrameCache(seals[-1].parent)


def test_without_a_sensor_a_stray_is_told_and_the_advice_mends_it(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(raw, "") == 0
    told = "1 recordings with a few events far from all others, which squeeze the frames"
    shown = printed(capsys)
    assert told in shown
    assert "raw/a/1.bin" in shown
    assert make(raw, 'sensor = [34, 34]\noutside = "drop"') == 0
    shown = printed(capsys)
    assert told not in shown
    assert "1 recordings with events outside the sensor: left out" in shown
    cache = newest(raw)
    assert cache.index.rows.events.tolist() == [500, 499, 500, 500]
    events = recording(seed=1)
    kept = events.take(np.delete(np.arange(500), 100))
    expected = frames_from_events(*kept, steps=2, size=12, sensor=(34, 34))
    np.testing.assert_array_equal(cache.frames(1), expected)


@pytest.mark.parametrize("key", ["sensor", "limit"])
def test_the_refusal_names_the_key_that_leaves_them_out(
    raw: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    assert make(raw, f"{key} = [34, 34]") == 1
    error = capsys.readouterr().err
    assert f"{raw}/a/1.bin: events " in error
    assert 'set outside = "drop" in [events] of the card' in error
    assert make(raw, f'{key} = [34, 34]\noutside = "drop"') == 0
    assert len(newest(raw)) == 4


def test_caches_with_and_without_are_told_apart(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (raw / "a/1.bin").unlink()
    assert make(raw, "sensor = [34, 34]") == 0
    assert make(raw, 'sensor = [34, 34]\noutside = "drop"') == 0
    assert make(raw, 'sensor = [40, 34]\noutside = "drop"') == 0
    capsys.readouterr()
    root = str(raw.parent / "cache")
    assert run(["cache", "show", "mine", "--cache", root]) == 0  # the card's own, and says so
    shown, error = capsys.readouterr()
    assert "sensor          40 x 34" in shown
    assert error.count(": outside stop (card: drop), sensor 34 x 34 (card: 40 x 34), 3 rec") == 1
    assert error.count(": sensor 34 x 34 (card: 40 x 34), 3 recordings") == 1
    (raw.parent / "cache/cards/mine.toml").unlink()  # as release 0.1 left it
    assert run(["cache", "show", "mine", "--cache", root]) == 2
    error = capsys.readouterr().err
    assert error.count("outside drop, sensor 34 x 34, frames") == 1
    assert error.count("outside drop, sensor 40 x 34, frames") == 1
    assert error.count("outside stop, sensor 34 x 34, frames") == 1
    assert "none" not in error


def test_dropping_needs_a_sensor(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(raw, 'outside = "drop"') == 2
    assert "outside = 'drop' needs sensor = [height, width], or limit" in capsys.readouterr().err


def test_no_event_inside_is_an_error(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (raw / "a/1.bin").write_bytes(encode(recording()._replace(y=np.full(500, 200, np.int16))))
    assert make(raw, 'sensor = [34, 34]\noutside = "drop"') == 1
    assert "1.bin: no event inside the sensor" in capsys.readouterr().err


def test_the_new_keys_leave_the_cache_of_other_cards_alone(raw: Path) -> None:
    assert make(raw, "") == 0
    kept = json.loads(newest(raw).index.attributes["settings"])["events"]
    assert not {"wraps", "outside"} & kept.keys()


@pytest.mark.parametrize(("y", "told"), [(33, False), (60, False), (70, True), (32_000, True)])
def test_what_counts_as_a_stray(y: int, told: bool) -> None:
    options = FrameOptions(steps=2, size=(12, 12))
    with hearing() as heard:
        within(with_stray(recording(), y), options)
    assert bool(heard) == told
    with hearing() as heard:
        within(recording(50)._replace(y=np.r_[np.zeros(49), y].astype(np.int16)), options)
    assert heard == []  # of so few events none is far from most


def test_a_wrapped_timer_is_counted_on_by_the_card(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = recording()
    whole = whole._replace(t=whole.t + (1 << 23) - 40_000)
    (raw / "a/1.bin").write_bytes(encode(whole._replace(t=whole.t % (1 << 23))))
    assert make(raw, "sensor = [34, 34]") == 1
    assert "set wraps = true in [events] of the card" in capsys.readouterr().err
    assert make(raw, "sensor = [34, 34]\nwraps = true") == 0
    assert "1 recordings whose timer started over: counted on" in printed(capsys)
    expected = frames_from_events(*whole, steps=2, size=12, sensor=(34, 34))
    np.testing.assert_array_equal(newest(raw).frames(1), expected)


def test_a_format_without_such_a_timer_is_told(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = raw.parent / "mine.toml"
    card.write_text(own_card("aedat4", "wraps = true", "sensor = [34, 34]"))
    assert run(["preprocess", str(card), "--raw", str(raw), "--cache", str(raw.parent)]) == 2
    assert "the timer of format 'aedat4' does not start over; leave it out" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("format", "hint"),
    [("aedat", ""), ("aedat2", ""), ("dat", ""), ("aedt4", "aedat4"), ("Atis", "atis")],
)
def test_a_hint_never_leads_to_another_format(
    raw: Path, capsys: pytest.CaptureFixture[str], format: str, hint: str
) -> None:
    card = raw.parent / "mine.toml"
    card.write_text(own_card(format))
    assert run(["preprocess", str(card), "--raw", str(raw), "--cache", str(raw.parent)]) == 2
    error = capsys.readouterr().err
    assert f"unknown event format '{format}'" in error
    assert (f"did you mean '{hint}'" in error) if hint else ("did you mean" not in error)
