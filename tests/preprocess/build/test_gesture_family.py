"""The cards of gestures and actions, and CIFAR10-DVS, from files in their official layout.

The files are made byte by byte from the formats' descriptions; no official one is at hand.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from snntx.cli import run
from snntx.data_cards import load_card, parse_card
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.build.builder import Summary, preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.settings import settings_of
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.planning.plan import make_request
from snntx.tests import jaer_files as files

Columns = tuple[NDArray[np.int64], ...]
FILES = ["user01_fluorescent", "user02_led", "user24_lab"]
ROWS = [(1, 0, 4000), (3, 4000, 8000), (11, 6000, 10_000), (1, 9000, 12_000)]
SHIPPED = Path(load_card.__code__.co_filename).parent / "shipped"


def columns(seed: int, count: int, side: tuple[int, int] = (128, 128)) -> Columns:
    draw = np.random.default_rng(seed)
    y, x = (draw.integers(0, each, count) for each in side)
    return x, y, np.sort(draw.integers(0, 12_000, count)), draw.integers(0, 2, count)


def write_gestures(folder: Path) -> dict[str, Columns]:
    """Three files of four rows each: two to train on, one to test on."""
    made = {}
    for seed, stem in enumerate(FILES):
        made[stem] = columns(seed, 3000)
        parts = np.array_split(files.polarity(*made[stem]), 7)
        files.write_3(folder / f"{stem}.aedat", *map(files.packet, parts))
        table = ["class,startTime_usec,endTime_usec", *(f"{k},{a},{b}" for k, a, b in ROWS), ""]
        (folder / f"{stem}_labels.csv").write_text("\r\n".join(table))
    (folder / "trials_to_train.txt").write_text("\n".join(f"{s}.aedat" for s in FILES[:2]) + "\n\n")
    (folder / "trials_to_test.txt").write_text(f"{FILES[2]}.aedat\n")
    return made


def build(name: str, raw: Path, static: Path | None = None, **options: Any) -> Summary:
    skip = options.pop("skip", False)
    card = load_card(name)
    request = make_request(
        card, raw=raw, static=static, cache=raw.parent / "cache", kind="frames", **options
    )
    return preprocess(request, skip=skip)


def held(summary: Summary) -> FrameCache:
    return FrameCache(summary.directory)


def test_gestures_are_cut_by_their_table(tmp_path: Path) -> None:
    made = write_gestures(tmp_path / "raw/DvsGesture")
    summary = build("dvs128-gesture", tmp_path / "raw", steps=5, size="native")
    assert (summary.recordings, summary.classes) == (12, 3)
    cache = held(summary)
    assert cache.identities == [f"{stem}/{row:02d}" for stem in FILES for row in range(1, 5)]
    assert list(cache.index.classes) == list(load_card("dvs128-gesture").classes)
    assert cache.index.rows.label.tolist() == [0, 2, 10, 0] * 3
    frames = cache.frames(np.arange(12))
    for i, (stem, (_, start, end)) in enumerate((s, r) for s in FILES for r in ROWS):
        which = (made[stem][2] >= start) & (made[stem][2] < end)
        x, y, t, p = (column[which] for column in made[stem])
        expected = frames_from_events(
            x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8),
            steps=5, size=None, sensor=(128, 128), tail="keep",
        )  # fmt: skip
        np.testing.assert_array_equal(frames[i], expected)
        assert cache.index.rows.events[i] == which.sum()


def test_gestures_are_split_by_their_lists(tmp_path: Path) -> None:
    write_gestures(tmp_path / "raw")
    (tmp_path / "raw/trials_to_train.txt").write_text(f"{FILES[0]}.aedat\nuser09_led.aedat\n")
    summary = build("dvs128-gesture", tmp_path / "raw", steps=2)
    cache = held(summary)
    parts = {part: cache.split("paper", part).tolist() for part in ("train", "test", "unused")}
    assert parts == {"train": [0, 1, 2, 3], "test": [8, 9, 10, 11], "unused": [4, 5, 6, 7]}
    text = " ".join(summary.notes)
    assert (
        "names in trials_to_train.txt, trials_to_test.txt that no file has: 1, such as user09"
        in text
    )
    assert f"no protocol by set uses: 1, such as {FILES[1]}.aedat" in text


def test_a_changed_list_or_table_is_another_cache(tmp_path: Path) -> None:
    write_gestures(tmp_path / "raw")
    first = build("dvs128-gesture", tmp_path / "raw", steps=2)
    assert build("dvs128-gesture", tmp_path / "raw", steps=2).reused
    table = tmp_path / f"raw/{FILES[0]}_labels.csv"
    table.write_text(table.read_text().replace("3,4000", "4,4000"))
    second = build("dvs128-gesture", tmp_path / "raw", steps=2)
    assert held(second).index.rows.label[1] == 3
    train, test = (tmp_path / f"raw/trials_to_{part}.txt" for part in ("train", "test"))
    train.write_text(f"{FILES[0]}.aedat\n")
    test.write_text(f"{FILES[2]}.aedat\n{FILES[1]}.aedat\n")
    third = build("dvs128-gesture", tmp_path / "raw", steps=2)
    assert held(third).split("paper", "test").tolist() == list(range(4, 12))
    assert len({first.key, second.key, third.key}) == 3


def test_frames_by_number(tmp_path: Path) -> None:
    """As SpikingJelly makes them: equal counts, the rest in the last frame."""
    write_gestures(tmp_path / "raw")
    cache = held(build("dvs128-gesture", tmp_path / "raw", steps=7, size="native", bins="count"))
    for i, events in enumerate(cache.index.rows.events.tolist()):
        counts = cache.frames([i])[0].sum(axis=(1, 2, 3)).tolist()
        assert counts == [events // 7] * 6 + [events - 6 * (events // 7)]


def test_a_row_outside_stops_the_build_or_is_passed_over(tmp_path: Path) -> None:
    write_gestures(tmp_path / "raw")
    table = tmp_path / f"raw/{FILES[1]}_labels.csv"
    table.write_text(table.read_text().replace("9000,12000", "900000,1200000"))
    with pytest.raises(BadFileError, match=rf"{FILES[1]}_labels\.csv: row 4 is from 900000 to 12"):
        build("dvs128-gesture", tmp_path / "raw", steps=2)
    summary = build("dvs128-gesture", tmp_path / "raw", steps=2, skip=True)
    assert summary.recordings == 11
    ((name, reason),) = summary.skipped
    assert f"{FILES[1]}.aedat ({FILES[1]}/04)" in name
    assert reason.startswith(f"raw/{FILES[1]}_labels.csv: row 4 is from 900000")


def test_missing_lists_and_tables(tmp_path: Path) -> None:
    write_gestures(tmp_path / "raw")
    (tmp_path / "raw/trials_to_test.txt").rename(tmp_path / "kept")
    with pytest.raises(UsageError, match=r"raw/trials_to_test\.txt: no such file; it holds the na"):
        build("dvs128-gesture", tmp_path / "raw")
    (tmp_path / "kept").rename(tmp_path / "raw/trials_to_test.txt")
    (tmp_path / f"raw/{FILES[0]}_labels.csv").unlink()
    with pytest.raises(BadFileError, match=rf"recordings, {FILES[0]}_labels\.csv, is missing besi"):
        build("dvs128-gesture", tmp_path / "raw")
    assert build("dvs128-gesture", tmp_path / "raw", skip=True, steps=2).recordings == 8


def test_a_folder_some_levels_off_is_found(tmp_path: Path) -> None:
    """The advice, followed, builds."""
    write_gestures(tmp_path / "raw/some/where/DvsGesture")
    with pytest.raises(UsageError) as caught:
        build("dvs128-gesture", tmp_path / "raw")
    folder = str(caught.value).rpartition("give --raw ")[2]
    assert build("dvs128-gesture", Path(folder), steps=2).recordings == 12


def test_gestures_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_gestures(tmp_path / "raw")
    words = ["preprocess", "dvs128-gesture", "--raw", str(tmp_path / "raw")]
    words += ["--cache", str(tmp_path / "cache"), "--jobs", "1", "--steps", "3", "--as", "frames"]
    assert run(words) == 0, capsys.readouterr().err
    assert run(["cache", "verify", "dvs128-gesture", "--cache", str(tmp_path / "cache")]) == 0


def test_keys_of_earlier_caches_hold_no_new_key() -> None:
    card = load_card("n-omniglot")
    events = settings_of(card, FrameOptions.from_card(card), [], statics=False)["events"]
    assert {"lists", "class_from"}.isdisjoint(events)
    assert sorted(events["slices"]) == [
        *("end_column", "field", "header_rows", "identity", "recordings", "start_column", "suffix"),
    ]
    card = load_card("dvs128-gesture")
    events = settings_of(card, FrameOptions.from_card(card), [], statics=False)["events"]
    assert events["slices"]["class_column"] == 1
    assert events["lists"]["files"]["test"] == "trials_to_test.txt"


# DailyAction


def test_daily_action(tmp_path: Path) -> None:
    for i, name in enumerate(("climb", "get up", "pick")):
        for number in range(3):
            x, y, t, p = columns(10 * i + number, 500, (260, 346))
            path = tmp_path / f"raw/{name}/p{number} ä.aedat"
            files.write_2(path, files.davis(x, y, p), t)
    cache = held(build("daily-action", tmp_path / "raw", size="native", steps=4))
    assert cache.frame_shape == (4, 2, 260, 346)
    assert cache.index.rows.label.tolist() == [0] * 3 + [5] * 3 + [11] * 3
    assert cache.index.rows.events.tolist() == [500] * 9
    frames = cache.frames([0])[0]
    x, y, t, p = columns(0, 500, (260, 346))
    np.testing.assert_array_equal(
        frames.sum(axis=0)[p[7], y[7], x[7]],
        ((x == x[7]) & (y == y[7]) & (p == p[7])).sum(),
    )
    rule = load_card("daily-action").splits["paper"]
    assert (rule.train_count, rule.test_count) == (96, 24)


def test_daily_action_of_the_other_camera(tmp_path: Path) -> None:
    """The line of the error and the card's note lead to a copy that reads it."""
    x, y, t, p = columns(1, 500)
    for number in range(2):
        files.write_2(tmp_path / f"raw/climb/{number}.aedat", files.dvs128(x, y, p), t)
    with pytest.raises(BadFileError, match=r"a DVS128's, .*set format = \"aedat2-dvs128\" in"):
        build("daily-action", tmp_path / "raw")
    text = (SHIPPED / "daily-action.toml").read_text("utf-8")
    for old, new in (
        ('name = "daily-action"', 'name = "own-action"'),
        ('"aedat2-davis"', '"aedat2-dvs128"'),
        ("sensor = [260, 346]", "sensor = [128, 128]"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    card = parse_card(text.encode(), "own.toml")
    request = make_request(
        card, raw=tmp_path / "raw", static=None, cache=tmp_path / "cache", kind="frames"
    )
    assert preprocess(request).events == 1000


# CIFAR10-DVS


def write_cifar10_dvs(folder: Path, classes: list[str], numbers: list[int]) -> None:
    for i, name in enumerate(classes):
        for number in numbers:
            x, y, t, p = columns(100 * i + number, 400)
            path = folder / f"{name}/cifar10_{name}_{number}.aedat"
            files.write_2(path, files.dvs128(x, y, p), t)


def write_batches(folder: Path) -> NDArray[np.uint8]:
    folder.mkdir(parents=True)
    held = np.random.default_rng(1).integers(0, 256, (30, 3073)).astype(np.uint8)
    held[:, 0] = np.arange(30) % 10
    for name, part in (("data_batch_1", held[:20]), ("test_batch", held[20:])):
        (folder / f"{name}.bin").write_bytes(part.tobytes())
    return held


def test_cifar10_dvs_with_its_partners(tmp_path: Path) -> None:
    """All pictures are class partners of training, none is a twin; numbers sort as numbers."""
    write_cifar10_dvs(tmp_path / "raw", ["airplane", "truck"], [0, 2, 10, 999])
    batches = write_batches(tmp_path / "raw/cifar-10-batches-bin")
    summary = build("cifar10-dvs", tmp_path / "raw", tmp_path / "raw", size=32)
    assert (summary.recordings, summary.statics, summary.twins) == (8, 30, 0)
    cache = held(summary)
    numbers = [identity.rpartition("_")[2] for identity in cache.identities]
    assert numbers == ["0", "2", "10", "999"] * 2
    assert cache.index.rows.label.tolist() == [0] * 4 + [9] * 4
    images = cache.static_images()
    np.testing.assert_array_equal(images, batches[:, 1:].reshape(-1, 3, 32, 32))
    assert cache.index.static_label.tolist() == batches[:, 0].tolist()
    assert len(cache.static_split("paper", "train")) == 30
    assert len(cache.static_split("holdout", "train")) == 30


def test_the_protocol_of_cifar10_dvs_trains_on_the_first_900() -> None:
    from snntx.preprocess.cache.splits import TEST, TRAIN, split_recordings

    rule = load_card("cifar10-dvs").splits["paper"]
    labels = np.repeat([0, 1], 1000)
    parts = split_recordings(rule, [str(i) for i in range(2000)], labels, [{}] * 2000)
    assert parts.tolist() == ([TRAIN] * 900 + [TEST] * 100) * 2


def test_batches_are_found_near_by(tmp_path: Path) -> None:
    write_cifar10_dvs(tmp_path / "raw", ["airplane"], [0, 1])
    write_batches(tmp_path / "static/deep/cifar-10-batches-bin")
    with pytest.raises(UsageError) as caught:
        build("cifar10-dvs", tmp_path / "raw", tmp_path / "static")
    folder = str(caught.value).rpartition("give --static ")[2]
    assert build("cifar10-dvs", tmp_path / "raw", Path(folder)).statics == 30


# a class in the file


OWN = """
name = "own-gestures"
classes = ["clap", "wave", "roll"]
[about]
title = "Own"
summary = "Gestures in HDF5."
homepage = "https://example.org"
licence = "mine"
citation = "none"
obtain = "ask me"
[events]
format = "gesture-hdf5"
pattern = "{set}/{stem}.hdf5"
sensor = [128, 128]
class_from = "file"
[framing]
steps = 3
size = 16
[splits.holdout]
rule = "hash"
[splits.paper]
rule = "field"
field = "set"
train_value = "train"
test_value = "test"
[recipes.default]
method.name = "event-only"
"""


def build_own(folder: Path, text: str = OWN, **options: Any) -> Summary:
    card = parse_card(text.encode(), "own.toml")
    request = make_request(card, raw=folder / "raw", static=None, cache=folder / "cache")
    return preprocess(request, **options)


def test_a_file_tells_its_class(tmp_path: Path) -> None:
    for number in range(6):
        path = tmp_path / f"raw/{'train' if number < 4 else 'test'}/{number}.hdf5"
        files.write_gesture(path, columns(number, 200), label=number % 3)
    cache = held(build_own(tmp_path))
    found = dict(zip(cache.identities, cache.index.rows.label.tolist(), strict=True))
    assert found == {
        "test/4": 1, "test/5": 2, "train/0": 0, "train/1": 1, "train/2": 2, "train/3": 0,
    }  # fmt: skip
    assert cache.split("paper", "test").tolist() == [0, 1]
    files.write_gesture(tmp_path / "raw/train/2.hdf5", columns(1, 50), label=3)
    with pytest.raises(BadFileError, match=r"train/2\.hdf5: is of class 3, expected 0 to 2, the n"):
        build_own(tmp_path)
    summary = build_own(tmp_path, skip=True)
    assert summary.recordings == 5
    assert summary.skipped[0][0] == "raw/train/2.hdf5"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('format = "gesture-hdf5"', 'format = "atis"', "class_from = 'file', but files of format"),
        ("{set}/", "{class}/", "class_from = 'file' excludes class, a field {class}"),
        ('classes = ["clap", "wave", "roll"]', "", "so classes must name them all, in order"),
        ('class_from = "file"', 'class_from = "folder"', "unknown class_from 'folder'"),
    ],
)
def test_mistakes_in_the_card_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert OWN.count(old) == 1
    with pytest.raises(UsageError, match=message):
        build_own(tmp_path, OWN.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class_column = 1", "class_column = 0", "class_column = 0 counts from 1"),
        ('field = "set"\nentry', 'field = "light"\nentry', r"lists\] field = 'light' must be"),
        ('entry = "{user}_', 'entry = "{person}_', "entry uses field 'person'"),
        ('"trials_to_test.txt"', '"../test.txt"', "'test' = '../test.txt' must be a path below"),
        ('{ train = "trials_to_train.txt", test = "trials_to_test.txt" }', "{}", "files is empty"),
        ("sensor = [128, 128]", 'sensor = [128, 128]\nclass = "{user}"', "class_column, .* excl"),
        ('field = "row"', 'field = "class"', "field = 'class' must be a name that the"),
        ('rule = "field"\nfield = "set"', 'rule = "field"\nfield = "sett"', "mean 'set'"),
    ],
)  # fmt: skip
def test_mistakes_in_slices_and_lists_are_named(old: str, new: str, message: str) -> None:
    text = (SHIPPED / "dvs128-gesture.toml").read_text("utf-8")
    assert text.count(old) == 1
    with pytest.raises(UsageError, match=message):
        parse_card(text.replace(old, new).encode(), "own.toml")


def test_a_transfer_from_partners_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card's own recipe, small: pictures of CIFAR-10 are shown, and nothing asks for twins."""
    write_cifar10_dvs(tmp_path / "raw", ["airplane", "bird"], list(range(10)))
    write_batches(tmp_path / "raw/cifar-10-batches-bin")
    raw, cache = str(tmp_path / "raw"), ["--cache", str(tmp_path / "cache")]
    words = ["--raw", raw, "--static", raw, "--steps", "2", "--size", "16", "--as", "frames"]
    assert run(["preprocess", "cifar10-dvs", *words, *cache, "--jobs", "1"]) == 0
    small = ("epochs=1", "batch_size=4", "width=0.05", "warmup_epochs=0", "steps=2", "size=16")
    sets = [word for each in small for word in ("--set", each)]
    out = str(tmp_path / "run")
    assert run(["train", "cifar10-dvs", *cache, "--out", out, "--device", "cpu", *sets]) == 0
    capsys.readouterr()
    assert run(["evaluate", out, *cache, "--device", "cpu"]) == 0
    assert "top-1" in capsys.readouterr().out
