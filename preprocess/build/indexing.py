"""What a build knows when every shard is there, collected into the index: rows, parts, notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import BadFileError
from ..cache import format as fmt
from ..cache.copies import apart, copies, kept_together
from ..cache.notes import Note, note, of_remarks
from ..cache.settings import attributes
from ..cache.splits import split_recordings, split_statics
from ..planning.pairing import pair, pairing_notes
from ..planning.plan import Plan, Request
from .static_notes import Written


def index_of(request: Request, plan: Plan, shards: Sequence[fmt.Rows], held: Written) -> fmt.Index:
    """Split the recordings and collect everything about the cache but its pixels and key.

    Args:
        request: what is built.
        plan: its files.
        shards: the rows of every shard.
        held: the static images that were written, and those passed over.

    Raises:
        BadFileError: no recording is left, or a twin is of another class.
    """
    rows = fmt.Rows.join(shards)
    kept = _kept(plan, rows, held)
    pairs = pair(kept, request.card)
    rows = dataclasses.replace(
        rows,
        skipped=(*plan.skipped, *rows.skipped, *held.skipped),
        noted=(*rows.noted, *held.noted),
    )
    copy_of, static_copy_of = _copies(plan, rows), copies(held.checksums)
    splits, statics = {}, {}
    for name, rule in request.card.splits.items():
        parts = split_recordings(
            rule, rows.identity, rows.label, [f.fields for f in kept.recordings]
        )
        splits[name] = kept_together(rule, parts, copy_of)
        statics[name] = split_statics(len(held.images), pairs.twin, splits[name], static_copy_of)
    sizes = [len(part.identity) for part in shards]
    index = fmt.Index(
        attributes=attributes(request.card, request.options, plan.settings),
        classes=plan.classes,
        rows=rows,
        shard=np.repeat(np.arange(len(sizes)), sizes).astype(np.int32),
        row=np.concatenate([np.arange(n) for n in sizes]).astype(np.int32),
        twin=pairs.twin,
        splits=splits,
        static_identity=[s.identity for s in kept.statics],
        static_label=pairs.static_label,
        static_splits=statics,
        planes=plan.planes,
        copy_of=copy_of,
        static_copy_of=static_copy_of,
    )
    remarks = [
        *of_remarks((n for n in rows.noted if n.name.startswith("raw/")), "recordings"),
        *of_remarks((n for n in rows.noted if not n.name.startswith("raw/")), "static images"),
    ]
    notes = (*plan.passed_over, *pairing_notes(kept, pairs), *_copy_notes(index), *remarks)
    return dataclasses.replace(index, notes=notes)


def _kept(plan: Plan, rows: fmt.Rows, held: Written) -> Plan:
    """Reduce a plan to what is in the cache.

    Raises:
        BadFileError: no recording is.
    """
    if not rows.identity:
        name, reason = rows.skipped[0]
        raise BadFileError(
            f"all {len(plan.recordings)} recordings are bad, the first: {name}: {reason}"
        )
    identities = set(rows.identity)
    recordings = [r for r in plan.recordings if r.identity in identities]
    return dataclasses.replace(plan, recordings=recordings, statics=held.images)


def _copies(plan: Plan, rows: fmt.Rows) -> NDArray[np.int64]:
    """Return which recordings are copies: the same place in files of the same bytes.

    The checksum tells recordings apart that tables cut out of such files differently.
    """
    place: dict[str, int] = {}
    before: dict[object, int] = {}
    for recording in plan.recordings:
        place[recording.identity] = before.get(recording.path, 0)
        before[recording.path] = place[recording.identity] + 1
    numbers = [place[identity] for identity in rows.identity]
    return copies(list(zip(rows.digest, numbers, rows.checksum.tolist(), strict=True)))


def _copy_notes(index: fmt.Index) -> Iterator[Note]:
    """Yield notes on recordings and images that are copies, and on copies that stand apart."""
    labels = index.rows.label
    copied = np.flatnonzero(index.copy_of >= 0)
    crossed = copied[labels[copied] != labels[index.copy_of[copied]]]

    def named(which: NDArray[np.int64]) -> list[str]:
        return _of(index.rows.identity, index.copy_of, which)

    yield from note("copy", named(copied), "recordings are copies of others, of the same bytes")
    what = "copies are of another class than the recording that they are of"
    yield from note("copy-class", named(crossed), what)
    for protocol, parts in index.splits.items():
        what = f"copies are in another part of protocol {protocol}"
        reason = "its parts are the data set's own, and were kept"
        yield from note("copy-apart", named(apart(parts, index.copy_of)), what, reason)
    which = np.flatnonzero(index.static_copy_of >= 0)
    names = _of(index.static_identity, index.static_copy_of, which)
    yield from note("static-copy", names, "static images are copies of others, of the same pixels")


def _of(names: Sequence[str], copy_of: NDArray[np.int64], which: NDArray[np.int64]) -> list[str]:
    """Return each copy with what it is of."""
    return [f"{names[i]} of {names[copy_of[i]]}" for i in which.tolist()]
