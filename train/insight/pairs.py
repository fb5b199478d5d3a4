"""Twins of a part, to be shown to both branches of a run.

In: a run, and which part of which cache. Out: images and the recordings of the same things, in
batches. The order is drawn, always the same: parts are often in the order of their classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UsageError
from ...preprocess.cache.roots import user_root
from ..assess.elsewhere import Measured, Part, measured_on
from ..batches.images import shown_images
from ..batches.views import view_of
from ..checkpoints.started import root_of
from ..checkpoints.state import Checkpoint
from ..checkpoints.weights import open_weights
from ..run.distributed import pick_device
from .alignment import LEAST

BATCH = 64
"""Most pairs that are shown at once; the biased CKA depends on it."""
MOST = 512
"""Twins that are compared where there are more."""
SEED = 0
"""Of the draws, so that the same run always has the same numbers."""


class Pairs:
    """Twins in batches of like size.

    Attributes:
        view: how images are shown over time.
        recordings: their places in the cache, ``(n,)``.
        labels: class of each in the run's order, ``(n,)``.
        partners: places of their images, ``(n,)``.
    """

    def __init__(self, on: Measured, checkpoint: Checkpoint, places: NDArray[np.int64]) -> None:
        self._cache, self._recipe = on.cache, checkpoint.recipe
        self.view = view_of(checkpoint.recipe)
        self.recordings, self.labels = on.recordings[places], on.labels[places]
        self.partners = on.cache.index.twin[self.recordings]
        count = len(places)
        self._parts = np.array_split(np.arange(count), -(-count // BATCH))

    def batches(
        self, device: torch.device
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, NDArray[np.int64]]]:
        """Yield images and recordings ``(B, T, 2, H, W)``, and their places among the pairs."""
        for places in self._parts:
            events = torch.from_numpy(self._cache.clips(self.recordings[places])[:, 0]).to(device)
            images = shown_images(self._cache, self._recipe, self.partners[places])
            yield self.view.frames(images, events.shape[1], None).to(device), events, places


@dataclass(frozen=True)
class Paired:
    """A run, and the twins that it is shown.

    Attributes:
        path: of the checkpoint.
        checkpoint: what it holds.
        cache_key: of the cache.
        device: where to compute.
        pairs: the twins.
        twins: how many there were to draw from.
        notes: what a user should know of them.
    """

    path: Path
    checkpoint: Checkpoint
    cache_key: str
    device: torch.device
    pairs: Pairs
    twins: int
    notes: tuple[str, ...]


def pair_up(
    run: Path | str,
    root: Path | str | None = None,
    device: torch.device | str = "auto",
    *,
    key: str | None = None,
    part: Part = "test",
    most: int = MOST,
) -> Paired:
    """Return the twins of a part for a run; arguments and errors as those of ``diagnose_run``."""
    run = Path(run)
    root = root_of(run, user_root()) if root is None else Path(root)
    where = pick_device(device) if isinstance(device, str) else device
    weights = open_weights(run)
    checkpoint = weights.trained()
    on = measured_on(checkpoint, weights.path, root, key, part)
    found, notes = _twins(on, part), list(on.notes)
    drawn = np.random.default_rng(SEED).permutation(len(found))[:most]
    if len(found) > most:
        notes.append(f"{most:,} of {len(found):,} twins, drawn")
    if on.cache.clip_count > 1:
        notes.append(f"the first of each recording's {on.cache.clip_count} clips")
    pairs = Pairs(on, checkpoint, found[drawn])
    return Paired(weights.path, checkpoint, on.cache.key, where, pairs, len(found), tuple(notes))


def _twins(on: Measured, part: str) -> NDArray[np.int64]:
    """Return places among a part's recordings that have a twin."""
    found = np.flatnonzero(on.cache.index.twin[on.recordings] >= 0)
    if len(found) < LEAST:
        raise UsageError(
            f"{on.cache.directory}: {len(found)} of {len(on.recordings):,} {part} recordings have "
            f"a static twin, and {LEAST} are needed to compare the branches; take another --part, "
            "or a cache that was preprocessed with --static (its card says which recordings have "
            "twins)"
        )
    return found
