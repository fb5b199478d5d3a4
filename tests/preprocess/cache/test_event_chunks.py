"""Chunks and shards of events: what goes in comes out, a window at a time; damage is noticed."""

import struct
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from snntx.errors import SnntxError
from snntx.preprocess.cache.events import chunks
from snntx.preprocess.cache.events.shard import DamagedError, OpenShard, ShardWriter, empty_events
from snntx.preprocess.disk.hdf5 import write_column
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.reading import read_events


def made(seed: int, count: int, *, most: int = 400, width: int = 346) -> Events:
    """Events in order of time with many ties, the first at time 0."""
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.integers(0, most, count) * (rng.random(count) < 0.6)).astype(np.int64)
    x, y = rng.integers(0, width, (2, count)).astype(np.int16)
    return Events(x, y, t - t[0] if count else t, rng.integers(0, 2, count).astype(np.int8))


def decoded(data: bytes, count: int, start_us: int = 0) -> Events:
    out = empty_events(count)
    chunks.decode(data, out, start_us)
    return out


def same(a: Events, b: Events) -> bool:
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(a, b, strict=True)]
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


@settings(deadline=None)  # the first example compiles
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 1, 7, 255, 256, 70_000, 1 << 33, 1 << 50]),
            st.integers(0, 32767),
            st.sampled_from([0, 1, 127, 128, 32767]),
            st.integers(0, 1),
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 1 << 50),
)
def test_a_chunk_comes_back(rows: list[tuple[int, int, int, int]], start_us: int) -> None:
    steps, x, y, p = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    t = start_us + np.cumsum(steps) - steps[0]
    events = Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))
    assert same(decoded(chunks.encode(events), len(rows), start_us), events)


def test_a_column_of_zeros_takes_no_plane() -> None:
    zeros = np.zeros(1000, np.int16)
    events = Events(zeros, zeros, np.full(1000, 5, np.int64), zeros.astype(np.int8))
    data = chunks.encode(events)
    assert data == bytes([128, 0, 0, 0])
    assert same(decoded(data, 1000, 5), events)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, [0]), (1, [0, 1]), (8192, [0, 8192]), (8193, [0, 4096, 8193]), (20_000, [0, 6666, 13333])],
)
def test_chunks_are_few_and_alike(count: int, expected: list[int]) -> None:
    bounds = chunks.bounds_of(count)
    assert bounds[: len(expected)].tolist() == expected
    assert bounds[-1] == count
    assert np.diff(bounds).max(initial=0) <= chunks.MOST_EVENTS


def test_a_cut_chunk_is_refused() -> None:
    data = chunks.encode(made(1, 500))
    for length in [*range(60), len(data) - 1]:
        with pytest.raises(ValueError, match=r"a chunk|a plane"):
            decoded(data[:length], 500)


@pytest.mark.parametrize("count", [499, 501, 0])
def test_another_number_of_events_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="a plane of 500 bytes, expected"):
        decoded(chunks.encode(made(1, 500)), count)


def test_a_plane_that_claims_more_is_not_allocated() -> None:
    """One that says it has a terabyte, as a hostile file would."""
    frame = bytes.fromhex("28b52ffde0") + struct.pack("<Q", 1 << 40) + b"\x01\x00\x00"
    assert zstandard.frame_content_size(frame) == 1 << 40
    data = bytes([129, 0, 0, 0]) + struct.pack("<I", len(frame)) + frame
    with pytest.raises(ValueError, match="a plane of 1099511627776 bytes, expected 10"):
        decoded(data, 10)


@pytest.fixture
def shard(tmp_path: Path) -> tuple[Path, list[Events]]:
    """Recordings of 1 to 40,000 events in one shard."""
    held = [made(seed, count) for seed, count in enumerate([40_000, 1, 8192, 8193, 300])]
    path = tmp_path / "events-00000.h5"
    with h5py.File(path, "w") as file:
        writer = ShardWriter(file)
        for row, events in enumerate([*held[:2], made(9, 20_000), made(8, 9)]):
            writer.write(row, events)
        for row, events in enumerate(held[2:], 2):  # over those of a file that was passed over
            writer.write(row, events)
        writer.write(5, made(7, 9000))
        writer.finish(5)
        write_column(file.create_group("recordings"), "label", np.zeros(5), "<i8")
    return path, held


@pytest.mark.parametrize("hold", [False, True])
def test_any_window_is_what_lies_in_it(shard: tuple[Path, list[Events]], hold: bool) -> None:
    path, held = shard
    opened, rng = OpenShard(path), np.random.default_rng(0)
    opened = OpenShard(path, held=opened.whole()) if hold else opened
    for row, events in enumerate(held):
        assert same(opened.read(row), events)
        borders = events.t[chunks.bounds_of(events.size)[:-1]]
        last = int(events.t[-1])
        ends = [0, -5, last, last + 1, *borders, *(borders + 1), *rng.integers(-9, last + 9, 30)]
        for start in ends:
            for stop in ends:
                found = opened.read(row, int(start), int(stop))
                inside = np.flatnonzero((events.t >= start) & (events.t < stop))
                assert same(found, events.take(inside)), (row, start, stop)


def test_ties_across_a_border_of_chunks(tmp_path: Path) -> None:
    t = np.repeat(np.array([0, 50, 90], np.int64), [4000, 9000, 100])
    zeros = np.zeros(t.size, np.int16)
    events = Events(np.arange(t.size, dtype=np.int16), zeros, t, zeros.astype(np.int8))
    with h5py.File(tmp_path / "s.h5", "w") as file:
        writer = ShardWriter(file)
        writer.write(0, events)
        writer.finish(1)
        write_column(file.create_group("recordings"), "label", [0], "<i8")
    opened = OpenShard(tmp_path / "s.h5")
    assert same(opened.read(0, 50, 51), events.take(slice(4000, 13000)))
    assert same(opened.read(0, 50), events.take(slice(4000, None)))


def test_a_window_reads_little_more_than_itself(shard: tuple[Path, list[Events]]) -> None:
    path, held = shard
    opened = OpenShard(path)
    middle = int(held[0].t[20_000])
    opened.read(0, middle, middle + 100)
    assert opened._whole.sum() <= 2


def test_a_flipped_byte_is_found_where_it_is_read(shard: tuple[Path, list[Events]]) -> None:
    path, held = shard
    with h5py.File(path, "r+") as file:
        place = int(file["chunks/offset"][3]) + 40
        file["bytes"][place] ^= 1
    opened = OpenShard(path)
    first = int(held[0].t[100])
    assert same(opened.read(0, 0, first), held[0].take(np.flatnonzero(held[0].t < first)))
    with pytest.raises(DamagedError, match="chunk 3 does not match its checksum"):
        opened.read(0)


def test_a_shard_that_links_elsewhere_is_refused(shard: tuple[Path, list[Events]]) -> None:
    path, _ = shard
    with h5py.File(path, "r+") as file:
        del file["bytes"]
        file["bytes"] = h5py.ExternalLink("other.h5", "/bytes")
    with pytest.raises(SnntxError, match="/bytes is a link"):
        OpenShard(path)


@pytest.mark.real
@pytest.mark.parametrize("name", ["n_mnist", "dvxplorer"])
def test_real_recordings_take_few_bytes(real: Path, name: str) -> None:
    """At most 2.8 bytes an event, in chunks of at most 8,192."""
    if name == "n_mnist":
        files = sorted(real.glob("n_mnist/Train/*/000*.bin"))
        held = [read_events(file, "atis") for file in files]
    else:
        held = [read_events(real / "aedat4/dvxplorer_sample.aedat4", "aedat4")]
    size = events = 0
    for one in held:
        bounds = chunks.bounds_of(one.size).tolist()
        for start, stop in pairwise(bounds):
            part = one.take(slice(start, stop))
            data = chunks.encode(part)
            assert same(decoded(data, part.size, int(part.t[0])), part)
            size += len(data)
            events += part.size
    assert events >= 40_000
    assert size / events <= 2.8
