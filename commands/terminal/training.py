"""What a training prints for people, as lines of at most 80 columns.

In: a recipe and the card's, an epoch's record. Out: text; nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...declared.tables import toml_value

COLUMNS, START = 80, len("snntx: ")
"""Columns of a terminal, and those that stand before every line."""


def recipe_lines(base: str, named: str, found: Mapping[str, tuple[Any, Any]] | None) -> list[str]:
    """Return which recipe a run has, and where it departs from the card's.

    Args:
        base: the card's recipe that it is told from, such as ``default of card n-mnist``.
        named: the recipe as it was named, where that is a file; else empty.
        found: the recipe's value and the run's, by the setting's name; None where nobody can tell.
    """
    whose = f"recipe {named}, over {base}" if named else f"recipe {base}"
    if found is None:
        return [f"{whose}, which is whole with settings of the run alone"]
    if not found:
        return [f"{whose}, nothing changed"]
    return [f"{whose}, changed:", *_filled([_told(*each) for each in found.items()])]


def _told(name: str, values: tuple[Any, Any]) -> str:
    ours, theirs = ("none" if each is None else toml_value(each) for each in values)
    return f"{name} = {theirs} (not {ours})"


def _filled(items: list[str]) -> list[str]:
    """Return items one after another, broken between them alone."""
    lines = [""]
    for number, item in enumerate(items, 1):
        item += "," * (number < len(items))
        if lines[-1] and START + len(lines[-1]) + 1 + len(item) > COLUMNS:
            lines.append("")
        lines[-1] += f" {item}" if lines[-1] else f"  {item}"
    return lines


def epoch_line(record: Mapping[str, Any], epochs: int) -> str:
    """Return one finished epoch; ``*`` marks the best so far. ``log.jsonl`` has all of it."""
    train, chosen, seconds = record["train"], record["selection"], record["seconds"]
    took = f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"
    return (
        f"epoch {record['epoch']:3d}/{epochs}  loss {_four(train['loss'])}  "
        f"train {train['accuracy']:.3f}  {chosen['part']} top-1 {chosen['top1']:.4f}  {took}"
        + (" *" if record["best_epoch"] == record["epoch"] else "")
    )


def _four(value: float) -> str:
    """Return four digits of a number that is not negative, and never more than nine letters."""
    return f"{value:.4f}" if value < 10 else f"{value:.4g}"
