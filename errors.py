"""Errors a user can act on, and the nearest-name hint they carry.

Each message is one line: where, what was found, what was expected, what to do.
``cli`` prints it without a traceback and exits with the class's ``exit_code``.

File names and other people's texts are foreign: an error's own message passes through
:func:`plain` by itself; a line that is no error, and what a cache or a page keeps, has to call
it. :func:`shell_word` is for a command that a reader may paste.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping


class SnntxError(Exception):
    """The work failed: a bad file, a full disk, a broken cache (exit code 1)."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(plain(message))


class UsageError(SnntxError):
    """The call is wrong: an unknown name, key or option value (exit code 2)."""

    exit_code = 2


class ElsewhereError(UsageError):
    """What a call names is not there, but it is known where it is.

    Attributes:
        given: an option, or an argument's name, → what to give in place of what was given.
    """

    def __init__(self, message: str = "", given: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.given = dict(given or {})


class BadFileError(SnntxError):
    """One raw file or static image cannot be used; ``--bad-files skip`` may pass over it."""


def plain(text: object) -> str:
    """Return foreign text on one line of visible characters, with escapes in place of the others.

    Control characters, line separators, marks that turn the direction of writing and bytes that
    are no UTF-8 become ``\\n``, ``\\x1b``, ``\\u202e`` and the like, so that a name can neither
    move a terminal's cursor nor forge a second line. Applied twice it changes nothing more.
    """
    whole = str(text)
    if whole.isprintable():
        return whole
    return "".join(c if c.isprintable() else _escaped(c) for c in whole)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def shell_word(text: object) -> str:
    """Return a text as one word of a command that can be pasted into a shell.

    A visible text is quoted where it needs it; any other is written with escapes, ``$'…'``,
    byte for byte, which bash, zsh and ksh read back.
    """
    whole = str(text)
    if whole.isprintable():
        return shlex.quote(whole)
    raw = whole.encode("utf-8", "surrogateescape")
    safe = (chr(b) if 32 <= b < 127 and chr(b) not in "'\\" else f"\\{b:03o}" for b in raw)
    return f"$'{''.join(safe)}'"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to ``name``, else ``""``.

    ``cutoff`` is the least likeness, from 0 to 1.
    """
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean '{matches[0]}'?" if matches else ""
