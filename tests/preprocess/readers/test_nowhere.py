"""Coordinates that no sensor has: refused with the way out, or left out by the card, counted."""

import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.recfunctions import unstructured_to_structured
from scipy.io import savemat

from snntx.cli import run
from snntx.errors import BadFileError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import NOWHERE
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.raw.tonic_cards import card_text
from snntx.preprocess.readers.base import reader_of
from snntx.preprocess.readers.formats.tonic import events_of
from snntx.tests.own_card import own_card

T0 = 1_600_000_000_000_000
STRAYS: dict[str, list[float]] = {  # x or y of three events among the others
    "mat": [-1, 3.5, 40_000],
    "aedat4": [-1, 128, 30_000],
    "tonic": [-1, 128, -32_768],
}


def columns(seed: int, count: int = 200) -> np.ndarray[Any, Any]:
    """``(count, 4)``: x and y below 100, t in whole milliseconds, p."""
    draw = np.random.default_rng(seed)
    t = np.sort(draw.integers(0, 90, count)) * 1000
    values = [*draw.integers(0, 100, (2, count)), t, draw.integers(0, 2, count)]
    return np.array(values, np.float64).T


def stray(values: np.ndarray[Any, Any], format: str) -> np.ndarray[Any, Any]:
    """The same with an event outside before each of three."""
    rows = values[[5, 50, 51]].copy()
    for i, at in enumerate(STRAYS[format]):
        rows[i, i % 2] = at
    return np.insert(values, [5, 50, 51], rows, axis=0)


def write(path: Path, values: np.ndarray[Any, Any], format: str, files: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y, t, p = values.T
    if format == "mat":
        named = {"x": x[:, None], "y": y[:, None], "ts": t[:, None], "p": p[:, None]}
        savemat(path, named)
    elif format == "aedat4":
        rows = files.events(*zip(*values.T.astype(int).tolist(), strict=True))
        rows["t"] += T0
        files.write_plain(path, np.array_split(rows, 3), sensor=(128, 128))
    else:  # DVSGesture: x, y, p and milliseconds
        np.save(path, np.stack([x, y, p, t / 1000], 1).astype(np.int64))


def places(format: str, raw: Path) -> tuple[Path, Path, str]:
    """A good file, a bad one, and the text of a card."""
    if format == "tonic":
        folder = raw / "DVSGesture/ibmGestureTrain/user01_led"
        text = card_text("DVSGesture").replace('"tonic-dvsgesture"', '"mine"')
        text = text.replace("steps = 10", "steps = 2").replace("size = 48", "size = 12")
        return folder / "0.npy", folder / "1.npy", text.replace("sensor = [128, 128]\n", "")
    return raw / f"a/0.{format}", raw / f"a/1.{format}", own_card(format)


def make(card: Path, text: str, raw: Path) -> int:
    card.write_text(text)
    cache = str(card.parent / "cache")
    return run(["preprocess", str(card), "--raw", str(raw), "--cache", cache, "--jobs", "1"])


@pytest.mark.parametrize("key", ["sensor", "limit"])
@pytest.mark.parametrize("format", STRAYS)
def test_the_advice_leaves_them_out_and_counts_them(
    tmp_path: Path, aedat4_files: Any, capsys: pytest.CaptureFixture[str], format: str, key: str
) -> None:
    if format == "tonic":
        pytest.importorskip("tonic")
    raw, card = tmp_path / "raw", tmp_path / "mine.toml"
    good, bad, text = places(format, raw)
    write(good, columns(0), format, aedat4_files)
    write(bad, stray(columns(1), format), format, aedat4_files)
    assert make(card, text, raw) == 1
    error = capsys.readouterr().err
    (line,) = [line for line in error.splitlines() if "error:" in line]
    assert str(bad) in line
    advice = re.search(r'set (outside = "drop") in \[events\] of the card .*, with sensor or', line)
    assert advice is not None
    asked = f"[events]\n{advice[1]}\n{key} = [128, 128]"
    assert make(card, text.replace("[events]", asked), raw) == 0
    captured = capsys.readouterr()
    told = " ".join((captured.out + captured.err).split())
    assert "1 recordings with events outside the sensor: left out ([events] outside), such" in told
    assert "3 events in all" in told

    (seal,) = (tmp_path / "cache/mine").glob("*/SEALED")
    cache = FrameCache(seal.parent)
    (note,) = [note for note in cache.index.notes if note.kind == "outside"]
    assert (note.count, "3 events in all" in note.text) == (1, True)
    assert [each.events for each in cache.index.rows.noted] == [3]
    assert cache.index.rows.events.tolist() == [200, 200]
    extent = (128, 128) if key == "sensor" else None
    for i in range(2):
        kept = columns(i).astype(np.int64)
        expected = frames_from_events(*kept.T, steps=2, size=12, sensor=extent)
        np.testing.assert_array_equal(cache.frames(i), expected)
    assert run(["cache", "show", "mine", "--cache", str(tmp_path / "cache")]) == 0
    assert "3 events in all" in " ".join(capsys.readouterr().out.split())


def test_a_recording_of_nothing_else_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, card = tmp_path / "raw", tmp_path / "mine.toml"
    good, bad, text = places("mat", raw)
    write(good, columns(0), "mat", None)
    values = columns(1)
    values[:, 0] = np.nan
    write(bad, values, "mat", None)
    asked = '[events]\noutside = "drop"\nsensor = [128, 128]'
    assert make(card, text.replace("[events]", asked), raw) == 1
    assert "1.mat: no event inside the sensor" in capsys.readouterr().err


@pytest.mark.parametrize("value", [-1, -0.5, 3.5, np.nan, np.inf, -np.inf, 32_768, 1e300])
@pytest.mark.parametrize("name", ["x", "y"])
def test_what_no_sensor_has_in_a_mat_file(name: str, value: float) -> None:
    arrays = {each: np.array([[1.0], [2.0], [3.0]]) for each in ("x", "y", "ts")}
    arrays["p"] = np.array([[0.0], [1.0], [1.0]])
    arrays[name][1] = value
    file = io.BytesIO()
    savemat(file, arrays)
    with pytest.raises(BadFileError, match=rf"a\.mat: {name}\[1\] is .*; set outside = \"drop\""):
        reader_of("mat").decode(file.getvalue(), "a.mat")
    with warnings.catch_warnings(action="error"):
        events = reader_of("mat", drops=True).decode(file.getvalue(), "a.mat")
    assert getattr(events, name).tolist() == [1, NOWHERE, 3]


@pytest.mark.parametrize("value", [-1, -0.5, 3.5, np.nan, np.inf, 32_768])
def test_what_no_sensor_has_in_a_sample_of_tonic(value: float) -> None:
    rows = np.array([[1, 1, 5, 0], [value, 2, 6, 1], [3, 3, 7, 1]], np.float64)
    names = [(name, np.float64) for name in "xytp"]
    sample = unstructured_to_structured(rows, np.dtype(names))
    with pytest.raises(BadFileError, match=r"event 1 has x = .*; set outside = \"drop\""):
        events_of(sample, "a.npy")
    with warnings.catch_warnings(action="error"):
        assert events_of(sample, "a.npy", drops=True).x.tolist() == [1, NOWHERE, 3]


def test_a_part_of_a_file_may_start_at_an_event_that_is_left_out(
    tmp_path: Path, aedat4_files: Any
) -> None:
    rows = aedat4_files.events((1, 1, T0, 1), (200, 1, T0 + 5, 1), (2, 2, T0 + 6, 0))
    path = tmp_path / "a.aedat4"
    aedat4_files.write_plain(path, [rows], sensor=(128, 128))
    (part,) = reader_of("aedat4", drops=True).recordings(path, [(T0 + 5, T0 + 6, 1)])
    assert not isinstance(part, BadFileError)
    assert (part.x.tolist(), part.t.tolist()) == ([NOWHERE], [T0 + 5])


def test_a_time_that_cannot_be_is_refused_all_the_same(tmp_path: Path, aedat4_files: Any) -> None:
    path = tmp_path / "a.aedat4"
    aedat4_files.write_plain(path, [aedat4_files.events((1, 1, -1, 1))])
    with pytest.raises(BadFileError, match="packet 0: event 0 has") as caught:
        reader_of("aedat4", drops=True).read(path)
    assert "outside" not in str(caught.value)  # which would not help
