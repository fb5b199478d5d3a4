"""In which settings two recipes differ: names in, the value on either side out, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...declared.tables import toml_value
from .whole import Recipe

Differences = dict[str, tuple[Any, Any]]
"""What a run has and what is asked for, by the setting's name; None where it is absent."""


def differences(run: Recipe, asked: Recipe) -> Differences:
    """Return the settings in which what is asked for differs from what a run has.

    Settings that only one of two methods takes are left to ``method`` itself. Release 0.1 knew
    one linear scaling of the learning rate, so that a run of it answers to a recipe that is
    ``linear`` now.
    """
    ours, theirs = run.settings(), asked.settings()
    found = {
        name: (value, theirs[name])
        for name, value in ours.items()
        if name in theirs and theirs[name] != value
    }
    if found.get("lr_scaling") == ("linear-nominal", "linear"):
        del found["lr_scaling"]
    return found


def told(found: Mapping[str, tuple[Any, Any]], other: str = "asked") -> str:
    """Return differences such as ``lr (the run has 0.1, asked 0.05)``."""
    return ", ".join(
        f"{name} (the run has {_shown(ours)}, {other} {_shown(theirs)})"
        for name, (ours, theirs) in found.items()
    )


def _shown(value: Any) -> str:
    return "none" if value is None else toml_value(value)
