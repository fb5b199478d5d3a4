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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..cache import format as fmt
from ..cache.seal import seal
from ..disk.atomic import PART_SUFFIX
from ..disk.files import size_of
from ..disk.folders import disk_errors, is_read_only, locked, make_folder, sync_folder
from ..disk.memo import MEMO, DigestMemo
from ..planning.pairing import pair
from ..planning.plan import Plan, Request, make_plan
from .indexing import index_of
from .sealed import digests_of, draft_of, find_sealed, older_cache, older_line, refuse_skipped
from .space import check_space
from .stages import Progress, build_shards, write_statics
from .tasks import Crew
from .workers import Workers


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
    if skip or scheduler is not None:  # reasons are kept, another process may be elsewhere
        request = request.absolute()
    plan = make_plan(request, skip=skip)
    home = request.cache / request.card.name
    draft = plan.draft()
    if is_read_only(home):
        sealed = find_sealed(home, draft, plan, DigestMemo(home / MEMO, fresh=rehash))
        if sealed is not None:
            return _reused(sealed, plan, started, skip)
    make_folder(home)
    building = home / f".building-{draft}"
    notes = home / f"{building.name}.notes"
    with locked(home / f"{building.name}.lock", say):
        memo = DigestMemo(home / MEMO, fresh=rehash)
        if rehash and notes.is_dir():  # of an interrupted build: its shards are built again
            shutil.rmtree(notes)
        sealed = find_sealed(home, draft, plan, memo)
        if sealed is not None:
            return _reused(sealed, plan, started, skip)
        if check_room:
            check_space(request, plan, building, say)
        older = older_cache(home, request, plan, memo)
        if older is not None:
            say(older_line(older, request.card.name))
        with disk_errors(home), _workplace(building, notes):
            for part in building.glob(f".*{PART_SUFFIX}"):
                part.unlink(missing_ok=True)
            pair(plan, request.card)  # what the two folders disagree on shows at once
            bar = Progress(len(plan.recordings) + len(plan.statics), progress)
            with _crew(workers, scheduler, building, request) as crew:
                held = write_statics(request, plan, building, notes, memo, crew, bar, skip)
                rows, resumed = build_shards(request, plan, building, notes, memo, crew, bar, skip)
            index = index_of(request, plan, rows, held)
            digests = digests_of(plan, rows, memo)
            key = plan.key(digests)
            final = home / key
            index = dataclasses.replace(
                index,
                attributes={**index.attributes, "key": key},
                manifest=plan.manifest(digests),
            )
            index.write(building / fmt.INDEX)
            seal(building, key, draft, index.attributes["format_version"])
            if draft_of(final) == draft:  # sealed while the raw files changed under this build
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


def _reused(sealed: Path, plan: Plan, started: float, skip: bool) -> Summary:
    index = fmt.Index.read(sealed / fmt.INDEX)
    refuse_skipped(sealed, index, skip)
    return _summary(sealed, index, plan, started, reused=True, resumed=0)


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
        notes=(*(each.text for each in index.notes), *plan.notes),
    )
