"""Which sealed cache is opened, and what it says of the options it was made with."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache, sealed_caches
from snntx.preprocess.digits import write_simulated_digits
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.planning.plan import make_request

CARD = load_card("simulated-digits")


def test_a_cache_knows_its_framing_options(small_cache: Path) -> None:
    cache = open_cache(small_cache / "cache", CARD, steps=3, size=None, key=None)
    assert cache.options == FrameOptions.from_card(CARD, steps=3)
    assert cache.options.frame_shape == cache.frame_shape


def test_a_cache_without_its_options_says_what_to_do(small_cache: Path) -> None:
    (directory,) = sealed_caches(small_cache / "cache", CARD.name)
    cache = FrameCache(directory)
    for settings in ({}, {"settings": "no JSON"}):
        object.__setattr__(cache.index, "attributes", settings)
        with pytest.raises(SnntxError, match=r"framing options; .*run snntx preprocess again"):
            _ = cache.options


def test_no_cache_tells_how_to_make_one(small_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(SnntxError, match=r"no sealed cache with frames .* --cache .* --steps 5$"):
        open_cache(small_cache / "cache", CARD, steps=5, size=None, key=None)
    with pytest.raises(SnntxError, match="sealed there: none"):
        open_cache(tmp_path, CARD, steps=3, size=None, key=None)


def test_a_key_is_enough_and_must_be_one(small_cache: Path) -> None:
    root = small_cache / "cache"
    (directory,) = sealed_caches(root, CARD.name)
    found = open_cache(root, CARD, steps=None, size=None, key=directory.name[:5])
    assert found.directory == directory
    with pytest.raises(UsageError, match="no cache has key 'zzzz'"):
        open_cache(root, CARD, steps=None, size=None, key="zzzz")


# the one that is implied


class Root:
    """A cache root that caches are built in, some at a time."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.data = folder / "cache", folder / "data"
        self.notes: list[str] = []
        write_simulated_digits(self.data, seed=1, recordings=30)

    def build(self, data: Path | None = None, *, static: bool = True, **options: Any) -> str:
        """Build a cache and return its key."""
        data = data or self.data
        request = make_request(
            CARD,
            raw=data / "raw",
            static=data / "static" if static else None,
            cache=self.cache,
            **options,
        )
        return preprocess(request).directory.name

    def open(self, **asked: int | str | None) -> str:
        """Open a cache by what the recipe and the command ask for; returns its key."""
        wanted: dict[str, Any] = {"steps": None, "size": None, "key": None, **asked}
        return open_cache(self.cache, CARD, on_note=self.notes.append, **wanted).key

    def follow(self, advice: str) -> str:
        """Open as the words of an advice say."""
        words = shlex.split(advice)
        asked: dict[str, Any] = {}
        for flag, value in zip(words[::2], words[1::2], strict=True):
            name, _, number = value.partition("=")
            asked |= {"key": value} if flag == "--key" else {name: int(number)}
        return self.open(**asked)


ADVICE = re.compile(r"([0-9a-f]{16}): [^;]*? \(((?:--(?:set|key) \S+ ?)+)\)")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_the_only_cache_is_taken_and_named(root: Root) -> None:
    key = root.build(steps=4, size=32)
    assert root.open() == key
    assert root.notes == [
        f"{root.cache / CARD.name}: took the only one, {key}: size 32 x 32 (card: native), "
        "steps 4 (card: 10), 30 recordings"
    ]
    assert root.open(steps=4, size=32) == key  # as it is asked for, nothing is to be said
    assert len(root.notes) == 1
    with pytest.raises(SnntxError, match=r"no sealed cache with frames .* \(--set steps=4 --set s"):
        root.open(steps=5)


def test_the_only_cache_of_the_cards_options_needs_no_word(root: Root) -> None:
    assert root.open(key=root.build()) == root.open()
    assert root.notes == []


def test_the_cards_own_options_come_first_and_the_others_are_told_apart(root: Root) -> None:
    keys = {
        "--set steps=4 --set size=32": root.build(steps=4, size=32),
        "--set steps=6": root.build(steps=6),
        "--set size=28": root.build(size=28),
    }
    for options in ({"values": "binary"}, {"tail": "keep"}, {"static": False}):
        key = root.build(**options)
        keys[f"--key {key}"] = key
    own = root.build()
    assert root.open() == own
    (note,) = root.notes
    assert note.startswith(
        f"{root.cache / CARD.name}: took {own}: the card's options, 30 recordings; there is also "
    )
    assert "steps 6 (card: 10), 30 recordings (--set steps=6)" in note
    assert "no static images" in note
    found = {advice: key for key, advice in ADVICE.findall(note)}
    assert found == keys
    for advice, key in found.items():
        assert root.follow(advice) == key


def test_several_of_other_options_are_left_to_the_user(root: Root) -> None:
    keys = {root.build(steps=4, size=32), root.build(steps=4), root.build(steps=4, tail="keep")}
    with pytest.raises(
        UsageError, match=r"3 caches; choose one: .*steps 4 \(card: 10\), tail k"
    ) as e:
        root.open()
    found = ADVICE.findall(str(e.value))
    assert {key for key, _ in found} == keys
    assert [root.follow(advice) for _, advice in found] == [key for key, _ in found]
    with pytest.raises(UsageError, match=r"2 caches have frames \(4, .*; choose one: ") as e:
        root.open(steps=4)
    for key, advice in ADVICE.findall(str(e.value)):
        assert advice == f"--key {key}"
        assert root.follow(advice) == key


def test_a_cache_is_taken_by_how_its_images_were_fitted(root: Root) -> None:
    with pytest.raises(SnntxError, match=r"with: snntx preprocess .* --static-fit stretch$"):
        root.open(static_fit="stretch")
    padded, bare = root.build(), root.build(static=False)
    assert root.open(static_fit="stretch") == bare  # it has no image that was fitted otherwise
    stretched = root.build(static_fit="stretch")
    assert len({padded, bare, stretched}) == 3
    assert root.open(static_fit="stretch", key=bare) == bare
    for fit, key in (("pad", padded), ("stretch", stretched)):
        assert root.open(static_fit=fit) == root.open(static_fit=fit, key=key) == key
    assert root.notes == []
    assert root.open() == padded
    assert "static.fit stretch (card: pad)" in root.notes[0]
    with pytest.raises(UsageError, match="has static_fit = stretch, but the recipe asks") as caught:
        root.open(static_fit="pad", key=stretched)
    wanted = re.search(r"--set static_fit=(\w+)$", str(caught.value))
    assert wanted is not None
    assert root.open(static_fit=wanted[1], key=stretched) == stretched
    assert root.open(static_fit="pad") == padded


def test_caches_of_other_raw_files_are_left_to_the_user(root: Root, tmp_path: Path) -> None:
    write_simulated_digits(tmp_path / "more", seed=2, recordings=40)
    keys = {root.build(), root.build(tmp_path / "more")}
    with pytest.raises(UsageError, match="2 caches of the card's options, which differ in") as e:
        root.open()
    assert re.findall(r"\d+ recordings", str(e.value)) in (
        ["30 recordings", "40 recordings"],
        ["40 recordings", "30 recordings"],
    )
    assert {root.follow(advice) for _, advice in ADVICE.findall(str(e.value))} == keys


def test_what_no_model_takes_is_not_implied(root: Root) -> None:
    merged = root.build(polarity="merged", steps=3)
    with pytest.raises(UsageError, match=r"the models take two; .* --polarity split"):
        root.open()
    key = root.build(polarity="split", steps=3)
    assert root.open() == key
    assert f"there is also {merged}: polarity merged" in root.notes[-1]
    assert "which no model takes" in root.notes[-1]
    assert not ADVICE.findall(root.notes[-1])


def test_a_damaged_cache_is_not_taken_and_named(root: Root) -> None:
    damaged, whole = root.build(), root.build(steps=4)
    index = root.cache / CARD.name / damaged / "index.h5"
    index.chmod(0o644)
    index.write_bytes(b"damaged")
    assert root.open() == whole
    assert root.notes[-1].endswith(f"; there is also {damaged}: damaged")
    shutil.rmtree(root.cache / CARD.name / whole)
    with pytest.raises(SnntxError, match=rf"sealed there: {damaged}: damaged\); make it with: "):
        root.open()


def test_train_takes_the_only_cache_and_says_so(
    root: Root, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_simulated_digits(tmp_path / "enough", seed=1, recordings=80)
    key = root.build(tmp_path / "enough", steps=4, size=32)
    words = ["train", CARD.name, "--cache", str(root.cache), "--out", str(tmp_path / "run")]
    few = ["epochs=1", "width=0.25", "batch_size=8", "draws_per_epoch=8", "tensorboard=false"]
    assert run([*words, *(word for each in few for word in ("--set", each))]) == 0
    assert f"took the only one, {key}: size 32 x 32" in capsys.readouterr().err
    assert run(["evaluate", str(tmp_path / "run"), "--cache", str(root.cache)]) == 0
