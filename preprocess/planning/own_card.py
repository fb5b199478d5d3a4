"""A user's own card, read from its file and kept below the root of caches, to be known by name.

In: the path of a card. Out: the card, and a copy of its file at ``<root>/cards/NAME.toml`` whose
first line says where it is from. A name belongs to one file: caches lie below it, and those of
two cards would be taken for each other's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from ...data_cards import card_names, load_card, parse_card
from ...data_cards.load import KEPT, is_path, kept_card_path
from ...data_cards.schema import Card
from ...declared.texts import decoded
from ...errors import UsageError, plain, shell_word
from ..disk.atomic import write_atomic

_HEAD = "# snntx keeps this copy of "
Say = Callable[[str], None]


def own_card(
    given: str, cache: Path, *, builds: bool, check: Callable[[Card], None] = lambda card: None
) -> Card:
    """Return the card that a command names, its name being its own.

    Args:
        given: as :func:`~snntx.data_cards.load_card` takes it.
        cache: root of all caches.
        builds: a cache is going to be built. If not, the card may have the name of a shipped one,
            as it could in release 0.1.
        check: raises where the card does not serve.

    Raises:
        UsageError: no such card, or its name belongs to another; says which line to change.
    """
    card = load_card(given, cache)
    check(card)
    if _is_own(given, card, cache):
        path, kept = Path(given), kept_card_path(card.name, cache)
        text = decoded(path.read_bytes())
        if builds:
            _refuse_shipped(path, text, card, cache)
        _refuse_anothers(path, text, kept)
    return card


def keep_card(given: str, card: Card, cache: Path, say: Say, *, builds: bool) -> None:
    """Keep a user's card, or take up what was changed in its file.

    Args:
        given: how a command named it.
        card: which :func:`own_card` returned.
        cache: root of all caches.
        say: told in one line that it is kept, or cannot be.
        builds: a cache was built. If not, a card that is not kept yet is not either.
    """
    if not _is_own(given, card, cache) or card.name in card_names():
        return
    path, kept = Path(given), kept_card_path(card.name, cache)
    text, held = decoded(path.read_bytes()), _held(kept)
    if (held is None and not builds) or (held is not None and held[1] == text):
        return
    try:
        write_atomic(kept, f"{_HEAD}{json.dumps(str(path.absolute()))}\n{text}")
    except OSError as error:
        say(f"{kept}: the card cannot be kept: {error.strerror}; go on naming its file")
        return
    if held is None:
        say(f"card {card.name} is kept: from now on its name will do, as in snntx train")


def used_card(given: str, cache: Path, say: Say) -> Card:
    """Return the card that a command names whose caches there are; see :func:`own_card`."""
    card = own_card(given, cache, builds=False)
    keep_card(given, card, cache, say, builds=False)
    return card


def _is_own(given: str, card: Card, cache: Path) -> bool:
    """Say whether a card is named by a user's own file, and not by the copy of it."""
    kept = kept_card_path(card.name, cache)
    return is_path(given) and Path(given).resolve() != kept.resolve()


def _held(kept: Path) -> tuple[str | None, str] | None:
    """Return where a copy says that it is from, and its text; None where there is no copy."""
    if not kept.is_file():
        return None
    head, _, text = kept.read_text(encoding="utf-8").partition("\n")
    return _origin_of(head), text


def _refuse_anothers(path: Path, text: str, kept: Path) -> None:
    """Refuse the name of a card that is kept from another file."""
    held = _held(kept)
    if held is None or held[1] == text or held[0] == str(path.absolute()):
        return
    where = f" from {plain(held[0])}" if held[0] else ""
    raise UsageError(
        f"{_line_of(path, text)} is the name of another card, kept in {kept}{where}; write another "
        f"name there, or, if that card is not needed, remove it: rm {shell_word(kept)}"
    )


def _refuse_shipped(path: Path, text: str, card: Card, cache: Path) -> None:
    """Refuse a name that shipped cards, cards of tonic's data sets or the copies have."""
    tonic = cache / card.name / "card.toml"
    if card.name == KEPT:
        whose = "the name of the folder that cards are kept in"
    elif card.name in card_names() and load_card(card.name) != card:
        whose = "the name of a shipped card"
    elif tonic.is_file() and parse_card(tonic.read_bytes(), str(tonic)) != card:
        whose = f"the name of the card {tonic}"
    else:
        return
    raise UsageError(
        f'{_line_of(path, text)} is {whose}; write another there, such as name = "my-{card.name}"'
    )


def _line_of(path: Path, text: str) -> str:
    """Return where a card says its name, and what it says there."""
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r"""\s*["']?name["']?\s*=""", line):
            return f"{path}: line {number}, {line.partition('#')[0].strip()},"
    raise AssertionError("a card without a name is not read")


def _origin_of(head: str) -> str | None:
    """Return the path that the first line of a copy names, None where it names none."""
    try:
        return str(json.loads(head.removeprefix(_HEAD))) if head.startswith(_HEAD) else None
    except ValueError:
        return None
