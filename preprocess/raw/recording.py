"""What one recording is before it is opened, and what a listing of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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
