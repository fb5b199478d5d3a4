"""The event cache: its frames are a frame cache's, its key its own, its damage named."""

import dataclasses
import json
import multiprocessing
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.data_cards.schema import Card
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess import EventCache, FrameCache
from snntx.preprocess.build import builder, space, stages
from snntx.preprocess.cache.opening import open_cache, opened
from snntx.preprocess.cache.seal import seal
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.framing.recording import frame_recording
from snntx.preprocess.framing.windows import Windows, clip_starts, random_starts
from snntx.preprocess.planning.plan import make_plan, make_request
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.reading import read_events
from snntx.preprocess.upkeep.verify import verify

OLD = 1_500_000_000


@pytest.fixture
def jaer_files() -> Any:
    """Module that writes AEDAT 2.0 and 3.1."""
    from snntx.tests import jaer_files

    return jaer_files


def write_atis(path: Path, seed: int, count: int, sensor: tuple[int, int] = (34, 34)) -> None:
    rng = np.random.default_rng(seed)
    y, x = (rng.integers(seed % 5, side, count) for side in sensor)
    t = np.sort(rng.integers(70, 300_000, count))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Events(x, y, t, rng.integers(0, 2, count))))  # type: ignore[arg-type]
    os.utime(path, (OLD, OLD))  # settled: young files are not remembered


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twelve N-MNIST recordings of 1 to 20,000 events."""
    for i, count in enumerate([1, 2, 900, 20_000, 8192, 8193, *range(300, 306)]):
        part = "Test" if i % 4 == 3 else "Train"
        write_atis(tmp_path / f"raw/{part}/{i % 10}/{i + 1:05d}.bin", i, count)
    return tmp_path / "raw"


def build(card: Card | str, raw: Path, kind: str, **options: Any) -> Path:
    jobs = options.pop("jobs", 1)
    request = make_request(
        load_card(card) if isinstance(card, str) else card,
        raw=raw,
        static=options.pop("static", None),
        cache=raw.parent / options.pop("cache", "cache"),
        kind=kind,  # type: ignore[arg-type]
        **options,
    )
    return builder.preprocess(request, jobs=jobs).directory


def both(card: Card | str, raw: Path, **options: Any) -> tuple[FrameCache, EventCache]:
    frames, events = (build(card, raw, kind, **options) for kind in ("frames", "events"))
    assert frames.name != events.name
    return FrameCache(frames), EventCache(events)


def alike(frames: FrameCache, events: EventCache) -> None:
    """Both have the same recordings, labels, protocols, and frames to the byte."""
    assert events.identities == frames.identities
    assert events.labels.tolist() == frames.labels.tolist()
    assert events.options == frames.options
    for protocol in frames.protocols:
        for part in ("train", "test"):
            assert np.array_equal(events.split(protocol, part), frames.split(protocol, part))
    every = np.arange(len(frames))
    assert events.frames(every).tobytes() == frames.frames(every).tobytes()
    assert events.clips(every).tobytes() == frames.clips(every).tobytes()
    assert events.frames(0).tobytes() == frames.frames(0).tobytes()
    assert verify(events.directory).problems == ()


# frames from events


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"steps": 3, "size": 20},
        {"bins": "count", "tail": "keep", "values": "log"},
        {"window_ms": 20.0, "polarity": "merged", "crop": (2, 30, 3, 33)},
        {"extent": "recording", "size": 16, "values": "max"},
        {"downsample": 3, "values": "binary"},
        {"values": "frequency", "tail": "keep", "size": 12},
    ],
    ids=str,
)
def test_frames_are_those_of_a_frame_cache(raw: Path, options: dict[str, Any]) -> None:
    alike(*both("n-mnist", raw, **options))


def test_frames_of_other_options_are_those_of_another_frame_cache(raw: Path) -> None:
    events = EventCache(build("n-mnist", raw, "events"))
    for given in ({"steps": 4}, {"size": 17}, {"downsample": 2}, {"window_ms": 9.5}):
        frames = FrameCache(build("n-mnist", raw, "frames", **given))
        seen = events.framed(events.options.changed(**given))
        assert seen.frame_shape == frames.frame_shape
        assert seen.frames([3, 0]).tobytes() == frames.frames([3, 0]).tobytes()
        assert events.frame_shape == (10, 2, 34, 34)


def test_n_caltech101(tmp_path: Path) -> None:
    for i in range(6):
        path = tmp_path / f"raw/{'airplanes' if i % 2 else 'chair'}/image_{i:04d}.bin"
        write_atis(path, i, 3000 + i, (180 - 7 * i, 240 - 3 * i))
    alike(*both("n-caltech101", tmp_path / "raw"))


def test_cep_dvs(tmp_path: Path, cep_dvs_files: Any) -> None:
    root = cep_dvs_files.write(tmp_path / "raw")
    alike(*both("cep-dvs", root, static=root))


def test_simulated_digits_with_images(small_cache: Path, tmp_path: Path) -> None:
    shutil.copytree(small_cache / "data", tmp_path / "data")
    raw, static = tmp_path / "data/raw", tmp_path / "data/static"
    frames, events = both("simulated-digits", raw, static=static)
    alike(frames, events)
    assert events.static_images().tobytes() == frames.static_images().tobytes()
    assert events.index.twin.tolist() == frames.index.twin.tolist()


@pytest.mark.parametrize("kind", ["frequency", "event-published"])
def test_n_omniglot(tmp_path: Path, aedat4_files: Any, kind: str) -> None:
    """A file of many recordings, at times since 1970."""
    folder, start = tmp_path / "raw/dvs_background/Tagalog/character02", 1_600_000_000_000_000
    folder.mkdir(parents=True)
    rows, table, draw = [], ["n,start,end"], np.random.default_rng(1)
    for drawer in range(20):
        events = np.zeros(9000 if drawer == 3 else 90, aedat4_files.COLUMNS)
        events["t"] = start + np.sort(draw.integers(0, 600, events.size))
        events["t"][:5], events["t"][-1] = start, start + 600
        events["x"], events["y"] = (draw.integers(0, side, events.size) for side in (346, 260))
        events["p"] = draw.integers(0, 2, events.size)
        end = np.zeros(1, aedat4_files.COLUMNS)
        end["t"] = start + 601
        rows += [events, end]
        table.append(f"{drawer},{start},{start + 601}")
        start += 1000
    aedat4_files.write_plain(folder / "0882.aedat4", np.array_split(np.concatenate(rows), 7))
    (folder / "0882.csv").write_text("\n".join(table) + "\n")
    frames, events_cache = both("n-omniglot", tmp_path / "raw", values=kind)
    alike(frames, events_cache)
    rows_held = events_cache.index.rows
    assert rows_held.first_us is not None
    assert rows_held.first_us.min() == 1_600_000_000_000_000
    with pytest.raises(UsageError, match="made of whole recordings, not of windows; preprocess"):
        events_cache.window(0, 0, 100)
    with pytest.raises(UsageError, match="made of whole recordings"):
        events_cache.framed(events_cache.options, Windows(100))


@pytest.mark.parametrize("name", ["daily-action", "cifar10-dvs"])
def test_aedat2(tmp_path: Path, jaer_files: Any, name: str) -> None:
    card, rng = load_card(name), np.random.default_rng(2)
    assert card.framing.kind == ("events" if name == "daily-action" else "frames")
    for i, label in enumerate([*card.classes[:2]] * 3):
        stem = f"cifar10_{label}_{i}" if name == "cifar10-dvs" else f"{i}"
        assert card.events.sensor is not None
        y, x = (rng.integers(0, side, 9000) for side in card.events.sensor)
        address = jaer_files.davis if name == "daily-action" else jaer_files.dvs128
        t, p = np.sort(rng.integers(0, 10**6, 9000)), rng.integers(0, 2, 9000)
        jaer_files.write_2(tmp_path / f"raw/{label}/{stem}.aedat", address(x, y, p), t)
    alike(*both(name, tmp_path / "raw"))


def test_gestures(tmp_path: Path, jaer_files: Any) -> None:
    """Rows that overlap, so that events belong to two recordings."""
    rng, rows = np.random.default_rng(3), [(1, 0, 4000), (3, 4000, 8000), (11, 6000, 12_000)]
    (tmp_path / "raw").mkdir()
    for stem in ("user01_led", "user24_lab"):
        y, x = (rng.integers(0, 128, 20_000) for _ in range(2))
        t, p = np.sort(rng.integers(0, 12_000, 20_000)), rng.integers(0, 2, 20_000)
        packets = np.array_split(jaer_files.polarity(x, y, t, p), 7)
        jaer_files.write_3(tmp_path / f"raw/{stem}.aedat", *map(jaer_files.packet, packets))
        table = ["class,startTime_usec,endTime_usec", *(f"{k},{a},{b}" for k, a, b in rows), ""]
        (tmp_path / f"raw/{stem}_labels.csv").write_text("\r\n".join(table))
    (tmp_path / "raw/trials_to_train.txt").write_text("user01_led.aedat\n")
    (tmp_path / "raw/trials_to_test.txt").write_text("user24_lab.aedat\n")
    frames, events = both("dvs128-gesture", tmp_path / "raw")
    assert len(events) == 6
    alike(frames, events)


@pytest.mark.real
def test_real_n_mnist(real: Path, tmp_path: Path) -> None:
    for path in sorted(real.glob("n_mnist/Train/*/0000*.bin")):
        copied = tmp_path / "raw/Train" / path.parent.name / path.name
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    alike(*both("n-mnist", tmp_path / "raw"))


# events and windows


def test_events_are_those_of_the_file(raw: Path) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    assert len(cache) == 12
    rng = np.random.default_rng(0)
    for i, identity in enumerate(cache.identities):
        own = read_events(raw / f"{identity}.bin", "atis")
        t = own.t - own.t[0]
        assert cache.duration_us(i) == t[-1]
        assert cache.span(i) == (own.x.min(), own.x.max(), own.y.min(), own.y.max())
        rows = cache.index.rows
        assert rows.first_us is not None
        assert rows.first_us[i] == own.t[0]
        for _ in range(10):
            start, stop = np.sort(rng.integers(-10, 300_000, 2)).tolist()
            found = cache.events(i, start, stop)
            inside = (t >= start) & (t < stop)
            for column, expected in zip(found, own._replace(t=t), strict=True):
                np.testing.assert_array_equal(column, np.asarray(expected)[inside])


def test_windows_begin_with_their_first_event(raw: Path) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    options = cache.options.changed(steps=5, window_ms=2.0)
    i = cache.identities.index("Test/3/00004")
    events = cache.events(i, 100_000, 110_000)
    frames = cache.window(i, 100_000, 110_000, options)
    step = (events.t - events.t[0]) // 2000
    expected = np.zeros((5, 2, 34, 34), np.float32)
    np.add.at(expected, (step, events.p, events.y, events.x), 1)
    np.testing.assert_array_equal(frames, expected)
    assert not cache.window(i, 10**9, 10**9 + 5).any()


def test_a_window_of_a_recording_of_its_own_extent_lies_where_the_whole_does(raw: Path) -> None:
    """Not where its own events would put it."""
    cache = EventCache(build("n-mnist", raw, "events", extent="recording", size=34))
    i = cache.identities.index("Test/3/00004")
    options = dataclasses.replace(cache.options, size=None, sensor=(34, 34), steps=1, tail="keep")
    events = cache.events(i, 0, 60)
    span = cache.span(i)
    rows, columns = np.nonzero(cache.window(i, 0, 60, options).sum((0, 1)))
    found = sorted(zip(rows.tolist(), columns.tolist(), strict=True))
    pairs = zip(events.y - span.y_low, events.x - span.x_low, strict=True)
    assert found == sorted({(int(y), int(x)) for y, x in pairs})


def test_slices_and_clips(raw: Path) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    options = cache.options.changed(steps=4, window_ms=10.0)
    seen = cache.framed(options, Windows(40_000, 3))
    alone = cache.identities.index("Train/0/00001")
    which, uniform = [3, alone, 11, 4], np.array([0.1, 0.9, 0.5, 0.0])
    starts = random_starts(uniform, cache.index.rows.duration_us[which], 40_000)
    slices = seen.slices(which, uniform)
    for place, (i, start) in enumerate(zip(which, starts.tolist(), strict=True)):
        expected = cache.window(i, start, start + 40_000, options)
        assert slices[place].tobytes() == expected.tobytes()
    clips = seen.clips(which)
    assert clips.shape == (4, 3, 4, 2, 34, 34)
    for place, i in enumerate(which):
        t = cache.events(i).t
        used = t[t < t[-1]]
        last = int(used[-1]) if used.size else 0
        for clip, start in enumerate(clip_starts(last, Windows(40_000, 3)).tolist()):
            expected = cache.window(i, start, start + 40_000, options)
            assert clips[place, clip].tobytes() == expected.tobytes()
    assert not clips[1].any()  # of one event, which is the very last


def test_events_may_be_changed_before_they_are_framed(raw: Path) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    seen = cache.framed(cache.options.changed(steps=2, window_ms=30.0), Windows(60_000))
    places = []

    def change(place: int, events: Events) -> Events:
        places.append(place)
        return events.take(events.p == 1)

    frames = seen.slices([3, 4], np.zeros(2), change)
    assert places == [0, 1]
    assert frames[:, :, 1].any()
    assert not frames[:, :, 0].any()


def test_windows_have_to_be_asked_for(raw: Path) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    frames = FrameCache(build("n-mnist", raw, "frames"))
    for each in (cache, frames):
        with pytest.raises(UsageError, match="no windows were asked for, only whole recordings"):
            each.slices([0], np.zeros(1))
    with pytest.raises(UsageError, match="holds frames, of which no others can be made; run"):
        frames.framed(frames.options)


# the key, the seal, the index


def test_what_a_frame_cache_is_made_of_is_unchanged(raw: Path) -> None:
    """Nothing of the event cache is in the settings that a frame cache's key is made of."""
    frames, events = both("n-mnist", raw)
    tables = [json.loads(cache.index.attributes["settings"]) for cache in (frames, events)]
    assert tables[0].keys() & {"kind"} == set()
    assert tables[0]["options"].keys() & {"downsample", "kind"} == set()
    assert tables[1] == {**tables[0], "kind": "events", "version": 3}
    assert frames.index.attributes["format_version"] == 2
    assert events.index.attributes["format_version"] == 3
    assert "kind" not in frames.index.attributes
    sealed = [json.loads((c.directory / "SEALED").read_text()) for c in (frames, events)]
    assert [each["format"] for each in sealed] == ["snntx frame cache", "snntx event cache"]
    assert [each["version"] for each in sealed] == [2, 3]


def test_the_same_bytes_from_any_number_of_workers(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "EVENT_SHARD_BYTES", 60_000)
    monkeypatch.setattr(stages, "WORTHWHILE_SHARDS", 2)
    one, two = (build("n-mnist", raw, "events", cache=f"c{n}", jobs=n) for n in (1, 2))
    names = sorted(path.name for path in one.iterdir())
    assert sum(name.startswith("events-") for name in names) > 3
    assert names == sorted(path.name for path in two.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_a_build_that_was_stopped_goes_on(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from snntx.preprocess.build import writing

    monkeypatch.setattr(stages, "EVENT_SHARD_BYTES", 60_000)
    whole = build("n-mnist", raw, "events", cache="whole")
    with monkeypatch.context() as patch:
        kept: list[Path] = []
        frame = frame_recording

        def stopping(events: Any, path: Path, options: FrameOptions) -> Any:
            kept.append(path)
            if len(kept) > 8:
                raise KeyboardInterrupt
            return frame(events, path, options)

        patch.setattr(writing, "frame_recording", stopping)
        with pytest.raises(KeyboardInterrupt):
            build("n-mnist", raw, "events")
    request = make_request(
        load_card("n-mnist"), raw=raw, static=None, cache=raw.parent / "cache", kind="events"
    )
    summary = builder.preprocess(request)
    assert summary.resumed_shards > 0
    for path in whole.iterdir():
        assert (summary.directory / path.name).read_bytes() == path.read_bytes()


def test_a_file_passed_over_leaves_nothing_behind(raw: Path) -> None:
    outside = raw / "Train/0/00001.bin"
    write_atis(outside, 3, 500, (90, 90))  # outside the sensor
    with pytest.raises(BadFileError, match="outside the sensor"):
        build("n-mnist", raw, "events")
    request = make_request(
        load_card("n-mnist"), raw=raw, static=None, cache=raw.parent / "cache", kind="events"
    )
    summary = builder.preprocess(request, skip=True)
    assert [name for name, _ in summary.skipped] == ["raw/Train/0/00001.bin"]
    assert verify(summary.directory).problems == ()
    assert len(EventCache(summary.directory)) == 11


def test_room_is_measured(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = make_request(
        load_card("n-mnist"), raw=raw, static=None, cache=raw.parent / "cache", kind="events"
    )
    plan = make_plan(request)
    monkeypatch.setattr(space, "SAMPLES", 12)
    needed = space.measured(request, plan)
    written = builder.preprocess(request).cache_bytes
    assert needed.low <= written <= needed.high
    assert written <= space.most(plan, request.options, "events")


def test_the_cards_kind_is_the_default(raw: Path) -> None:
    card = load_card("n-mnist")
    other = dataclasses.replace(card, framing=dataclasses.replace(card.framing, kind="events"))
    request = {"raw": raw, "static": None, "cache": raw.parent / "cache"}
    assert make_request(card, **request).kind == "frames"  # type: ignore[arg-type]
    assert make_request(other, **request).kind == "events"  # type: ignore[arg-type]
    assert make_request(other, **request, kind="frames").kind == "frames"  # type: ignore[arg-type]
    with pytest.raises(
        UsageError,
        match=r"kind must be one of frames, events, found 'event'; did you mean 'events'",
    ):
        make_request(card, **request, kind="event")  # type: ignore[arg-type]


# opening


def test_each_kind_is_opened_as_what_it_is(raw: Path) -> None:
    frames, events = both("n-mnist", raw)
    assert type(opened(frames.directory)) is FrameCache
    assert type(opened(events.directory)) is EventCache
    with pytest.raises(SnntxError, match="holds events, expected frames; open it with"):
        FrameCache(events.directory)
    with pytest.raises(SnntxError, match="holds frames, expected events"):
        EventCache(frames.directory)


def test_the_cards_own_kind_comes_first(raw: Path) -> None:
    frames, events = both("n-mnist", raw)
    notes: list[str] = []
    root = raw.parent / "cache"
    assert open_cache(root, "n-mnist", on_note=notes.append).key == frames.key
    assert "kind events (card: frames)" in notes[0]
    assert open_cache(root, "n-mnist", of_events=["slice = random"]).key == events.key
    seen = open_cache(root, "n-mnist", steps=7, size=20)  # which only events can be framed with
    assert (seen.key, seen.frame_shape) == (events.key, (7, 2, 20, 20))
    assert open_cache(root, "n-mnist", steps=10).key == frames.key
    chosen = open_cache(root, "n-mnist", key=events.key[:6], steps=3)
    assert chosen.frame_shape == (3, 2, 34, 34)


def test_no_events_to_draw_windows_from_is_one_line(raw: Path, tmp_path: Path) -> None:
    build("n-mnist", raw, "frames")
    with pytest.raises(SnntxError, match=r"which slice = random needs .* --as events$") as caught:
        open_cache(raw.parent / "cache", "n-mnist", of_events=["slice = random"], steps=4)
    words = str(caught.value).partition("make it with: snntx ")[2].split()
    words[words.index("DIR")] = str(raw)
    del words[words.index("--static") : words.index("--static") + 2]
    assert run(words) == 0
    seen = open_cache(raw.parent / "cache", "n-mnist", of_events=["slice = random"], steps=4)
    assert seen.kind == "events"


# damage, processes


def test_damage_is_found_where_it_is_read_and_by_verify(raw: Path) -> None:
    directory = build("n-mnist", raw, "events")
    path = directory / "events-00000.h5"
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        row = int(file["chunks/row"][5])
        file["bytes"][int(file["chunks/offset"][5]) + 30] ^= 8
    cache = EventCache(directory)
    cache.frames(0)
    identity = cache.identities[row]
    text = rf"events-00000.h5: recording {identity} \(row {row}\): chunk 5 does not match its"
    with pytest.raises(SnntxError, match=text):
        cache.frames(row)
    lines = [str(each) for each in verify(directory).problems]
    assert len(lines) == 1
    assert f"recording {identity} (row {row}): found unreadable events (chunk 5" in lines[0]


@pytest.mark.parametrize(
    ("name", "value"), [("events", 1 << 30), ("events", 0), ("offset", 1 << 40), ("row", 7)]
)
def test_a_table_that_cannot_be_is_refused_before_memory_is_taken(
    raw: Path, name: str, value: int
) -> None:
    directory = build("n-mnist", raw, "events")
    path = directory / "events-00000.h5"
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        file[f"chunks/{name}"][1] = value
    with pytest.raises(SnntxError, match="its chunks do not fit together"):
        EventCache(directory).frames(0)
    assert "do not fit together" in str(verify(directory).problems[0])


def test_a_checksum_of_another_recording_is_found(raw: Path) -> None:
    directory = build("n-mnist", raw, "events")
    path = directory / "events-00000.h5"
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        file["recordings/checksum"][2] += 1
    draft = json.loads((directory / "SEALED").read_text())["draft"]
    for file in directory.iterdir():
        file.chmod(0o644)
    seal(directory, directory.name, draft, 3)
    lines = [str(each) for each in verify(directory).problems]
    assert any("(row 2): found checksum" in line for line in lines)
    assert any("/recordings/checksum of row 2" in line for line in lines)


def test_a_copy_in_another_process_opens_its_own_files(raw: Path) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    expected = cache.frames([3, 4])
    again = pickle.loads(pickle.dumps(cache.framed(cache.options)))
    assert again._shards == {}
    assert again.frames([3, 4]).tobytes() == expected.tobytes()


def total(arguments: tuple[EventCache, list[int]]) -> list[float]:
    cache, which = arguments
    return [float(cache.frames(i).sum()) for _ in range(5) for i in which]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_many_readers_at_once(raw: Path, method: str) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    which = list(range(12))
    expected = total((cache, which))  # the parent's handles are open now
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map_async(total, [(cache, which)] * 4)
        assert total((cache, which)) == expected
        assert results.get(timeout=60) == [expected] * 4


@pytest.mark.parametrize("room", [0, 1 << 30])
def test_chunks_are_held_in_memory_where_they_fit(raw: Path, room: int) -> None:
    cache = EventCache(build("n-mnist", raw, "events"))
    expected = cache.frames([3, 4])
    assert cache.hold(room) is (room > 0)
    assert cache.frames([3, 4]).tobytes() == expected.tobytes()


# commands


def test_commands_say_the_kind(
    raw: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(raw.parent)
    place = ["--cache", str(raw.parent / "cache")]
    for kind in ("frames", "events"):
        assert run(["preprocess", "n-mnist", "--raw", str(raw), "--as", kind, *place]) == 0
    capsys.readouterr()
    assert run(["cache", "ls", *place]) == 0
    listed = capsys.readouterr().out
    assert [word for word in listed.split() if word in ("frames", "events")][:4] == [
        "frames",  # the header of the column of shapes
        *sorted(("events", "frames"), key=lambda k: build("n-mnist", raw, k).name),
        "events",  # of: kind events (card: frames)
    ]
    key = build("n-mnist", raw, "events").name
    assert run(["cache", "show", "n-mnist", "--key", key, *place, "--picture", "sheet.png"]) == 0
    assert "kind        events" in capsys.readouterr().out
    assert Path("sheet.png").stat().st_size > 1000
    assert run(["show", "n-mnist", "Test/3/00004", "--key", key, *place]) == 0
    assert "20,000 events" in capsys.readouterr().out
    assert run(["cache", "verify", "n-mnist", "--key", key, "--raw", str(raw), *place]) == 0
    assert "12 recordings in 1 shard" in capsys.readouterr().out
    assert run(["cache", "rm", "n-mnist", key, "--yes", *place]) == 0
    assert not (raw.parent / "cache/n-mnist" / key).exists()
