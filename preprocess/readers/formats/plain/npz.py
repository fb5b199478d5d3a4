"""Named arrays of numpy in a zip (``.npz``), compressed or not; no pickle.

Columns are arrays, or parts of one (``events/t``, ``events/1``). An array is inflated to the size
that its own header states, within :data:`~snntx.preprocess.readers.arrays.numbers.MOST_BYTES` for
those that are asked for together; what is not asked for is never read.
"""

from __future__ import annotations

import io
import zipfile
import zlib
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
from .npy import array_of

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)


class _Archive:
    """The arrays of a zip, each inflated once it is asked for."""

    def __init__(self, data: bytes, path: Path | str) -> None:
        self._path, self._room = path, MOST_BYTES
        self._held: dict[str, NDArray[Any]] = {}
        refuse_text(data, path, "arrays of numpy in a zip (.npz)")
        if data.startswith(b"\x93NUMPY"):
            raise BadFileError(f"{path}: one array (.npy), expected a zip of them; format = 'npy'")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (*_DAMAGED, NotImplementedError) as error:
            raise BadFileError(f"{path}: no zip of arrays (.npz): {error}; {AGAIN}") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            name = member.filename.removesuffix(".npy")
            if name in self._members:
                raise BadFileError(f"{path}: two arrays '{name}', expected one of a name")
            self._members[name] = member

    def names(self) -> Sequence[str]:
        return list(self._members)

    def array(self, name: str) -> NDArray[Any] | None:
        member = self._members.get(name)
        if member is None or name in self._held:
            return self._held.get(name)
        where = f"{self._path}: array '{name}'"
        if member.file_size > self._room:
            raise BadFileError(
                f"{where}: {member.file_size} bytes inflated, {self._room} of {MOST_BYTES} are "
                "left for a file; split the recording"
            )
        try:
            with self._zip.open(member) as file:
                data = file.read(member.file_size + 1)
        except (*_DAMAGED, RuntimeError, NotImplementedError) as error:
            raise BadFileError(f"{where}: cannot be inflated: {error}; {AGAIN}") from error
        self._room -= len(data)
        self._held[name] = array_of(data, where)
        return self._held[name]


@READERS.register("npz")
class Npz(Reader):
    """Reads ``.npz`` files: one recording each."""

    record_bytes = 1
    """Compressed columns of regular events take few bytes an event."""
    timers = TIMERS
    takes_columns = True

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        return chosen_events(_Archive(data, path), self.columns, path, drops=self.drops)
