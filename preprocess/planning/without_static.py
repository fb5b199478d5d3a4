"""What to do where ``--static`` is given, and the card describes no static images.

In: the card, and a recording of its data set. Out: an error that says which card knows the
images of the same files, or how to come by a card that does.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...data_cards import CARDS, load_card, tonic_card_path
from ...data_cards.schema import Card
from ...errors import ElsewhereError, UsageError, shell_word
from ..raw.recording import Recording

_MD5 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)


def without_static(card: Card, raw: Path, cache: Path, recording: Recording) -> UsageError:
    """Return the error that a card has no static images.

    Args:
        card: the dataset.
        raw: what was given as ``--raw``.
        cache: root of all caches.
        recording: one of the dataset.
    """
    lacks = f"card {card.name} describes no static images"
    if card.events.format != "tonic":
        return UsageError(f"{lacks}; leave out --static")
    name = card.events.roots[0]
    shipped = shipped_card_of(name)
    if shipped is not None:
        there = raw / name
        return ElsewhereError(
            f"{lacks}, but the shipped card {shipped} reads the same files and knows theirs; give "
            f"{shipped} in its place, and --raw {shell_word(there)}",
            {"CARD": shipped, "--raw": there},
        )
    kept = tonic_card_path(name, cache)
    copied = kept.is_file() and load_card(str(kept)) == card
    own = f"my-{name.lower()}.toml"
    first = (
        f"; copy it, cp {shell_word(kept)} {own}, change its name in line 1, and"
        if copied
        else ("; leave out --static, or")
    )
    return UsageError(
        f'{lacks}{first} add a table [static] to {own if copied else "it"}: layout = "images", '
        'pattern = "{class}/{file}.png" (where the images lie below --static), and twin = "{stem}" '
        f"(the path, without suffix, of the image that a recording was made from; {{stem}} is such "
        f"as {recording.identity})" + (f"; then give {own} in place of tonic:{name}" * copied)
    )


def shipped_card_of(name: str) -> str | None:
    """Return the shipped card of the files that tonic's data set ``name`` is made of, or None.

    They are the same files where they come out of an archive of the same checksum.
    """
    from ..readers.tonic_sets import dataset_class

    values = (v for c in dataset_class(name).__mro__ for v in vars(c).values())
    sums = {v.lower() for v in values if isinstance(v, str) and _MD5.fullmatch(v)}
    for shipped in CARDS.shipped():
        if sums & {each.md5.lower() for each in load_card(shipped).downloads}:
            return shipped
    return None
