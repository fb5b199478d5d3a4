"""The recordings of a data set that tonic reads: identity, class, and tonic's number of each.

A recording's identity is its path below ``DIR/NAME`` without the suffix, such as
``Train/5/00001``; its part is ``(subset, index, depth)``, the index in tonic's listing of
the subset, walked in order of names, and the number of folders from the file up to
``DIR/NAME``. Data sets which do not say which file a sample comes from are refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UsageError, shell_word
from ..disk.listing import DEAD_LINK, NothingFoundError, junk_notes, require_folder
from ..readers.tonic_sets import (
    UnlistableError,
    class_names,
    dataset_class,
    opened,
    reader_version,
    subsets,
)
from .recording import Recording, RecordingSet


def list_tonic_recordings(name: str, folder: Path, *, skip: bool = False) -> RecordingSet:
    """List the recordings of tonic's data set ``name`` below ``folder``, by identity.

    Args:
        name: of the data set.
        folder: what the user gave as ``--raw``.
        skip: pass over links that lead nowhere, instead of raising.

    Raises:
        UsageError: tonic is missing, has no such data set, finds none of its files, or cannot
            list a subset whose folder is there; or a recording is a link that leads nowhere.
    """
    dataset = dataset_class(name)
    require_folder(folder, "--raw")
    opened.cache_clear()
    root = Path(os.path.expanduser(folder)) / name
    found: list[Recording] = []
    expected = ""
    empty: list[str] = []
    junk: set[Path] = set()
    for number, subset in enumerate(subsets(dataset)):
        before = len(found)
        try:
            data_set = opened(name, folder, subset)
        except UnlistableError:
            raise
        except (Exception, SystemExit) as error:  # whatever tonic says of files that are missing
            expected = expected or f"; tonic says: {' '.join(str(error).split())}"
        else:
            junk |= data_set.seen.junk
            found += _subset_recordings(dataset, data_set, root, number, subset)
        if len(found) == before:
            empty.append(subset)
    if not found:
        raise NothingFoundError(
            f"--raw {folder}: no recording of tonic's {name} below {root}: unpack there what "
            f"tonic downloads ({_archives(dataset)}), for instance with: snntx fetch "
            f"tonic:{name} --to {shell_word(folder)}{expected}"
        )
    found.sort(key=lambda recording: recording.identity)
    for one, other in pairwise(found):
        if one.identity == other.identity:
            raise UsageError(f"{one.path} and {other.path} have one identity; remove one of them")
    dead = [r for r in found if not r.path.exists()]
    if dead and not skip:
        raise UsageError(
            f"{dead[0].path}: {DEAD_LINK}; remove or mend it, or pass over it with --bad-files skip"
        )
    notes = [f"tonic finds no recording of its subset '{subset}' below {name}" for subset in empty]
    return RecordingSet(
        tuple(r for r in found if r.path.exists()),
        {_manifest_name(r, root): r.path for r in found},
        reader_version(),
        skipped=tuple((f"raw/{_manifest_name(r, root)}", DEAD_LINK) for r in dead),
        missed=tuple(dead),
        notes=(*junk_notes([p.relative_to(root).as_posix() for p in junk], name), *notes),
    )


def tonic_recording(name: str, folder: Path) -> Path | None:
    """Return a recording of tonic's data set ``name`` below ``folder``, None where there is none.

    Raises:
        UsageError: tonic is missing, or has no such data set.
    """
    if not (folder / name).is_dir():
        return None
    for subset in subsets(dataset_class(name)):
        try:
            data = list(getattr(opened(name, folder, subset), "data", ()))
        except (Exception, SystemExit):  # whatever tonic says of files that are missing
            continue
        if data and isinstance(data[0], str | os.PathLike):
            return Path(data[0])
    return None


def _manifest_name(recording: Recording, root: Path) -> str:
    place = recording.path.relative_to(root).as_posix()
    return f"{recording.fields['subset']}/{recording.class_name}/{place}"


def _archives(dataset: Any) -> str:
    names = [v for k, v in vars(dataset).items() if k.endswith("filename") and isinstance(v, str)]
    return ", ".join(names) or f"see {dataset.__name__} in tonic's documentation"


def _subset_recordings(
    dataset: Any, data_set: Any, root: Path, number: int, subset: str
) -> Iterator[Recording]:
    data, targets = list(getattr(data_set, "data", ())), list(getattr(data_set, "targets", ()))
    files_known = all(isinstance(each, str | os.PathLike) for each in data)
    if len(data) != len(targets) or not files_known or (not data and len(data_set)):
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


def _class_of(target: Any, named: Mapping[Any, str], path: Path) -> str:
    if isinstance(target, str):
        return target
    if not isinstance(target, int | np.integer):
        raise UsageError(
            f"{path}: tonic gives a {type(target).__name__} as its target, expected a class; "
            "this data set cannot be framed here"
        )
    return named.get(int(target), str(target))
