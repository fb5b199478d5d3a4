"""Copies stay in one part, nothing else moves, and what stands apart is said."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from snntx.data_cards import load_card
from snntx.data_cards.schema import SplitRule
from snntx.preprocess.build.builder import Summary, preprocess
from snntx.preprocess.cache.copies import apart, copies, kept_together, none_of
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.splits import (
    PARTS,
    TEST,
    TRAIN,
    UNUSED,
    VALIDATION,
    split_recordings,
    split_statics,
)
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.upkeep.verify import verify

HASH = SplitRule("hash", validation=0.2, test=0.2)


def test_copies_by_hand() -> None:
    assert copies(["a", "b", "a", "c", "b", "a"]).tolist() == [-1, -1, 0, -1, 1, 0]
    assert copies([]).tolist() == []
    assert none_of(2).tolist() == [-1, -1]


def test_groups_move_to_the_part_of_the_first() -> None:
    parts = np.array([TRAIN, TEST, TEST, VALIDATION, TRAIN], np.uint8)
    copy_of = np.array([-1, -1, 0, 1, 1])
    for rule in (HASH, SplitRule("leading", train=0.5)):
        moved = kept_together(rule, parts, copy_of)
        assert moved.tolist() == [TRAIN, TEST, TRAIN, TEST, TEST]
        assert apart(moved, copy_of).tolist() == []
    for own in (SplitRule("window", train_count=1), SplitRule("field", field="split")):
        assert kept_together(own, parts, copy_of).tolist() == parts.tolist()
    assert apart(parts, copy_of).tolist() == [2, 3, 4]


@given(st.lists(st.integers(0, 3), max_size=30))
def test_without_copies_nothing_moves(values: list[int]) -> None:
    parts = np.array(values, np.uint8)
    kept = kept_together(HASH, parts, none_of(len(values)))
    assert kept.dtype == parts.dtype
    assert kept.tolist() == parts.tolist()


@given(st.data())
def test_no_group_lies_in_two_parts(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=40))
    names = [f"{i:03d}" for i in range(len(keys))]
    copy_of = copies(keys)
    labels = np.zeros(len(keys), np.int64)
    parts = kept_together(HASH, split_recordings(HASH, names, labels, [{}] * len(keys)), copy_of)
    for key in set(keys):
        assert len({int(p) for p, k in zip(parts, keys, strict=True) if k == key}) == 1


def test_an_image_is_held_out_with_its_copies() -> None:
    """Images 0, 2 and 3 are one; image 2 is the twin of a test recording."""
    copy_of = np.array([-1, -1, 0, 0, -1])
    parts = np.array([TRAIN, TEST, UNUSED], np.uint8)
    twins = np.array([0, 2, 1])
    assert split_statics(5, twins, parts, copy_of).tolist() == [TEST, UNUSED, TEST, TEST, TRAIN]
    assert split_statics(5, twins, parts).tolist() == [TRAIN, UNUSED, TEST, TRAIN, TRAIN]


# from files


def events(seed: int) -> bytes:
    draw = np.random.default_rng(seed)
    x, y, p = draw.integers(0, 34, 40), draw.integers(0, 34, 40), draw.integers(0, 2, 40)
    return encode(Events(x, y, np.arange(40) * 100, p))  # type: ignore[arg-type]


def write_digits(data: Path, pixels: NDArray[np.uint8]) -> None:
    header = struct.pack(">4I", 0x803, *pixels.shape)
    (data / "static").mkdir(exist_ok=True)
    (data / "static/train-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
    labels = struct.pack(">2I", 0x801, len(pixels)) + bytes([0] * len(pixels))
    (data / "static/train-labels-idx1-ubyte").write_bytes(labels)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Twenty recordings of one digit, fifteen for training, and the images of all twenty."""
    for i in range(20):
        path = tmp_path / f"raw/{'Train' if i < 15 else 'Test'}/0/{i + 1:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(events(i))
    write_digits(tmp_path, np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8))
    return tmp_path


def make(data: Path, cache: str = "cache") -> Summary:
    card = load_card("n-mnist")
    request = make_request(
        card, raw=data / "raw", static=data / "static", cache=data / cache, steps=2
    )
    return preprocess(request)


def parts_of(cache: FrameCache, protocol: str) -> dict[str, str]:
    parts = cache.index.splits[protocol].tolist()
    return {name: PARTS[part] for name, part in zip(cache.identities, parts, strict=True)}


def test_a_set_without_copies_keeps_its_splits_to_the_byte(digits: Path) -> None:
    cache = FrameCache(make(digits).directory)
    rule = load_card("n-mnist").splits["holdout"]
    own = split_recordings(rule, cache.identities, cache.labels, [{}] * len(cache))
    assert cache.index.splits["holdout"].tobytes() == own.tobytes()
    statics = split_statics(20, cache.index.twin, own)
    assert cache.index.static_splits["holdout"].tobytes() == statics.tobytes()
    assert set(cache.index.copy_of.tolist()) == set(cache.index.static_copy_of.tolist()) == {-1}


def test_a_browsers_second_download_stays_with_the_first(digits: Path) -> None:
    before = parts_of(FrameCache(make(digits).directory), "holdout")
    for path in sorted((digits / "raw").rglob("*.bin")):
        shutil.copy(path, path.with_name(f"{path.stem} (1).bin"))
    summary = make(digits)
    cache = FrameCache(summary.directory)
    found = parts_of(cache, "holdout")
    assert len(set(found.values())) == 3  # some of each part, or nothing is shown
    for name in before:
        assert found[f"{name} (1)"] == found[name]
    assert any(
        note.startswith("20 recordings are copies of others, of the same bytes, such as ")
        and "Test/0/00016 (1) of Test/0/00016" in note
        for note in summary.notes
    )
    copied = cache.index.copy_of
    assert [cache.identities[i] for i in copied[copied >= 0]] == sorted(before)
    assert verify(summary.directory).problems == ()


def test_published_parts_stay_and_are_named(digits: Path) -> None:
    shutil.copy(digits / "raw/Train/0/00003.bin", digits / "raw/Test/0/00019.bin")
    summary = make(digits)
    cache = FrameCache(summary.directory)
    assert parts_of(cache, "paper")["Train/0/00003"] == "train"
    assert parts_of(cache, "paper")["Test/0/00019"] == "test"
    held = parts_of(cache, "holdout")
    assert held["Train/0/00003"] == held["Test/0/00019"]
    (note,) = [note for note in summary.notes if "protocol" in note]
    assert note == (
        "1 copies are in another part of protocol paper, such as Train/0/00003 of Test/0/00019: "
        "its parts are the data set's own, and were kept"
    )


def test_a_copy_of_another_class_is_named(digits: Path) -> None:
    (digits / "raw/Train/1").mkdir()
    shutil.copy(digits / "raw/Train/0/00003.bin", digits / "raw/Train/1/00099.bin")
    notes = make(digits).notes
    expected = "1 copies are of another class than the recording that they are of, such as"
    assert any(note.startswith(f"{expected} Train/1/00099 of Train/0/00003") for note in notes)


def test_images_of_the_same_pixels_are_held_out_together(digits: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    pixels[8:15] = pixels[:7]
    write_digits(digits, pixels)
    summary = make(digits)
    cache = FrameCache(summary.directory)
    index = cache.index
    assert "7 static images are copies of others, of the same pixels, such as " in str(
        summary.notes
    )
    shown = {int(i) for i in cache.static_split("holdout", "train")}
    images = cache.static_images()
    held_out = index.twin[(index.splits["holdout"] != TRAIN) & (index.twin >= 0)]
    assert held_out.size > 1
    for i in shown:
        for j in held_out:
            assert not np.array_equal(images[i], images[j])
    assert verify(summary.directory).problems == ()
    own = split_statics(20, index.twin, index.splits["holdout"])
    assert own.tolist() != index.static_splits["holdout"].tolist()  # so copies did decide
