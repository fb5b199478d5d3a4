"""The command line to type in place of one that named the wrong things.

In: the words of a command, and what to give in place of some of them. Out: the words that work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from ...errors import ElsewhereError


@contextmanager
def naming(**arguments: str) -> Iterator[None]:
    """Have an error that says what to give for an argument name the word that was given."""
    try:
        yield
    except ElsewhereError as error:
        error.given = {arguments.get(name, name): each for name, each in error.given.items()}
        raise


def instead(words: Sequence[str], given: Mapping[str, object]) -> list[str]:
    """Return a command's words with others in place of some.

    Args:
        words: of the command.
        given: an option (``--raw``), or a whole word, → what is given in its place. An option
            that the command leaves out comes last.
    """
    left = dict(given)
    return [*_changed(words, left), *(w for name in left for w in (name, str(left[name])))]


def _changed(words: Sequence[str], left: dict[str, object]) -> Iterator[str]:
    """Yield the words, taking those that are used out of what is left."""
    held = iter(words)
    for word in held:
        name, equals, _ = word.partition("=")
        if word in left and word.startswith("-"):
            yield word
            next(held, None)
            yield str(left.pop(word))
        elif equals and name in left:
            yield f"{name}={left.pop(name)}"
        else:
            yield str(left.pop(word)) if word in left else word
