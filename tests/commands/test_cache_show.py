"""``snntx cache show`` and ``snntx show``, and what a cache says of itself to plain h5py."""

import json
import os
import re
import shlex
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.format import Index
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.meanings import explain
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.upkeep.inspect import brightness, histogram, sheet_rows, spread, typical

CARD = "simulated-digits"
DRAFT = "0123456789abcdef"
Output = namedtuple("Output", "code out err")


@pytest.fixture
def here(small_cache: Path, tmp_path: Path) -> Path:
    """A copy of the small data set and its sealed cache."""
    shutil.copytree(small_cache, tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str], here: Path) -> Callable[..., Output]:
    def call(*arguments: Any) -> Output:
        code = run([*map(str, arguments), "--cache", str(here / "cache")])
        captured = capsys.readouterr()
        return Output(code, captured.out, captured.err)

    return call


def sealed(here: Path) -> Path:
    """The first sealed cache."""
    return min(seal.parent for seal in (here / "cache").glob("*/*/SEALED"))


def second(here: Path) -> Path:
    """Another cache of the same recordings, with other options and no static images."""
    request = make_request(
        load_card(CARD), raw=here / "data/raw", static=None, cache=here / "cache", steps=2, size=17
    )
    return preprocess(request).directory


# show


def test_show_counts(snntx: Callable[..., Output], here: Path, tmp_path: Path) -> None:
    found = json.loads(snntx("cache", "show", CARD, "--json").out)
    cache = FrameCache(sealed(here))
    rows = cache.index.rows
    assert found["recordings"] == sum(found["classes"].values()) == 80
    assert found["events_total"] == rows.events.sum()
    assert found["events"]["median"] == np.median(rows.events)
    assert found["duration_us"]["maximum"] == rows.duration_us.max()
    assert sum(each["count"] for each in found["histogram"]) == 80
    assert (found["twins"], found["missing"], found["statics"]) == (80, [], 80)
    assert found["files"] == 82
    parts = found["protocols"]["holdout"]
    for part, held in parts.items():
        assert held["recordings"] == cache.split("holdout", part).size
        assert held["statics"] == cache.static_split("holdout", part).size
    assert sum(held["recordings"] for held in parts.values()) == 80
    assert found["options"]["steps"] == 3
    assert found["differs"] == ["steps 3 (card: 10)"]


def test_show_for_people(snntx: Callable[..., Output], here: Path, tmp_path: Path) -> None:
    picture = tmp_path / "sheets/sheet.png"
    output = snntx("cache", "show", CARD, "--picture", picture)
    assert output.code == 0
    assert output.out.startswith(f"{CARD} {sealed(here).name}\n")
    for text in ("every one of 80 recordings has its twin", "holdout   validation", "skipped"):
        assert text in output.out
    assert max(map(len, output.out.splitlines())) <= 110
    with Image.open(picture) as image:
        assert image.width > image.height // 2
    assert f"wrote {picture}" in output.err


def test_show_names_what_has_no_twin(snntx: Callable[..., Output], here: Path) -> None:
    other = second(here)
    output = snntx("cache", "show", CARD, "--key", other.name[:6])
    text = " ".join(output.out.split())
    assert "0 of 80 recordings; none for Train/0/00001, Train/0/00011," in text
    assert "and 77 more" in text
    assert "statics none" in text
    cache = FrameCache(other)
    assert [row.static for row in sheet_rows(cache, typical(cache))] == [None] * 8


COMMANDS = [("cache", "show", CARD), ("cache", "verify", CARD), ("show", CARD, "Train/0/00001")]


def listed(line: str) -> dict[str, str]:
    """What a line says of each cache, by the option that chooses it."""
    listing = line.partition(": ")[2]
    pairs = re.findall(r"([0-9a-f]{16}): (.*?) \((--key )?\1\)(?:; |\)?$)", listing)
    return {key: words for key, words, _ in pairs}


@pytest.mark.parametrize("command", COMMANDS)
def test_several_caches_are_told_apart_and_chosen(
    snntx: Callable[..., Output],
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    first, other = sealed(here).name, second(here).name
    output = snntx(*command)
    assert output.code == 2
    assert output.err.count("\n") == 1
    assert "2 caches; choose one: " in output.err
    found = listed(output.err.strip())
    assert found.keys() == {first, other}
    assert found[first] == "steps 3 (card: 10), 80 recordings"
    assert found[other].startswith("no static images, size 17 x 17 (card: native), ")
    assert "steps 2 (card: 10)" in found[other]
    for key in found:
        assert f"({key})" not in output.err
        assert snntx(*command, "--key", key).code == 0


def test_a_key_that_is_none_lists_what_there_is(snntx: Callable[..., Output], here: Path) -> None:
    name = sealed(here).name
    words = f"{name}: steps 3 (card: 10), 80 recordings"
    output = snntx("cache", "show", CARD, "--key", "zz")
    assert output.code == 2
    assert f"none has key 'zz' (there: {words} (--key {name}))" in output.err
    output = snntx("cache", "rm", CARD, "zz", "--yes")  # takes keys without an option
    assert f"none has key 'zz' (there: {words} ({name}))" in output.err
    assert snntx("cache", "rm", CARD, name, "--yes").code == 0


def test_the_start_of_several_keys(snntx: Callable[..., Output], here: Path) -> None:
    first = sealed(here)
    twin = first.with_name(first.name[:-1] + ("0" if first.name[-1] != "0" else "1"))
    shutil.copytree(first, twin)
    output = snntx("cache", "show", CARD, "--key", first.name[:-1])
    assert output.code == 2
    assert f"several have key '{first.name[:-1]}'; give more of it: " in output.err
    found = listed(output.err.strip())
    assert found.keys() == {first.name, twin.name}
    assert snntx("cache", "show", CARD, "--key", first.name).code == 0


def test_caches_alike_but_for_their_files_are_told_by_their_time(
    snntx: Callable[..., Output], here: Path
) -> None:
    first = sealed(here)
    twin = first.with_name("0" * 16)
    shutil.copytree(first, twin)
    for seconds, folder in ((1e9, first), (1e9 + 86400, twin)):
        for file in folder.iterdir():
            os.utime(file, (seconds, seconds))
    found = listed(snntx("cache", "show", CARD).err.strip())
    days = {key: words.split(", of ")[1][:10] for key, words in found.items()}
    assert set(days) == {first.name, twin.name}
    assert days[first.name] < days[twin.name] < "2001-09-12"
    assert all(words.startswith("steps 3 (card: 10), 80 recordings") for words in found.values())


def test_without_the_card_caches_are_told_by_what_differs_among_them(
    snntx: Callable[..., Output], here: Path
) -> None:
    first, other = sealed(here).name, second(here).name
    (here / "cache" / CARD).rename(here / "cache" / "foreign")
    output = snntx("cache", "show", "foreign")
    found = listed(output.err.strip())
    assert found.keys() == {first, other}
    assert "size native" in found[first]
    assert "steps 3" in found[first]
    assert "size 17 x 17" in found[other]
    assert "steps 2" in found[other]


def test_no_cache_is_made_by_the_command_that_is_said(
    snntx: Callable[..., Output], here: Path
) -> None:
    shutil.rmtree(sealed(here))
    output = snntx("cache", "show", CARD)
    assert output.code == 1
    words = output.err.strip().partition("make one with: snntx ")[2]
    made = shlex.split(words.replace("--raw DIR", f"--raw {here / 'data/raw'}"))
    made[made.index("DIR")] = str(here / "data/static")
    assert snntx(*made).code == 0
    assert snntx("cache", "show", CARD).code == 0


def test_typical_recordings_are_spread_over_classes(here: Path) -> None:
    cache = FrameCache(sealed(here))
    chosen = typical(cache)
    assert chosen == typical(cache)
    assert len(set(chosen)) == len(set(cache.labels[chosen])) == 8
    assert len(set(typical(cache, 25))) == 25
    (row,) = sheet_rows(cache, chosen[:1])
    assert row.static is not None
    assert row.static.shape == (34, 34)
    np.testing.assert_array_equal(row.frames, cache.frames(chosen[0]))


def test_brightness_of_planes() -> None:
    white = np.full((3, 1, 1), 255, np.uint8)
    assert brightness(white, "RGB")[0, 0] == pytest.approx(1)
    green = np.array([0, 255, 0], np.uint8).reshape(3, 1, 1)
    assert brightness(green, "RGB")[0, 0] == pytest.approx(0.587)
    values = np.array([1, 0, 1, 0], np.float32).reshape(4, 1, 1)
    assert brightness(values, "VRGB")[0, 0] == pytest.approx(0.587)
    assert brightness(np.full((1, 1, 1), 51, np.uint8), "L")[0, 0] == pytest.approx(0.2)


def test_histogram_and_spread_by_hand() -> None:
    values = np.array([1, 2, 3, 4, 5, 6, 7, 9])
    first = histogram(values)[0]
    assert (first.low, first.high, first.count) == (1, 2, 1)
    assert sum(b.count for b in histogram(values)) == 8
    wide = histogram(np.array([1, 10, 100, 256]))
    assert [b.low for b in wide] == [1, 2, 4, 8, 16, 32, 64, 128]  # equal ratio
    assert [b.count for b in wide] == [1, 0, 0, 1, 0, 0, 1, 1]
    assert [(b.low, b.high, b.count) for b in histogram(np.array([5, 5]))] == [(5, 5, 2)]
    assert histogram(np.array([], np.int64)) == ()
    found = spread(np.array([1, 2, 9]))
    assert (found.minimum, found.median, found.mean, found.maximum) == (1, 2, 4, 9)


def test_show_one_recording(snntx: Callable[..., Output], here: Path, tmp_path: Path) -> None:
    cache = FrameCache(sealed(here))
    name = cache.identities[7]
    output = snntx("show", CARD, name, "--out", tmp_path / "one.png", "--json")
    found = json.loads(output.out)
    assert found["identity"] == name
    assert found["twin"] == f"Train/{name[-5:]}"
    assert found["events"] == cache.index.rows.events[7]
    assert Path(found["picture"]).stat().st_size > 500
    wrong = snntx("show", CARD, f"{name}0", "--out", tmp_path / "two.png")
    assert wrong.code == 2
    assert f"did you mean '{name}'?" in wrong.err
    assert not (tmp_path / "two.png").exists()


def test_show_writes_beside_the_caller(
    snntx: Callable[..., Output], here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = FrameCache(sealed(here)).identities[0]
    assert snntx("show", CARD, name).code == 0
    assert (tmp_path / f"{name.replace('/', '-')}.png").is_file()


# every dataset explains itself


def test_h5py_alone_finds_the_meaning_of_every_dataset(here: Path) -> None:
    files = sorted(sealed(here).glob("*.h5"))
    assert [path.name for path in files] == ["frames-00000.h5", "index.h5", "static.h5"]
    seen = set()
    for path in files:
        with h5py.File(path) as file:
            assert file.attrs["about"].startswith("snntx frame cache")

            def look(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset):
                    seen.add(name)
                    assert len(item.attrs["meaning"]) > 15, name
                    axes = item.attrs["axes"].replace("(off, on; merged: one)", "")
                    assert len(axes.split(",")) >= item.ndim, name

            file.visititems(look)
    assert len(seen) > 25
    with h5py.File(sealed(here) / "index.h5") as file:
        assert file["recordings/duration_us"].attrs["units"] == "microseconds"
        assert file["recordings/extent"].attrs["units"] == "pixels"
        assert json.loads(file.attrs["settings"])["options"]["steps"] == 3


def test_a_dataset_without_a_meaning_is_an_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["recordings/unheard_of"] = np.zeros(3)
        with pytest.raises(KeyError):
            explain(file)


def test_the_manifest_names_every_raw_file(here: Path) -> None:
    manifest = Index.read(sealed(here) / "index.h5").manifest
    data = here / "data"
    paths = [p for p in data.rglob("*") if p.is_file() and p.parent != data]
    assert sorted(manifest) == sorted(str(p.relative_to(data)) for p in paths)
    assert all(manifest[str(p.relative_to(data))][0] == os.stat(p).st_size for p in paths)


@pytest.mark.parametrize("command", [("cache", "show"), ("show", "Train/0/00001")])
def test_the_cache_of_the_cards_own_options_is_looked_at(
    snntx: Callable[..., Output],
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = ["--raw", here / "data/raw", "--static", here / "data/static", "--jobs", 1]
    keys = {}
    for kind in ("frames", "events"):
        before = set((here / "cache").glob("*/*/SEALED"))
        assert snntx("preprocess", CARD, *raw, "--as", kind).code == 0
        (made,) = set((here / "cache").glob("*/*/SEALED")) - before
        keys[kind] = made.parent.name
    words = [command[0], CARD, *command[1:]] if command[0] == "show" else [*command, CARD]
    output = snntx(*words)
    assert output.code == 0, output.err
    took = re.search("took ([0-9a-f]{16}); there is also ", output.err)
    assert took is not None
    assert took[1] == keys["frames"]
    assert keys["events"] in output.err
    if command[0] == "show":
        assert f"took {keys['events']}; " in snntx(*words, "--cloud", "--out", "a.png").err
