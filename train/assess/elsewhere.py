"""What a run is measured on: its own cache, or another with classes that it knows.

In: a checkpoint, the root of all caches, the key and part that were asked for. Out: the cache as
the run's recipe sees it, the recordings, their classes in the run's order, and what a user should
know of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...data_cards import load_card
from ...errors import SnntxError, UsageError
from ...preprocess.cache.contents import SealedCache
from ...preprocess.cache.opening import open_by_key, open_cache, opened
from ..batches.seen import seen_by
from ..checkpoints.state import Checkpoint

Part = Literal["test", "validation", "train", "all"]
"""Of a protocol; ``all`` is every recording of the cache, whatever its protocols say."""
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Measured:
    """Recordings that a run is measured on.

    Attributes:
        cache: as the run's recipe sees it.
        recordings: places in it, ``(n,)``.
        labels: class of each in the run's order, ``(n,)``.
        own: whether this is the test part of the cache that the run was trained on.
        notes: what a user should know of them.
    """

    cache: SealedCache
    recordings: NDArray[np.int64]
    labels: NDArray[np.int64]
    own: bool
    notes: tuple[str, ...]


def measured_on(
    checkpoint: Checkpoint,
    path: Path,
    root: Path,
    key: str | None = None,
    part: Part = "test",
    card: str | None = None,
) -> Measured:
    """Return the recordings of a part of a run's own cache, or of another.

    Args:
        checkpoint: of the run.
        path: names it in errors.
        root: root of all caches.
        key: of the other cache, or its start; None for the run's own.
        part: of the run's protocol.
        card: another dataset with the run's classes; None for its own.

    Raises:
        SnntxError: there is no such cache, or it is damaged.
        UsageError: its classes or frames are others than the run's, or it has no such protocol or
            no recording of the part.
    """
    protocol = checkpoint.recipe.data.protocol
    other = card is not None and card != checkpoint.card
    if other:
        cache = _of_card(checkpoint, root, str(card), key)
    elif key is None or checkpoint.cache_key.startswith(key):
        cache = _own(checkpoint, path, root)
    else:
        cache = open_by_key(root, checkpoint.card, key)
    own = cache.key == checkpoint.cache_key
    seen = seen_by(cache, checkpoint.recipe)
    wanted = checkpoint.frames.frame_shape
    if seen.frame_shape != wanted:
        raise UsageError(
            f"{cache.directory}: has frames of {_shape(seen.frame_shape)}, but {path} was trained "
            f"on {_shape(wanted)}; give the key of a cache that has them, see: snntx cache ls"
        )
    if part != "all" and protocol not in seen.protocols:
        raise UsageError(
            f"{cache.directory}: has no protocol '{protocol}', by which {path} was trained (it "
            f"has: {', '.join(seen.protocols)}); --part all takes every recording"
        )
    recordings = (
        np.arange(len(seen), dtype=np.int64) if part == "all" else seen.split(protocol, part)
    )
    if recordings.size == 0:
        more = "" if part == "all" else "; --part all takes every recording"
        raise UsageError(
            f"{cache.directory}: protocol {protocol} has no {part} recordings in this cache{more}"
        )
    places = _places(seen.classes, checkpoint.classes, cache.directory, path)
    labels = places[seen.labels[recordings]]
    notes = _notes(checkpoint, seen, recordings, root) if not own or part != "test" else ()
    if other and list(seen.classes) != list(checkpoint.classes):
        notes = ("classes stand in another order there, and are matched by name", *notes)
    return Measured(seen, recordings, labels, own and part == "test", notes)


def _own(checkpoint: Checkpoint, path: Path, root: Path) -> SealedCache:
    directory = root / checkpoint.card / checkpoint.cache_key
    if not directory.is_dir():
        raise SnntxError(
            f"{directory}: the cache that {path} was trained on is not there; give its root with "
            f"--cache, or make it again with snntx preprocess {checkpoint.card}"
        )
    return opened(directory)


def _of_card(checkpoint: Checkpoint, root: Path, card: str, key: str | None) -> SealedCache:
    """Return a cache of another card, by its key or with frames of the run's shape."""
    known = load_card(card, root)
    if key is not None:
        return open_by_key(root, known.name, key)
    steps, _, height, width = checkpoint.frames.frame_shape
    size = height if height == width else None
    return open_cache(root, known, steps=steps, size=size, given=card)


def _places(
    found: Sequence[str], known: Sequence[str], directory: Path, path: Path
) -> NDArray[np.int64]:
    """Return the place of each of a cache's classes among the run's."""
    place = {name: at for at, name in enumerate(known)}
    new = [name for name in found if name not in place]
    if new:
        shown = ", ".join(new[:3]) + (f" and {len(new) - 3} more" if len(new) > 3 else "")
        raise UsageError(
            f"{directory}: has the class{'es' * (len(new) > 1)} {shown}, which {path} was not "
            "trained on; preprocess a folder without, or train on this cache"
        )
    return np.array([place[name] for name in found], np.int64)


def _notes(
    checkpoint: Checkpoint, cache: SealedCache, recordings: NDArray[np.int64], root: Path
) -> tuple[str, ...]:
    """Return which framing options differ, and how many recordings the run knows by their bytes."""
    notes = []
    ours, theirs = asdict(checkpoint.frames), asdict(cache.options)
    differ = [f"{name} = {theirs[name]} (not {ours[name]})" for name in ours
              if theirs[name] != ours[name]]  # fmt: skip
    if differ:
        notes.append(f"its frames were made otherwise than the run's: {', '.join(differ)}")
    directory = root / checkpoint.card / checkpoint.cache_key
    if not directory.is_dir():
        notes.append(
            "the cache that it was trained on is not there, so nobody can tell whether it was "
            "trained on some of these recordings"
        )
        return tuple(notes)
    own, protocol = opened(directory), checkpoint.recipe.data.protocol
    digests = own.index.rows.digest
    wanted = [cache.index.rows.digest[i] for i in recordings.tolist()]
    for part, done in (("train", "trained"), ("validation", "chosen")):
        held = {digests[i] for i in own.split(protocol, part).tolist()}
        count = sum(digest in held for digest in wanted)
        if count:
            notes.append(f"{count:,} of these {len(wanted):,} recordings it was {done} on")
    return tuple(notes)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
