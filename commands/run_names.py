"""The run directory that a training takes where none is named.

It is ``runs/CARD-RECIPE-SETTINGS-seedN``, where SETTINGS are those that differ from the recipe's,
shortened; a number follows where another run, or something else, is there already.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from ..data_cards.schema import Card
from ..errors import SnntxError
from ..preprocess.cache.contents import SealedCache
from ..preprocess.disk.locks import Lock
from ..train.checkpoints.free import check_free
from ..train.checkpoints.names import LAST, LOCK
from ..train.checkpoints.origin import read_origin
from ..train.recipe.departures import departures
from ..train.recipe.differences import differences
from ..train.recipe.whole import Recipe
from ..train.study.results import read_recipe
from ..train.study.sweep import setting_words
from .words.places import ROOT

LONGEST, DIGITS = 80, 6
"""Letters that the settings may take, and digits of their digest where they take more."""


def default_out(
    card: Card, name: str, recipe: Recipe, settings: Sequence[str], cache: SealedCache
) -> Path:
    """Return the directory of this very run, or the first of its name that is free.

    Args:
        card: the dataset.
        name: of the recipe, or the path of its file.
        recipe: every setting.
        settings: overrides of the named recipe, each ``key=value``.
        cache: that is trained on.
    """
    stem = run_name(card, name, recipe, settings)
    for number in itertools.count(1):
        out = ROOT / (stem if number == 1 else f"{stem}-{number}")
        if _may_be(out, card, recipe, cache):
            return out
    raise AssertionError("unreachable")


def run_name(card: Card, name: str, recipe: Recipe, settings: Sequence[str]) -> str:
    """Return what a run is called: card, recipe, settings that differ from it, seed."""
    shown = [
        f"{key}={_short(setting_words(value))}" for key, value in _own(card, name, recipe, settings)
    ]
    text = _clean("-".join(shown))
    if len(text) > LONGEST:
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
        text = f"{text[: LONGEST - DIGITS - 1].rstrip('-')}-{digest}"
    parts = [card.name, _clean(Path(name).stem), text, f"seed{recipe.run.seed}"]
    return "-".join(part for part in parts if part)


def _own(
    card: Card, name: str, recipe: Recipe, settings: Sequence[str]
) -> list[tuple[str, object]]:
    """Return name and value of each setting, but for the seed, that the named recipe has not."""
    found = departures(card, name, recipe, settings)
    return [
        (key, value) for key, (_, value) in found.items() if key != "seed" and value is not None
    ]


def _short(text: str) -> str:
    """Return a value; of a path, its last part."""
    return text.rstrip("/").rpartition("/")[2]


def _clean(text: str) -> str:
    return re.sub(r"[^\w.=+-]", "_", text, flags=re.ASCII).lstrip(".-")


def _may_be(out: Path, card: Card, recipe: Recipe, cache: SealedCache) -> bool:
    """Whether a directory is free, or holds this very run, perhaps trained on for more epochs."""
    try:
        if not (out / LAST).is_file():
            check_free(out)
            held = read_recipe(out) if Lock(out / LOCK).is_held() else None
            return held is None or not differences(held, recipe)
        held, origin = read_recipe(out), read_origin(out / LAST)
    except (SnntxError, OSError):
        return False
    same = (origin.card, origin.cache_key) == (card.name, cache.key)
    return same and held is not None and not differences(held, recipe).keys() - {"epochs"}
