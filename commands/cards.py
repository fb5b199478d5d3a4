"""``snntx cards``: the data sets that are known, and the caches made of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import SnntxError
from .options import cache_option, cache_root, json_option, print_json, say
from .words.completion import cards as completed
from .words.misplaced import Worded

if TYPE_CHECKING:
    from ..data_cards.schema import Card
    from ..preprocess.upkeep.stored import Stored


@click.command(cls=Worded)
@click.argument("name", required=False, shell_complete=completed)
@cache_option
@json_option
def cards(name: str | None, cache: Path | None, as_json: bool) -> None:
    """List the data cards, your own that were used too, and their caches, or explain one."""
    from ..data_cards import card_names, load_card
    from ..data_cards.load import kept_names
    from .terminal.cache import print_stored, states_text
    from .terminal.text import print_card, print_cards

    root = cache_root(cache)
    loaded = [load_card(known, root) for known in ([name] if name else card_names())]
    for own in () if name else kept_names(root):
        try:
            loaded.append(load_card(own, root))
        except SnntxError as error:  # of a copy that somebody changed
            say(f"passed over {error}")
    stored = {card.name: _stored(root, card) for card in loaded}
    if as_json:
        found = [
            {**dataclasses.asdict(card), "caches": [vars(each) for each in stored[card.name]]}
            for card in loaded
        ]
        print_json(found[0] if name else found)
    elif name:
        print_card(loaded[0])
        click.echo()
        print_stored(root, stored[loaded[0].name])
    else:
        print_cards(loaded, [states_text(stored[card.name]) for card in loaded])


def _stored(root: Path, card: Card) -> list[Stored]:
    """Return a card's caches; where it has no folder, without loading what reads them."""
    if not (root / card.name).is_dir():
        return []
    from ..preprocess.upkeep.stored import stored_in

    return stored_in(root, card.name, card)
