"""Which run ``snntx train`` means: card, cache, recipe and directory of a new one or an old one.

A new run is what the command says. A run that is gone on with knows all of it itself: what the
command names besides has to be what the run has, but for more epochs; what it leaves out is the
run's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data_cards import card_names, load_card
from ..data_cards.schema import Card
from ..errors import SnntxError, UsageError, shell_word
from ..preprocess.cache.contents import SealedCache
from ..preprocess.cache.opening import open_cache, sealed_caches
from ..preprocess.planning.own_card import used_card
from ..train.checkpoints.account import read_account
from ..train.checkpoints.names import LAST, RECIPE
from ..train.checkpoints.run_directory import same_run
from ..train.checkpoints.started import Started, read_started
from ..train.checkpoints.state import load_checkpoint
from ..train.recipe.departures import departures
from ..train.recipe.differences import differences, told
from ..train.recipe.layout import own_names
from ..train.recipe.sources import laid_over, load_recipe, parse_settings
from ..train.recipe.whole import Recipe
from ..train.run.account import base_of
from ..train.study.results import read_recipe
from .run_names import default_out
from .terminal.training import recipe_lines
from .words.places import run_at

Note = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What a command says.

    Attributes:
        card: a card, or with ``resume`` a run directory.
        cache: root of all caches.
        cache_named: whether the command itself names that.
        key: of the cache; None for any.
        recipe: name or file; None where the command names none.
        settings: overrides, each ``key=value``.
        out: the run directory; None where the command names none.
        resume: whether to go on where there is a run.
    """

    card: str
    cache: Path
    cache_named: bool
    key: str | None
    recipe: str | None
    settings: Sequence[str]
    out: Path | None
    resume: bool


@dataclass(frozen=True)
class Wanted:
    """A run to train, and how its card was named."""

    card: Card
    given: str
    frames: SealedCache
    recipe: Recipe
    out: Path


def wanted_run(asked: Asked, note: Note) -> Wanted:
    """Return the run that a command means.

    Args:
        asked: what it says.
        note: told in one line what a user should know of it.

    Raises:
        UsageError: an unknown name or value, or one that is not the run's.
        SnntxError: there is no such cache, or a file of the run is damaged.
    """
    run = _run_at(asked.card)
    if asked.resume and _is_run(run):
        if asked.out is not None and asked.out.resolve() != run.resolve():
            raise UsageError(f"{run}: is the run directory itself; leave out --out {asked.out}")
        return _known(run, None, asked, note)
    if asked.resume and len(run.parts) > 1 and not run.is_file() and run.suffix != ".toml":
        raise UsageError(
            f"{run}: holds no run of snntx train; start one there with: snntx train CARD --out "
            f"{shell_word(run)}"
        )
    if asked.resume and asked.out is not None and (asked.out / LAST).is_file():
        return _known(asked.out, asked.card, asked, note)
    card = used_card(asked.card, asked.cache, note)
    name = asked.recipe or "default"
    recipe = load_recipe(card, name, asked.settings, on_note=note)
    frames = open_cache(
        asked.cache,
        card,
        steps=recipe.data.steps,
        size=recipe.data.size,
        key=asked.key,
        static_fit=recipe.data.static_fit,
        downsample=recipe.data.downsample,
        of_events=recipe.data.of_events,
        given=asked.card,
        on_note=note,
    )
    out = asked.out or default_out(card, name, recipe, asked.settings, frames)
    if asked.resume and (out / LAST).is_file():
        return _known(out, asked.card, asked, note)
    if asked.resume:
        note(f"{out}: nothing to go on from yet, so it starts")
    return Wanted(card, asked.card, frames, recipe, out)


def recipe_told(wanted: Wanted, name: str | None, settings: Sequence[str]) -> list[str]:
    """Return in lines which recipe a run has, and where it departs from the card's.

    Args:
        wanted: the run.
        name: the recipe that the command names; None where it names none.
        settings: overrides that the command has.

    Raises:
        SnntxError: the account of a run that is gone on with is damaged.
    """
    card = wanted.card
    before = read_account(wanted.out) if (wanted.out / LAST).is_file() else None
    named = name or (before or {}).get("recipe") or "default"
    base = base_of(card, named)
    try:
        found = departures(card, base, wanted.recipe, settings)
    except UsageError:
        found = None
    return recipe_lines(f"{base} of card {card.name}", "" if base == named else named, found)


def _run_at(word: str) -> Path:
    """Return the run directory that a word names; of a card's name, what lies here is meant."""
    named = Path(word) if word in card_names() else run_at(word)
    return named if _is_run(named) else Path(word)


def _is_run(path: Path) -> bool:
    return (path / LAST).is_file() or (path / RECIPE).is_file()


def _known(run: Path, given: str | None, asked: Asked, note: Note) -> Wanted:
    """Return a run that there is, ``given`` being the card if the command names it."""
    started = read_started(run)
    if not (run / LAST).is_file():
        return _not_begun(run, started, asked, note)
    previous = load_checkpoint(run / LAST)
    root = _root(asked, started, previous.card, previous.cache_key)
    named = given or (previous.card if started is None else started.given)
    card = _card(run, named, root) if given is None else load_card(named, root)
    if card.name != previous.card:
        raise UsageError(
            f"{run}: was trained on card {previous.card}, not {card.name}; go on with: snntx train "
            f"--resume {shell_word(run)}, or choose another --out"
        )
    over = laid_over(previous.recipe, card, asked.recipe, asked.settings)
    more = "epochs" in own_names(parse_settings(asked.settings))
    recipe = same_run(run, previous.recipe, over, more=more)
    if given is not None:
        _note_own(run, recipe, card, asked, note)
    frames = _frames(run, root, card, previous.cache_key, asked, note)
    return Wanted(card, named, frames, recipe, run)


def _not_begun(run: Path, started: Started | None, asked: Asked, note: Note) -> Wanted:
    """Return a run that ended before its first checkpoint; it starts again."""
    held = read_recipe(run)
    if started is None or held is None:
        raise UsageError(
            f"{run}: ended before its first checkpoint, and does not say which card it is of; name "
            f"it: snntx train CARD --recipe {shell_word(run / RECIPE)} --out {shell_word(run)}"
        )
    root = _root(asked, started, started.card, started.key)
    card = _card(run, started.given, root)
    recipe = laid_over(held, card, asked.recipe, asked.settings)
    note(f"{run}: nothing to go on from yet, so it starts")
    frames = _frames(run, root, card, started.key, asked, note)
    return Wanted(card, started.given, frames, recipe, run)


def _root(asked: Asked, started: Started | None, card: str, key: str) -> Path:
    """Return the root of caches that the command names, or the one that has the run's cache."""
    if not asked.cache_named and started is not None:
        kept = Path(started.cache)
        if any(each.name == key for each in sealed_caches(kept, card)):
            return kept
    return asked.cache


def _card(run: Path, named: str, root: Path) -> Card:
    """Return the card that a run names itself."""
    try:
        return load_card(named, root)
    except SnntxError as error:
        raise UsageError(
            f"{run}: its card cannot be read: {error}; name the card: snntx train CARD --out "
            f"{shell_word(run)} --resume"
        ) from error


def _frames(run: Path, root: Path, card: Card, key: str, asked: Asked, note: Note) -> SealedCache:
    """Return the run's cache, or the one that the command names by its key."""
    there = any(each.name == key for each in sealed_caches(root, card.name))
    if asked.key is None and not there:
        raise UsageError(
            f"{run}: was trained on cache {key}, which is not in {root / card.name}; name its root "
            "with --cache, or make it again with snntx preprocess"
        )
    return open_cache(root, card, steps=None, size=None, key=asked.key or key, on_note=note)


def _note_own(run: Path, recipe: Recipe, card: Card, asked: Asked, note: Note) -> None:
    """Say which of a run's settings are not those of a command that leaves them out."""
    try:
        whole = load_recipe(card, asked.recipe or "default", asked.settings)
    except UsageError:  # only whole with settings that the command leaves out
        return
    found = differences(recipe, whole)
    if found:
        note(f"{run}: goes on with its own settings: {told(found, 'the command')}")
