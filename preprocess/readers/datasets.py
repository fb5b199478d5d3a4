"""Datasets of an HDF5 file in memory, by their paths, of a file that nobody trusts.

In: the bytes of a file. Out: arrays of real numbers, or one line that says what is wrong. No other
file is ever opened: links, datasets kept elsewhere and virtual ones are refused, and so is what is
no number; what datasets claim to hold is checked before any of it is read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...errors import BadFileError
from ..disk.files import refuse_text
from .arrays.numbers import AGAIN, MOST_BYTES

ERRORS = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError),
    *(OverflowError, MemoryError),
)
"""What HDF5 says of damage."""
MOST_NAMES = 100


@contextmanager
def reading(data: bytes, path: Path | str) -> Iterator[Datasets]:
    """Open a file for the time of a ``with``; ``path`` names it in errors.

    Raises:
        BadFileError: it is text, or no HDF5.
    """
    import h5py
    import hdf5plugin  # noqa: F401  its filters are those of many event files

    refuse_text(data, path, "an HDF5 file")
    try:
        file = h5py.File(io.BytesIO(data), "r")
    except ERRORS as error:
        raise BadFileError(f"{path}: no HDF5 file: {_said(error)}; {AGAIN}") from error
    with file:
        yield Datasets(file, path)


class Datasets:
    """The datasets of an open file, each read once it is asked for; :func:`reading` makes one."""

    def __init__(self, file: Any, path: Path | str) -> None:
        self._file, self._path, self._room = file, path, MOST_BYTES
        self._held: dict[str, NDArray[Any]] = {}

    def names(self) -> Sequence[str]:
        """Return the paths of datasets, and of the fields of those that have some."""
        found: list[str] = []

        def note(path: str | bytes, node: Any) -> bool | None:
            name = path if isinstance(path, str) else path.decode("utf-8", "replace")
            if hasattr(node, "dtype"):
                names = node.dtype.names
                found.extend([f"{name}/{field}" for field in names] if names else [name])
            return True if len(found) > MOST_NAMES else None

        try:
            self._file.visititems(note)
        except ERRORS:  # a damaged group: what was found before it is what can be named
            return found
        return found

    def array(self, name: str) -> NDArray[Any] | None:
        """Return the values of a dataset by its path, None where there is none.

        Raises:
            BadFileError: it is damaged, no numbers, too large, or not in the file itself.
        """
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
        except ERRORS as error:
            raise BadFileError(f"{self._path}: '{name}' cannot be read: {_said(error)}") from error
        return node if isinstance(node, h5py.Dataset) else None

    def _read(self, dataset: Any, where: str) -> NDArray[Any]:
        try:
            kind, shape = dataset.dtype, dataset.shape
            elsewhere = dataset.is_virtual or dataset.external
        except ERRORS as error:
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
        except ERRORS as error:
            raise BadFileError(f"{where} cannot be read: {_said(error)}; {AGAIN}") from error
        return values


def _target(link: Any) -> str:
    file, path = getattr(link, "filename", ""), getattr(link, "path", "elsewhere")
    return f"'{path}'" + f" of {file}" * bool(file)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]
