"""Errors a user can act on, and the nearest-name hint they carry.

Each message is one line: where, what was found, what was expected, what to do.
``cli`` prints it without a traceback and exits with the class's ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SnntxError(Exception):
    """The work failed: a bad file, a full disk, a broken cache (exit code 1)."""

    exit_code = 1


class UsageError(SnntxError):
    """The call is wrong: an unknown name, key or option value (exit code 2)."""

    exit_code = 2


class BadFileError(SnntxError):
    """One raw file or static image cannot be used; ``--bad-files skip`` may pass over it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to ``name``, else ``""``."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def reason_of(error: BadFileError, path: Path, name: str) -> str:
    """Return an error's text without the path, which differs from machine to machine."""
    return str(error).removeprefix(f"{path}: ").replace(str(path), name)
