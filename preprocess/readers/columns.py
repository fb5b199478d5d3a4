"""Numbers of any type to columns of events: whole ones in a range, or one line that says which.

In: one column as a file has it. Out: the same as a column of
:class:`~snntx.preprocess.framing.events.Events`. A coordinate that no sensor has (negative, with a
fraction, no number, above :data:`MAX_COORDINATE`) is refused, or
:data:`~snntx.preprocess.framing.events.NOWHERE` where its event is to be left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import BadFileError
from ..framing.events import LEAVE_OUT, NOWHERE

MAX_COORDINATE = int(np.iinfo(np.int16).max)
"""The largest x or y that events can have."""


def coordinates(
    values: NDArray[Any], name: str, path: Path | str, *, drops: bool
) -> NDArray[np.int16]:
    """Return x or y, ``(n,)``, in pixels from 0.

    Args:
        values: real numbers of any type.
        name: of the column, for errors.
        path: names the file in errors.
        drops: have what no sensor has as outside of every sensor.

    Raises:
        BadFileError: there is such a value, and they are not to be dropped.
    """
    if drops:
        return placed(values, not_whole(values, 0, MAX_COORDINATE))
    return whole(values, name, path, 0, MAX_COORDINATE, advice=f"; {LEAVE_OUT}").astype(np.int16)


def placed(values: NDArray[Any], bad: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Return coordinates ``(n,)``, those that are ``bad`` as outside of every sensor."""
    if not bad.any():
        return values.astype(np.int16)
    return np.where(bad, NOWHERE, values).astype(np.int16)


def whole(
    values: NDArray[Any], name: str, path: Path | str, low: int, high: int, *, advice: str = ""
) -> NDArray[np.int64]:
    """Return one column as int64, every value a whole number in ``[low, high]``.

    Raises:
        BadFileError: one is none; ``advice`` ends the line.
    """
    bad = not_whole(values, low, high)
    if bad.any():
        at = int(np.argmax(bad))
        raise BadFileError(
            f"{path}: {name}[{at}] is {values[at]} ({int(bad.sum())} such values), expected whole "
            f"numbers from {low} to {high}{advice}"
        )
    return values.astype(np.int64)


def not_whole(values: NDArray[Any], low: int, high: int) -> NDArray[np.bool_]:
    """Say which values are no whole numbers in ``[low, high]``."""
    good: NDArray[np.bool_] = (values >= low) & (values <= high)
    return ~good if values.dtype.kind != "f" else ~(good & (np.floor(values) == values))


def polarities(values: NDArray[Any], name: str, path: Path | str) -> NDArray[np.int8]:
    """Return polarities ``(n,)``, 0 off and 1 on, of 0 and 1 or of -1 and 1.

    Raises:
        BadFileError: a value is none of these, or there is 0 beside -1.
    """
    p = whole(values, name, path, -1, 1)
    if p.size and p.min() < 0 and not p.all():
        raise BadFileError(
            f"{path}: {name}[{int(np.argmin(np.abs(p)))}] is 0, but others are -1; expected -1 "
            "and 1, or 0 and 1, throughout a file"
        )
    return (p > 0).astype(np.int8)
