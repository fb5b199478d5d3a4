"""Where networks and surrogates come in by name. Imports no torch.

A network is a subclass of :class:`snntx.train.network.model.TransferModel`, a surrogate one of
:class:`snntx.train.network.surrogates.Surrogate`; both are checked when they come in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...declared.doors import Door


def _subclass_of(base: str, *attributes: str) -> Callable[[Any], str | None]:
    """Return the check of a door whose parts are finished subclasses of ``base``.

    The base is known by its place, so that nothing is imported before there is a part.
    """

    def problem(part: Any) -> str | None:
        bases = part.__mro__ if isinstance(part, type) else ()
        if base not in (f"{each.__module__}.{each.__qualname__}" for each in bases):
            return f"is no subclass of {base}"
        lacking = {name for name in attributes if not hasattr(part, name)}
        lacking.update(getattr(part, "__abstractmethods__", ()))
        return f"lacks {', '.join(sorted(lacking))}" if lacking else None

    return problem


MODELS: Door[type[Any]] = Door(
    "model",
    "snntx.models",
    shipped="snntx.train.network.models",
    fits=_subclass_of("snntx.train.network.model.TransferModel", "frame_size"),
)
"""Networks, each a class of one module."""

SURROGATES: Door[type[Any]] = Door(
    "surrogate",
    "snntx.surrogates",
    shipped=dict.fromkeys(
        ("qgate", "gate", "backeigate", "atan", "sigmoid", "rectangular"),
        "snntx.train.network.surrogates",
    ),
    fits=_subclass_of("snntx.train.network.surrogates.Surrogate"),
)
"""Slopes that stand for a spike's derivative."""
