"""Gait, DAVIS actions and HAR-DVS from made files in their layouts to caches."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess.build.builder import Summary, preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import opened
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.recording import frame_recording
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.raw.recordings import list_recordings
from snntx.tests import plain_files
from snntx.tests.plain_files import some, table

LABELS = {"train": [3, 0, 19, 3, 7], "test": [0, 3, 19]}
LISTS = {"train": range(4), "validation": range(4, 6), "test": range(6, 9)}
LIST_FILES = {"train": "train_label.txt", "validation": "val_label.txt", "test": "test_label.txt"}
ACTIONS = ("arm crossing", "get-up", "sit-down")


def recording(place: int, side: int) -> dict[str, np.ndarray[Any, Any]]:
    """A recording of its own length and seed."""
    return some(150 + 7 * place, place, side=side)


def write_gait(raw: Path) -> None:
    for number, (name, labels) in enumerate(LABELS.items()):
        arrays = [table(recording(10 * number + i, 128)) for i in range(len(labels))]
        plain_files.write_arrays(raw / f"{name}/{name}_data.npy", arrays)
        plain_files.write_labels(raw / f"{name}/{name}_target.npy", labels)


def write_davis(raw: Path) -> None:
    for place in range(9):
        action, name = ACTIONS[place % 3], ("train", "train", "test")[place // 3]
        path = raw / f"{name}/{action}/rec {place}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, table(recording(place, 250)).T.astype((np.float64, np.int64)[place % 2]))


def stem(place: int) -> str:
    return f"action_{1 + place % 3:03d}/dvSave-2021_10_15_19_18_{place:02d}"


def write_har(raw: Path, first: int = 0) -> None:
    for place in range(10):  # the last one is in no list
        plain_files.write_npz(raw / f"{stem(place)}.npz", recording(place, 250))
    for name, places in LISTS.items():
        lines = [f"{stem(place)} {place % 3 + first}\n" for place in places]
        (raw / LIST_FILES[name]).write_text("".join(lines))


def build(name: str, folder: Path, **options: Any) -> Summary:
    card = load_card(name)
    place = {"raw": folder / "raw", "static": None, "cache": folder / "cache"}
    request = make_request(card, kind="frames", **place)  # type: ignore[arg-type]
    return preprocess(request, **options)


def refused(name: str, folder: Path) -> str:
    with pytest.raises(SnntxError) as caught:
        build(name, folder)
    line = str(caught.value)
    assert "\n" not in line
    return line


def check_frames(cache: FrameCache, at: int, columns: dict[str, Any], name: str) -> None:
    """A recording's frames are those of its columns."""
    card = load_card(name)
    options = make_request(card, raw=Path(), static=None, cache=Path()).options
    events = Events(
        columns["x"].astype(np.int16),
        columns["y"].astype(np.int16),
        columns["t"].astype(np.int64),
        columns["p"].astype(np.int8),
    )
    np.testing.assert_array_equal(
        cache.frames(np.array([at]))[0], frame_recording(events, Path("made"), options)
    )


# ---------------------------------------------------------------- DVS128 Gait


@pytest.mark.parametrize("name", ["dvs128-gait-day", "dvs128-gait-night"])
def test_gait(tmp_path: Path, name: str) -> None:
    write_gait(tmp_path / "raw")
    cache = FrameCache(build(name, tmp_path).directory)
    assert list(cache.index.rows.identity) == [
        *(f"test/{i:05d}" for i in range(3)),
        *(f"train/{i:05d}" for i in range(5)),
    ]
    assert cache.labels.tolist() == LABELS["test"] + LABELS["train"]
    assert list(cache.classes) == [str(person) for person in range(20)]
    assert cache.split("paper", "train").tolist() == [3, 4, 5, 6, 7]
    assert cache.split("paper", "test").tolist() == [0, 1, 2]
    check_frames(cache, 2, recording(12, 128), name)
    check_frames(cache, 3, recording(0, 128), name)


def test_gait_of_plain_arrays_makes_the_same_frames(tmp_path: Path) -> None:
    """Where all lengths are equal numpy pickles nothing."""
    arrays = [table(some(90, place, side=128)) for place in range(6)]
    for folder, objects in (("a", True), ("b", False)):
        for name in ("train", "test"):
            raw = tmp_path / folder / "raw" / name
            plain_files.write_arrays(raw / f"{name}_data.npy", arrays, objects=objects)
            plain_files.write_labels(raw / f"{name}_target.npy", range(6), objects=objects)
    one, other = (
        FrameCache(build("dvs128-gait-day", tmp_path / folder).directory) for folder in "ab"
    )
    np.testing.assert_array_equal(one.frames(np.arange(12)), other.frames(np.arange(12)))


def test_a_missing_file_of_labels_says_what_it_holds(tmp_path: Path) -> None:
    write_gait(tmp_path / "raw")
    lost = tmp_path / "raw/test/test_target.npy"
    content = lost.read_bytes()
    lost.unlink()
    line = refused("dvs128-gait-day", tmp_path)
    assert line.startswith(
        f"{tmp_path}/raw/test/test_data.npy: test/test_target.npy is missing; it"
    )
    assert f"whole numbers from 0 to 19, in order: copy it to {lost}" in line
    summary = build("dvs128-gait-day", tmp_path, skip=True)
    assert summary.recordings == 5
    lost.write_bytes(content)
    assert build("dvs128-gait-day", tmp_path).recordings == 8


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], "3 recordings, but 2 labels; the files do not belong together"),
        ([0, 3, 20], "label 2 is 20, expected 0 to 19, the numbers of the card's classes"),
        ([0, 3, -1], "label 2 is -1, expected 0 to 19"),
        ([], "holds no label, expected one for each recording"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, labels: list[int], message: str) -> None:
    write_gait(tmp_path / "raw")
    plain_files.write_labels(tmp_path / "raw/test/test_target.npy", labels)
    assert message in refused("dvs128-gait-day", tmp_path)


def test_a_bad_recording_among_good_ones(tmp_path: Path) -> None:
    write_gait(tmp_path / "raw")
    path = tmp_path / "raw/test/test_data.npy"
    arrays = [table(recording(10 + i, 128)) for i in range(3)]
    plain_files.write_arrays(path, [arrays[0], arrays[1].T, arrays[2]])
    line = refused("dvs128-gait-day", tmp_path)
    assert "test_data.npy (test/00001): recording 1 is an array (4, 227) of int64" in line
    summary = build("dvs128-gait-day", tmp_path, skip=True)
    assert summary.recordings == 7
    cache = FrameCache(summary.directory)
    assert list(cache.index.rows.identity)[:2] == ["test/00000", "test/00002"]
    check_frames(cache, 1, recording(12, 128), "dvs128-gait-day")


def test_a_hostile_file_of_labels(tmp_path: Path) -> None:
    import os
    import pickle

    class Call:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return os.system, (f"touch '{tmp_path}/ran'",)

    write_gait(tmp_path / "raw")
    held = np.empty(3, object)
    held[:] = [0, 1, Call()]
    np.save(tmp_path / "raw/test/test_target.npy", held)
    assert pickle.dumps(held)
    assert "system, which was not run; expected arrays of numbers" in refused(
        "dvs128-gait-day", tmp_path
    )
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------- DAVIS actions


def test_davis_actions(tmp_path: Path) -> None:
    write_davis(tmp_path / "raw")
    cache = FrameCache(build("davis-actions", tmp_path).directory)
    assert len(cache) == 9
    assert {cache.classes[label] for label in cache.labels} == set(ACTIONS)
    assert cache.classes[1] == "turning around"
    assert cache.split("paper", "test").size == 3
    at = list(cache.index.rows.identity).index("train/arm crossing/rec 0")
    check_frames(cache, at, recording(0, 250), "davis-actions")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (table(some()), "is of shape (200, 4): (n, 4), an event a row, expected (4, n)"),
        (table(some(4)), "is 4 x 4: nobody can say whether an event is a row of it or a column"),
        (np.zeros((5, 9)), "is of shape (5, 9), expected (4, n)"),
    ],
)
def test_arrays_of_other_shapes(tmp_path: Path, array: Any, message: str) -> None:
    write_davis(tmp_path / "raw")
    np.save(tmp_path / "raw/test/get-up/rec 7.npy", array)
    assert message in refused("davis-actions", tmp_path)
    assert build("davis-actions", tmp_path, skip=True).recordings == 8


def test_a_copy_of_the_card_reads_the_other_way(tmp_path: Path) -> None:
    """The line about (n, 4) names a key, and the key is the way out."""
    from importlib.resources import files

    text = (files("snntx.data_cards") / "shipped/davis-actions.toml").read_text("utf-8")
    text = text.replace('name = "davis-actions"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text.replace('along = "rows"', 'along = "columns"'))
    write_davis(tmp_path / "raw")
    for path in (tmp_path / "raw").rglob("*.npy"):
        np.save(path, np.load(path).T)
    line = refused("davis-actions", tmp_path)
    assert "set along = 'columns' in [events.columns] of the card" in line
    card = load_card(str(tmp_path / "mine.toml"))
    request = make_request(card, raw=tmp_path / "raw", static=None, cache=tmp_path / "cache")
    assert preprocess(request).recordings == 9


# ---------------------------------------------------------------- HAR-DVS


@pytest.mark.parametrize("first", [0, 1])
def test_har_dvs(tmp_path: Path, first: int) -> None:
    write_har(tmp_path / "raw", first)
    summary = build("har-dvs", tmp_path)
    assert any("which no protocol by set uses: 1, such as action_001" in n for n in summary.notes)
    cache = FrameCache(summary.directory)
    names = list(cache.index.rows.identity)
    assert names == sorted(stem(place) for place in range(10))
    assert len(cache.classes) == 300
    assert [cache.classes[label] for label in cache.labels] == [name[:10] for name in names]
    for part, places in LISTS.items():
        held = {names[at] for at in cache.split("paper", part)}
        assert held == {stem(place) for place in places}
    check_frames(cache, names.index(stem(4)), recording(4, 250), "har-dvs")


def test_a_missing_list_says_what_it_holds(tmp_path: Path) -> None:
    write_har(tmp_path / "raw")
    lost = tmp_path / "raw/val_label.txt"
    content = lost.read_text()
    lost.unlink()
    line = refused("har-dvs", tmp_path)
    assert line.startswith(f"{lost}: no such file; it holds the names of the files of 'validation'")
    assert "one and its label a line, such as action_001/dvSave-2021_10_15_19_18_00" in line
    lost.write_text(content)
    assert build("har-dvs", tmp_path).recordings == 10


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            f"{stem(4)} 7",
            "line 3 gives {0} the label 7, but its folder has number 2: expected 1, s",
        ),
        (f"{stem(4)} 2", "expected 1, since line 1 of {1}/raw/train_label.txt has them so"),
        (f"{stem(4)}", "line 3 is '{0}', expected the name of a file, a blank and its label"),
        (f"{stem(4)} one", "line 3 is '{0} one', expected the name of a file, a blank and its"),
        (f"{stem(6)} 0", "val_label.txt: line 3 names"),
    ],
)
def test_labels_against_the_folders_numbers(tmp_path: Path, line: str, message: str) -> None:
    write_har(tmp_path / "raw")
    path = tmp_path / "raw/val_label.txt"
    path.write_text(f"{stem(5)} 2\n\n{line}\n")
    if "names" in message:  # in two lists: the later one says so
        path = tmp_path / "raw/test_label.txt"
        message = f"test_label.txt: line 1 names {stem(6)}, which line 3 of"
    assert message.format(stem(4), tmp_path) in refused("har-dvs", tmp_path)


def test_labels_of_another_file(tmp_path: Path) -> None:
    write_har(tmp_path / "raw", first=40)
    assert "the label 40, but its folder has number 1: expected 1 or 0" in refused(
        "har-dvs", tmp_path
    )


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    write_har(tmp_path / "raw")
    held = recording(3, 250)
    names = {"time": held["t"], **{name: held[name] for name in "xyp"}}
    plain_files.write_npz(tmp_path / f"raw/{stem(3)}.npz", names)
    assert "no column 't' (found time, x, y, p); set t = NAME in" in refused("har-dvs", tmp_path)
    assert build("har-dvs", tmp_path, skip=True).recordings == 9


def test_names_that_no_file_has_are_noted(tmp_path: Path) -> None:
    write_har(tmp_path / "raw")
    (tmp_path / f"raw/{stem(0)}.npz").unlink()
    summary = build("har-dvs", tmp_path)
    assert any(f"that no file has: 1, such as {stem(0)}" in note for note in summary.notes)


def test_a_folder_without_a_number(tmp_path: Path) -> None:
    write_har(tmp_path / "raw")
    shutil.copytree(tmp_path / "raw/action_001", tmp_path / "raw/action_new")
    with pytest.raises(UsageError, match=r"action is 'new', expected a whole number"):
        list_recordings(load_card("har-dvs").events, tmp_path / "raw")


# ---------------------------------------------------------------- commands


def test_every_card_says_that_no_official_file_was_at_hand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("dvs128-gait-day", "dvs128-gait-night", "davis-actions", "har-dvs"):
        assert run(["cards", name]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert "the format was tested on files made from its description" in printed


def test_cards_with_tables_that_do_not_fit(tmp_path: Path) -> None:
    from dataclasses import replace

    from snntx.data_cards.tables import Columns, Labels

    card = load_card("n-mnist")
    for change, message in (
        ({"columns": Columns(t="ts")}, r"\[events\.columns\] is for files of plain columns \(csv"),
        (
            {"numbered": Labels("a", "b")},
            r"\[events\.numbered\] needs format = 'gait', found 'atis'",
        ),
    ):
        changed = replace(card, events=replace(card.events, **change))
        with pytest.raises(UsageError, match=message):
            make_request(changed, raw=tmp_path, static=None, cache=tmp_path)
    assert BadFileError.exit_code == 1


# ---------------------------------------------------------------- their events


@pytest.mark.parametrize(
    ("name", "write"),
    [("dvs128-gait-day", write_gait), ("davis-actions", write_davis), ("har-dvs", write_har)],
)
def test_frames_from_the_cached_events_are_the_same(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "raw")
    place = {"raw": tmp_path / "raw", "static": None, "cache": tmp_path / "cache"}
    request = make_request(load_card(name), **place)  # type: ignore[arg-type]
    assert request.kind == "events"
    frames, events = (
        FrameCache(build(name, tmp_path).directory),
        opened(preprocess(request).directory),
    )
    every = np.arange(len(frames))
    assert events.kind == "events"
    assert events.frames(every).tobytes() == frames.frames(every).tobytes()
