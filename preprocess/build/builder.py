"""From a card and two folders to a sealed cache.

List, name the build, take its lock, make the missing shards, write statics and index,
seal, rename to the key. A shard is written beside its final name, synced and renamed, so an
interrupted build resumes with the shards it has; two builders of one cache wait for each
other; nothing but a sealed directory is ever opened by ``train``.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import BadFileError, SnntxError
from ..cache import format as fmt
from ..cache.settings import attributes
from ..cache.splits import split_recordings, split_statics
from ..disk.atomic import PART_SUFFIX
from ..disk.digests import digest_file
from ..disk.files import size_of, state_of
from ..disk.folders import disk_errors, locked, make_folder, sync_folder
from ..disk.memo import MEMO, DigestMemo
from ..statics.images import StaticImage
from .pairing import Pairs, pair
from .plan import Plan, Request, make_plan
from .space import check_space
from .stages import Progress, build_shards, write_statics
from .tasks import Crew
from .workers import Workers

UNREADABLE = "unreadable"
"""Stands for the digest of a file that was passed over because it cannot be read."""


@dataclass(frozen=True)
class Summary:
    """What a preprocess did; ``notes`` are lines for people about what was passed over."""

    directory: Path
    key: str
    reused: bool
    recordings: int
    classes: int
    events: int
    raw_bytes: int
    cache_bytes: int
    seconds: float
    statics: int
    twins: int
    resumed_shards: int
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def preprocess(
    request: Request,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    skip: bool = False,
    rehash: bool = False,
    check_room: bool = True,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Build the cache a request names, or find it already sealed.

    Neither ``jobs`` nor ``scheduler`` changes a byte of it.

    Args:
        request: what to build.
        jobs: worker processes; 1 works in this one.
        scheduler: address of a Dask scheduler whose workers do the work instead.
        skip: pass over bad files, and list them in the cache, instead of raising.
        rehash: read every raw file again, instead of trusting its size and times.
        check_room: refuse to start where the disk is surely too small.
        say: called with lines for people while it works.
        progress: called with recordings and static images done and in all.

    Raises:
        UsageError: the folders do not hold what the card describes, or an option is wrong.
        BadFileError: a raw file or image cannot be used, and it does not skip; or none can.
        SnntxError: not enough disk space, the disk fails, a worker dies, or the sealed cache
            passed over files and this call does not.
    """
    started = time.perf_counter()
    workers = Workers(jobs)
    if scheduler is not None:  # another process may be in another folder
        request = request.absolute()
    plan = make_plan(request, skip=skip)
    home = request.cache / request.card.name
    make_folder(home)
    draft = plan.draft()
    building = home / f".building-{draft}"
    notes = home / f"{building.name}.notes"
    with locked(home / f"{building.name}.lock", say):
        memo = DigestMemo(home / MEMO, fresh=rehash)
        if rehash and notes.is_dir():  # of an interrupted build: its shards are built again
            shutil.rmtree(notes)
        sealed = _find_sealed(home, draft, plan, memo)
        if sealed is not None:
            index = fmt.Index.read(sealed / fmt.INDEX)
            _refuse_skipped(sealed, index, skip)
            return _summary(sealed, index, plan, started, reused=True, resumed=0)
        if check_room:
            check_space(request, plan, building, say)
        with disk_errors(home), _workplace(building, notes):
            for part in building.glob(f".*{PART_SUFFIX}"):
                part.unlink(missing_ok=True)
            pair(plan, request.card)  # what the two folders disagree on shows at once
            bar = Progress(len(plan.recordings) + len(plan.statics), progress)
            with _crew(workers, scheduler, building, request) as crew:
                statics, passed = write_statics(
                    request, plan, building, notes, memo, crew, bar, skip
                )
                rows, resumed = build_shards(request, plan, building, notes, memo, crew, bar, skip)
            kept = _kept(plan, rows, statics)
            index = _index(request, kept, rows, pair(kept, request.card), passed)
            digests = _digests(plan, rows, memo)
            key = plan.key(digests)
            final = home / key
            index = dataclasses.replace(
                index,
                attributes={**index.attributes, "key": key},
                manifest=plan.manifest(digests),
            )
            index.write(building / fmt.INDEX)
            fmt.seal(building, key, draft)
            if _draft_of(final) == draft:  # sealed while the raw files changed under this build
                shutil.rmtree(building)
            else:
                if final.exists():
                    say(f"{final} is damaged; putting the new build in its place")
                    shutil.rmtree(final)
                building.rename(final)
            sync_folder(home)
            shutil.rmtree(notes)
    return _summary(final, index, plan, started, reused=False, resumed=resumed)


@contextmanager
def _workplace(building: Path, notes: Path) -> Iterator[None]:
    """Make the folders of a build; one that fails with nothing done leaves none behind."""
    for folder in (building, notes):
        folder.mkdir(exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # those that hold something stay
            building.rmdir()
            notes.rmdir()
        raise


def _crew(
    workers: Workers, scheduler: str | None, building: Path, request: Request
) -> AbstractContextManager[Crew]:
    if scheduler is None:
        return workers
    from .cluster import dask_crew

    folders = [folder for folder in (request.raw, request.static) if folder is not None]
    return dask_crew(scheduler, building, folders)


def _refuse_skipped(sealed: Path, index: fmt.Index, skip: bool) -> None:
    """Refuse a cache made without its bad files where that was not asked for."""
    skipped = index.rows.skipped
    if skipped and not skip:
        name, reason = skipped[0]
        raise SnntxError(
            f"{sealed}: sealed without {len(skipped)} bad files, the first {name}: {reason}; "
            "mend them, or accept the cache with --bad-files skip"
        )


def _draft_of(directory: Path) -> str | None:
    """Return the draft name of a whole sealed cache, None for anything else."""
    try:
        return str(fmt.read_seal(directory)["draft"])
    except SnntxError:
        return None


def _find_sealed(home: Path, draft: str, plan: Plan, memo: DigestMemo) -> Path | None:
    """Return the sealed cache of exactly these files, reading those whose digest is unknown."""
    candidates = [
        path.parent
        for path in sorted(home.glob(f"*/{fmt.SEALED}"))
        if not path.parent.name.startswith(".") and _draft_of(path.parent) == draft
    ]
    if not candidates:
        return None
    digests = {name: _digest_of(path, memo) for name, path in plan.files.items()}
    memo.save()
    final = home / plan.key(digests)
    return final if final in candidates else None


def _kept(plan: Plan, shards: Iterable[fmt.Rows], statics: list[StaticImage]) -> Plan:
    """Reduce a plan to what is in the cache.

    Raises:
        BadFileError: no recording is.
    """
    identities = {identity for rows in shards for identity in rows.identity}
    if not identities:
        name, reason = next(iter(skipped for rows in shards for skipped in rows.skipped))
        raise BadFileError(
            f"all {len(plan.recordings)} recordings are bad, the first: {name}: {reason}"
        )
    recordings = [r for r in plan.recordings if r.identity in identities]
    return dataclasses.replace(plan, recordings=recordings, statics=statics)


def _index(
    request: Request,
    plan: Plan,
    shards: Sequence[fmt.Rows],
    pairs: Pairs,
    passed: Sequence[tuple[str, str]],
) -> fmt.Index:
    """Split the recordings and collect everything about the cache but its pixels."""
    rows = fmt.Rows.join(shards)
    rows = dataclasses.replace(rows, skipped=(*plan.skipped, *rows.skipped, *passed))
    fields = [f.fields for f in plan.recordings]
    splits = {
        name: split_recordings(rule, rows.identity, rows.label, fields)
        for name, rule in request.card.splits.items()
    }
    statics = {n: split_statics(len(plan.statics), pairs.twin, p) for n, p in splits.items()}
    sizes = [len(part.identity) for part in shards]
    return fmt.Index(
        attributes=attributes(request.card, request.options, plan.settings),
        classes=plan.classes,
        rows=rows,
        shard=np.repeat(np.arange(len(sizes)), sizes).astype(np.int32),
        row=np.concatenate([np.arange(n) for n in sizes]).astype(np.int32),
        twin=pairs.twin,
        splits=splits,
        static_identity=[s.identity for s in plan.statics],
        static_label=pairs.static_label,
        static_splits=statics,
        planes=plan.planes,
    )


def _digests(plan: Plan, shards: Iterable[fmt.Rows], memo: DigestMemo) -> dict[str, str]:
    """Return the digest of every raw file by its name in the manifest."""
    path_of = {r.identity: r.path for r in plan.recordings}
    read = {
        path_of[identity]: value
        for rows in shards
        for identity, value in zip(rows.identity, rows.digest, strict=True)
    }
    digests = {n: read.get(path) or _digest_of(path, memo) for n, path in plan.files.items()}
    memo.save()
    return digests


def _digest_of(path: Path, memo: DigestMemo) -> str:
    """Return a file's digest, reading the file only if it is not remembered."""
    known = memo.get(path)
    if known is None:
        try:
            status = state_of(path)
            known = digest_file(path)
        except BadFileError:
            return UNREADABLE
        memo.put(path, known, status)
    return known


def _summary(
    directory: Path, index: fmt.Index, plan: Plan, started: float, *, reused: bool, resumed: int
) -> Summary:
    return Summary(
        directory=directory,
        key=directory.name,
        reused=reused,
        recordings=len(index.rows.identity),
        classes=len(set(index.rows.label.tolist())),
        events=int(index.rows.events.sum()),
        raw_bytes=sum(map(size_of, plan.event_files.values())),
        cache_bytes=sum(f.stat().st_size for f in directory.iterdir()),
        seconds=time.perf_counter() - started,
        statics=len(index.static_identity),
        twins=int((index.twin >= 0).sum()),
        resumed_shards=resumed,
        skipped=tuple(index.rows.skipped),
        notes=plan.notes,
    )
