"""Which sealed cache a run uses: by card, steps and size, by key, or the one that is implied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...data_cards import load_card
from ...data_cards.schema import Card
from ...errors import SnntxError, UsageError, nearest, shell_word
from ..framing.options import FrameOptions
from .candidates import Candidate, candidates_of, implied, listed, newest, sealed_caches
from .contents import SealedCache, kind_of
from .frame_cache import FrameCache
from .roots import user_root
from .seal import read_seal

__all__ = ["open_by_key", "open_cache", "opened", "sealed_caches"]


def opened(directory: Path | str) -> SealedCache:
    """Open a sealed cache of either kind.

    Raises:
        SnntxError: the directory is not a whole cache of a format version that is read here.
    """
    directory = Path(directory)
    if kind_of(read_seal(directory).version) == "frames":
        return FrameCache(directory)
    from .events.event_cache import EventCache  # with the compiler of its frames

    return EventCache(directory)


def open_cache(
    root: Path | str | None,
    card: Card | str,
    *,
    steps: int | None = None,
    size: int | None = None,
    key: str | None = None,
    static_fit: str | None = None,
    given: str | None = None,
    by_setting: bool = True,
    downsample: int | None = None,
    of_events: Sequence[str] = (),
    on_note: Callable[[str], None] = lambda note: None,
) -> SealedCache:
    """Open the sealed cache of a card that is wanted.

    With neither steps, size, static_fit nor key it is the one of the card's own options, or the
    only one there is; ``on_note`` is told where that was a choice. An event cache has frames of
    any steps and size; where there are both kinds, the card's own is taken.

    Args:
        root: root of all caches; None for ``SNNTX_CACHE``, or the user's cache folder.
        card: the dataset, or how :func:`~snntx.data_cards.load_card` finds it.
        steps: frames per recording, None for the card's default.
        size: side of the frames, None for the card's default.
        key: choose by key (or the start of one) instead.
        static_fit: how static images were fitted to the frames, None for any way; a cache
            without static images will do for each.
        given: how the user named the card, where that was the path of a file.
        by_setting: the command takes steps and size by ``--set``.
        downsample: side of the square of pixels that an event cache counts as one; None for any.
        of_events: settings, as text, that need an event cache.
        on_note: called with one line about a cache that nobody named.

    Raises:
        SnntxError: no such cache (says how to make it), or it is damaged.
        UsageError: several such caches and no key, or an unknown key or card.
    """
    root = user_root() if root is None else Path(root)
    if isinstance(card, str):
        given, card = given or card, load_card(card, root)
    home = root / card.name
    found = candidates_of(root, card)
    if key is not None:
        words = {each.key: f"{each.key}: {each.words}" for each in found}
        chosen_key = _by_key(home, words, key)
        named = next(each for each in found if each.key == chosen_key)
        cache = opened(named.directory)
        _check_fit(named, static_fit)
        return _two_channels(_asked_of(cache, steps, size))
    given_options = {"steps": steps, "size": size, "downsample": downsample}
    wanted = FrameOptions.from_card(card, **given_options).frame_shape
    asked = any(each is not None for each in (*given_options.values(), static_fit))
    events = [each for each in found if each.kind == "events" and each.shape is not None]
    frames = [] if of_events else [each for each in found if each.kind == "frames"]
    shaped_so = [each for each in frames if each.shape == wanted]
    if asked:
        sized = _nearest(_fitted(events, static_fit), wanted)
        chosen = _of_kind(card, newest(_fitted(shaped_so, static_fit)), sized)
    else:
        chosen = implied(events if of_events else found, card)
    shaped = "events" if of_events else f"frames {wanted}"
    shaped += f" and static_fit = {static_fit}" if static_fit else ""

    def told(some: Sequence[Candidate]) -> str:
        return listed(some, found, card, by_setting=by_setting)

    if len(chosen) > 1:
        what = f"{len(chosen)} caches have {shaped}" if asked else f"{len(chosen)} caches"
        if not asked and not chosen[0].differs:
            what += " of the card's options, which differ in their raw files"
        raise UsageError(f"{home}: {what}; choose one: {told(chosen)}")
    if not chosen:
        name, static = shell_word(given or card.name), " --static DIR" if card.static else ""
        kind = "events" if of_events else card.framing.kind
        options = "" if kind == card.framing.kind else f" --as {kind}"
        options += f" --steps {steps}" if steps and kind == "frames" else ""
        options += f" --size {size}" if size else ""
        options += f" --downsample {downsample}" if downsample else ""
        options += f" --static-fit {static_fit}" if static_fit and card.static else ""
        command = f"snntx preprocess {name} --raw DIR{static} --cache {shell_word(root)}{options}"
        needed = f", which {', '.join(of_events)} needs" if of_events else ""
        raise SnntxError(
            f"{home}: no sealed cache with {shaped}{needed} "
            f"(sealed there: {told(found) or 'none'}); make it with: {command}"
        )
    (one,) = chosen
    others = [each for each in found if each is not one]
    if not asked and (others or one.differs):
        which = f"the only one, {one.key}" if not others else one.key
        note = f"{home}: took {which}: {one.words}"
        on_note(note + (f"; there is also {told(others)}" if others else ""))
    return _two_channels(_asked_of(opened(one.directory), steps, size))


def _of_kind(card: Card, *kinds: list[Candidate]) -> list[Candidate]:
    """Return the caches of the card's own kind, or else of the other."""
    found = sorted(kinds, key=lambda some: any(each.kind != card.framing.kind for each in some))
    return next(filter(None, found), [])


def _nearest(found: Sequence[Candidate], wanted: tuple[int, ...]) -> list[Candidate]:
    """Return the event caches whose static images have the wanted size, nearest to the card's own.

    Where none has, all of them are taken.
    """
    sized = [each for each in found if each.shape is not None and each.shape[2:] == wanted[2:]]
    least = min((len(each.differs) for each in sized or found), default=0)
    return [each for each in sized or found if len(each.differs) == least]


def open_by_key(root: Path, name: str, key: str) -> SealedCache:
    """Open the sealed cache of a card's name whose key is given, or starts so.

    Raises:
        SnntxError: it is damaged.
        UsageError: there is none, or several.
    """
    keys = [directory.name for directory in sealed_caches(root, name)]
    return opened(root / name / _by_key(root / name, dict(zip(keys, keys, strict=True)), key))


def _by_key(home: Path, found: Mapping[str, str], key: str) -> str:
    """Return the only key that starts so, of keys with what to say of each."""
    chosen = [each for each in found if each.startswith(key)]
    if len(chosen) == 1:
        return chosen[0]
    problem = "several caches have key" if chosen else "no cache has key"
    there = "; ".join(found.values()) or "none"
    raise UsageError(f"{home}: {problem} '{key}'{nearest(key, found)} (sealed: {there})")


def _fitted(found: Sequence[Candidate], fit: str | None) -> list[Candidate]:
    """Return the caches whose images were fitted so; or else those without images."""
    alike = [each for each in found if fit in (None, each.static_fit)]
    return alike or [each for each in found if each.static_fit is None]


def _two_channels(cache: SealedCache) -> SealedCache:
    """Refuse frames that the models cannot take."""
    if cache.frame_shape[1] != 2:
        raise UsageError(
            f"{cache.directory}: has one channel (polarity = merged), but the models take two; "
            "run snntx preprocess with --polarity split"
        )
    return cache


def _asked_of(cache: SealedCache, steps: int | None, size: int | None) -> SealedCache:
    """Return a cache with the steps and size that are asked for.

    Raises:
        UsageError: its frames have others, as a frame cache chosen by key may have.
    """
    if cache.kind == "events":
        return cache.framed(cache.options.changed(steps=steps, size=size))
    found_steps, _, *sides = cache.frame_shape
    if steps not in (None, found_steps) or (size is not None and sides != [size, size]):
        raise UsageError(
            f"{cache.directory}: has frames {cache.frame_shape}, but the recipe asks for "
            f"steps = {steps or 'any'} and size = {size or 'any'}; leave out --key or the setting"
        )
    return cache


def _check_fit(named: Candidate, fit: str | None) -> None:
    """Refuse a cache chosen by key whose static images were fitted otherwise than is asked for."""
    if fit is not None and named.static_fit not in (None, fit):
        raise UsageError(
            f"{named.directory}: has static_fit = {named.static_fit}, but the recipe asks for "
            f"static_fit = {fit}; leave out --key, or give --set static_fit={named.static_fit}"
        )
