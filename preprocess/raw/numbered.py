"""Recordings that have no names: an array of them in a file, and their classes in one beside it.

``train/train_data.npy`` of DVS128 Gait holds the recordings of its training set,
``train/train_target.npy`` as many whole numbers: the places of their classes among those of the
card. In: the files that were found. Out: a recording for each number, not yet opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...data_cards.tables import Labels
from ...errors import BadFileError
from ..disk.files import first_file
from ..disk.listing import Found
from ..readers.arrays.stored import labels_of
from .reasons import reason_of
from .recording import Recording, RecordingSet, add_part, set_of_parts


def list_numbered(
    labels: Labels, found: Sequence[Found], classes: Sequence[str], skip: bool
) -> RecordingSet:
    """List the recordings of files of many that a file beside each gives their classes.

    Args:
        labels: where the classes stand.
        found: the files of recordings, at least one.
        classes: of the card, in label order.
        skip: pass over files whose classes cannot be read, instead of raising.

    Raises:
        BadFileError: a file of classes is missing, damaged or has a number that no class has, and
            it does not skip; or every one.
        UsageError: two recordings have one identity.
    """
    recordings: dict[str, Recording] = {}
    files: dict[str, Path] = {}
    skipped: list[tuple[str, str]] = []
    for entry in found:
        files[entry.relative] = entry.path
        path, name = entry.path, entry.relative  # of what is bad, if anything is
        try:
            wanted = labels.file.format(**entry.fields)
            path, name = _beside(entry, wanted, classes), wanted
            files[name] = path
            numbers = _numbers(path, classes)
        except BadFileError as error:
            if not skip:
                raise
            skipped.append((f"raw/{name}", reason_of(error, path, f"raw/{name}")))
            continue
        for at, number in enumerate(numbers):
            fields = {**entry.fields, labels.field: f"{at:05d}", "class": classes[number]}
            identity = labels.identity.format(**fields)
            part = (at, len(numbers))
            own = Recording(identity, classes[number], fields, entry.path, part)
            add_part(recordings, own)
    return set_of_parts(recordings, files, len(found), skipped)


def _beside(entry: Found, wanted: str, classes: Sequence[str]) -> Path:
    """Return the file of classes that belongs to a file of recordings."""
    path = first_file([entry.root / wanted])
    if path is None:
        raise BadFileError(
            f"{entry.path}: {wanted} is missing; it holds the class of each of its recordings, "
            f"whole numbers from 0 to {len(classes) - 1}, in order: copy it to "
            f"{entry.root / wanted}"
        )
    return path


def _numbers(path: Path, classes: Sequence[str]) -> list[int]:
    """Return the places of the classes of a file's recordings among the card's."""
    numbers = labels_of(path)
    if not numbers:
        raise BadFileError(f"{path}: holds no label, expected one for each recording")
    for at, number in enumerate(numbers):
        if not 0 <= number < len(classes):
            raise BadFileError(
                f"{path}: label {at} is {number}, expected 0 to {len(classes) - 1}, the numbers of "
                "the card's classes"
            )
    return numbers
