"""Which sealed cache a run uses: by card, steps and size, by key, or the one that is implied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ...data_cards.schema import Card
from ...errors import SnntxError, UsageError, nearest, shell_word
from ..framing.options import FrameOptions
from .candidates import Candidate, candidates_of, implied, listed, newest, sealed_caches
from .frame_cache import FrameCache

__all__ = ["open_cache", "sealed_caches"]


def open_cache(
    root: Path,
    card: Card,
    *,
    steps: int | None,
    size: int | None,
    key: str | None,
    given: str | None = None,
    by_setting: bool = True,
    on_note: Callable[[str], None] = lambda note: None,
) -> FrameCache:
    """Open the sealed cache of a card that is wanted.

    With neither steps, size nor key it is the one of the card's own options, or the only one
    there is; ``on_note`` is told where that was a choice.

    Args:
        root: root of all caches.
        card: the dataset.
        steps: frames per recording, None for the card's default.
        size: side of the frames, None for the card's default.
        key: choose by key (or the start of one) instead.
        given: how the user named the card, where that was the path of a file.
        by_setting: the command takes steps and size by ``--set``.
        on_note: called with one line about a cache that nobody named.

    Raises:
        SnntxError: no such cache (says how to make it), or it is damaged.
        UsageError: several such caches and no key, or an unknown key.
    """
    home = root / card.name
    found = candidates_of(root, card)
    if key is not None:
        cache = FrameCache(_by_key(home, found, key).directory)
        _check_asked(cache, steps, size)
        return _two_channels(cache)
    wanted = FrameOptions.from_card(card, steps=steps, size=size).frame_shape
    asked = steps is not None or size is not None
    fitting = newest([each for each in found if each.shape == wanted])
    chosen = fitting if asked else implied(found, card)

    def told(some: Sequence[Candidate]) -> str:
        return listed(some, found, card, by_setting=by_setting)

    if len(chosen) > 1:
        what = f"{len(chosen)} caches have frames {wanted}" if asked else f"{len(chosen)} caches"
        if not asked and not chosen[0].differs:
            what += " of the card's options, which differ in their raw files"
        raise UsageError(f"{home}: {what}; choose one: {told(chosen)}")
    if not chosen:
        name, static = shell_word(given or card.name), " --static DIR" if card.static else ""
        options = (f" --steps {steps}" if steps else "") + (f" --size {size}" if size else "")
        command = f"snntx preprocess {name} --raw DIR{static} --cache {shell_word(root)}{options}"
        raise SnntxError(
            f"{home}: no sealed cache with frames {wanted} "
            f"(sealed there: {told(found) or 'none'}); make it with: {command}"
        )
    (one,) = chosen
    others = [each for each in found if each is not one]
    if not asked and (others or one.differs):
        which = f"the only one, {one.key}" if not others else one.key
        note = f"{home}: took {which}: {one.words}"
        on_note(note + (f"; there is also {told(others)}" if others else ""))
    return _two_channels(FrameCache(one.directory))


def _by_key(home: Path, found: Sequence[Candidate], key: str) -> Candidate:
    """Return the only cache whose key starts so."""
    chosen = [each for each in found if each.key.startswith(key)]
    if len(chosen) == 1:
        return chosen[0]
    problem = "several caches have key" if chosen else "no cache has key"
    there = "; ".join(f"{each.key}: {each.words}" for each in found) or "none"
    near = nearest(key, [each.key for each in found])
    raise UsageError(f"{home}: {problem} '{key}'{near} (sealed: {there})")


def _two_channels(cache: FrameCache) -> FrameCache:
    """Refuse frames that the models cannot take."""
    if cache.frame_shape[1] != 2:
        raise UsageError(
            f"{cache.directory}: has one channel (polarity = merged), but the models take two; "
            "run snntx preprocess with --polarity split"
        )
    return cache


def _check_asked(cache: FrameCache, steps: int | None, size: int | None) -> None:
    """Refuse a cache chosen by key that contradicts the recipe's steps or size."""
    found_steps, _, *sides = cache.frame_shape
    if steps not in (None, found_steps) or (size is not None and sides != [size, size]):
        raise UsageError(
            f"{cache.directory}: has frames {cache.frame_shape}, but the recipe asks for "
            f"steps = {steps or 'any'} and size = {size or 'any'}; leave out --key or the setting"
        )
