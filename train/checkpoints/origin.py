"""What a checkpoint was trained on and how far, read without torch and without its tensors.

In: a ``last.pt`` or ``best.pt`` of ``snntx train``. Out: its card, the key of its cache, the
epochs finished and the best one. A sweep asks this of many runs, so the zip's directory and its
pickle are all that is read, and every name in the pickle stands for an object that holds
nothing: nothing of the file is executed.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ...errors import SnntxError, plain
from .names import COUNTED_FROM

LARGEST = 1 << 28
"""Bytes that the pickle of a checkpoint may have; its tensors lie beside it."""


@dataclass(frozen=True)
class Origin:
    """What a checkpoint says of its run.

    Attributes:
        card: the dataset.
        cache_key: of its frames.
        epochs: finished.
        best: number from 1, part, top-1, top-5 and loss of the best epoch; number 0 before the
            first.
    """

    card: str
    cache_key: str
    epochs: int
    best: dict[str, Any]


def read_origin(path: Path) -> Origin:
    """Return what a checkpoint of ``snntx train`` was trained on.

    Raises:
        SnntxError: damaged, or no such checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (record,) = (each for each in archive.infolist() if each.filename.endswith("/data.pkl"))
            if record.file_size > LARGEST:
                raise ValueError(f"its pickle claims {record.file_size} bytes")
            with archive.open(record) as file:
                content = _Reader(file).load()
        origin = Origin(
            content["card"], content["cache_key"], content["epoch"], dict(content["best"])
        )
        if COUNTED_FROM not in content:  # release 0.1 counted from 0
            origin.best["epoch"] += 1
        for value, kind in (
            (origin.card, str),
            (origin.cache_key, str),
            (origin.epochs, int),
            (origin.best["epoch"], int),
        ):
            if not isinstance(value, kind):
                raise ValueError(f"{value!r} where {kind.__name__} is expected")
        return origin
    except (
        zipfile.BadZipFile,
        zlib.error,
        pickle.UnpicklingError,
        NotImplementedError,
        RuntimeError,
        MemoryError,
        OSError,
        EOFError,
        ValueError,
        OverflowError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise SnntxError(
            f"{plain(path)}: not a readable checkpoint of snntx train: {plain(cause)}"
        ) from error


class _Nothing:
    """Stands for whatever a pickle names: takes any call and any state, and keeps none."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Reader(pickle.Unpickler):
    """A reader of pickles that knows no name and no tensor."""

    def find_class(self, module: str, name: str) -> Any:
        return _Nothing

    def persistent_load(self, number: Any) -> Any:
        return _Nothing()
