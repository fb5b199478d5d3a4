"""The recordings of a folder: identity, class, and where in which file each one lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from ...data_cards.found import EventFiles, Slices
from ...data_cards.templates import pattern_fields
from ...errors import BadFileError
from ..disk.files import size_of
from ..disk.listing import Found, Passed, find_files
from ..readers.base import reader_of
from .labels import classes_from_table
from .name_lists import Listed, read_lists
from .numbered import list_numbered
from .reasons import reason_of
from .recording import Recording, RecordingSet, add_part, set_of_parts
from .slices import read_classes, read_slices, table_of


def list_recordings(
    spec: EventFiles, folder: Path, *, classes: Sequence[str] = (), skip: bool = False
) -> RecordingSet:
    """List the recordings of a folder; event files are opened only where they tell the class.

    Args:
        spec: the card's table.
        folder: what the user gave as ``--raw``.
        classes: of the card, where a number in a table or a file tells the class.
        skip: pass over files of recordings whose table or class does not serve, instead of
            raising.

    Raises:
        UsageError: the folder is missing, or nothing in it matches the card.
        BadFileError: the table of classes or a list of names does not serve; or a table of
            recordings or a file's class does not, and it does not skip, or none does.
    """
    if spec.format == "tonic":
        from .tonic_listing import list_tonic_recordings

        return list_tonic_recordings(spec.roots[0], folder, skip=skip)
    passed = Passed(skip=skip)
    found = find_files(folder, spec.roots, spec.pattern, "--raw", number=spec.order, passed=passed)
    lists = Listed(found, {}, ()) if spec.lists is None else read_lists(spec.lists, found)
    listed = _listed(spec, lists.found, classes, skip)
    links = {link.relative: link.path for link in passed.links}
    return replace(
        listed,
        files={**listed.files, **lists.files, **links},
        skipped=(*passed.skipped("raw"), *listed.skipped),
        missed=(*_dead(spec, passed.links), *listed.missed),
        notes=(*passed.notes("--raw"), *lists.notes),
    )


def _listed(
    spec: EventFiles, found: Sequence[Found], classes: Sequence[str], skip: bool
) -> RecordingSet:
    """List the recordings of the files that were found."""
    files = {f.relative: f.path for f in found}
    if spec.slices is not None:
        return _slices(spec, spec.slices, found, classes, skip)
    if spec.numbered is not None:
        return list_numbered(spec.numbered, found, classes, skip)
    if spec.class_from == "file":
        return _told(spec, found, classes, skip)
    if spec.labels is None:
        names = [class_of(spec.class_name, f.fields) for f in found]
    else:
        files[spec.labels.file], names = classes_from_table(spec.labels, found)
    recordings = tuple(
        Recording(f.identity, name, {**f.fields, "class": name}, f.path)
        for f, name in zip(found, names, strict=True)
    )
    return RecordingSet(recordings, files)


def _told(
    spec: EventFiles, found: Sequence[Found], classes: Sequence[str], skip: bool
) -> RecordingSet:
    """List the recordings of files that tell their class."""
    recordings: list[Recording] = []
    skipped: list[tuple[str, str]] = []
    reader = reader_of(spec.format)
    for f in found:
        try:
            number = reader.class_number(f.path)
            if number >= len(classes):
                raise BadFileError(
                    f"{f.path}: is of class {number}, expected 0 to {len(classes) - 1}, the "
                    "numbers of the card's classes"
                )
        except BadFileError as error:
            if not skip:
                raise
            name = f"raw/{f.relative}"
            skipped.append((name, reason_of(error, f.path, name)))
            continue
        fields = {**f.fields, "class": classes[number]}
        recordings.append(Recording(f.identity, classes[number], fields, f.path))
    if not recordings:
        raise BadFileError(
            f"all {len(found)} recordings are bad, the first: {skipped[0][0]}: {skipped[0][1]}"
        )
    files = {f.relative: f.path for f in found}
    return RecordingSet(tuple(recordings), files, skipped=tuple(skipped))


def _dead(spec: EventFiles, links: Sequence[Found]) -> Iterator[Recording]:
    """Yield one recording for each dead link to a file whose class its path tells."""
    if not {*pattern_fields(spec.class_name or "{class}")} <= {*pattern_fields(spec.pattern)}:
        return  # a table, the file or the recording's number in it tells
    for link in links:
        name = class_of(spec.class_name, link.fields)
        yield Recording("", name, {**link.fields, "class": name}, link.path)


def class_of(template: str, fields: Mapping[str, str]) -> str:
    """Return a file's class: the template over its fields, or its field ``class``."""
    return template.format(**fields) if template else fields["class"]


def found_classes(spec: EventFiles, recordings: Sequence[Recording]) -> list[str]:
    """Return the classes of some recordings in label order, where the card does not list them."""
    names = {r.class_name: spec.class_order.format(**r.fields) for r in recordings}
    return sorted(names, key=lambda name: (names[name], name))


def _slices(
    spec: EventFiles,
    slices: Slices,
    found: Sequence[Found],
    classes: Sequence[str],
    skip: bool,
) -> RecordingSet:
    """List the recordings of files of many, from the table beside each."""
    recordings: dict[str, Recording] = {}
    files: dict[str, Path] = {}
    skipped: list[tuple[str, str]] = []
    missed: list[Recording] = []
    for entry in found:
        files[entry.relative] = entry.path
        path, name = entry.path, entry.relative  # of what is bad, if anything is
        try:
            path = table_of(entry.path, slices)
            name = entry.relative.removesuffix(entry.path.name) + path.name
            files[name] = path
            rows = list(read_slices(path, slices))
            told = [""] * len(rows)
            if slices.class_column is not None:
                told = read_classes(path, slices, classes)
        except BadFileError as error:
            if not skip:
                raise
            skipped.append((f"raw/{name}", reason_of(error, path, f"raw/{name}")))
            if slices.class_column is None and f"{{{slices.field}}}" not in spec.class_name:
                fields = {**entry.fields, slices.field: ""}
                fields["class"] = class_of(spec.class_name, fields)
                missed.append(Recording("", fields["class"], fields, entry.path))
            continue
        for (start, end, row), name in zip(rows, told, strict=True):
            fields = {**entry.fields, slices.field: f"{row:02d}"}
            fields["class"] = name or class_of(spec.class_name, fields)
            identity = slices.identity.format(**fields)
            add_part(
                recordings,
                Recording(identity, fields["class"], fields, entry.path, (start, end, row)),
            )
    return set_of_parts(recordings, files, len(found), skipped, missed)


def by_file(recordings: Sequence[Recording]) -> Iterator[tuple[Path, list[Recording]]]:
    """Yield each file with its recordings, in order."""
    for path, members in groupby(recordings, key=lambda recording: recording.path):
        yield path, list(members)


def in_shards(
    recordings: Sequence[Recording], limit: int, most_bytes: int | None = None
) -> Iterator[list[tuple[Path, list[Recording]]]]:
    """Group whole files into shards of at most ``limit`` recordings (a larger file is alone).

    With ``most_bytes`` the files of a shard have no more bytes than that, or it is one file.
    """
    shard: list[tuple[Path, list[Recording]]] = []
    held = held_bytes = 0
    for path, members in by_file(recordings):
        size = size_of(path) if most_bytes is not None else 0
        full = most_bytes is not None and held_bytes + size > most_bytes
        if shard and (full or held + len(members) > limit):
            yield shard
            shard, held, held_bytes = [], 0, 0
        shard.append((path, members))
        held += len(members)
        held_bytes += size
    if shard:
        yield shard
