"""Data cards: everything that differs between datasets, one TOML file each.

:func:`load_card` takes a shipped name or the path of a user's own card and returns a
validated :class:`~snntx.data_cards.schema.Card`.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

from ..errors import UsageError, nearest
from .schema import Card
from .tables import from_table

STATIC_LAYOUTS = ("images", "mnist")
FITS = ("stretch", "pad")
SPLIT_RULES = ("hash", "leading", "field")
_FIELD = re.compile(r"{([A-Za-z_]\w*)}", re.ASCII)


def card_names() -> list[str]:
    """Return the names of the shipped cards, sorted."""
    files = resources.files(__package__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def pattern_fields(pattern: str) -> list[str]:
    """Return the names of a pattern's fields, in order."""
    return _FIELD.findall(pattern)


def load_card(name: str) -> Card:
    """Load a card by shipped name or by the path of a TOML file.

    Raises:
        UsageError: no such card or file, not TOML, or not of the schema.
    """
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"{path}: no such card file")
        return parse_card(path.read_bytes(), str(path))
    if name not in card_names():
        raise UsageError(
            f"unknown card '{name}'{nearest(name, card_names())} "
            f"(shipped: {', '.join(card_names())}; or give the path of a .toml file)"
        )
    source = resources.files(__package__) / f"{name}.toml"
    return parse_card(source.read_bytes(), f"{name}.toml")


def parse_card(text: bytes, where: str) -> Card:
    """Parse and validate a card; ``where`` names it in errors.

    Raises:
        UsageError: not TOML, or not of the schema.
    """
    try:
        table = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from error
    card = from_table(Card, table, where)
    _check(card, where)
    return card


def _one_of(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise UsageError(f"{where} = '{value}'{nearest(value, known)} (known: {', '.join(known)})")


def _check_braces(pattern: str, where: str) -> None:
    """Every brace belongs to a field, and no path component names a field twice."""
    for part in pattern.split("/"):
        names = pattern_fields(part)
        if re.search(r"[{}]", _FIELD.sub("", part)) or len(set(names)) < len(names):
            raise UsageError(
                f"{where}: cannot read '{pattern}'; write fields as {{name}}, "
                "each at most once between two slashes"
            )


def _check(card: Card, where: str) -> None:
    """Check what types alone cannot say."""
    from ..preprocess.options import TAILS
    from ..preprocess.readers import FORMATS

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", card.name):
        raise UsageError(f"{where}: name = '{card.name}' may hold a-z, 0-9, '.', '_' and '-' only")
    _one_of(card.events.format, tuple(FORMATS), f"{where}: [events] format")
    _one_of(card.framing.tail, TAILS, f"{where}: [framing] tail")
    _check_braces(card.events.pattern, f"{where}: [events]")
    fields = pattern_fields(card.events.pattern)
    if "class" not in fields:
        raise UsageError(
            f"{where}: [events] pattern = '{card.events.pattern}' has no {{class}} field"
        )
    if card.framing.size is None and card.events.sensor is None:
        raise UsageError(f"{where}: [framing] needs a size, since [events] gives no fixed sensor")
    if card.framing.steps < 1 or (card.framing.size is not None and card.framing.size < 1):
        raise UsageError(f"{where}: [framing] steps and size must be at least 1")
    if card.events.sensor is not None and min(card.events.sensor) < 1:
        raise UsageError(f"{where}: [events] sensor must be positive [height, width]")
    if card.static is not None:
        _one_of(card.static.layout, STATIC_LAYOUTS, f"{where}: [static] layout")
        _one_of(card.static.fit, FITS, f"{where}: [static] fit")
        for pattern in (card.static.pattern, card.static.twin):
            _check_braces(pattern, f"{where}: [static]")
        for name in pattern_fields(card.static.twin):
            _one_of(name, tuple(fields), f"{where}: [static] twin uses field")
        if card.static.layout == "images" and "class" not in pattern_fields(card.static.pattern):
            raise UsageError(
                f"{where}: [static] pattern = '{card.static.pattern}' has no {{class}} field"
            )
    for protocol in ("holdout",):
        if protocol not in card.splits:
            raise UsageError(f"{where}: [splits.{protocol}] is missing; it is required")
    for protocol, split in card.splits.items():
        place = f"{where}: [splits.{protocol}]"
        _one_of(split.rule, SPLIT_RULES, f"{place} rule")
        if split.rule == "field":
            _one_of(split.field, tuple(fields), f"{place} field")
        shares = (split.validation, split.test, split.train)
        whole = min(shares) >= 0 and split.validation + split.test < 1 and split.train <= 1
        if not whole or (split.rule == "leading" and split.train == 0):
            raise UsageError(f"{place} shares must be at least 0 and leave a part to train on")
    if card.events.sensor is not None and card.events.limit is not None:
        raise UsageError(f"{where}: [events] gives sensor and limit; a fixed sensor needs no limit")
    if len(set(card.classes)) != len(card.classes):
        raise UsageError(f"{where}: classes holds a name twice")
    if "default" not in card.recipes:
        raise UsageError(f"{where}: [recipes.default] is missing; it is required")
