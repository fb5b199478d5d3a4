"""N-Omniglot from files and zips to a cache: slices, classes, drawers, twins and splits."""

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snntx.cli import run
from snntx.data_cards import load_card, parse_card
from snntx.data_cards.schema import Card
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache import format as cache_format
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.splits import TEST, TRAIN, split_recordings
from snntx.preprocess.framing.frequency import frequency_frames
from snntx.preprocess.framing.published import published_frames
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.raw.recordings import found_classes, list_recordings
from snntx.preprocess.upkeep.verify_raw import compare_raw

T0 = 1_600_000_000_000_000
CHARACTERS = {
    "dvs_background/Tagalog/character02": ("0882", 20),
    "dvs_background/Early Aramaic/character01": ("0288", 3),
    "dvs_evaluation/Angelic/character01": ("0965", 20),
    "dvs_evaluation/Ökumene/character10": ("1600", 4),
}


def drawing(character: str, drawer: int) -> bytes:
    """A 105 x 105 1-bit picture, mostly white, that no other drawer has."""
    draw = np.random.default_rng([*character.encode(), drawer])
    file = io.BytesIO()
    Image.fromarray(draw.random((105, 105)) > 0.08).save(file, "PNG")
    return file.getvalue()


def picture_names(drawers: int | None = None) -> dict[str, bytes]:
    """Name → content of every static image of the tree."""
    return {
        f"{name.replace('dvs_', 'images_')}/{prefix}_{d:02d}.png": drawing(name, d)
        for name, (prefix, count) in CHARACTERS.items()
        for d in range(1, (drawers or count) + 1)
    }


def write_recordings(
    raw: Path, files: Any, *, whole: bool = False
) -> dict[str, np.ndarray[Any, Any]]:
    """Write every character's file and table; returns the events of each recording.

    ``whole`` writes three characters of 20 drawers.
    """
    made = {}
    characters = list(CHARACTERS.items())
    if whole:
        characters = [(name, (prefix, 20)) for name, (prefix, _) in characters[:3]]
    for number, (name, (prefix, count)) in enumerate(characters):
        draw = np.random.default_rng(number)
        folder = raw / name
        folder.mkdir(parents=True)
        rows, table = [], [["", "start", "end", "note"]]
        start = T0 + number
        for drawer in range(1, count + 1):
            events = np.zeros(90 + drawer, files.COLUMNS)
            events["t"] = start + np.sort(draw.integers(0, 60, events.size))
            events["t"][:5], events["t"][-5:] = start, start + 60  # ties at both ends
            events["x"] = draw.integers(54, 304, events.size)
            events["y"] = draw.integers(4, 254, events.size)
            events["p"] = draw.integers(0, 2, events.size)
            pause = np.zeros(7, files.COLUMNS)  # events between recordings, at the end time too
            pause["t"] = start + 61
            rows += [events, pause]
            table.append([str(drawer - 1), str(start), str(start + 61), "x"])
            alphabet, character = name.split("/")[1:]
            made[f"{alphabet}/{character}/{drawer:02d}"] = events
            start += 1000
        packets = np.array_split(np.concatenate(rows), 11)
        if number % 2:
            files.write_plain(folder / f"{prefix}.aedat4", packets)
        else:
            files.write_dv(folder / f"{prefix}.aedat4", packets, compression="ZSTD")
        (folder / f"{prefix}.csv").write_text("".join(",".join(r) + "\r\n" for r in table))
    return made


def write_pictures(static: Path, names: Mapping[str, bytes]) -> None:
    for name, data in names.items():
        (static / name).parent.mkdir(parents=True, exist_ok=True)
        (static / name).write_bytes(data)


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.fixture(scope="module")
def raw(
    tmp_path_factory: pytest.TempPathFactory, aedat4_files: Any
) -> tuple[Path, dict[str, np.ndarray[Any, Any]]]:
    folder = tmp_path_factory.mktemp("n-omniglot")
    return folder, write_recordings(folder, aedat4_files)


@pytest.fixture(scope="module")
def card() -> Card:
    """The shipped card, but for files of any number of recordings, which are quicker to write."""
    card = load_card("n-omniglot")
    assert card.events.slices is not None
    return replace(
        card, events=replace(card.events, slices=replace(card.events.slices, recordings=None))
    )


def spec_of(card: Card) -> Any:
    assert card.static is not None
    return card.static


# from files to a cache


def test_whole_build(raw: Any, card: Card, tmp_path: Path) -> None:
    folder, made = raw
    write_pictures(tmp_path / "static", picture_names())
    request = make_request(card, raw=folder, static=tmp_path / "static", cache=tmp_path / "cache")
    summary = preprocess(request)
    assert (summary.recordings, summary.classes) == (47, 4)
    assert (summary.statics, summary.twins) == (47, 47)
    cache = FrameCache(summary.directory)
    assert sorted(cache.identities) == sorted(made)
    assert list(cache.index.classes) == [
        "Early Aramaic/character01",
        "Tagalog/character02",
        "Angelic/character01",
        "Ökumene/character10",
    ]
    frames = cache.frames(list(range(len(made))))
    planes = cache.static_images()
    for i, identity in enumerate(cache.identities):
        rows = made[identity]
        np.testing.assert_array_equal(
            frames[i],
            frequency_frames(
                *(rows[name] for name in "xytp"),
                steps=12, sensor=(260, 346), crop=(4, 254, 54, 304), size=(28, 28),
            ),
        )  # fmt: skip
        twin = int(cache.index.twin[i])
        assert cache.index.static_identity[twin] == identity
        assert cache.index.classes[cache.index.rows.label[i]] == identity.rpartition("/")[0]
        (name,) = [n for n in CHARACTERS if n.split("/", 1)[1] == identity.rpartition("/")[0]]
        with Image.open(io.BytesIO(drawing(name, int(identity[-2:])))) as picture:
            grey = picture.convert("L").resize((28, 28), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(planes[twin], np.asarray(grey)[None])
        assert planes[twin].mean() > 200  # white, not inverted
    drawers = [int(identity[-2:]) for identity in cache.identities]
    test = set(cache.split("paper", "test").tolist())
    assert {i for i, drawer in enumerate(drawers) if drawer >= 16} == test
    assert len(cache.split("paper", "validation")) == 0
    assert cache.index.attributes["interpolation"] == "bilinear, corners not aligned, no antialias"


def test_folders_and_zips_give_the_same_images(raw: Any, card: Card, tmp_path: Path) -> None:
    names = picture_names()
    write_pictures(tmp_path / "folder", names)
    (tmp_path / "zips").mkdir()
    for kind in ("background", "evaluation"):
        members = {n: d for n, d in names.items() if n.startswith(f"images_{kind}/")}
        write_zip(tmp_path / "zips" / f"images_{kind}.zip", members)
    found = {}
    for kind in ("folder", "zips"):
        request = make_request(
            card, raw=raw[0], static=tmp_path / kind, cache=tmp_path / f"cache {kind}"
        )
        cache = FrameCache(preprocess(request).directory)
        found[kind] = (cache.index.static_identity, cache.static_images())
    assert found["folder"][0] == found["zips"][0]
    np.testing.assert_array_equal(found["folder"][1], found["zips"][1])


def test_counts_and_binary_frames(raw: Any, card: Card, tmp_path: Path) -> None:
    for values in ("counts", "binary"):
        request = make_request(
            card, raw=raw[0], static=None, cache=tmp_path, values=values, size="native"
        )
        cache = FrameCache(preprocess(request).directory)
        frames = cache.frames(list(range(47)))
        assert frames.shape[1:] == (12, 2, 250, 250)
        events = cache.index.rows.events
        if values == "counts":
            np.testing.assert_array_equal(frames.sum(axis=(1, 2, 3, 4)), events)
        else:
            assert set(np.unique(frames)) == {0, 1}


# recordings


def test_published_frames_are_a_cache_of_their_own(
    raw: Any, card: Card, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache of rounded frequencies is never taken for one of the published frames."""
    names = ("frequency", "frequency-float16", "frequency-published", "event-published")
    caches = {}
    for values in names:
        request = make_request(card, raw=raw[0], static=None, cache=tmp_path, values=values)
        caches[values] = FrameCache(preprocess(request).directory)
    assert len({cache.key for cache in caches.values()}) == len(names)
    frames = {values: cache.frames(list(range(47))) for values, cache in caches.items()}
    assert not np.array_equal(frames["frequency-float16"], frames["frequency-published"])
    for i, identity in enumerate(caches["frequency"].identities):
        columns = [raw[1][identity][name] for name in "xytp"]
        for values in names[2:]:
            expected = published_frames(
                *columns, steps=12, sensor=(260, 346), crop=(4, 254, 54, 304), size=(28, 28),
                binary=values == "event-published",
            )  # fmt: skip
            np.testing.assert_array_equal(frames[values][i], expected)
    cache = caches["frequency-published"]
    assert cache.index.attributes["interpolation"] == "bilinear, corners not aligned, no antialias"
    words = ["cache", "show", "n-omniglot", "--key", cache.key, "--cache", str(tmp_path)]
    assert run(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "values frequency-published (card: frequency)" in shown
    assert "values frequency-published window_ms" in shown


def test_recordings_by_name(raw: Any, card: Card) -> None:
    listed = list_recordings(card.events, raw[0])
    assert [r.identity for r in listed.recordings] == sorted(raw[1])
    first = listed.recordings[0]
    assert (first.identity, first.class_name) == ("Angelic/character01/01", "Angelic/character01")
    assert first.fields["drawer"] == "01"
    assert first.part == (T0 + 2, T0 + 63, 1)
    assert sorted(listed.files) == sorted(
        f"{name}/{prefix}{suffix}"
        for name, (prefix, _) in CHARACTERS.items()
        for suffix in (".aedat4", ".csv")
    )
    # one label order whatever the order of the recordings
    mixed = list(listed.recordings)[::-1]
    assert found_classes(card.events, mixed)[:2] == [
        "Early Aramaic/character01",
        "Tagalog/character02",
    ]


def test_a_missing_time_stops_the_build_or_is_skipped(
    card: Card, tmp_path: Path, aedat4_files: Any
) -> None:
    write_recordings(tmp_path / "raw", aedat4_files)
    table = tmp_path / "raw" / "dvs_evaluation/Angelic/character01/0965.csv"
    table.write_text(table.read_text().replace(str(T0 + 2 + 6061), str(T0 + 2 + 6062)))
    request = make_request(card, raw=tmp_path / "raw", static=None, cache=tmp_path / "cache")
    with pytest.raises(BadFileError, match=rf"0965\.csv: row 7 ends at {T0 + 6064} us, but no"):
        preprocess(request)
    summary = preprocess(request, skip=True)
    assert summary.recordings == 46
    ((name, reason),) = summary.skipped
    assert "0965.aedat4" in name
    assert "row 7 ends at" in reason


def test_times_that_go_back_in_one_recording(card: Card, tmp_path: Path, aedat4_files: Any) -> None:
    folder = tmp_path / "raw/dvs_background/Tagalog/character02"
    folder.mkdir(parents=True)
    times = [0, 5, 9, 7, 12, 20, 21, 30]  # the first recording goes back, the second does not
    events = aedat4_files.events(*((100, 100, T0 + t, 1) for t in times))
    aedat4_files.write_plain(folder / "0882.aedat4", np.array_split(events, 3))
    (folder / "0882.csv").write_text(f"n,start,end\n0,{T0},{T0 + 20}\n1,{T0 + 20},{T0 + 30}\n")
    request = make_request(card, raw=tmp_path / "raw", static=None, cache=tmp_path / "cache")
    message = rf"0882\.aedat4.*: time goes back at event 3, from {T0 + 9} to {T0 + 7} us"
    with pytest.raises(BadFileError, match=message):
        preprocess(request)
    summary = preprocess(request, skip=True)
    ((name, reason),) = summary.skipped
    assert "0882.aedat4 (Tagalog/character02/01)" in name
    assert "time goes back at event 3" in reason
    assert FrameCache(summary.directory).identities == ["Tagalog/character02/02"]


def test_recordings_without_a_drawing_and_drawings_without_a_recording(
    raw: Any, card: Card, tmp_path: Path
) -> None:
    names = picture_names()
    del names["images_background/Tagalog/character02/0882_05.png"]
    more = {
        "images_background/Early Aramaic/character01/0288_04.png": "Early Aramaic/character01/04",
        "images_evaluation/Ökumene/character10/1600_20.png": "Ökumene/character10/20",
    }
    names |= {name: drawing(name, 1) for name in more}
    names["images_evaluation/Other one/character03/1601_01.png"] = drawing("other", 1)
    write_pictures(tmp_path / "static", names)
    request = make_request(card, raw=raw[0], static=tmp_path / "static", cache=tmp_path / "cache")
    summary = preprocess(request)
    assert (summary.recordings, summary.twins, summary.statics) == (47, 46, 48)
    unknown, alone_there, alone_here = summary.notes
    assert unknown.startswith(
        "1 static images of classes that card n-omniglot does not name: Other"
    )
    assert alone_there == (
        "2 static images have no recording of their name and are class partners, such as "
        "Early Aramaic/character01/04, Ökumene/character10/20"
    )
    assert alone_here == "1 recordings have no twin, such as Tagalog/character02/05"
    cache = FrameCache(summary.directory)
    alone = [cache.identities[i] for i in np.flatnonzero(cache.index.twin < 0)]
    assert alone == ["Tagalog/character02/05"]
    for i in np.flatnonzero(cache.index.twin >= 0):
        assert cache.index.static_identity[cache.index.twin[i]] == cache.identities[i]
    partners = {cache.index.static_identity[i] for i in cache.static_split("paper", "train")}
    assert set(more.values()) <= partners  # twins of nothing are held out by nothing


def test_missing_and_doubled_tables(card: Card, tmp_path: Path, aedat4_files: Any) -> None:
    write_recordings(tmp_path, aedat4_files)
    folder = tmp_path / "dvs_background/Tagalog/character02"
    for suffix in (".aedat4", ".csv"):
        (folder / f"0883{suffix}").write_bytes((folder / f"0882{suffix}").read_bytes())
    with pytest.raises(UsageError, match=r"0883\.aedat4 and .*0882\.aedat4: both have a recording"):
        list_recordings(card.events, tmp_path)
    (folder / "0883.csv").unlink()
    with pytest.raises(BadFileError, match=r"0883\.aedat4: the table .* 0883\.csv, is missing"):
        list_recordings(card.events, tmp_path)
    passed = list_recordings(card.events, tmp_path, skip=True)
    assert len(passed.recordings) == 47
    ((name, reason),) = passed.skipped
    assert name == "raw/dvs_background/Tagalog/character02/0883.aedat4"
    assert reason.startswith("the table of its recordings, 0883.csv, is missing")


# tables of another number of rows than the card says


@pytest.fixture
def small(tmp_path: Path, aedat4_files: Any) -> tuple[Path, Path]:
    """Recordings of whole characters, and the table of one of them."""
    write_recordings(tmp_path / "raw", aedat4_files, whole=True)
    return tmp_path, tmp_path / "raw" / "dvs_background/Tagalog/character02/0882.csv"


def shorten(table: Path) -> None:
    """Cut the last row off, as a broken download would."""
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))


def build(folder: Path, name: str = "cache", *, skip: bool = False) -> Any:
    request = make_request(
        load_card("n-omniglot"), raw=folder / "raw", static=None, cache=folder / name
    )
    return preprocess(request, skip=skip)


def test_the_card_says_how_many_drawers_there_are() -> None:
    slices = load_card("n-omniglot").events.slices
    assert slices is not None
    assert slices.recordings == 20


@pytest.mark.parametrize(("rows", "found"), [(slice(-1), 19), (slice(0, 2), 1), (None, 21)])
def test_no_drawer_is_lost_without_a_word(
    small: tuple[Path, Path], rows: slice | None, found: int
) -> None:
    folder, table = small
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[rows] if rows else [*lines, lines[-1]]))
    expected = rf"0882\.csv: {found} rows below the header, expected 20, one for each recording"
    with pytest.raises(BadFileError, match=expected):
        build(folder)
    assert not (folder / "cache").exists()
    summary = build(folder, skip=True)
    assert (summary.recordings, summary.classes) == (40, 2)
    ((name, reason),) = summary.skipped
    assert name == "raw/dvs_background/Tagalog/character02/0882.csv"
    assert reason.startswith(f"{found} rows below the header, expected 20")
    assert str(folder) not in reason
    cache = FrameCache(summary.directory)
    assert tuple(cache.index.rows.skipped) == summary.skipped
    assert not [identity for identity in cache.identities if identity.startswith("Tagalog")]
    # labels stay what they are with the file mended
    assert list(cache.index.classes) == [
        "Early Aramaic/character01",
        "Tagalog/character02",
        "Angelic/character01",
    ]
    assert {f"raw/dvs_background/Tagalog/character02/0882.{s}" for s in ("csv", "aedat4")} < set(
        cache.index.manifest
    )
    assert build(folder, skip=True).reused
    with pytest.raises(BadFileError, match=expected):
        build(folder)
    table.write_text("".join(lines))
    assert (build(folder).recordings, build(folder).classes) == (60, 3)


def test_no_table_is_whole(small: tuple[Path, Path]) -> None:
    folder, _ = small
    for table in (folder / "raw").rglob("*.csv"):
        shorten(table)
    with pytest.raises(BadFileError, match=r"all 3 files of recordings are bad, the first: raw/"):
        build(folder, skip=True)


def test_a_cache_without_a_file_is_compared_with_its_raw_files(small: tuple[Path, Path]) -> None:
    folder, table = small
    shorten(table)
    directory = build(folder, skip=True).directory
    index, own = FrameCache(directory).index, load_card("n-omniglot")
    compared = compare_raw(directory, index, own, raw=folder / "raw", static=None)
    assert (compared.files, compared.problems) == (6, ())


def test_an_interrupted_build_does_not_keep_the_times_of_an_older_table(
    small: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, table = small
    for path in (folder / "raw").rglob("*.*"):  # changed long ago, or no shard would be kept
        os.utime(path, (1_500_000_000, 1_500_000_000))
    with monkeypatch.context() as patch:
        patch.setattr(cache_format.Index, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(folder)
    old = table.read_bytes()
    start = int(old.splitlines()[1].split(b",")[1])
    table.write_bytes(old.replace(b",%d," % start, b",%d," % (start + 60)))  # the last events'
    assert len(table.read_bytes()) == len(old)
    resumed, whole = build(folder), build(folder, "whole")
    assert resumed.key == whole.key
    for path in whole.directory.iterdir():
        assert (resumed.directory / path.name).read_bytes() == path.read_bytes()


def test_paper_split_is_by_drawer_not_by_position(card: Card) -> None:
    """Of a character with six drawers, those named 16 and more are the test part."""
    drawers = ["01", "02", "15", "16", "19", "20"]
    parts = split_recordings(
        card.splits["paper"], drawers, np.zeros(6, np.int64), [{"drawer": d} for d in drawers]
    )
    assert parts.tolist() == [TRAIN] * 3 + [TEST] * 3
    with pytest.raises(UsageError, match=r"recording x: drawer = '21', expected '01' or '02' or"):
        split_recordings(card.splits["paper"], ["x"], np.zeros(1, np.int64), [{"drawer": "21"}])


def test_a_bad_picture_in_an_archive_is_named(raw: Any, card: Card, tmp_path: Path) -> None:
    names = picture_names()
    bad = "images_background/Tagalog/character02/0882_05.png"
    background = {n: d for n, d in names.items() if n.startswith("images_background/")}
    write_zip(tmp_path / "images_background.zip", background | {bad: b"no picture"})
    request = make_request(card, raw=raw[0], static=tmp_path, cache=tmp_path / "cache")
    message = r"images_background\.zip/.*/0882_05\.png: not a readable picture"
    with pytest.raises(BadFileError, match=message):
        preprocess(request)


# the card


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('class = "{alphabet}/{character}"\nclass_order', "class_order", r"has no {class} field"),
        ('identity = "{alphabet}/{character}/{drawer}"\nfield', 'identity = "{alphabet}"\nfield',
         r"\[events.slices\] identity = '{alphabet}' lacks {drawer}"),
        ('field = "drawer"\nsuffix', 'field = "set"\nsuffix', "must be a name that the pattern"),
        ('suffix = ".csv"', 'suffix = "csv"', r"suffix = 'csv' must be such as"),
        ("start_column = 2", "start_column = 0", "columns count from 1"),
        ("recordings = 20", "recordings = 0", r"slices\] recordings = 0 must be at least 1"),
        ("recordings = 20", "recordings = 2.5", "recordings = 2.5 is not a whole number"),
        ('class_order = "{set}', 'class_order = "{sett}', "uses field 'sett'.*set"),
        ("grey = true", "gray = true", "unknown key 'gray'.*grey"),
        ('"images_background.zip", ', '"../images.zip", ', "must be a .zip below the root"),
        ("grey = true", 'grey = true\norder = "channel-then-resize"', "grey belongs to order"),
        ('format = "aedat4"', 'format = "atis"', "format = 'aedat3' or 'aedat4', found 'atis'"),
        ('tail = "keep"\n', "", r"\[framing\] values = 'frequency' needs tail = 'keep'"),
    ],
)  # fmt: skip
def test_mistakes_in_the_card_are_named(old: str, new: str, message: str) -> None:
    text = (Path(load_card.__code__.co_filename).parent / "shipped/n-omniglot.toml").read_text()
    assert text.count(old) == 1

    def used() -> None:
        card = parse_card(text.replace(old, new).encode(), "own.toml")
        make_request(card, raw=Path(), static=None, cache=Path())

    with pytest.raises(UsageError, match=message):
        used()


def test_the_inference_is_said(card: Card) -> None:
    assert spec_of(card).twin_evidence.startswith("inferred")
    assert card.splits["paper"].train_values == tuple(f"{d:02d}" for d in range(1, 16))
    assert replace(card.framing).steps == 12
