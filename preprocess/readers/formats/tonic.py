"""Recordings of any event-camera data set that the installed tonic reads (format ``tonic``).

tonic finds and decodes them; framing, cache and splits are this package's own. It is imported
inside the functions here and nowhere else, since it brings torch with it. Nothing is ever
downloaded, unpacked or written below ``--raw``: of a tonic class a subclass is opened that
takes the files as they are, and files that are not there are an error.

A recording's identity is its path below ``DIR/NAME`` without the suffix, such as
``Train/5/00001``; its part is ``(subset, index, depth)``, the index in tonic's listing of
the subset, walked in order of names, and the number of folders from the file up to
``DIR/NAME``. Data sets whose samples are no events of a camera with a class, or which do not
say which file a sample comes from, are refused.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError, UsageError, nearest
from ...disk.listing import require_folder
from ...framing.events import Events
from ...raw.recordings import Recording, RecordingSet
from ..container import AGAIN, check_container
from .atis import require_whole

RECORD_BYTES = 1
"""Fewest bytes of an event: compressed formats are among those that tonic reads."""
ALL = "all"
_SPLIT_NAMES = ("train", "valid", "val", "test")
_COORDINATE_LIMIT = 1 << 15
_ATIS_FILES = ("NMNIST", "NCALTECH101")
"""Data sets of ATIS records, of which tonic drops some cut ones without a word."""


def reader_version() -> str:
    """Return what decodes the recordings, for the cache's key."""
    return f"tonic {importlib.metadata.version('tonic')}"


def dataset_class(name: str) -> Any:
    """Return the class of ``tonic.datasets`` called ``name``.

    Raises:
        UsageError: tonic is not installed, or has no such data set of an event camera.
    """
    try:
        import tonic
    except ImportError as error:
        raise UsageError(
            f"tonic:{name} needs the package tonic, which cannot be imported ({error}); install "
            "it with: pip install 'snntx[tonic]'"
        ) from error
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


@contextlib.contextmanager
def quiet_and_in_order() -> Iterator[None]:
    """Have folders listed in order of names, and tonic's prints go to standard error.

    tonic numbers its samples as the filesystem lists them, which differs between machines.
    """
    walk, listdir = os.walk, os.listdir

    def ordered(*arguments: Any, **options: Any) -> Iterator[Any]:
        for path, folders, files in walk(*arguments, **options):
            folders.sort()
            yield path, folders, sorted(files)

    with (
        mock.patch.object(os, "walk", ordered),
        mock.patch.object(os, "listdir", lambda *a: sorted(listdir(*a))),
        contextlib.redirect_stdout(sys.stderr),
    ):
        yield


def _open(dataset: Any, folder: Path, subset: str) -> Any:
    """Open one subset of a tonic data set as it lies on disk."""

    def refuse(self: Any) -> None:
        raise FileNotFoundError("tonic wants to download or unpack")

    as_it_is = {"_check_exists": lambda self: True, "download": refuse}
    offline = type(dataset.__name__, (dataset,), as_it_is)
    with quiet_and_in_order():
        return offline(save_to=str(folder), **_arguments(dataset, subset))


@functools.lru_cache(maxsize=4)
def _opened(name: str, folder: Path, subset: str) -> Any:
    return _open(dataset_class(name), folder, subset)


def list_recordings(name: str, folder: Path) -> RecordingSet:
    """List the recordings of tonic's data set ``name`` below ``folder``, by identity.

    Raises:
        UsageError: tonic is missing, has no such data set, or finds none of its files.
    """
    dataset = dataset_class(name)
    require_folder(folder, "--raw")
    _opened.cache_clear()
    root = Path(os.path.expanduser(folder)) / name
    found: list[Recording] = []
    expected = ""
    for number, subset in enumerate(subsets(dataset)):
        try:
            opened = _opened(name, folder, subset)
        except (Exception, SystemExit) as error:  # whatever tonic says of files that are missing
            expected = expected or f"; tonic says: {' '.join(str(error).split())}"
            continue
        found += _subset_recordings(dataset, opened, root, number, subset)
    if not found:
        raise UsageError(
            f"--raw {folder}: no recording of tonic's {name} below {root}: unpack there what "
            f"tonic downloads ({_archives(dataset)}), for instance with: snntx fetch "
            f"tonic:{name} --to {folder}{expected}"
        )
    found.sort(key=lambda recording: recording.identity)
    for one, other in pairwise(found):
        if one.identity == other.identity:
            raise UsageError(f"{one.path} and {other.path} have one identity; remove one of them")
    files = {
        f"{r.fields['subset']}/{r.class_name}/{r.path.relative_to(root).as_posix()}": r.path
        for r in found
    }
    return RecordingSet(tuple(found), files, reader_version())


def _archives(dataset: Any) -> str:
    names = [v for k, v in vars(dataset).items() if k.endswith("filename") and isinstance(v, str)]
    return ", ".join(names) or f"see {dataset.__name__} in tonic's documentation"


def _subset_recordings(
    dataset: Any, opened: Any, root: Path, number: int, subset: str
) -> Iterator[Recording]:
    data, targets = list(getattr(opened, "data", ())), list(getattr(opened, "targets", ()))
    files_known = all(isinstance(each, str | os.PathLike) for each in data)
    if len(data) != len(targets) or not files_known or (not data and len(opened)):
        raise UsageError(
            f"tonic's {dataset.__name__} does not say which file each of its samples comes from, "
            "so no cache of it could be named by content; it cannot be framed here"
        )
    named = class_names(dataset)
    for index, (file, target) in enumerate(zip(data, targets, strict=True)):
        path = Path(file)
        relative = path.relative_to(root)
        stem = relative.with_suffix("").as_posix()
        label = _class_of(target, named, path)
        fields = {"subset": subset, "class": label, "stem": stem}
        yield Recording(stem, label, fields, path, (number, index, len(relative.parts) - 1))


def class_names(dataset: Any) -> Mapping[Any, str]:
    """Return a tonic class's targets with their class names, empty where it names none."""
    named = getattr(dataset, "classes", None)
    if isinstance(named, Mapping):
        return {int(target): str(name) for name, target in named.items()}
    return dict(enumerate(map(str, named))) if isinstance(named, list | tuple) else {}


def _class_of(target: Any, named: Mapping[Any, str], path: Path) -> str:
    if isinstance(target, str):
        return target
    if not isinstance(target, int | np.integer):
        raise UsageError(
            f"{path}: tonic gives a {type(target).__name__} as its target, expected a class; "
            "this data set cannot be framed here"
        )
    return named.get(int(target), str(target))


def recordings(path: Path, parts: Sequence[tuple[int, ...]]) -> Iterator[Events | BadFileError]:
    """Yield the recordings in ``parts`` of one raw file, as tonic decodes them.

    Raises:
        BadFileError: tonic cannot read the file, or gives no events.
    """
    for number, index, depth in parts:
        root = path.parents[depth]
        subset = subsets(dataset_class(root.name))[number]
        _check_file(root.name, path)
        try:
            opened = _opened(root.name, root.parent, subset)
            if index >= len(opened) or Path(opened.data[index]) != path:
                raise BadFileError(f"{path}: the folder changed while it was read; start again")
            with contextlib.redirect_stdout(sys.stderr):
                sample, _ = opened[index]
        except (BadFileError, KeyboardInterrupt):
            raise
        except BaseException as error:  # of damage: some decoders' own panics are no Exception
            cause = " ".join(str(error).split()) or type(error).__name__
            raise BadFileError(f"{path}: tonic cannot read it: {cause}") from error
        yield events_of(sample, path)


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
    if name in _ATIS_FILES:
        require_whole(size, path)
    if path.suffix == ".aedat4":
        check_container(path)


def events_of(sample: Any, path: Path | str) -> Events:
    """Return tonic's events as columns: any order and type in, a fraction of a us dropped.

    Args:
        sample: structured array with the fields x, y, t (microseconds) and p (truth values,
            0 and 1, or -1 and 1).
        path: names the file in errors.

    Raises:
        BadFileError: the sample is none, or a value is out of range.
    """
    names = getattr(getattr(sample, "dtype", None), "names", None) or ()
    if not {"x", "y", "t", "p"} <= set(names):
        found = f"the columns {', '.join(names)}" if names else f"a {type(sample).__name__}"
        raise BadFileError(f"{path}: tonic gives {found}, expected events with x, y, t and p")
    columns = {name: np.ascontiguousarray(sample[name]).ravel() for name in "xytp"}
    for name, column in columns.items():
        limit = _COORDINATE_LIMIT if name in "xy" else 1 << 62
        bad = np.flatnonzero(~((column >= (-1 if name == "p" else 0)) & (column < limit)))
        if bad.size:
            raise BadFileError(
                f"{path}: event {bad[0]} has {name} = {column[bad[0]]} ({bad.size} such events)"
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
