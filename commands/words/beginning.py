"""Names that a shell may put in place of the beginning of a word; files where there are none."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from click.shell_completion import CompletionItem

Items = list[CompletionItem]


def beginning(known: Iterable[str], start: str, *, files: bool = True) -> Items:
    """Return the names that begin so and need no quotes; or that files do."""
    found = [
        CompletionItem(name) for name in known if name.startswith(start) and quote(name) == name
    ]
    return found if found or not files else [CompletionItem(start, type="file")]
