"""Datasets of an HDF5 file (``.h5``, ``.hdf5``, MATLAB 7.3): one recording a file.

Columns are datasets by their path, ``events/t``; fields of a dataset with named fields; or
``events/1`` to ``events/4`` of one of four columns. What may be read of a file says
:mod:`snntx.preprocess.readers.datasets`.
"""

from __future__ import annotations

from pathlib import Path

from ....framing.events import Events
from ...base import READERS, Reader
from ...chosen import TIMERS, chosen_events
from ...datasets import reading


@READERS.register("hdf5")
class Hdf5(Reader):
    """Reads HDF5 files: one recording each."""

    record_bytes = 1
    """Compressed columns of regular events take few bytes an event."""
    timers = TIMERS
    takes_columns = True

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        with reading(data, path) as datasets:
            return chosen_events(datasets, self.columns, path, drops=self.drops)
