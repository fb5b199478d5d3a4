"""Data cards: everything that differs between datasets, one TOML file each.

:func:`load_card` takes a name, the path of a user's own card or the place of one in a package,
and returns a validated :class:`~snntx.data_cards.schema.Card`.
"""

from __future__ import annotations

from .checks import check_card
from .door import CARDS
from .load import TONIC, card_names, load_card, parse_card, tonic_card_path
from .templates import pattern_fields

__all__ = [
    "CARDS",
    "TONIC",
    "card_names",
    "check_card",
    "load_card",
    "parse_card",
    "pattern_fields",
    "tonic_card_path",
]
