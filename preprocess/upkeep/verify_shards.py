"""Checking shards: every recording's checksum, its own rows, and those against the index."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from ..cache import format as fmt
from ..cache.contents import kind_of
from ..cache.events import names as event_names
from ..cache.events.shard import DamagedError, OpenShard
from ..cache.events.shard import checksum as events_checksum
from ..cache.files import open_own
from ..cache.seal import Seal
from .checks import DAMAGE, Check


def check_shards(check: Check, sealed: Seal, index: fmt.Index | None) -> None:
    """Check every shard of a cache of either kind."""
    events = kind_of(sealed.version) == "events"
    name_of = event_names.shard_name if events else fmt.shard_name
    start = name_of(0).partition("-")[0] + "-"
    names = [name for name in sealed.files if name.startswith(start)]
    if index is not None:
        check.expect(len(index.rows.identity) + len(index.static_identity))
        for number in sorted(set(index.shard.tolist())):
            if name_of(number) not in names:
                check.add(fmt.SEALED, "files", "no entry", name_of(number))
    for name in names:
        _check_shard(check, name, index, events=events)


def _check_shard(check: Check, name: str, index: fmt.Index | None, *, events: bool) -> None:
    """Check what a shard keeps against its own rows, and its rows against the index."""
    shape: tuple[int, ...] = ()
    try:
        with open_own(check.directory / name) as file:
            rows = fmt.Rows.read(file)
            if not events:
                frames = file["frames"]
                shape = tuple(frames.shape)
                if shape[0] != len(rows.identity) or frames.dtype != fmt.FRAMES:
                    wanted = f"{len(rows.identity)} rows of float32"
                    check.add(name, "/frames", f"{shape} {frames.dtype}", wanted)
                    return
                found = _sums_of_frames(frames)
            else:
                found = _sums_of_events(check, name, len(rows.identity))
            for row, (identity, text) in enumerate(zip(rows.identity, found, strict=True)):
                expected = f"checksum {int(rows.checksum[row]):016x}"
                if text != expected:
                    check.add(name, f"recording {identity} (row {row})", text, expected)
                check.recordings += 1
                check.tick()
    except (DamagedError, *DAMAGE) as error:
        if (check.directory / name).is_file():
            check.add(name, "", " ".join(str(error).split()), "a readable shard")
        return
    check.shards += 1
    if index is not None:
        _compare_rows(check, name, rows, shape, index)


def _sums_of_frames(frames: h5py.Dataset) -> Iterator[str]:
    """Yield the checksum of each recording's frames, in words."""
    for row in range(frames.shape[0]):
        try:
            yield f"checksum {fmt.checksum(frames[row]):016x}"
        except DAMAGE as error:
            yield f"unreadable frames ({' '.join(str(error).split())})"


def _sums_of_events(check: Check, name: str, rows: int) -> Iterator[str]:
    """Yield the checksum of each recording's events, in words."""
    shard = OpenShard(check.directory / name)
    for row in range(rows):
        try:
            yield f"checksum {events_checksum(shard.read(row)):016x}"
        except (DamagedError, *DAMAGE) as error:
            yield f"unreadable events ({' '.join(str(error).split())})"


def _compare_rows(
    check: Check, name: str, rows: fmt.Rows, shape: tuple[int, ...], index: fmt.Index
) -> None:
    wanted = tuple(int(n) for n in index.attributes["frame_shape"])
    if shape and shape[1:] != wanted:
        check.add(name, "/frames", f"frames {shape[1:]}", wanted)
    number = int(name.partition("-")[2].removesuffix(".h5"))
    here = np.flatnonzero(index.shard == number)
    here = here[np.argsort(index.row[here], kind="stable")]
    if index.row[here].tolist() != list(range(len(rows.identity))):
        check.add(
            name, "/recordings", f"{len(rows.identity)} rows", f"{here.size}, as the index says"
        )
        return
    for column in rows.columns:
        found, expected = getattr(rows, column), getattr(index.rows, column)
        for row, i in enumerate(here.tolist()):
            if np.any(found[row] != expected[i]):
                place = f"/recordings/{column} of row {row}"
                check.add(name, place, found[row], f"{expected[i]}, as the index says")
