"""Files of plain columns and of arrays of recordings, as the tests of their readers write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

NAMES = ("t", "x", "y", "p")
Values = Mapping[str, Any]


def some(count: int = 200, seed: int = 0, *, side: int = 30) -> dict[str, np.ndarray[Any, Any]]:
    """Columns t (microseconds), x, y and p of a recording."""
    draw = np.random.default_rng(seed)
    t = np.sort(draw.integers(0, 90_000, count))
    x, p = draw.integers(0, side, (2, count)), draw.integers(0, 2, count)
    return {"t": t, "x": x[0], "y": x[1], "p": p}


def table(columns: Values) -> np.ndarray[Any, Any]:
    """The columns of some events side by side, ``(n, 4)``: t, x, y, p."""
    return np.stack([np.asarray(columns[name]) for name in NAMES], 1)


def write_csv(path: Path, columns: Values, *, header: str | None = "", mark: str = ",") -> Path:
    """A line of text an event, below one of the names, or of ``header``, or none."""
    lines = zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True)
    first = mark.join(columns) if header == "" else header
    text = [] if first is None else [first]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*text, *(mark.join(map(str, line)) for line in lines), ""]), "utf-8")
    return path


def write_npy(path: Path, columns: Values) -> Path:
    """One array with a named field for each column."""
    kinds = [(name, np.asarray(values).dtype) for name, values in columns.items()]
    found = np.empty(len(columns["t" if "t" in columns else next(iter(columns))]), kinds)
    for name, values in columns.items():
        found[name] = values
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, found)
    return path


def write_npz(path: Path, columns: Values) -> Path:
    """A compressed array for each column."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **dict(columns))
    return path


def write_hdf5(path: Path, columns: Values) -> Path:
    """A compressed dataset for each column; names may have groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=np.asarray(values), compression="gzip")
    return path


def write_arrays(
    path: Path, recordings: Iterable[np.ndarray[Any, Any]], *, objects: bool = True
) -> Path:
    """An array of arrays, pickled; or one plain array of them."""
    held = list(recordings)
    found: np.ndarray[Any, Any] = np.empty(len(held), object)
    for i, one in enumerate(held):
        found[i] = one
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, found if objects else np.stack(held))
    return path


def write_labels(path: Path, labels: Sequence[int], *, objects: bool = True) -> Path:
    """The labels of recordings, as objects or plain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(labels, object if objects else np.int64))
    return path
