"""Named parts: shipped in a folder, registered in a program, or brought by another package.

A :class:`Door` finds a part of one kind (a network, a method, a reader, …) by its name, in this
order: registered in this process by the decorator :meth:`Door.register`; shipped with this
package; offered by an installed package as an entry point of the door's group; or written as
``package.module:Name``, which is imported. What is shipped is found by its module's name alone,
so that names can be listed and checked without importing what computes.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from importlib.resources import files
from typing import Any, Generic, TypeVar

from ..errors import UsageError, nearest

Part = TypeVar("Part")
_PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


class Door(Generic[Part]):
    """Where parts of one kind come in.

    Args:
        kind: what a part is, for messages, such as ``method``.
        group: of entry points, such as ``snntx.methods``.
        shipped: the packages, one or several, whose modules are the shipped parts, each
            registering itself under its module's name with hyphens; or the module of each
            shipped name.
        fits: says what is wrong with an object that is to be such a part; None where it is one.
        also: words that are taken in a part's place, such as ``none``.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        shipped: str | Sequence[str] | Mapping[str, str],
        fits: Callable[[Any], str | None] = lambda part: None,
        also: Sequence[str] = (),
    ) -> None:
        self.kind, self.group, self._also = kind, group, tuple(also)
        self._shipped, self._fits = shipped, fits
        self._known: dict[str, Part] = {}

    def register(self, name: str) -> Callable[[Any], Any]:
        """Return a decorator that makes its object the part ``name`` in this process.

        Raises:
            UsageError: another part has that name, or the object is no such part.
        """

        def take(part: Any) -> Any:
            held = self._known.get(name)
            if held is not None and _place_of(held) != _place_of(part):
                raise UsageError(
                    f"{self.kind} '{name}' is registered twice: {_place_of(held)} and "
                    f"{_place_of(part)}; rename one of them"
                )
            self._check(part, name)
            self._known[name] = part
            return part

        return take

    def names(self) -> list[str]:
        """Return every name that is known, shipped ones first, and no place; imports nothing."""
        found = [*self.shipped(), *self._known, *(entry.name for entry in self._entries())]
        return [name for name in dict.fromkeys(found) if not _PLACE.fullmatch(name)]

    def shipped(self) -> list[str]:
        """Return the names of the shipped parts, in order."""
        return list(self._shipped_modules())

    def knows(self, name: str) -> bool:
        """Say whether :meth:`get` would look for the part, without importing it."""
        at_hand = (*self._also, *self.shipped(), *self._known)
        return name in at_hand or bool(_PLACE.fullmatch(name)) or name in self.names()

    def known_as(self, name: str) -> str:
        """Return the name of a shipped part that was written with underscores for its dashes."""
        dashed = name.replace("_", "-")
        return dashed if name not in self._known and dashed in self.shipped() else name

    def get(self, name: str) -> Part:
        """Return the part of a name, importing what it needs.

        Raises:
            UsageError: there is none, or it cannot be imported, or is no such part.
        """
        if name not in self._known:
            self._bring(name)
        return self._known[name]

    def unknown(self, name: str, where: str = "") -> UsageError:
        """Return the error for a name that is not known: what is, and how to add one."""
        known = [*self._also, *self.names()]
        return UsageError(
            f"{where}unknown {self.kind} '{name}'{nearest(name, known)} (known: "
            f"{', '.join(known)}; your own: package.module:Name, see docs/extending.md)"
        )

    def _bring(self, name: str) -> None:
        modules = self._shipped_modules()
        if name in modules:
            importlib.import_module(modules[name])  # registers itself
            return
        for entry in self._entries():
            if entry.name == name:
                self.register(name)(self._loaded(name, entry.load))
                return
        if not _PLACE.fullmatch(name):
            raise self.unknown(name)
        module, _, attribute = name.partition(":")
        self.register(name)(
            self._loaded(name, lambda: getattr(importlib.import_module(module), attribute))
        )

    def _loaded(self, name: str, load: Callable[[], Any]) -> Any:
        try:
            return load()
        except Exception as error:  # whatever a stranger's module does when it is imported
            cause = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"{self.kind} '{name}' cannot be imported: {type(error).__name__}: {cause}"
            ) from error

    def _check(self, part: Any, name: str) -> None:
        problem = self._fits(part)
        if problem is not None:
            raise UsageError(f"{self.kind} '{name}' ({_place_of(part)}): {problem}")

    def _entries(self) -> list[metadata.EntryPoint]:
        return sorted(metadata.entry_points(group=self.group), key=lambda entry: entry.name)

    def _shipped_modules(self) -> Mapping[str, str]:
        if isinstance(self._shipped, Mapping):
            return self._shipped
        places = (self._shipped,) if isinstance(self._shipped, str) else self._shipped
        found = {
            entry.name.removesuffix(".py").replace("_", "-"): f"{place}.{entry.name[:-3]}"
            for place in places
            for entry in files(place).iterdir()
            if entry.name.endswith(".py") and not entry.name.startswith("_")
        }
        return dict(sorted(found.items()))


def _place_of(part: Any) -> str:
    """Return where a part is defined, ``module:name``."""
    name = getattr(part, "__qualname__", type(part).__qualname__)
    return f"{getattr(part, '__module__', '?')}:{name}"
