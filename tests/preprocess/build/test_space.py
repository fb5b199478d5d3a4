"""How much room a cache needs: measured where it matters, a warning where it is uncertain."""

import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.data_cards import load_card
from snntx.errors import SnntxError
from snntx.preprocess.build import builder as build
from snntx.preprocess.build import space
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import Request, make_plan, make_request
from snntx.preprocess.readers.formats.atis import encode

Usage = namedtuple("Usage", "total used free")


def write_recordings(folder: Path, count: int, events: Callable[[int], int]) -> Path:
    for i in range(count):
        rng = np.random.default_rng(i)
        number = events(i)
        x, y = rng.integers(0, 34, (2, number))
        t, p = np.sort(rng.integers(0, 90_000, number)), rng.integers(0, 2, number)
        path = folder / f"Train/{i % 3}/{i + 1:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]
    return folder


def request_of(raw: Path, cache: Path, static: Path | None = None, **options: Any) -> Request:
    return make_request(load_card("n-mnist"), raw=raw, static=static, cache=cache, **options)


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Sixty recordings of 50 to 4,000 events in no order."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(50, 4000, 60).tolist()
    return write_recordings(tmp_path / "raw", 60, lambda i: numbers[i])


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, count))


@pytest.mark.parametrize("size", [None, 8])
def test_what_is_measured_holds_what_is_written(
    uneven: Path, tmp_path: Path, size: int | None
) -> None:
    request = request_of(uneven, tmp_path / "cache", size=size)
    plan = make_plan(request)
    needed = space.measured(request, plan)
    written = build.preprocess(request).cache_bytes
    assert needed.low <= written <= needed.high
    assert needed.high < 1.6 * written
    assert written <= space.most(plan, request.options)


def test_a_set_with_pictures_is_measured_too(small_cache: Path, tmp_path: Path) -> None:
    request = make_request(
        load_card("simulated-digits"),
        raw=small_cache / "data/raw",
        static=small_cache / "data/static",
        cache=tmp_path,
        steps=3,
    )
    plan = make_plan(request)
    needed = space.measured(request, plan)
    written = build.preprocess(request).cache_bytes
    assert needed.low <= written <= needed.high < 1.6 * written


def test_the_estimate_is_far_below_the_most(tmp_path: Path) -> None:
    raw = write_recordings(tmp_path / "raw", 40, lambda i: 20_000)
    request = request_of(raw, tmp_path / "cache", size=34)
    plan = make_plan(request)
    assert space.measured(request, plan).high < space.most(plan, request.options) / 2


def test_room_enough_reads_no_recording(
    uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(uneven, tmp_path / "cache")
    plan = make_plan(request)
    free(monkeypatch, space.most(plan, request.options))
    monkeypatch.setattr(space, "measured", None)
    space.check_space(request, plan, tmp_path / "cache/.building-x", pytest.fail)


def test_between_the_two_it_warns_and_goes_on(
    uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(uneven, tmp_path / "cache")
    needed = space.measured(request, make_plan(request))
    said: list[str] = []
    free(monkeypatch, (needed.low + needed.high) // 2)
    assert build.preprocess(request, say=said.append).recordings == 60
    (line,) = said
    assert f"may need up to {needed.high / 1e6:.1f} MB; if the disk fills up" in line


def test_too_little_is_refused_and_the_advice_helps(
    uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(uneven, tmp_path / "cache")
    needed = space.measured(request, make_plan(request))
    free(monkeypatch, needed.low - 1)
    with pytest.raises(SnntxError, match=r"free, but this cache needs about .*--no-space-check"):
        build.preprocess(request)
    assert build.preprocess(request, check_room=False).recordings == 60


def test_what_an_interrupted_build_left_is_not_needed_again(
    uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(uneven, tmp_path / "cache")
    plan = make_plan(request)
    needed = space.measured(request, plan)
    building = tmp_path / "cache/.building-x"
    building.mkdir(parents=True)
    free(monkeypatch, 100)
    with pytest.raises(SnntxError, match="free space"):
        space.check_space(request, plan, building, pytest.fail)
    (building / "frames-00000.h5").write_bytes(bytes(needed.high))
    space.check_space(request, plan, building, pytest.fail)


def test_where_nothing_can_be_measured_it_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write_recordings(tmp_path / "raw", 3, lambda i: 50)
    for path in raw.rglob("*.bin"):
        path.write_bytes(b"1234567")
    request = request_of(raw, tmp_path / "cache")
    plan = make_plan(request)
    free(monkeypatch, space.FIXED_BYTES * 2)
    said: list[str] = []
    monkeypatch.setattr(space, "most", lambda *_: 10**9)
    space.check_space(request, plan, tmp_path / "cache/.building-x", said.append)
    assert len(said) == 1


def test_a_file_that_vanishes_is_left_to_the_build(uneven: Path, tmp_path: Path) -> None:
    request = request_of(uneven, tmp_path / "cache")
    plan = make_plan(request)
    os.unlink(plan.recordings[0].path)
    assert space.most(plan, request.options) > 0
    assert space.measured(request, plan).high > 0
