"""Recordings of any event-camera data set that the installed tonic reads (format ``tonic``).

tonic finds and decodes them (:mod:`snntx.preprocess.readers.tonic_sets`); framing, cache and
splits are this package's own. A recording's part is ``(subset, index, depth)``: the number of
its subset, its index in tonic's listing of the subset, and the number of folders from the file
up to the folder of the data set.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError, SnntxError, UsageError
from ...disk.files import TEXT_BYTES, read_file, refuse_text
from ...framing.events import LEAVE_OUT, Events
from ..base import READERS, Reader
from ..columns import MAX_COORDINATE, not_whole, placed
from ..container import AGAIN, check_container
from ..tonic_sets import dataset_class, opened, sample_of, subsets
from .atis import TIMESTAMP_LIMIT_US, require_whole

_LIMITS = {
    "x": (0, MAX_COORDINATE + 1),
    "y": (0, MAX_COORDINATE + 1),
    "t": (-(1 << 61), 1 << 62),  # a signed counter goes on below zero
    "p": (-1, 1 << 62),
}
_ATIS_FILES = ("NMNIST", "NCALTECH101")
"""Data sets of ATIS records, of which tonic drops some cut ones without a word."""


def recordings(
    path: Path, parts: Sequence[tuple[int, ...]], *, drops: bool = False
) -> Iterator[Events | BadFileError]:
    """Yield the recordings in ``parts`` of one raw file, as tonic decodes them.

    With ``drops``, a coordinate that no sensor has is
    :data:`~snntx.preprocess.framing.events.NOWHERE`.

    Raises:
        BadFileError: tonic cannot read the file, or gives no events.
    """
    for number, index, depth in parts:
        root = path.parents[depth]
        subset = subsets(dataset_class(root.name))[number]
        _check_file(root.name, path)
        with _as_bad_file(path):
            data_set = opened(root.name, root.parent, subset)
            if index >= len(data_set) or Path(data_set.data[index]) != path:
                raise BadFileError(f"{path}: the folder changed while it was read; start again")
            with contextlib.redirect_stdout(sys.stderr):
                sample, _ = data_set[index]
        yield events_of(sample, path, drops=drops)


@contextlib.contextmanager
def _as_bad_file(path: Path) -> Iterator[None]:
    """Say of whatever tonic raises that it cannot read a file."""
    try:
        yield
    except (SnntxError, KeyboardInterrupt):
        raise
    except BaseException as error:  # of damage: some decoders' own panics are no Exception
        cause = " ".join(str(error).split()) or type(error).__name__
        raise BadFileError(f"{path}: tonic cannot read it: {cause}") from error


def _check_file(name: str, path: Path) -> None:
    """Refuse damage that tonic's decoders pass over, or that ends the process in them.

    Raises:
        BadFileError: the file is empty, cut off, or no whole AEDAT 4 file.
    """
    if not path.is_file():  # gone, or a folder: tonic says so
        return
    size = path.stat().st_size
    if size == 0:
        raise BadFileError(f"{path}: the file is empty (0 bytes); {AGAIN}")
    with path.open("rb") as file:
        start = file.read(TEXT_BYTES)
    if name in _ATIS_FILES or start.lstrip().startswith(b"<"):
        refuse_text(start, path, "a recording")
    if name in _ATIS_FILES:
        require_whole(size, path)
    if path.suffix == ".aedat4" and check_container(path).short:
        raise BadFileError(f"{path}: has packets that tonic cannot decode; {AGAIN}")


def events_of(sample: Any, path: Path | str, *, drops: bool = False) -> Events:
    """Return tonic's events as columns: any order and type in, a fraction of a us dropped.

    Args:
        sample: structured array with the fields x, y, t (microseconds) and p (truth values,
            0 and 1, or -1 and 1).
        path: names the file in errors.
        drops: place coordinates that no sensor has outside of every sensor.

    Raises:
        BadFileError: the sample is none, or a value is out of range.
    """
    names = getattr(getattr(sample, "dtype", None), "names", None) or ()
    if not {"x", "y", "t", "p"} <= set(names):
        found = f"the columns {', '.join(names)}" if names else f"a {type(sample).__name__}"
        raise BadFileError(f"{path}: tonic gives {found}, expected events with x, y, t and p")
    columns = {name: np.ascontiguousarray(sample[name]).ravel() for name in "xytp"}
    for name, column in columns.items():
        low, limit = _LIMITS[name]
        bad = ~((column >= low) & (column < limit))
        if name in "xy":
            bad = not_whole(column, low, limit - 1)
            if drops:
                columns[name] = placed(column, bad)
                continue
        if bad.any():
            at = int(np.argmax(bad))
            advice = f", expected whole numbers from {low} to {limit - 1}; {LEAVE_OUT}"
            raise BadFileError(
                f"{path}: event {at} has {name} = {column[at]} ({int(bad.sum())} such events)"
                f"{advice * (name in 'xy')}"
            )
    p = columns["p"].astype(np.int8)
    values = np.unique(p)
    if not (np.isin(values, (0, 1)).all() or np.isin(values, (-1, 1)).all()):
        raise BadFileError(
            f"{path}: polarities {', '.join(map(str, values[:5]))}, expected 0 and 1 or -1 and 1"
        )
    on: NDArray[np.int8] = (p > 0).astype(np.int8)
    x, y = columns["x"].astype(np.int16), columns["y"].astype(np.int16)
    return Events(x, y, columns["t"].astype(np.int64), on)


@READERS.register("tonic")
class Tonic(Reader):
    """Reads the files of a data set that tonic knows, as parts of their subsets."""

    record_bytes = 1
    """Compressed formats are among those that tonic reads."""
    timers = (TIMESTAMP_LIMIT_US, 1 << 31, 1 << 32)
    """Of ATIS records, and of the counters of AEDAT files, with or without a sign."""

    def recordings(
        self, path: Path, parts: Sequence[tuple[int, ...]]
    ) -> Iterator[Events | BadFileError]:
        """Yield the recordings in ``parts``, as tonic decodes them."""
        return recordings(path, parts, drops=self.drops)

    def read(self, path: Path) -> Events:
        """Return the recording in one file, where it is known of which data set it is.

        Raises:
            UsageError: nobody said which, or tonic reads that data set as a whole.
            BadFileError: the file is missing or damaged.
        """
        if not self.data_set:
            raise UsageError(
                "format 'tonic' is read as a whole data set by preprocess; a single file of it "
                "cannot be read on its own, unless the format says which: tonic:NAME"
            )
        if not path.is_file():
            read_file(path)
        _check_file(self.data_set, path)
        with _as_bad_file(path):
            sample = sample_of(self.data_set, path)
        return events_of(sample, path, drops=self.drops)
