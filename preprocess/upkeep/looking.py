"""Which cache of a card is looked at where none is named: that of the card's own options.

What only looks may take one of several, and says which; what checks or removes has to be told, see
:func:`.stored.choose`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...data_cards.schema import Card
from ...data_cards.vocabulary import Kind
from .stored import Stored, choose, stored_in, told

_KIND = "kind "
"""Begins what differs where a cache is of another kind than its card's."""


def choose_to_look(
    root: Path,
    name: str,
    key: str | None,
    *,
    card: Card | None,
    given: str,
    kind: Kind | None = None,
    on_note: Callable[[str], None],
) -> Stored:
    """Return the cache to look at: of a key, the only one, or that of the card's own options.

    Args:
        root: root of all caches.
        name: the card's name.
        key: of the cache, or the start of it; None for any.
        card: whose options they are.
        given: how the user named the card.
        kind: the kind that shows more of what is wanted; None takes the card's.
        on_note: called with one line where one of several was taken.

    Raises:
        SnntxError: there is none.
        UsageError: there are several, none or more of the card's own options; or none of that key.
    """
    found = [each for each in stored_in(root, name, card) if each.state == "sealed"]
    if key is None and card is not None and len(found) > 1:
        wanted = kind or card.framing.kind
        alike = [each for each in found if each.kind == wanted] or found
        own = [each for each in alike if each.differs is not None and _is_own(each.differs)]
        if len(own) == 1:
            others = [each for each in found if each is not own[0]]
            on_note(f"{root / name}: took {own[0].name}; there is also {told(others)}")
            return own[0]
    return choose(root, name, key, card=card, given=given)


def _is_own(differs: tuple[str, ...]) -> bool:
    return all(each.startswith(_KIND) for each in differs)
