"""Where cards come in: shipped in the folder ``shipped``, registered in a program, or installed.

A package offers a card by an entry point of the group ``snntx.cards``; a program by
``CARDS.register(name)``, as a decorator or called with the card. What is offered is the card's
TOML, as text, as bytes or as the path of a file, or a function that returns one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ..declared.doors import Door
from ..errors import UsageError, nearest

SHIPPED = files(__package__) / "shipped"
"""The folder of the cards that come with this package."""
Text = str | bytes | Path | Traversable
Source = Text | Callable[[], Text]
_EXPECTED = "TOML text, bytes, the path of a TOML file, or a function that returns one of these"


class CardDoor(Door[Source]):
    """The door of cards; its shipped parts are the TOML files of :data:`SHIPPED`."""

    def __init__(self) -> None:
        super().__init__("card", "snntx.cards", {}, _problem)

    def register(self, name: str) -> Callable[[Any], Any]:
        """Return a decorator that makes its object the card ``name`` in this process.

        Raises:
            UsageError: another card has that name, or the object is none.
        """
        take = super().register(name)

        def taken(part: Any) -> Any:
            held = self._known.get(name)
            if held is not None and not callable(part) and held != part:
                raise UsageError(f"card '{name}' is registered twice; rename one of them")
            return take(part)

        return taken

    def unknown(self, name: str, where: str = "", also: Sequence[str] = ()) -> UsageError:
        """Return the error for a name that is not known: what is, and how to add one.

        ``also`` are names that are known beside those that came through the door.
        """
        known = [*self.names(), *also]
        return UsageError(
            f"{where}unknown card '{name}'{nearest(name, known)} (known: {', '.join(known)}; or "
            "give the path of a .toml file, or package.module:NAME)"
        )

    def _bring(self, name: str) -> None:
        if name in self._shipped_modules():
            self._known[name] = SHIPPED / f"{name}.toml"
        else:
            super()._bring(name)

    def _shipped_modules(self) -> Mapping[str, str]:
        names = (file.name for file in SHIPPED.iterdir())
        return {
            name.removesuffix(".toml"): name for name in sorted(names) if name.endswith(".toml")
        }


def _problem(part: Any) -> str | None:
    if callable(part) or isinstance(part, str | bytes | Path | Traversable):
        return None
    return f"is a {type(part).__name__}, expected {_EXPECTED}"


CARDS = CardDoor()


def read_source(source: Source, name: str) -> tuple[bytes, str]:
    """Return the TOML of a card that came through the door, and what names it in errors.

    Raises:
        UsageError: its file cannot be read, or its function fails or returns something else.
    """
    where = f"card {name}"
    if callable(source):
        try:
            source = source()
        except Exception as error:  # whatever a stranger's function does
            cause = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(f"{where}: its function fails: {cause}") from error
    if isinstance(source, str):
        return source.encode(), where
    if isinstance(source, bytes):
        return source, where
    if not isinstance(source, Path | Traversable):
        raise UsageError(
            f"{where}: its function returns a {type(source).__name__}, "
            f"expected {_EXPECTED.partition(', or')[0]}"
        )
    where = str(source) if isinstance(source, Path) else source.name
    try:
        return source.read_bytes(), where
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror or error}") from error
