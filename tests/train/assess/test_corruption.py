"""Recordings made worse: exactly on events, in distribution on counts, refused on all else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess.cache.contents import SealedCache
from snntx.preprocess.cache.events.event_cache import EventCache
from snntx.preprocess.cache.opening import open_cache
from snntx.preprocess.framing.events import Events
from snntx.train.assess import corruption
from snntx.train.assess.corruption import Corruption, corrupted, curves, parse_corruption

CARD = "simulated-digits"
AREA = (0, 0, 34, 34)


@pytest.fixture
def frames(small_cache: Path) -> SealedCache:
    return open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None)


@pytest.fixture(scope="module")
def events(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> EventCache:
    root = tmp_path_factory.mktemp("events")
    words = ["--raw", str(small_cache / "data/raw"), "--cache", str(root), "--jobs", "1"]
    assert run(["preprocess", CARD, *words, "--as", "events", "--steps", "3"]) == 0
    opened = open_cache(root, load_card(CARD), steps=3, size=None)
    assert isinstance(opened, EventCache)
    return opened


def draw() -> np.random.Generator:
    return np.random.default_rng(0)


def some(count: int = 5000) -> Events:
    at = np.random.default_rng(1)
    x, y = (at.integers(0, 34, count).astype(np.int16) for _ in range(2))
    t = np.sort(at.integers(0, 300_000, count))
    return Events(x, y, t, at.integers(0, 2, count).astype(np.int8))


def rows(events: Events) -> set[tuple[int, ...]]:
    return set(zip(*(column.tolist() for column in events), strict=True))


def test_dropped_events_are_a_share_and_the_rest_is_unchanged() -> None:
    whole = some()
    left = corruption.drop(whole, 0.3, AREA, draw())
    assert left.size == pytest.approx(3500, abs=4 * np.sqrt(5000 * 0.21))
    assert rows(left) <= rows(whole)
    assert (np.diff(left.t) >= 0).all()
    assert corruption.drop(some(1), 0.999999, AREA, draw()).size == 1


def test_noise_is_added_within_the_recording() -> None:
    whole = some()
    more = corruption.noise(whole, 0.5, (3, 4, 20, 30), draw())
    assert rows(whole) <= rows(more)
    assert more.size - whole.size == pytest.approx(2500, abs=200)
    assert (np.diff(more.t) >= 0).all()
    assert more.t.min() >= whole.t[0]
    assert more.t.max() <= whole.t[-1]
    added = corruption.noise(whole.take(slice(1)), 4000.0, (3, 4, 20, 30), draw())
    y, x = added.y[1:], added.x[1:]
    assert (y.min(), y.max(), x.min(), x.max()) == (3, 19, 4, 29)


def test_jitter_moves_places_or_times_and_loses_what_leaves() -> None:
    whole = some()
    assert rows(corruption.jitter(whole, 0.0, AREA, draw())) == rows(whole)
    moved = corruption.jitter(whole, 2.0, AREA, draw())
    assert 0.8 * whole.size < moved.size < whole.size
    assert (moved.x.min(), moved.y.min()) == (0, 0)
    assert max(moved.x.max(), moved.y.max()) == 33
    late = corruption.time(whole, 10.0, AREA, draw())
    assert late.size == whole.size
    assert (np.diff(late.t) >= 0).all()
    assert (late.t[0], late.t[-1]) == (whole.t[0], whole.t[-1])
    assert sorted(late.x.tolist()) == sorted(whole.x.tolist())
    assert corruption.time(whole, 0.0, AREA, draw()).t.tolist() == whole.t.tolist()


def test_counts_are_thinned_and_noised(frames: SealedCache) -> None:
    which = np.arange(20)
    clips = frames.clips(which)
    worse = corrupted(frames, Corruption("drop", 0.4)).change
    assert worse is not None
    left = worse(which, clips)
    assert (left <= clips).all()
    assert left.sum() == pytest.approx(0.6 * clips.sum(), rel=0.02)
    assert np.array_equal(left, worse(which, clips))  # every draw repeats
    assert np.array_equal(left[5:6], worse(which[5:6], clips[5:6]))  # in any batch
    noisy = corrupted(frames, Corruption("noise", 0.5)).change
    assert noisy is not None
    more = noisy(which, clips) - clips
    assert more.min() >= 0
    assert more.sum() == pytest.approx(0.5 * clips.sum(), rel=0.02)
    assert np.array_equal(more, np.floor(more))


def test_frames_are_left_out(frames: SealedCache) -> None:
    fewer = corrupted(frames, Corruption("steps", 2)).change
    assert fewer is not None
    clips = frames.clips(np.arange(4))
    left = fewer(np.arange(4), clips)
    assert np.array_equal(left[:, :, :2], clips[:, :, :2])
    assert not left[:, :, 2].any()
    assert clips[:, :, 2].any()


def test_an_event_cache_frames_the_changed_events(events: EventCache) -> None:
    """Those of one recording alone, the same in whatever batch it stands."""
    worse = corrupted(events, Corruption("jitter", 1.5))
    assert worse.change is None
    assert isinstance(worse.cache, EventCache)
    whole, found = events.clips(np.arange(6)), worse.cache.clips(np.arange(6))
    assert not np.array_equal(whole, found)
    assert np.array_equal(found[3], worse.cache.clips([3])[0])
    assert np.array_equal(whole, events.clips(np.arange(6)))  # the cache itself is as it was
    assert worse.cache.events(0).x.tolist() == events.events(0).x.tolist()
    for kind in ("jitter", "time", "noise", "drop"):
        same = corrupted(events, Corruption(kind, 0.0)).cache
        assert np.array_equal(whole, same.clips(np.arange(6)))


def test_what_frames_cannot_show_is_refused_with_the_way_out(frames: SealedCache) -> None:
    for kind in ("jitter", "time"):
        with pytest.raises(UsageError, match=f"{kind} moves events; run snntx preprocess {CARD}"):
            corrupted(frames, Corruption(kind, 1.0))
    change = corrupted(frames, Corruption("drop", 0.5)).change
    assert change is not None
    halves = np.full((1, 1, 3, 2, 4, 4), 0.5, np.float32)
    with pytest.raises(UsageError, match=r"values that are no counts.*--as events"):
        change(np.arange(1), halves)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blur", "no such kind; the kinds are drop, noise, jitter, time, steps"),
        ("drop=", "expected numbers"),
        ("drop=0.1,x", "expected numbers, such as drop=0.1,0.5"),
        ("drop=1", "expected shares from 0 to below 1"),
        ("drop=-0.1", "expected shares"),
        ("noise=nan", "expected numbers of events added per event from 0"),
        ("noise=inf", "expected numbers of events added per event from 0"),
        ("steps=2.5", "expected whole numbers from 1 to 3"),
        ("steps=4", "expected whole numbers from 1 to 3"),
        ("steps=0", "expected whole numbers from 1 to 3"),
    ],
)
def test_other_severities_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_corruption(text, 3)


def test_kinds_without_severities_have_their_own() -> None:
    assert [each.severity for each in parse_corruption("steps", 3)] == [1, 2, 3]
    assert [each.severity for each in curves(["drop=0.5,0.1,0.5", "drop=0.1"], 3)] == [0.1, 0.5]
