"""The recordings of a folder: identity, class, and where in which file each one lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..data_cards.schema import EventFiles
from .listing import find_files


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
        recordings: sorted by identity; those of one file stand together.
        files: name below the root → path, of every file that was or will be read.
    """

    recordings: tuple[Recording, ...]
    files: Mapping[str, Path]


def list_recordings(spec: EventFiles, folder: Path) -> RecordingSet:
    """List the recordings of a folder; no event file is opened yet.

    Raises:
        UsageError: the folder is missing, or nothing in it matches the card.
    """
    found = find_files(folder, spec.roots, spec.pattern, "--raw")
    recordings = tuple(Recording(f.identity, f.class_name, f.fields, f.path) for f in found)
    return RecordingSet(recordings, {f.relative: f.path for f in found})


def by_file(recordings: Sequence[Recording]) -> Iterator[tuple[Path, list[Recording]]]:
    """Yield each file with its recordings, in order."""
    for path, members in groupby(recordings, key=lambda recording: recording.path):
        yield path, list(members)


def in_shards(
    recordings: Sequence[Recording], limit: int
) -> Iterator[list[tuple[Path, list[Recording]]]]:
    """Group whole files into shards of at most ``limit`` recordings (a larger file is alone)."""
    shard: list[tuple[Path, list[Recording]]] = []
    held = 0
    for path, members in by_file(recordings):
        if shard and held + len(members) > limit:
            yield shard
            shard, held = [], 0
        shard.append((path, members))
        held += len(members)
    if shard:
        yield shard
