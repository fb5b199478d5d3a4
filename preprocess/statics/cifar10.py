"""CIFAR-10's binary version: files of records of one label byte and 3,072 bytes of pixels.

``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, as many of them as are there,
in the folder or in ``cifar-10-batches-bin`` below it. A record's pixels are the planes R, G and
B, 32 x 32 each, row by row. The python version is pickles, which are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import BadFileError
from ..disk.files import first_file, read_file, refuse_text
from ..disk.listing import NothingFoundError, require_folder

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
"""In the order of the labels."""
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
FOLDERS = (".", "cifar-10-batches-bin")
ARCHIVE = "cifar-10-binary.tar.gz"


def cifar10_file(folder: Path) -> Path | None:
    """Return one of the batches that a folder holds, None where it holds none."""
    return first_file(folder / place / f"{name}.bin" for place in FOLDERS for name in BATCHES)


def cifar10_batches(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each batch in a folder.

    Raises:
        UsageError: the folder is missing, or holds none.
    """
    require_folder(folder, "--static")
    found = [
        (name, path)
        for name in BATCHES
        if (path := first_file(folder / place / f"{name}.bin" for place in FOLDERS)) is not None
    ]
    if not found:
        places = (*FOLDERS, "cifar-10-batches-py")
        pickles = first_file(folder / place / name for place in places for name in BATCHES)
        held = f"; {pickles} is of the python version, whose pickles are not read" * bool(pickles)
        raise NothingFoundError(
            f"--static {folder}: no batch of CIFAR-10's binary version found (looked for "
            f"{BATCHES[0]}.bin, …, {BATCHES[-1]}.bin){held}; unpack {ARCHIVE} there"
        )
    yield from found


def read_batch(path: Path) -> tuple[list[str], NDArray[np.uint8]]:
    """Return class and pixels ``(N, 32, 32, 3)`` of every picture of a batch.

    Raises:
        BadFileError: no whole number of records, or a label above 9.
    """
    data = read_file(path)
    refuse_text(data, path, "a batch of CIFAR-10's binary version")
    left = len(data) % RECORD_BYTES
    if left:
        raise BadFileError(
            f"{path}: {len(data)} bytes are no whole number of {RECORD_BYTES}-byte records; the "
            f"one at byte {len(data) - left} is cut off: unpack {ARCHIVE} again"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES)
    labels = records[:, 0]
    if labels.max() >= len(CLASSES):
        at = int(np.argmax(labels >= len(CLASSES)))
        raise BadFileError(
            f"{path}: the record at byte {at * RECORD_BYTES} has label {labels[at]}, expected 0 to "
            f"{len(CLASSES) - 1}: damaged, or of another data set"
        )
    planes = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
    pixels = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return [CLASSES[label] for label in labels.tolist()], pixels
