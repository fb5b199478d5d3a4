"""Whether a directory is free for a training: new, or with no more than a first epoch's left-overs.

Imports no torch, so that commands which only tell what to do next stay fast.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import SnntxError, UsageError
from .names import (
    BEST,
    DIVERGED,
    EVENTS,
    LAST,
    LOCK,
    LOG,
    METRICS,
    RECIPE,
    RUN,
    STARTED,
    TERMINAL,
)
from .origin import read_origin

OWN = (RECIPE, STARTED, RUN, TERMINAL, LOG, DIVERGED, LOCK)
"""What a training may leave before its first epoch is finished, beside TensorBoard's files."""


def check_free(out: Path) -> None:
    """Refuse a directory without ``last.pt`` that holds more than a first epoch's left-overs.

    Raises:
        UsageError: it does, or it is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: exists already and is a file; choose another --out")
    if not out.is_dir():
        return
    names = {path.name for path in out.iterdir() if not is_temporary(path.name)}
    own = {name for name in names if name in OWN or name.startswith(EVENTS)}
    if _has_first_best(out):
        own |= names & {BEST, METRICS}
    if names != own:
        raise UsageError(
            f"{out}: exists already, with no {LAST} to go on from; choose another --out"
        )


def _has_first_best(out: Path) -> bool:
    """Whether ``best.pt`` is of a run that ended while its first epoch was being saved."""
    if not (out / RECIPE).is_file() or not (out / BEST).is_file():
        return False
    try:
        lines = (out / LOG).read_bytes().count(b"\n") if (out / LOG).is_file() else 0
        return lines <= 1 and read_origin(out / BEST).epochs == 1
    except (SnntxError, OSError):
        return False


def is_temporary(name: str) -> bool:
    """Whether this is the temporary file of a process that was killed while writing."""
    own = (RECIPE, STARTED, RUN, LOG, BEST, LAST, DIVERGED)
    return name.startswith(tuple(f".{each}." for each in own))
