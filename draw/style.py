"""How pictures look: colours that everybody can tell apart, and how their files are written.

In: a drawn figure, or a function that writes a file. Out: the file, whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import SnntxError, UsageError

OFF_COLOUR, ON_COLOUR = "#D55E00", "#0072B2"
"""Of OFF and ON on white paper: told apart without red or green (Okabe and Ito, 2008)."""
INK, GREY = "#222222", "#666666"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,  # names of recordings are plain text, whatever signs they have
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
}
DPI = 160


def need_matplotlib(what: str) -> None:
    """Check that matplotlib is there.

    Raises:
        UsageError: it is not; says what installs it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{what} needs matplotlib, which is not installed: pip install 'snntx[plot]'"
        ) from error


def write_picture(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then rename it: the old one stays or is replaced.

    Args:
        path: the picture.
        write: called with the path to write to, which has the same suffix.

    Raises:
        SnntxError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SnntxError(f"{path}: cannot be written: {error.strerror or error}") from error
