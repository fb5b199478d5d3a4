"""Framing options in cards, cache keys, checkpoints and flags, and what refuses them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.data_cards.vocabulary import ALL_VALUES, BINS, EXTENTS, POLARITIES, TAILS
from snntx.errors import UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.readers.formats.atis import decode


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
    assert cache.options == expected
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


def test_help_names_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preprocess", "--help"]) == 0
    text = re.sub(r"-\n +", "-", capsys.readouterr().out)  # a word broken at its hyphen
    words = re.split(r"[^a-z0-9-]+", text)
    for known in (ALL_VALUES, EXTENTS, TAILS, BINS, POLARITIES):
        assert set(known) <= set(words), set(known) - set(words)


def test_training_refuses_one_channel(small_cache: Path, tmp_path: Path) -> None:
    assert preprocess_demo(small_cache, tmp_path, "--polarity", "merged") == 0
    card, key = load_card("simulated-digits"), only_cache(tmp_path).key
    with pytest.raises(UsageError, match=r"has one channel .* --polarity split"):
        open_cache(tmp_path, card, steps=None, size=None, key=key)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--bins", "cuont"), "found 'cuont'; did you mean 'count'?"),
        (("--values", "lgo"), "found 'lgo'; did you mean 'log'?"),
        (("--extent", "rech"), "found 'rech'; did you mean 'reach'?"),
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
    assert captured.err.startswith("snntx: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not (tmp_path / "none").exists()


def test_the_same_cache_with_and_without_decoding(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(name: str) -> FrameCache:
        preprocess_demo(small_cache, tmp_path / name, "--size", 9, "--jobs", 1)
        return only_cache(tmp_path / name)

    direct = build("direct")
    monkeypatch.setattr("snntx.preprocess.readers.formats.atis.plain_records", lambda data: None)
    decoded = build("decoded")
    assert direct.key == decoded.key
    for name in ("checksum", "extent", "events", "duration_us"):
        np.testing.assert_array_equal(
            getattr(direct.index.rows, name), getattr(decoded.index.rows, name)
        )
