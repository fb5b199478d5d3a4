"""Whether a cache's frames are made as those that published weights were trained on.

In: a cache and its card, whose table ``[published]`` says how the published frames are made. Out:
one sentence where this cache's are made otherwise, with the command that makes the published.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ...data_cards.schema import Card
from ...errors import shell_word
from ...preprocess.cache.contents import SealedCache
from ...preprocess.framing.options import FrameOptions

NOTE = (
    "the frames of this cache are not made as the published ones ({differs}); those come from: "
    "{command}; then choose that cache with --key"
)


def frames_note(cache: SealedCache, card: Card, root: Path, given: str | None = None) -> str | None:
    """Return what makes a cache's frames other than the published ones; None where nothing does.

    Steps and size are not compared: the weights decide them. A card without ``[published]`` says
    nothing of published frames, and neither does this.

    Args:
        cache: whose frames.
        card: its card.
        root: root of all caches, for the command.
        given: how the user named the card, where that was the path of a file.
    """
    if card.published is None:
        return None
    found = cache.options
    wanted = FrameOptions.from_card(card, **card.published.framing)
    own, published = _told(found), _told(wanted)
    differs = [
        f"{name} {own[name]}, published: {published[name]}"
        for name in own
        if own[name] != published[name]
    ]
    if not differs:
        return None
    statics, own_options = bool(cache.index.static_identity), FrameOptions.from_card(card)
    words = ["snntx preprocess", shell_word(given or card.name), "--raw DIR"]
    words += ["--static DIR"] if statics else []
    words += ["--cache", shell_word(root)]
    words += [f"--steps {found.steps}"] if found.steps != own_options.steps else []
    if found.size != own_options.size:
        words.append(f"--size {found.size[0] if found.size else 'native'}")
    words += [f"--{name} {value}" for name, value in card.published.framing.items()]
    return NOTE.format(differs="; ".join(differs), command=" ".join(words))


def _told(options: FrameOptions) -> dict[str, str]:
    """Return options but steps and size, in the words of their flags.

    What decides the extent is one word.
    """
    table = dataclasses.asdict(options)
    for name in ("steps", "size", "sensor", "limit", "zero_origin"):
        del table[name]
    return {"extent": options.extent} | {name: _text(value) for name, value in table.items()}


def _text(value: object) -> str:
    if value is None:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
