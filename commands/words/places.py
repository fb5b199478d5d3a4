"""Which run a word of a command names: a path, or the name of a run below ``runs/``.

In: a word. Out: a path. Every command that takes a run takes its name too: what ``snntx runs``
lists is relative to ``runs/`` where that names the same run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...errors import UsageError, nearest
from .beginning import Items, beginning

ROOT = Path("runs")
"""Where runs lie whose directory nobody names."""


def run_at(word: str | Path) -> Path:
    """Return the path that a word names: itself where it exists, or what has this name in runs/."""
    path = Path(word)
    if path.exists() or path.is_absolute() or ".." in path.parts:
        return path
    below = ROOT / path
    return below if below.exists() else path


def name_of(path: Path) -> str:
    """Return the shortest name that leads to a path, to be taken by :func:`run_at`."""
    if path.is_relative_to(ROOT) and path != ROOT:
        short = path.relative_to(ROOT)
        if run_at(short) == path and not str(short).startswith("-"):
            return str(short)
    return f"./{path}" if str(path).startswith("-") else str(path)


def existing(path: Path, what: str = "run directory or checkpoint") -> Path:
    """Return a path that is there.

    Raises:
        UsageError: nothing is, neither here nor below ``runs/``.
    """
    if path.exists():
        return path
    elsewhere = "" if path.is_absolute() else f", here or below {ROOT}/"
    near = nearest(str(path), names(), 0.6)
    raise UsageError(f"{path}: no such {what}{elsewhere}{near}; list runs with: snntx runs")


def names() -> list[str]:
    """Return the names of all runs below ``runs/``."""
    from ...train.study.listing.walk import find

    return [name_of(path) for path in find([ROOT]).runs] if ROOT.is_dir() else []


def settings_at(settings: tuple[str, ...]) -> tuple[str, ...]:
    """Return settings with the path of the run whose name ``initial`` has."""
    found = []
    for each in settings:
        name, equals, word = each.partition("=")
        if equals and word and name.strip() in ("initial", "run.initial"):
            path = run_at(word.strip().strip("\"'"))
            each = f"{name}={path}" if path.is_relative_to(ROOT) else each
        found.append(each)
    return tuple(found)


class RunWord(click.Path):
    """A run, a checkpoint or a folder of runs, by its path or its name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        return run_at(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        """Return the names of runs that begin so, or let the shell find files."""
        return beginning(names(), incomplete)


RUN = RunWord(path_type=Path)
