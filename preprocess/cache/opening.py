"""Which sealed cache a run uses: by card, steps and size, or by key."""

from __future__ import annotations

from pathlib import Path

import h5py

from ...data_cards.schema import Card
from ...errors import SnntxError, UsageError, nearest
from ..framing.options import FrameOptions
from .format import INDEX, SEALED
from .frame_cache import FrameCache


def sealed_caches(root: Path, card: str) -> list[Path]:
    """Return the sealed caches of a card, sorted by key."""
    seals = (root / card).glob(f"*/{SEALED}")
    return sorted(seal.parent for seal in seals if not seal.parent.name.startswith("."))


def open_cache(
    root: Path,
    card: Card,
    *,
    steps: int | None,
    size: int | None,
    key: str | None,
    given: str | None = None,
) -> FrameCache:
    """Open the sealed cache of a card with the wanted steps and size.

    Args:
        root: root of all caches.
        card: the dataset.
        steps: frames per recording, None for the card's default.
        size: side of the frames, None for the card's default.
        key: choose by key (or the start of one) instead.
        given: how the user named the card, where that was the path of a file.

    Raises:
        SnntxError: no such cache (says how to make it), or it is damaged.
        UsageError: several such caches and no key, or an unknown key.
    """
    found = sealed_caches(root, card.name)
    if key is not None:
        chosen = [path for path in found if path.name.startswith(key)]
        if len(chosen) != 1:
            names = [path.name for path in found]
            problem = "no cache has key" if not chosen else "several caches have key"
            raise UsageError(
                f"{root / card.name}: {problem} '{key}'{nearest(key, names)} "
                f"(sealed: {', '.join(names) or 'none'})"
            )
        cache = FrameCache(chosen[0])
        _check_asked(cache, steps, size)
        return _two_channels(cache)
    wanted = FrameOptions.from_card(card, steps=steps, size=size).frame_shape
    shapes = {path: _frame_shape(path) for path in found}  # a damaged one has none
    chosen = [path for path, shape in shapes.items() if shape == wanted]
    if len(chosen) > 1:
        raise UsageError(
            f"{root / card.name}: {len(chosen)} caches have frames {wanted}; "
            f"choose one with --key: {', '.join(path.name for path in chosen)}"
        )
    if not chosen:
        name, static = given or card.name, " --static DIR" if card.static else ""
        options = (f" --steps {steps}" if steps else "") + (f" --size {size}" if size else "")
        others = ", ".join(f"{p.name} {shape or '(damaged)'}" for p, shape in shapes.items())
        command = f"snntx preprocess {name} --raw DIR{static} --cache {root}{options}"
        raise SnntxError(
            f"{root / card.name}: no sealed cache with frames {wanted} "
            f"(sealed there: {others or 'none'}); make it with: {command}"
        )
    return _two_channels(FrameCache(chosen[0]))


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


def _frame_shape(directory: Path) -> tuple[int, ...] | None:
    try:
        with h5py.File(directory / INDEX, "r") as file:
            return tuple(int(n) for n in file.attrs["frame_shape"])
    except (OSError, KeyError, RuntimeError, TypeError, ValueError):
        return None
