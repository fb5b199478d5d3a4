"""What a value of the wrong type was meant to be: ``False``, ``yes``, ``48px``, ``'5'``, ``1,5``.

In: a field and the value that was found. Out: the end of an error line that says what to write,
or nothing where that is not plain. What it says to write is always allowed.
"""

from __future__ import annotations

import math
import re
from typing import Any

from .fields import Field, fitted, problem_of, union_of

TRUTH = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
ABSENT = ("none", "null", "nil", "")
QUOTES = "\"'`´‘’“”„"
_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\W\d_]*|%|°)")


def hint(field: Field, value: Any) -> str:
    """Return such as ``; write flip=false``, or ``""``."""
    found = meant(field, value)
    if found is not None:
        return f"; write {field.key}={_text(found)}"
    members = union_of(field.kind)
    if isinstance(value, str) and value.strip().lower() in ABSENT and type(None) in members:
        return f"; leave out {field.key} for none"
    return ""


def meant(field: Field, value: Any) -> bool | int | float | None:
    """Return the truth value or number that a value was meant to be; None where it is not plain."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    for kind in union_of(field.kind):
        found = _as(kind, value)
        if found is not None and fitted(found, kind)[0] and problem_of(field, found) is None:
            return found
    return None


def _as(kind: Any, value: Any) -> bool | int | float | None:
    if kind is bool:
        text = value.strip().strip(QUOTES).lower() if isinstance(value, str) else str(value)
        return TRUTH.get(text)
    if kind not in (int, float) or isinstance(value, bool):
        return None
    number = _number(value) if isinstance(value, str) else value
    if not isinstance(number, int | float) or not math.isfinite(number):
        return None
    if kind is int:
        return int(number) if number == int(number) else None
    return float(number)


def _number(text: str) -> float | None:
    """Return the number that a text begins with, if nothing but a unit follows."""
    text = text.strip().strip(QUOTES).strip()
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text):
        text = text.replace(",", "")
    elif re.fullmatch(r"[+-]?\d+,\d+", text):
        text = text.replace(",", ".")
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    return float(found[1]) / (100 if found[2] == "%" else 1)


def _text(value: bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value!r}"
