"""Which sealed cache is opened, and what it says of the options it was made with."""

from pathlib import Path

import pytest

from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache, sealed_caches
from snntx.preprocess.framing.options import FrameOptions

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
