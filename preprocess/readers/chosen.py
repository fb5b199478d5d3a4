"""Columns that a card chooses by name, of any file of named arrays, to columns of events.

In: a :class:`Source`, which has the arrays of one file by name, and ``[events.columns]`` of a
card. Out: :class:`~snntx.preprocess.framing.events.Events`, or one line that names the column. A
name is that of an array; of a field of an array with named fields, ``array/field``; or of a
column of an array of four without names, ``array/1`` to ``array/4``. A file that is one array has
an empty name, so that there ``t`` is its field and ``1`` its first column.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...data_cards.tables import Columns
from ...errors import BadFileError, nearest, plain
from ..disk.remarks import remark
from ..framing.events import Events
from .columns import coordinates, polarities, whole

FACTORS = {"us": 1, "ms": 1_000, "s": 1_000_000}
TIMERS = (1 << 31, 1 << 32)
"""Microseconds after which the 32-bit counters that such times are copied from start over."""
LOWEST_US, HIGHEST_US = -(1 << 61), 1 << 62
ROUNDED = (
    "whose times are real numbers that their file cannot hold to the microsecond: as they are there"
)
WHERE = "in [events.columns] of the card"
SHOWN = 12
"""Names of what a file holds that an error lists."""


class Source(Protocol):
    """The arrays of one file."""

    def names(self) -> Sequence[str]:
        """Return the names of its arrays, for errors."""
        ...

    def array(self, name: str) -> NDArray[Any] | None:
        """Return an array by its name, None where there is none.

        Raises:
            BadFileError: it is there, and cannot be read.
        """
        ...


def chosen_events(source: Source, columns: Columns, path: Path | str, *, drops: bool) -> Events:
    """Return the events of a file by the columns that a card names.

    Args:
        source: the file's arrays.
        columns: the card's table.
        path: names the file in errors.
        drops: have coordinates that no sensor has as outside of every sensor.

    Raises:
        BadFileError: a column is missing, is no column of numbers, or has values that are none
            of its kind; or lengths differ.
    """
    found = {
        key: _column(source, key, name, columns.along, path) for key, name in columns.names.items()
    }
    if len({values.size for values in found.values()}) > 1:
        lengths = ", ".join(f"{columns.names[key]} {v.size}" for key, v in found.items())
        raise BadFileError(f"{path}: columns differ in length ({lengths}); expected one length")
    x = coordinates(found["x"], columns.x, path, drops=drops)
    y = coordinates(found["y"], columns.y, path, drops=drops)
    t = times(found["t"], columns.t, columns.unit, path)
    return Events(x, y, t, polarities(found["p"], columns.p, path))


def times(values: NDArray[Any], name: str, unit: str, path: Path | str) -> NDArray[np.int64]:
    """Return times ``(n,)`` in whole microseconds, rounded where the unit is another.

    Args:
        values: real numbers of any type.
        name: of the column, for errors.
        unit: of the values, one of :data:`~snntx.data_cards.tables.TIME_UNITS`.
        path: names the file in errors.

    Raises:
        BadFileError: a value is no number, too large, or a fraction of a microsecond where the
            unit is ``us``.
    """
    if values.dtype.kind == "f":
        _remark_on_coarse(values, unit)
    if unit == "us":
        advice = f"; set unit {WHERE} where times are no microseconds"
        return whole(values, name, path, LOWEST_US, HIGHEST_US, advice=advice)
    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            exact = values.astype(np.float64)
            micro = exact / 1000 if unit == "ns" else exact * FACTORS[unit]
            return whole(np.rint(micro), name, path, LOWEST_US, HIGHEST_US, advice=f" in {unit}")
    if unit == "ns":
        nano = whole(values, name, path, -(1 << 62), (1 << 63) - 1_000)
        return (nano + 500) // 1000
    factor = FACTORS[unit]
    return whole(values, name, path, LOWEST_US // factor, HIGHEST_US // factor) * factor


def _remark_on_coarse(values: NDArray[Any], unit: str) -> None:
    """Remark on real numbers whose neighbours lie more than a microsecond apart."""
    finite = np.abs(values[np.isfinite(values)])
    if finite.size:
        apart = float(np.spacing(finite.max()))
        if apart > (1000.0 if unit == "ns" else 1 / FACTORS[unit]):
            remark("coarse", ROUNDED)


def _column(source: Source, key: str, name: str, along: str, path: Path | str) -> NDArray[Any]:
    """Return the values ``(n,)`` of one column."""
    array = source.array(name)
    if array is None:
        head, _, last = name.rpartition("/")
        whole_array = source.array(head)
        if whole_array is not None:
            array = _part(whole_array, head, key, last, along, path)
    if array is None:
        names = list(source.names())
        shown = ", ".join(plain(each) for each in names[:SHOWN]) + ", …" * (len(names) > SHOWN)
        raise BadFileError(
            f"{path}: no column '{name}'{nearest(name, names)} (found {shown or 'none'}); set "
            f"{key} = NAME {WHERE}"
        )
    if array.dtype.kind not in "biuf":
        raise BadFileError(
            f"{path}: column '{name}' is of type {plain(str(array.dtype))[:60]}, expected real "
            "numbers"
        )
    if sum(side != 1 for side in array.shape) > 1 or not array.ndim:
        shape = " x ".join(map(str, array.shape)) or "a single value"
        raise BadFileError(f"{path}: column '{name}' is {shape}, expected one value for each event")
    return array.ravel()


def _part(
    array: NDArray[Any], head: str, key: str, last: str, along: str, path: Path | str
) -> NDArray[Any] | None:
    """Return a field of an array with named fields, or a column of one of four without names."""
    what = f"array '{head}'" if head else "the array"
    if array.dtype.names is not None:
        if last in array.dtype.names:
            part: NDArray[Any] = array[last]
            return part
        names = array.dtype.names
        raise BadFileError(
            f"{path}: {what} has no field '{last}'{nearest(last, names)} (found "
            f"{', '.join(plain(each) for each in names[:SHOWN])}); set {key} = NAME {WHERE}"
        )
    if last not in ("1", "2", "3", "4"):
        raise BadFileError(
            f"{path}: {what} has no named fields, so no '{last}': it is of shape {array.shape}; "
            f"set {key} = '1' to '4', the column's number, {WHERE}"
        )
    shape, wanted = array.shape, "(n, 4)" if along == "columns" else "(4, n)"
    if shape == (4, 4):
        raise BadFileError(
            f"{path}: {what} is 4 x 4: nobody can say whether an event is a row of it or a "
            "column; leave the recording out, or save it as an array with named fields"
        )
    if len(shape) != 2 or 4 not in shape:
        raise BadFileError(f"{path}: {what} is of shape {shape}, expected {wanted}")
    if (shape[1] == 4) != (along == "columns"):
        other = "columns" if along == "rows" else "rows"
        has = "(n, 4), an event a row" if other == "columns" else "(4, n), an event a column"
        raise BadFileError(
            f"{path}: {what} is of shape {shape}: {has}, expected {wanted}; set along = "
            f"'{other}' {WHERE}, or transpose it"
        )
    at = int(last) - 1
    return array[:, at] if along == "columns" else array[at]
