"""From a card and two folders to a sealed cache.

List, name the build, take its lock, make the missing shards, write statics and index,
seal, rename to the key. A shard is written beside its final name, synced and renamed, so an
interrupted build resumes with the shards it has; two builders of one cache wait for each
other; nothing but a sealed directory is ever opened by ``train``.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from ..errors import SnntxError, UsageError
from . import cache_format as fmt
from .manifest import DigestMemo, digest
from .options import FrameOptions
from .pairing import Pairs, pair
from .plan import Plan, Request, attributes, make_plan
from .readers import read_file, record_bytes
from .recordings import by_file, in_shards
from .shards import Member, RawFile, ShardTask, build_shard, read_shard
from .splits import split_recordings, split_statics
from .statics import decode_picture, planes_of

EVENT_BYTES = 16
"""At most this many bytes of frames per event: four float32 corners, before compression."""


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
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Build the cache a request names, or find it already sealed.

    Args:
        request: what to build.
        say: called with lines for people while it works.
        progress: called with recordings done and in all.

    Raises:
        UsageError: the folders do not hold what the card describes.
        BadFileError: a raw file or image cannot be used.
        SnntxError: not enough disk space, or the disk fails.
    """
    started = time.perf_counter()
    plan = make_plan(request)
    home = request.cache / request.card.name
    _make_folder(home)
    draft = plan.draft()
    building = home / f".building-{draft}"
    with _locked(home / f".building-{draft}.lock", say):
        memo = DigestMemo(home / "digests.json")
        sealed = _find_sealed(home, draft, plan, memo)
        if sealed is not None:
            index = fmt.Index.read(sealed / fmt.INDEX)
            return _summary(sealed, index, plan, started, reused=True, resumed=0)
        _check_space(home, plan, request.options)
        with _disk_errors(home):
            building.mkdir(exist_ok=True)
            pairs = pair(plan, request.card)  # what the two folders disagree on shows at once
            pictures = _write_static_images(request, plan, building, memo)
            rows, resumed = _build_shards(request, plan, building, memo, progress)
            index = _index(request, plan, rows, pairs)
            digests = _digests(plan, rows, pictures, memo)
            key = plan.key(digests)
            final = home / key
            index = dataclasses.replace(index, attributes={**index.attributes, "key": key})
            index.write(building / fmt.INDEX)
            fmt.seal(building, key, draft)
            if _draft_of(final) == draft:  # sealed while the raw files changed under this build
                shutil.rmtree(building)
            else:
                if final.exists():
                    say(f"{final} is damaged; putting the new build in its place")
                    shutil.rmtree(final)
                building.rename(final)
            _sync(home)
    return _summary(final, index, plan, started, reused=False, resumed=resumed)


def _make_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UsageError(
            f"--cache {home.parent}: cannot be written: {error.strerror}; choose another folder"
        ) from error


@contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a build's lock, waiting for another builder of the same cache."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another process is building this cache; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(home: Path) -> Iterator[None]:
    """Turn a full or failing disk into one line; what was finished stays for the next run."""
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC or "No space left" in str(error)
        if not full and error.errno is None:
            raise
        cause = "the disk is full" if full else " ".join(str(error).split())
        raise SnntxError(
            f"{home}: {cause}; free space or mend it and run the same command again: "
            "finished shards are kept"
        ) from error


def _check_space(home: Path, plan: Plan, options: FrameOptions) -> None:
    """Refuse to start a build that could fill the disk."""
    frame_bytes = int(np.prod(options.frame_shape)) * fmt.FRAMES.itemsize
    height, width = options.frame_shape[2:]
    record = record_bytes(plan.settings["events"]["format"])
    needed = sum(
        min(len(held) * frame_bytes, EVENT_BYTES * path.stat().st_size // record)
        for path, held in by_file(plan.recordings)
    )
    needed += len(plan.statics) * len(plan.planes) * height * width
    free = shutil.disk_usage(home).free
    if free < needed:
        raise SnntxError(
            f"{home}: {free / 1e6:.0f} MB free, but this cache may need up to "
            f"{needed / 1e6:.0f} MB; free space or choose another --cache"
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


def _build_shards(
    request: Request,
    plan: Plan,
    building: Path,
    memo: DigestMemo,
    progress: Callable[[int, int], None],
) -> tuple[list[fmt.Rows], int]:
    """Make or resume every shard; returns their rows and how many were there already."""
    label = {name: i for i, name in enumerate(plan.classes)}
    total, done, resumed = len(plan.recordings), 0, 0
    shards: list[fmt.Rows] = []
    progress(0, total)
    for files in in_shards(plan.recordings, fmt.SHARD_RECORDINGS):
        task = ShardTask(
            path=building / fmt.shard_name(len(shards)),
            files=tuple(
                RawFile(path, tuple(Member(r.identity, label[r.class_name], r.part) for r in held))
                for path, held in files
            ),
            format=request.card.events.format,
            sort=request.card.events.sort,
            options=request.options,
        )
        known = {file.path: memo.get(file.path) for file in task.files}
        rows = read_shard(task, [known[f.path] for f in task.files for _ in f.members])
        if rows is None:
            states = {file.path: file.path.stat() for file in task.files}
            rows = build_shard(task, lambda n, base=done: progress(base + n, total))  # type: ignore[misc]
            first = np.cumsum([0, *(len(file.members) for file in task.files[:-1])])
            for file, row in zip(task.files, first, strict=True):
                memo.put(file.path, rows.digest[row], states[file.path])
            memo.save()
        else:
            resumed += 1
        shards.append(rows)
        done += task.recordings
        progress(done, total)
    return shards, resumed


def _index(request: Request, plan: Plan, shards: Sequence[fmt.Rows], pairs: Pairs) -> fmt.Index:
    """Split the recordings and collect everything about the cache but its pixels."""
    rows = fmt.Rows.join(shards)
    fields = [f.fields for f in plan.recordings]
    splits = {
        name: split_recordings(rule, rows.identity, rows.label, fields)
        for name, rule in request.card.splits.items()
    }
    statics = {n: split_statics(len(plan.statics), pairs.twin, p) for n, p in splits.items()}
    sizes = [len(part.identity) for part in shards]
    return fmt.Index(
        attributes=attributes(request),
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


def _digests(
    plan: Plan, shards: Sequence[fmt.Rows], pictures: dict[Path, str], memo: DigestMemo
) -> dict[str, str]:
    """Return the digest of every raw file by its name in the manifest."""
    read = [value for rows in shards for value in rows.digest]
    of_path = {r.path: value for r, value in zip(plan.recordings, read, strict=True)}
    digests = {
        f"raw/{name}": of_path.get(path) or _digest_of(path, memo)
        for name, path in plan.event_files.items()
    }
    digests |= {
        f"static/{name}": pictures.get(path) or _digest_of(path, memo)
        for name, path in plan.static_files.items()
    }
    memo.save()
    return digests


def _digest_of(path: Path, memo: DigestMemo) -> str:
    """Return a file's digest, reading the file only if it is not remembered."""
    known = memo.get(path)
    if known is None:
        status = path.stat()
        known = digest(read_file(path))
        memo.put(path, known, status)
    return known


def _write_static_images(
    request: Request, plan: Plan, building: Path, memo: DigestMemo
) -> dict[Path, str]:
    """Decode, fit and write every static image; returns the digests of the picture files."""
    height, width = request.options.frame_shape[2:]
    fit = request.card.static.fit if request.card.static else "stretch"
    digests: dict[Path, str] = {}
    images = np.empty((len(plan.statics), len(plan.planes), height, width), np.uint8)
    for i, image in enumerate(plan.statics):
        if image.pixels is None:
            status = image.path.stat()
            data = read_file(image.path)
            digests[image.path] = digest(data)
            memo.put(image.path, digests[image.path], status)
            images[i] = planes_of(decode_picture(data, image.path), (height, width), fit, image)
        else:
            images[i] = planes_of(Image.fromarray(image.pixels), (height, width), fit, image)
    memo.save()
    label = {name: i for i, name in enumerate(plan.classes)}
    fmt.write_statics(
        building / fmt.STATIC,
        images,
        [s.identity for s in plan.statics],
        [label[s.class_name] for s in plan.statics],
    )
    return digests


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        raw_bytes=sum(path.stat().st_size for path in plan.event_files.values()),
        cache_bytes=sum(f.stat().st_size for f in directory.iterdir()),
        seconds=time.perf_counter() - started,
        statics=len(index.static_identity),
        twins=int((index.twin >= 0).sum()),
        resumed_shards=resumed,
        skipped=tuple(index.rows.skipped),
        notes=plan.notes,
    )
