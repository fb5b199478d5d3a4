"""Everything that decides a cache's content but the raw files: its settings, key and attributes.

In: a card, the framing options and the classes. Out: a JSON-like table that the key is made of,
and the same in words for those who look into ``index.h5``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...data_cards.found import EventFiles
from ...data_cards.schema import Card
from ...data_cards.vocabulary import WINDOWED, Kind
from ..disk.digests import fingerprint
from ..framing.options import FrameOptions
from .format import EVENT_VERSION, VERSION
from .notes import Note

ADDED: dict[str, Any] = {
    "wraps": False,
    "outside": "stop",
    "lists": None,
    "class_from": "path",
}
ADDED |= dict.fromkeys(("columns", "numbered"))
"""Keys of ``[events]`` that a later release added, and what holds where they are left out."""
ADDED_SLICES: dict[str, Any] = {"class_column": None, "class_first": 1}
"""Keys of ``[events.slices]`` likewise."""
ADDED_SPLITS: dict[str, Any] = {"validation_values": ()}
"""Keys of a table of ``[splits]`` that a later release added, likewise."""
ADDED_OPTIONS: dict[str, Any] = {"downsample": 1}
"""Framing options likewise."""


def settings_of(
    card: Card,
    options: FrameOptions,
    classes: list[str],
    *,
    statics: bool,
    kind: Kind = "frames",
) -> dict[str, Any]:
    """Return everything that decides a cache's content but the raw files, as the key takes it.

    The ``kind`` is there only where it is not ``frames``.
    """
    static_rules = dataclasses.asdict(card.static) if card.static and statics else None
    if static_rules:
        del static_rules["twin_evidence"]  # prose: a better wording is no other cache
        del static_rules["min_paired"]  # it stops a build, and changes none
    return {
        "version": VERSION if kind == "frames" else EVENT_VERSION,
        **({} if kind == "frames" else {"kind": kind}),
        "card": card.name,
        "events": _events(card.events),
        "static": static_rules,
        "splits": {
            name: _without(dataclasses.asdict(rule), ADDED_SPLITS)
            for name, rule in card.splits.items()
        },
        "classes": classes,
        "options": _without(dataclasses.asdict(options), ADDED_OPTIONS),
    }


def _events(spec: EventFiles) -> dict[str, Any]:
    """Return ``[events]``, as the key takes it."""
    table = _without(dataclasses.asdict(spec), ADDED)
    if spec.slices is not None:
        table["slices"] = _without(table["slices"], ADDED_SLICES)
    return table


def _without(table: dict[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table; what a later release added is there only where it changes something."""
    return {name: value for name, value in table.items() if (name, value) not in added.items()}


def key_of(
    settings: Mapping[str, Any],
    manifest: Mapping[str, tuple[int, str]],
    passed_over: Sequence[Note] = (),
) -> str:
    """Return the key of a cache.

    Args:
        settings: :func:`settings_of`.
        manifest: size and digest of its raw files.
        passed_over: its notes on files that are not in the manifest; the same key stands for the
            same bytes, and the notes are among them.
    """
    content = {"settings": settings, "manifest": manifest}
    lines = {"passed_over": [each.text for each in passed_over]} if passed_over else {}
    return fingerprint({**content, **lines})


def attributes(card: Card, options: FrameOptions, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return card, version and every option as attributes that ``h5dump -A`` can show.

    ``settings`` are there as JSON but for the classes, which have a dataset of their own.
    """
    kind: Kind = settings.get("kind", "frames")
    return {
        "format_version": settings["version"],
        **({} if kind == "frames" else {"kind": kind}),
        "card": card.name,
        "event_format": card.events.format,
        "sort": card.events.sort,
        "frame_shape": np.array(options.frame_shape, np.int64),
        "frame_axes": "time step, both polarities, row, column"
        if options.polarity == "merged"
        else "time step, polarity (off, on), row, column",
        "steps": options.steps,
        "size": "native" if options.size is None else f"{options.size[0]} x {options.size[1]}",
        "sensor": "per recording"
        if options.sensor is None
        else f"{options.sensor[0]} x {options.sensor[1]}",
        "tail": options.tail,
        "zero_origin": options.zero_origin,
        "bins": options.bins,
        "window_ms": options.window_ms or "duration / steps",
        "values": options.values,
        "polarity": options.polarity,
        **({} if options.downsample == 1 else {"downsample": options.downsample}),
        "crop": "none"
        if options.crop is None
        else "rows {}:{}, columns {}:{}".format(*options.crop),
        "interpolation": interpolation(options),
        "static_fit": card.static.fit if card.static else "none",
        "static_order": card.static.order if card.static else "none",
        "twin_rule": card.static.twin if card.static else "none",
        "settings": json.dumps({k: v for k, v in settings.items() if k != "classes"}),
    }


def interpolation(options: FrameOptions) -> str:
    """Return in words how frames are resized."""
    corners = "corners not aligned" if options.values in WINDOWED else "aligned corners"
    return f"bilinear, {corners}, {'antialias' if options.antialias else 'no antialias'}"
