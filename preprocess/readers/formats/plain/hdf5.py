"""Datasets of an HDF5 file (``.h5``, ``.hdf5``, MATLAB 7.3): one recording a file.

Columns are datasets by their path, ``events/t``; fields of a dataset with named fields; or
``events/1`` to ``events/4`` of one of four columns. No other file is ever opened: links, datasets
kept elsewhere and virtual ones are refused, and so is what is no number.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .....errors import BadFileError
from ....disk.files import refuse_text
from ....framing.events import Events
from ...arrays.numbers import AGAIN, MOST_BYTES
from ...base import READERS, Reader
from ...chosen import TIMERS, chosen_events

_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
"""What HDF5 says of damage."""
MOST_NAMES = 100


class _File:
    """The datasets of an open file, each read once it is asked for."""

    def __init__(self, file: Any, path: Path | str) -> None:
        self._file, self._path, self._room = file, path, MOST_BYTES
        self._held: dict[str, NDArray[Any]] = {}

    def names(self) -> Sequence[str]:
        found: list[str] = []

        def note(name: str, node: Any) -> bool | None:
            if hasattr(node, "dtype"):
                names = node.dtype.names
                found.extend([f"{name}/{field}" for field in names] if names else [name])
            return True if len(found) > MOST_NAMES else None

        try:
            self._file.visititems(note)
        except _ERRORS:  # a damaged group: what was found before it is what can be named
            return found
        return found

    def array(self, name: str) -> NDArray[Any] | None:
        if name not in self._held:
            found = self._dataset(name)
            if found is None:
                return None
            self._held[name] = self._read(found, f"{self._path}: dataset '{name}'")
        return self._held[name]

    def _dataset(self, name: str) -> Any:
        """Return a dataset by its path, None where there is none."""
        import h5py

        node = self._file
        if not name:
            return None
        try:
            for part in name.strip("/").split("/"):
                link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
                if link is None:
                    return None
                if not isinstance(link, h5py.HardLink):
                    raise BadFileError(
                        f"{self._path}: '{part}' of '{name}' is a link to {_target(link)}, "
                        "expected a dataset of the file itself; name that, or copy it into the file"
                    )
                node = node[part]
        except _ERRORS as error:
            raise BadFileError(f"{self._path}: '{name}' cannot be read: {_said(error)}") from error
        return node if isinstance(node, h5py.Dataset) else None

    def _read(self, dataset: Any, where: str) -> NDArray[Any]:
        try:
            kind, shape = dataset.dtype, dataset.shape
            elsewhere = dataset.is_virtual or dataset.external
        except _ERRORS as error:
            raise BadFileError(f"{where} cannot be read: {_said(error)}; {AGAIN}") from error
        if elsewhere:
            raise BadFileError(f"{where} keeps its values in another file; copy them into this one")
        if shape is None or kind.hasobject or kind.kind not in "biufV":
            raise BadFileError(f"{where} is of type {kind}, expected real numbers")
        size = math.prod(shape) * kind.itemsize
        if size > self._room:
            raise BadFileError(
                f"{where}: {size} bytes, {self._room} of {MOST_BYTES} are left for a file; split "
                "the recording"
            )
        self._room -= size
        try:
            values: NDArray[Any] = dataset[()]
        except _ERRORS as error:
            raise BadFileError(f"{where} cannot be read: {_said(error)}; {AGAIN}") from error
        return values


def _target(link: Any) -> str:
    file, path = getattr(link, "filename", ""), getattr(link, "path", "elsewhere")
    return f"'{path}'" + f" of {file}" * bool(file)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]


@READERS.register("hdf5")
class Hdf5(Reader):
    """Reads HDF5 files: one recording each."""

    record_bytes = 1
    """Compressed columns of regular events take few bytes an event."""
    timers = TIMERS
    takes_columns = True

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        import h5py
        import hdf5plugin  # noqa: F401  its filters are those of many event files

        refuse_text(data, path, "an HDF5 file")
        try:
            file = h5py.File(io.BytesIO(data), "r")
        except _ERRORS as error:
            raise BadFileError(f"{path}: no HDF5 file: {_said(error)}; {AGAIN}") from error
        with file:
            return chosen_events(_File(file, path), self.columns, path, drops=self.drops)
