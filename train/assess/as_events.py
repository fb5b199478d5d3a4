"""The command that makes an event cache with the frames of a frame cache.

In: a frame cache. Out: one sentence that can be followed. Every framing option in which the cache
differs from its card stands in the command, so that a run on this cache finds frames of the same
shape and values in the other.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ...data_cards import load_card
from ...errors import SnntxError, shell_word
from ...preprocess.cache.contents import SealedCache
from ...preprocess.framing.options import FrameOptions


def with_events(cache: SealedCache) -> str:
    """Return how to make and take the event cache of a frame cache's recordings."""
    card, root = str(cache.index.attributes["card"]), cache.directory.parents[1]
    words = ["snntx preprocess", shell_word(card), "--as events --raw DIR"]
    statics = json.loads(str(cache.index.attributes["settings"])).get("static") or {}
    words += ["--static DIR"] if cache.index.static_identity else []
    words += [f"--static-fit {statics['fit']}"] if "fit" in statics else []
    words += ["--cache", shell_word(root), *_flags(cache.options, card, root)]
    return f"run {' '.join(words)}, then give that cache's --key"


def _flags(found: FrameOptions, card: str, root: Path) -> list[str]:
    """Return the flags of what differs from the card; all of it where the card is not to be had."""
    try:
        own = _named(FrameOptions.from_card(load_card(card, root)))
    except SnntxError:
        own = {}
    flags = []
    for name, value in _named(found).items():
        if value is None or own.get(name, "") == value:
            continue
        text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        flags.append(f"--{name.replace('_', '-')} {text}")
    return flags


def _named(options: FrameOptions) -> dict[str, Any]:
    """Return options by the names of their flags; None for what is left out."""
    table = dataclasses.asdict(options)
    kept = ("steps", "bins", "window_ms", "tail", "values", "polarity", "crop")
    named = {name: table[name] for name in kept}
    size: int | str | None = options.size[0] if options.size else "native"
    named["size"] = None if options.downsample > 1 else size
    named["downsample"] = options.downsample if options.downsample > 1 else None
    named["extent"] = options.extent
    return named
