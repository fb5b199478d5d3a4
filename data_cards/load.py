"""A card by its name, its path or its place: found, parsed and checked."""

from __future__ import annotations

from pathlib import Path

from ..declared.tables import from_table
from ..declared.texts import parsed_toml
from ..errors import SnntxError, UsageError, shell_word
from .checks import check_card
from .door import CARDS, read_source
from .schema import Card

TONIC = "tonic:"
"""Starts the name of a card that stands for a data set of the package tonic."""


KEPT = "cards"
"""Folder below the root of all caches of the users' own cards, each kept from its first use."""


def is_path(name: str) -> bool:
    """Say whether a card is named by its file."""
    return name.endswith(".toml") or "/" in name


def kept_card_path(name: str, cache: Path) -> Path:
    """Return where a user's own card is kept below the root of caches."""
    return cache / KEPT / f"{name}.toml"


def kept_names(cache: Path) -> list[str]:
    """Return the names of the users' own cards that are kept, sorted."""
    found = (path.stem for path in (cache / KEPT).glob("*.toml") if not path.name.startswith("."))
    return sorted({*found} - {*card_names()})


def card_names() -> list[str]:
    """Return the names of all cards, sorted: shipped, registered here or installed."""
    return sorted(name for name in CARDS.names() if ":" not in name)


def tonic_card_path(name: str, cache: Path) -> Path:
    """Return where the card of tonic's data set ``name`` is kept below the root of caches."""
    return cache / f"tonic-{name.lower()}" / "card.toml"


def load_card(name: str, cache: Path | None = None) -> Card:
    """Load a card by name, by the path of a TOML file, by its place, or as ``tonic:NAME``.

    Args:
        name: which card: a name of :func:`card_names`, a path that ends with ``.toml`` or has
            a ``/``, ``package.module:NAME``, or ``tonic:NAME``.
        cache: root of all caches; ``preprocess`` leaves the card of ``tonic:NAME`` there, and
            copies of users' own ones, which are found by name.

    Raises:
        UsageError: no such card or file, not TOML, or not of the schema.
        SnntxError: no cache of ``tonic:NAME`` was made.
    """
    if name.startswith(TONIC):
        return _tonic_card(name, cache)
    if is_path(name):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"{path}: no such card file")
        return parse_card(path.read_bytes(), str(path))
    kept = kept_names(cache) if cache is not None and not CARDS.knows(name) else []
    if cache is not None and name in kept:
        text, where = read_source(kept_card_path(name, cache), name)
    elif kept:
        raise CARDS.unknown(name, also=kept)
    else:
        text, where = read_source(CARDS.get(name), name)
    card = parse_card(text, where)
    if ":" not in name and card.name != name:
        raise UsageError(f"{where}: name = '{card.name}', but it is offered as '{name}'; use one")
    return card


def _tonic_card(name: str, cache: Path | None) -> Card:
    dataset = name.removeprefix(TONIC)
    known = dataset.isidentifier() and cache is not None
    path = tonic_card_path(dataset, cache) if known and cache else None
    if path is None or not path.is_file():
        raise SnntxError(
            f"card {name}: no cache of it here ({path or 'a tonic data set'}); make one with: "
            f"snntx preprocess {shell_word(name)} --raw DIR"
            + (f" --cache {shell_word(cache)}" if cache else "")
        )
    return parse_card(path.read_bytes(), str(path))


def parse_card(text: bytes, where: str) -> Card:
    """Parse and validate a card; ``where`` names it in errors.

    Raises:
        UsageError: not TOML, or not of the schema.
    """
    try:
        table = parsed_toml(text)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    card = from_table(Card, table, where)
    check_card(card, where)
    return card
