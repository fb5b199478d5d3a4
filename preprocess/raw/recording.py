"""What one recording is before it is opened, and what a listing of them holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadFileError, UsageError


@dataclass(frozen=True)
class Recording:
    """One recording, not yet opened.

    Attributes:
        identity: such as ``airplanes/image_0001``.
        class_name: its class.
        fields: the pattern's fields; splits and twin rules use them.
        path: the raw file it lies in.
        part: which part of the file, as its reader understands it; empty for the whole file.
    """

    identity: str
    class_name: str
    fields: Mapping[str, str]
    path: Path
    part: tuple[int, ...] = ()


@dataclass(frozen=True)
class RecordingSet:
    """All recordings of a folder, and the files they come from.

    Attributes:
        recordings: sorted by identity, or by number; those of one file stand together.
        files: name below the root → path, of every file that was or will be read.
        reader: what decodes them and its version, where that is no part of this package.
        skipped: name in the manifest and reason of each file passed over before it was opened.
        missed: one recording for each of them, of the class that its recordings have.
        notes: lines for people about what else was passed over.
    """

    recordings: tuple[Recording, ...]
    files: Mapping[str, Path]
    reader: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    missed: tuple[Recording, ...] = ()
    notes: tuple[str, ...] = ()


def add_part(recordings: dict[str, Recording], recording: Recording) -> None:
    """Add a part of a file of many recordings under its identity.

    Raises:
        UsageError: another part has that identity.
    """
    other = recordings.setdefault(recording.identity, recording)
    if other is not recording:
        raise UsageError(
            f"{recording.path} and {other.path}: both have a recording {recording.identity}; "
            "remove one of them"
        )


def set_of_parts(
    recordings: Mapping[str, Recording],
    files: Mapping[str, Path],
    found: int,
    skipped: Sequence[tuple[str, str]],
    missed: Sequence[Recording] = (),
) -> RecordingSet:
    """Return the recordings of files of many; a file's stand together whatever its identities.

    Args:
        recordings: by identity.
        files: as in :class:`RecordingSet`, likewise ``skipped`` and ``missed``.
        found: how many files of recordings there are.

    Raises:
        BadFileError: none of them is good.
    """
    if not recordings:
        name, reason = skipped[0]
        raise BadFileError(f"all {found} files of recordings are bad, the first: {name}: {reason}")
    first: dict[Path, str] = {}
    for identity in sorted(recordings):
        first.setdefault(recordings[identity].path, identity)
    listed = sorted(recordings.values(), key=lambda r: (first[r.path], r.identity))
    return RecordingSet(tuple(listed), files, skipped=tuple(skipped), missed=tuple(missed))
