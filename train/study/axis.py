"""Which setting a comparison runs along, and the lines that its groups make over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import UsageError, nearest
from .compare import Comparison, Row
from .runs import Group, settings_label
from .sweep import group_label

LEAST_POINTS = 3
"""Fewer values do not make a line, unless it is asked for."""


@dataclass(frozen=True)
class Series:
    """The groups of one line.

    Attributes:
        label: what they have in common.
        points: value on the axis and group, from the smallest value on.
        baseline: they are what the others are compared with.
    """

    label: str
    points: tuple[tuple[float, Row], ...]
    baseline: bool


def axis_of(found: Comparison, wanted: str | None = None) -> str | None:
    """Return the setting to draw lines over; None where the groups make none.

    Args:
        found: the comparison.
        wanted: the setting asked for; None takes the one that gives the longest line.

    Raises:
        UsageError: ``wanted`` does not vary, or is not a number.
    """
    groups = [row.group for row in found.rows]
    varying = groups[0].varying
    numbers = [name for name in varying if all(_is_number(g.varying[name]) for g in groups)]
    if wanted is not None:
        if wanted not in numbers:
            raise UsageError(
                f"--axis {wanted}: no number that varies among these runs"
                f"{nearest(wanted, numbers)} (such: {', '.join(numbers) or 'none'})"
            )
        return wanted
    lengths = {
        name: max(len(each.points) for each in series_of(found, name))
        for name in numbers
        if len({group.varying[name] for group in groups}) >= LEAST_POINTS
    }
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    return longest if longest is not None and lengths[longest] >= LEAST_POINTS else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def series_of(found: Comparison, axis: str) -> list[Series]:
    """Return the lines over an axis: groups that differ in nothing else, in their order."""
    lines: dict[str, list[tuple[float, Row]]] = {}
    for row in found.rows:
        point = float(row.group.varying[axis]), row
        lines.setdefault(_line_label(row.group, found, axis), []).append(point)
    bases = {row.baseline for row in found.rows if row.baseline}
    return [
        Series(
            label,
            tuple(sorted(points, key=lambda point: point[0])),
            all(row.group.label in bases for _, row in points),
        )
        for label, points in lines.items()
    ]


def _line_label(group: Group, found: Comparison, axis: str) -> str:
    entries = [row.group.entry for row in found.rows]
    known = [_without(entry, axis) for entry in entries if entry is not None]
    if group.entry is not None and axis in group.entry["point"] and len(known) == len(entries):
        return group_label(_without(group.entry, axis), known)
    others = {key: value for key, value in group.varying.items() if key != axis}
    return settings_label(others)


def _without(entry: dict[str, Any], axis: str) -> dict[str, Any]:
    point = {key: value for key, value in entry["point"].items() if key != axis}
    return {**entry, "point": point}
