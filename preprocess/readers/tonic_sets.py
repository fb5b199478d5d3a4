"""The data sets that the installed tonic reads: its classes, opened as their files lie on disk.

tonic is imported inside the functions here and nowhere else, since it brings torch with it.
Nothing is ever downloaded, unpacked or written below ``--raw``: of a tonic class a subclass is
opened that takes the files as they are, and files that are not there are an error. What file
managers leave is hidden from tonic, which would take it for recordings. Data sets whose samples
are no events of a camera with a class are refused.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from ...errors import UsageError, nearest
from ..disk.patterns import is_junk

ALL = "all"
"""The one subset of a data set that has none."""
_SPLIT_NAMES = ("train", "valid", "val", "test")


def reader_version() -> str:
    """Return what decodes the recordings, for the cache's key."""
    return f"tonic {importlib.metadata.version('tonic')}"


def dataset_class(name: str) -> Any:
    """Return the class of ``tonic.datasets`` called ``name``.

    Raises:
        UsageError: tonic is not installed, or has no such data set of an event camera.
    """
    tonic = _tonic(name)
    known = sorted(tonic.datasets.__all__)
    if name not in known:
        raise UsageError(
            f"tonic {tonic.__version__ if hasattr(tonic, '__version__') else ''} has no data set "
            f"'{name}'{nearest(name, known)} (known: {', '.join(known)})"
        )
    found = getattr(tonic.datasets, name)
    missing = {"x", "y", "t", "p"} - set(_columns(found))
    if missing:
        raise UsageError(
            f"tonic's {name} is no data set of an event camera: its samples have the columns "
            f"{', '.join(_columns(found))}, without {', '.join(sorted(missing))}"
        )
    if "save_to" not in inspect.signature(found).parameters or _required(found):
        raise UsageError(
            f"tonic's {name} has no recordings of one class each, or is opened in a way of its "
            f"own ({', '.join(inspect.signature(found).parameters)}); it cannot be framed here"
        )
    return found


def _tonic(name: str = "NAME") -> Any:
    """Return the package tonic.

    Raises:
        UsageError: it cannot be imported.
    """
    try:
        import tonic
    except ImportError as error:
        raise UsageError(
            f"tonic:{name} needs the package tonic, which cannot be imported ({error}); install "
            "it with: pip install tonic"
        ) from error
    return tonic


def _columns(dataset: Any) -> tuple[str, ...]:
    names = getattr(getattr(dataset, "dtype", None), "names", None)
    return tuple(names or getattr(dataset, "ordering", None) or ("x", "y", "t", "p"))


def _required(dataset: Any) -> list[str]:
    parameters = inspect.signature(dataset).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.name != "save_to"]


def subsets(dataset: Any) -> tuple[str, ...]:
    """Return the names of the subsets that a tonic class offers."""
    parameters = inspect.signature(dataset).parameters
    if "train" in parameters:
        return ("train", "test")
    return _SPLIT_NAMES if "split" in parameters else (ALL,)


def _arguments(dataset: Any, subset: str) -> dict[str, Any]:
    if "train" in inspect.signature(dataset).parameters:
        return {"train": subset == "train"}
    return {} if subset == ALL else {"split": subset}


@dataclass
class Seen:
    """What tonic came across while it listed a data set.

    Attributes:
        folder: the last folder that it listed and that is there; None for none.
        junk: paths of what file managers left.
    """

    folder: Path | None = None
    junk: set[Path] = field(default_factory=set)

    def names(self, folder: Path, names: list[str]) -> list[str]:
        """Return the names in a folder, in order and without junk, and note them."""
        self.folder = folder
        self.junk |= {folder / name for name in names if is_junk(name)}
        return sorted(name for name in names if not is_junk(name))


@contextlib.contextmanager
def quiet_and_in_order() -> Iterator[Seen]:
    """Have folders listed in order of names, and tonic's prints go to standard error.

    tonic numbers its samples as the filesystem lists them, which differs between machines. A
    folder that is there and cannot be listed is an error, where tonic would take it as empty.
    """
    walk, listdir = os.walk, os.listdir
    seen = Seen()

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            seen.folder = Path(error.filename)
            raise error

    def ordered(top: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        for path, folders, files in walk(top, *arguments, **{"onerror": refuse, **options}):
            folders[:] = seen.names(Path(path), folders)
            yield path, folders, seen.names(Path(path), files)

    def listed(folder: Any = ".") -> list[str]:
        return seen.names(Path(folder), listdir(folder))

    with (
        mock.patch.object(os, "walk", ordered),
        mock.patch.object(os, "listdir", listed),
        contextlib.redirect_stdout(sys.stderr),
    ):
        yield seen


class UnlistableError(UsageError):
    """A subset whose folder is there cannot be listed."""


def _open(dataset: Any, folder: Path, subset: str) -> Any:
    """Open one subset of a tonic data set as it lies on disk; its ``seen`` tells what was met.

    Raises:
        UnlistableError: its folder is there, but tonic fails in it.
        Exception: whatever tonic says of a folder that is not there.
    """

    def refuse(self: Any) -> None:
        raise FileNotFoundError("tonic wants to download or unpack")

    as_it_is = {"_check_exists": lambda self: True, "download": refuse}
    offline = type(dataset.__name__, (dataset,), as_it_is)
    with quiet_and_in_order() as seen:
        try:
            found = offline(save_to=str(folder), **_arguments(dataset, subset))
        except (Exception, SystemExit) as error:
            if seen.folder is None:
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UnlistableError(
                f"{seen.folder}: tonic cannot list the recordings of its subset '{subset}' here: "
                f"{reason}; mend or remove the file or folder that it fails at"
            ) from error
    found.seen = seen
    return found


def class_names(dataset: Any) -> Mapping[Any, str]:
    """Return a tonic class's targets with their class names, empty where it names none."""
    named = getattr(dataset, "classes", None)
    if isinstance(named, Mapping):
        return {int(target): str(name) for name, target in named.items()}
    return dict(enumerate(map(str, named))) if isinstance(named, list | tuple) else {}


def data_set_of(card: str) -> str:
    """Return the data set that a card ``tonic-name`` was written for, empty for another card.

    Raises:
        UsageError: tonic is missing.
    """
    names = _tonic().datasets.__all__ if card.startswith("tonic-") else ()
    return next((name for name in names if f"tonic-{name.lower()}" == card), "")


def sample_of(name: str, path: Path) -> Any:
    """Return what tonic's reader of data set ``name`` makes of one file, wherever it lies.

    Raises:
        UsageError: tonic is missing, has no such data set, or reads it only as a whole.
        Exception: whatever tonic says of a damaged file.
    """
    dataset = dataset_class(name)
    as_it_is = {"_check_exists": lambda self: True, "download": lambda self: None}
    offline = type(dataset.__name__, (dataset,), as_it_is)
    whole = f"tonic:{name}: tonic reads this data set as a whole, no single file of it"
    with (
        mock.patch.object(os, "walk", return_value=()),
        mock.patch.object(os, "listdir", return_value=[]),
        contextlib.redirect_stdout(sys.stderr),
    ):
        try:
            alone = offline(save_to=os.devnull, **_arguments(dataset, subsets(dataset)[0]))
            empty = [alone.data, alone.targets]
        except (Exception, SystemExit) as error:  # of what it misses, or another kind of listing
            raise UsageError(f"{whole} ({' '.join(str(error).split())})") from error
    one = _Asked([str(path)])
    alone.data, alone.targets = one, [0]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            sample, _ = alone[0]
    except Exception as error:
        if not one.asked:  # it looks for files of its own
            raise UsageError(whole) from error
        raise
    if empty != [[], []] or not one.asked:
        raise UsageError(whole)
    return sample


class _Asked(list[str]):
    """Files that note whether one of them was asked for."""

    asked = False

    def __getitem__(self, index: Any) -> Any:
        self.asked = True
        return super().__getitem__(index)


@functools.lru_cache(maxsize=4)
def opened(name: str, folder: Path, subset: str) -> Any:
    """Return one subset of tonic's data set ``name`` as it lies below ``folder``.

    Raises:
        UsageError: tonic is missing, has no such data set, or fails in a folder that is there.
        Exception: whatever tonic says of files that are missing.
    """
    return _open(dataset_class(name), folder, subset)
