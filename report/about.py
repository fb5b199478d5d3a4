"""What a run is: its recipe, its data, and the surroundings it was trained in."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..train.study.sweep import setting_words
from .blocks import Block, Cell, Facts, Missing, Section, Table, Words, notes, number
from .gather import Found

NAMED = 20
"""Names of skipped files and reasons that are listed; the rest is counted."""


def words(value: Any) -> str:
    """Return a setting's value as it is written in a recipe; ``none`` for none."""
    return "none" if value is None else setting_words(value)


def recipe(found: Found) -> Section:
    """Return every setting of a run, first those that differ from its card's."""
    run = found.recipe
    named = (found.account or {}).get("recipe")
    facts = [
        ("card", found.result.card),
        ("recipe", named or "not noted"),
        ("method", run.method.name),
        ("branches", "static and event" if run.transfer else "event alone"),
        ("seed", str(run.run.seed)),
        ("protocol", f"{run.data.protocol}; epoch chosen on {run.selection}"),
        ("epochs", f"{len(found.records)} of {run.optim.epochs}"),
    ]
    if found.account is not None and found.account.get("parameters"):
        facts.append(("parameters", f"{found.account['parameters']:,} trained"))
    blocks: list[Block] = [Facts(tuple(facts))]
    if found.changed is None:
        blocks.append(Missing(
            "What differs from the card's recipe is not known: the run does not note it, and its "
            "card is not at hand."
        ))  # fmt: skip
    elif found.changed:
        rows = tuple(
            (Cell(name), Cell(words(ours)), Cell(words(theirs)))
            for name, (ours, theirs) in found.changed.items()
        )
        blocks.append(
            Table(
                "Settings that differ from the card's recipe", ("setting", "card's", "run's"), rows
            )
        )
    else:
        blocks.append(Words("No setting differs from the card's recipe."))
    every = tuple((Cell(name), Cell(words(value))) for name, value in run.settings().items())
    blocks.append(Table("Every setting", ("setting", "value"), every, folded=True))
    return Section("recipe", "Recipe", tuple(blocks))


def data(found: Found) -> Section:
    """Return what the cache holds, and what it passed over."""
    cache, protocol = found.data, found.result.protocol
    steps, channels, height, width = cache.frame_shape
    missing = f", {len(cache.missing):,} without" if cache.missing else ""
    facts = (
        ("cache key", cache.key),
        ("holds", f"{cache.kind}, shown as {steps} steps of {channels} × {height} × {width} px"),
        ("recordings", f"{cache.recordings:,} in {len(cache.classes)} classes"),
        ("events", f"{cache.events_total:,}; median {cache.events.median:,.0f} a recording"),
        ("duration", f"median {cache.duration_us.median / 1e3:,.1f} ms"),
        ("static images", f"{cache.statics:,}; {cache.twins:,} recordings have a twin{missing}"),
        ("raw files", f"{cache.files:,}, {cache.raw_bytes / 1e6:,.1f} MB"),
        ("skipped", f"{len(cache.skipped):,} recordings or images"),
    )
    parts = tuple(
        (
            Cell(name),
            number(part.recordings, ",d"),
            number(part.statics, ",d"),
            number(part.classes, "d"),
        )
        for name, part in cache.protocols.get(protocol, {}).items()
    )
    header = ("part", "recordings", "static images", "classes")
    blocks: list[Block] = [Facts(facts), Table(f"Parts of protocol {protocol}", header, parts)]
    if cache.skipped:
        rows = tuple((Cell(file), Cell(why)) for file, why in cache.skipped[:NAMED])
        left = len(cache.skipped) - len(rows)
        more = f" (the first {NAMED}; {left:,} more in the cache's index)" if left else ""
        blocks.append(Table(f"Skipped{more}", ("file", "reason"), rows, folded=True))
    blocks += notes(each.text for each in cache.notes)
    return Section("data", "Data", tuple(blocks))


def environment(found: Found) -> Section:
    """Return what the run was trained by, and what made this page."""
    blocks: list[Block] = []
    starts = (found.account or {}).get("starts", [])
    if not starts:
        blocks.append(Missing("The run does not note what it was trained on (it has no run.json)."))
    for number_, start in enumerate(starts, 1):
        rows = [(name, _told(value)) for name, value in start.items() if name != "folder"]
        title = f"Start {number_} of {len(starts)}"
        cells = tuple((Cell(name), Cell(text)) for name, text in rows if text)
        blocks.append(Table(title, ("what", "value"), cells, sortable=False, folded=number_ > 1))
    here = (
        ("this page", f"snntx {__version__}"),
        ("python", platform.python_version()),
        ("torch", str(torch.__version__)),
        ("numpy", np.__version__),
    )
    return Section("environment", "Environment", (*blocks, Facts(here)))


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items() if each is not None)
    return "" if value is None else str(value)
