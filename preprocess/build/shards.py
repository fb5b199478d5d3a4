"""One shard: up to 512 recordings read, framed or not, compressed and put in place at once.

A shard is the unit of work and of resuming. It depends on its task alone, so the same task
gives the same bytes in any process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...errors import BadFileError, plain
from ..cache import format as fmt
from ..cache.meanings import explain
from ..cache.notes import Noted
from ..disk.digests import digest_or_none
from ..disk.files import state_of
from ..disk.hdf5 import creating
from ..disk.memo import DigestMemo
from ..disk.remarks import hearing
from ..framing.events import Events
from ..framing.records import Records
from ..raw.reasons import reason_of
from ..readers.reading import read_recordings, usable
from .tasks import Done, Member, RawFile, Shard, skipped_name
from .writing import Kept, Writer, columns_of, writer_of


class _Row(NamedTuple):
    """One recording's columns, as :class:`~snntx.preprocess.cache.format.Rows` names them."""

    identity: str
    label: int
    events: int
    duration_us: int
    extent: tuple[int, int]
    kept: Kept
    digest: str


def build_shard(task: Shard, done: Done = lambda n: None) -> fmt.Rows:
    """Write one shard, and beside it the digests of its files; returns its rows.

    Args:
        task: what it holds. With ``skip``, a recording that its reader can tell from its
            neighbours is passed over alone, otherwise all of its file is.
        done: called with the number of recordings finished.

    Raises:
        BadFileError: a recording cannot be used, and the task does not skip.
        OSError: the shard cannot be written.
    """
    rows: list[_Row] = []
    skipped: list[tuple[str, str]] = []
    noted: list[Noted] = []
    for left in (task.path, task.memo):  # of an earlier state of the files
        left.unlink(missing_ok=True)
    memo = DigestMemo(task.memo)
    finished = 0
    with creating(task.path, explain) as file, hearing() as heard:
        writer = writer_of(task.kind, file, task.recordings, task.options)
        for raw in task.files:
            before = len(rows), len(skipped), len(noted)
            heard.clear()
            read: str | None = None
            status: os.stat_result | None = None
            try:
                status = state_of(raw.path)
                read, recordings = read_recordings(
                    raw.path,
                    task.format,
                    [m.part for m in raw.members],
                    drops=task.spec.drops,
                )
                for number, (member, events) in enumerate(
                    zip(raw.members, recordings, strict=True), finished + 1
                ):
                    try:
                        row = _written(member, events, raw, read, task, writer, len(rows))
                    except BadFileError as error:
                        if not task.skip:
                            raise _of_member(error, raw, member) from error
                        reason = reason_of(error, raw.path, raw.name)
                        skipped.append((skipped_name(raw, member), reason))
                    else:
                        rows.append(row)
                        noted += [Noted(skipped_name(raw, member), *each) for each in heard]
                    heard.clear()  # what the reader says next is of the next recording
                    done(number)
            except BadFileError as error:
                if not task.skip:
                    raise
                del rows[before[0] :], skipped[before[1] :], noted[before[2] :]
                heard.clear()
                skipped.append((raw.name, reason_of(error, raw.path, raw.name)))
                read = read or digest_or_none(raw.path)
            noted += [Noted(raw.name, *each) for each in heard]  # of a file's end
            if read is not None and status is not None:
                memo.put(raw.path, read, status)
            finished += len(raw.members)
            done(finished)
        writer.finish(len(rows))
        columns = _columns(task, rows, skipped, noted)
        columns.write(file)
        memo.save()  # before the shard comes into place: a shard without it is built again
    return columns


def _of_member(error: BadFileError, raw: RawFile, member: Member) -> BadFileError:
    """Name the recording too where its file holds several."""
    own = plain(f"{raw.path}: ")
    if len(raw.members) < 2 or not str(error).startswith(own):
        return error
    return BadFileError(f"{raw.path} ({member.identity}): {str(error).removeprefix(own)}")


def _written(
    member: Member,
    events: Events | Records | BadFileError,
    raw: RawFile,
    digest: str,
    task: Shard,
    writer: Writer,
    place: int,
) -> _Row:
    """Check one recording and write it as row ``place``."""
    if isinstance(events, BadFileError):
        raise events
    events = usable(events, raw.path, task.spec, task.options)
    return _Row(
        identity=member.identity,
        label=member.label,
        events=events.size,
        duration_us=events.duration_us,
        extent=events.extent,
        kept=writer.write(place, events, raw.path),
        digest=digest,
    )


def _columns(
    task: Shard,
    rows: Sequence[_Row],
    skipped: Sequence[tuple[str, str]],
    noted: Sequence[Noted],
) -> fmt.Rows:
    return fmt.Rows(
        identity=[row.identity for row in rows],
        label=np.array([row.label for row in rows], np.int64),
        events=np.array([row.events for row in rows], np.int64),
        duration_us=np.array([row.duration_us for row in rows], np.int64),
        extent=np.array([row.extent for row in rows], np.int32).reshape(-1, 2),
        checksum=np.array([row.kept.checksum for row in rows], np.uint64),
        digest=[row.digest for row in rows],
        skipped=tuple(skipped),
        noted=tuple(noted),
        **columns_of(task.kind, [row.kept for row in rows]),
    )
