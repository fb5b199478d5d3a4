"""The options of a cache that are not its card's, in words.

In: the settings that a cache keeps (:func:`snntx.preprocess.cache.settings.settings_of`), its
classes and the card. Out: lines such as ``steps 4 (card: 10)``, which tell caches of one card
apart where their keys say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...data_cards.schema import Card
from ..framing.options import FrameOptions
from .settings import ADDED, ADDED_OPTIONS, settings_of

OLDER_THAN = "older than the options"
"""Starts the line on options that a cache of an earlier release does not know."""


def differences(
    settings: dict[str, Any], classes: Sequence[str], card: Card | None
) -> tuple[str, ...] | None:
    """Return the options of a cache that are not the card's defaults, as text; None without it."""
    if card is None:
        return None
    options = FrameOptions.from_card(card)
    known = list(card.classes or classes)
    statics = settings["static"] is not None
    wanted = settings_of(card, options, known, statics=statics, kind=card.framing.kind)
    plain = json.loads(json.dumps(wanted))
    found, default = _options({**settings, "classes": list(classes)}), _options(plain)
    lines = [] if settings["static"] or not card.static else ["no static images"]
    lines += _extent(FrameOptions.from_table(settings["options"]), options, card)
    lines += [
        f"{_short(name)} {_value(name, found[name])} (card: {_value(name, default.get(name))})"
        for name in sorted(found.keys() - {"options.sensor", "options.limit", "version", "reader"})
        if found[name] != default.get(name)
    ]
    unknown = [_short(name) for name in sorted(default.keys() - found.keys())]
    if unknown:
        lines.append(f"{OLDER_THAN} {', '.join(unknown)}")
    return tuple(lines)


def _extent(found: FrameOptions, default: FrameOptions, card: Card) -> list[str]:
    """Return the line on another extent, where none on ``zero_origin`` or ``sensor`` says it."""
    same = (found.sensor or found.limit) == (default.sensor or default.limit)
    if found.extent == default.extent or found.zero_origin != default.zero_origin or not same:
        return []
    return [f"extent {found.extent} (card: {card.framing.extent})"]


def apart(settings: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return for each of several caches the options in which they differ, as text.

    For caches whose card is not at hand; with it, :func:`differences` says more.
    """
    flat = [_options(each) for each in settings]
    names = sorted({name for each in flat for name in each} - {"version", "reader"})
    told = [{n: f"{_short(n)} {_value(n, each.get(n))}" for n in names} for each in flat]
    differing = [name for name in names if len({each[name] for each in told}) > 1]
    return [tuple(dict.fromkeys(each[name] for name in differing)) for each in told]


def _short(name: str) -> str:
    return name.removeprefix("options.").removeprefix("events.")


def _options(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings by dotted names, with what holds where a key is left out."""
    left_out = {
        "kind": "frames",
        **{f"events.{name}": value for name, value in ADDED.items()},
        **{f"options.{name}": value for name, value in ADDED_OPTIONS.items()},
    }
    return {**left_out, **_flat(settings)}


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= (
            _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
        )
    return flat


def _value(name: str, value: Any) -> str:
    """Return an option's value in the words of its flag."""
    return "native" if name == "options.size" and value is None else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        if len(value) > 4:
            return f"{len(value)} entries"
        return (" x " if len(value) == 2 else ", ").join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
