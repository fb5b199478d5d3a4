"""Checking a cache against itself: every checksum of every frame and image, every row.

Nothing stops at the first problem; each comes back as a :class:`Problem` with the file, the
place in it, what was found, what was expected and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py

from ..cache import format as fmt
from ..cache.files import open_own
from ..cache.notes import PASSED_OVER
from ..cache.seal import Seal, SealError, parse_seal
from ..cache.settings import key_of
from ..disk.digests import digest, digest_or_none
from ..disk.hdf5 import read_text
from .checks import DAMAGE, Check, Problem
from .consistency import index_problems
from .verify_shards import check_shards


@dataclass(frozen=True)
class Verified:
    """What was checked, and what is wrong.

    Attributes:
        directory: the cache.
        shards: shards read.
        recordings: recordings whose checksum was computed.
        statics: static images whose checksum was computed.
        problems: what is wrong, in order of discovery.
        index: the index, where it is whole.
    """

    directory: Path
    shards: int
    recordings: int
    statics: int
    problems: tuple[Problem, ...]
    index: fmt.Index | None


def verify(
    directory: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Verified:
    """Check a cache: seal, sizes, index, rows, and the checksum of every frame and image.

    Args:
        directory: the cache.
        progress: called with recordings and images done and in all.
    """
    check = Check(directory, progress)
    index: fmt.Index | None = None
    sealed = _check_seal(check)
    if sealed is not None:
        index = _check_index(check, sealed)
        check_shards(check, sealed, index)
        _check_statics(check, index)
        _check_digests(check, sealed)
    return Verified(
        directory, check.shards, check.recordings, check.statics, tuple(check.problems), index
    )


def _check_seal(check: Check) -> Seal | None:
    """Return the seal if it can be read; check that its files are there and no other."""
    path = check.directory / fmt.SEALED
    if not path.is_file():
        check.add(fmt.SEALED, "", "no such file", "the seal of a finished cache")
        return None
    try:
        sealed = parse_seal(path.read_bytes())
    except SealError as error:
        check.add(fmt.SEALED, "", error.found, error.expected, error.remedy)
        return None
    except OSError as error:
        check.add(fmt.SEALED, "", f"no access ({error.strerror})", "the seal of a finished cache")
        return None
    if not {fmt.INDEX, fmt.STATIC} <= sealed.files.keys():
        check.add(fmt.SEALED, "files", ", ".join(sealed.files), f"{fmt.INDEX} and {fmt.STATIC}")
        return None
    if check.directory.name != sealed.key:
        remedy = "give the folder its own name back"
        check.add(fmt.SEALED, "key", sealed.key, check.directory.name, remedy)
    for name, (size, _) in sealed.files.items():
        file = check.directory / name
        if not file.is_file():
            check.add(name, "", "no such file", f"{size} bytes")
        elif file.stat().st_size != size:
            check.add(name, "", f"{file.stat().st_size} bytes", f"{size} bytes")
    for file in sorted(check.directory.iterdir()):
        if file.name not in sealed.files and file.name != fmt.SEALED:
            check.add(file.name, "", "a file", "none that was not sealed", "move it away")
    return sealed


def _check_digests(check: Check, sealed: Seal) -> None:
    """Check the bytes of every file in which nothing more particular was found."""
    named = {problem.file for problem in check.problems}
    for name, (_, expected) in sealed.files.items():
        path = check.directory / name
        if path in named or not expected:  # format 1 sealed the digest of its index alone
            continue
        found = digest_or_none(path) or "unreadable bytes"
        if found != expected:
            check.add(name, "digest", found, expected)


def _check_index(check: Check, sealed: Seal) -> fmt.Index | None:
    """Return the index if its bytes are those that were sealed; check that it fits together."""
    path = check.directory / fmt.INDEX
    try:
        found = digest(path.read_bytes())
        expected = sealed.files[fmt.INDEX].digest
        if found != expected:
            check.add(fmt.INDEX, "digest", found, expected)
            return None
        index = fmt.Index.read(path)
        settings = json.loads(index.attributes["settings"]) if index.manifest else None
    except DAMAGE as error:
        if path.is_file():  # a missing one is named already
            check.add(fmt.INDEX, "", " ".join(str(error).split()), "a readable index")
        return None
    key = index.attributes.get("key")
    if key != sealed.key:
        check.add(fmt.INDEX, "attribute key", key, sealed.key)
    if settings is not None:
        passed_over = [each for each in index.notes if each.kind in PASSED_OVER]
        whole = {**settings, "classes": list(index.classes)}
        named = key_of(whole, index.manifest, passed_over)
        if named != key:
            check.add(fmt.INDEX, "key of its settings and manifest", named, key)
    for problem in index_problems(index):
        check.add(fmt.INDEX, *problem)
    return index


def _check_statics(check: Check, index: fmt.Index | None) -> None:
    """Check every static image, and their columns against the index."""
    path = check.directory / fmt.STATIC
    try:
        with open_own(path) as file:
            images, sums = file["images"], file["checksum"][()]
            identities, labels = read_text(file, "identity"), file["label"][()]
            counts = [len(images), len(sums), len(identities), len(labels)]
            if len(set(counts)) > 1:
                check.add(fmt.STATIC, "", f"columns of {counts} rows", "columns of one length")
                return
            for i, identity in enumerate(identities):
                _check_image(check, images, i, identity, int(sums[i]))
    except DAMAGE as error:
        if path.is_file():
            check.add(fmt.STATIC, "", " ".join(str(error).split()), "readable static images")
        return
    if index is None:
        return
    if identities != list(index.static_identity) or labels.tolist() != index.static_label.tolist():
        check.add(fmt.STATIC, "identity and label", "other images", "those of the index")


def _check_image(check: Check, images: h5py.Dataset, i: int, identity: str, expected: int) -> None:
    try:
        found = f"checksum {fmt.checksum(images[i]):016x}"
    except DAMAGE as error:
        found = f"unreadable pixels ({' '.join(str(error).split())})"
    if found != f"checksum {expected:016x}":
        check.add(fmt.STATIC, f"image {identity} (row {i})", found, f"checksum {expected:016x}")
    check.statics += 1
    check.tick()
