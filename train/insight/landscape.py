"""The loss around a run's weights, along one or two directions (Li et al., NeurIPS 2018).

In: a trained run and a grid of coordinates. Out: loss and accuracy of the event branch at each, on
recordings of a part that are drawn once. The result is one file (:mod:`.landscape_file`), written
anew, whole, after every point, so that a call that was ended goes on where it was. Every process
computes with one thread, so its numbers do not depend on how many there are.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import SnntxError, UsageError
from ...preprocess.disk.atomic import write_atomic
from ...preprocess.disk.locks import BusyError, Lock
from ..assess.elsewhere import measured_on
from ..checkpoints.weights import open_weights
from ..measure.batch_statistics import running_norms
from ..measure.metrics import event_batch, event_logits, measure
from ..method.choice import make_method
from .directions import Origin, draw_direction, remade_statistics
from .landscape_file import Asked, Landscape, Point, read_landscape, read_points, text_of

BATCH, BATCHES = 32, 16
"""Training recordings of a batch, and batches, of which statistics are made anew."""


class Ground:
    """What a point is computed with; each process has its own.

    Args:
        run: run directory, checkpoint file or safetensors export.
        root: root of all caches.
        device: where to compute.
        asked: see :class:`Asked`.

    Attributes:
        settings: what decides the values.
        notes: what a user should know of them.
    """

    def __init__(self, run: Path, root: Path, device: str, asked: Asked) -> None:
        weights = open_weights(run)
        checkpoint = weights.trained()
        if make_method(checkpoint.recipe).judged == "static":
            raise UsageError(
                f"{weights.path}: was trained on static images alone, so its event head is "
                "untrained and its loss says nothing; give a run that was trained on events"
            )
        on = measured_on(checkpoint, weights.path, root, None, asked.part)
        self._asked, self._device = asked, torch.device(device)
        self._cache, self._classes = on.cache, checkpoint.classes
        drawn = np.random.default_rng(asked.seed).permutation(len(on.recordings))
        chosen = np.sort(drawn[: asked.recordings])
        self._recordings, self._labels = on.recordings[chosen], on.labels[chosen]
        self.notes = list(on.notes)
        if len(chosen) < len(on.recordings):
            whole = f"{len(on.recordings):,} {asked.part}"
            self.notes.append(f"{len(chosen):,} of {whole} recordings, drawn by --seed")
        if getattr(checkpoint.recipe.method, "loss", "entropy") == "squared":
            self.notes.append(
                "trained by the squared loss, so its cross-entropy is not what training lowered"
            )
        self._shown: list[NDArray[np.int64]] = []
        if asked.norm_statistics == "recompute":
            train = on.cache.split(checkpoint.recipe.data.protocol, "train")
            order = np.random.default_rng(asked.seed).permutation(train)[: BATCH * BATCHES]
            if len(order) < 2:
                raise UsageError(
                    f"{on.cache.directory}: has {len(order)} training recordings, and statistics "
                    "need 2; leave out --norm-statistics recompute"
                )
            self._shown = np.array_split(order, -(-len(order) // BATCH))
        self._model = checkpoint.build_model(self._device).eval()
        if self._shown and not running_norms(self._model):
            self.notes.append("the network has no running statistics, so none are made anew")
        self._origin = Origin(self._model)
        count, norms = (2 if asked.two else 1), asked.norm_directions
        self._directions = [
            draw_direction(self._model, 2 * asked.seed + i, norms=norms) for i in range(count)
        ]
        content = hashlib.sha256()
        for name, value in self._model.state_dict().items():
            content.update(name.encode() + value.cpu().numpy().tobytes())
        self.settings = {
            **asdict(asked),
            "recordings": len(chosen),
            "weights": content.hexdigest()[:16],
            "cache": on.cache.key,
            "card": checkpoint.card,
            "device": self._device.type,
        }

    def value(self, point: Point) -> tuple[float, float]:
        """Return loss and accuracy at a point."""
        axis = self._asked.axis
        self._origin.move(self._directions, [axis[i] for i in point])
        if self._shown:
            with remade_statistics(self._model):
                for batch in self._shown:
                    event_batch(self._model, self._cache, batch, self._device)
        logits = event_logits(self._model, self._cache, self._recordings, self._device)
        found = measure(logits, self._labels, self._classes)
        return found.loss, found.top1


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_ground: Ground | None = None


def _begin(run: Path, root: Path, device: str, asked: Asked) -> None:
    """Make a worker ready; Ctrl-C is its parent's, with which it ends."""
    global _ground
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
    torch.set_num_threads(1)
    _ground = Ground(run, root, device, asked)


def _value(point: Point) -> tuple[Point, tuple[float, float]]:
    assert _ground is not None
    return point, _ground.value(point)


def landscape(
    run: Path | str,
    out: Path,
    root: Path,
    device: str = "cpu",
    asked: Asked | None = None,
    *,
    workers: int = 1,
    on_point: Callable[[int, int], None] = lambda done, of: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Landscape:
    """Compute a landscape, or what is missing of it, into its file.

    Args:
        run: run directory, checkpoint file or safetensors export.
        out: the file; one of the same settings is gone on with.
        root: root of all caches.
        device: ``cpu`` or ``cuda``.
        asked: see :class:`Asked`.
        workers: processes.
        on_point: called with how many points are done, of how many.
        on_note: called with what a user should know, before the first point.

    Raises:
        SnntxError: the checkpoint, its cache or the file is damaged, the file is being written by
            another process, or a worker was killed.
        UsageError: no such run, or the file is of other settings.
    """
    run, asked = Path(run), asked or Asked()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with Lock(out.with_name(f".{out.name}.lock")), _one_thread():
            ground = Ground(run, root, device, asked)
            for note in ground.notes:
                on_note(note)
            done = read_points(out, ground.settings, set(asked.grid))
            missing = [point for point in asked.grid if point not in done]
            on_point(len(done), len(asked.grid))
            found = _computed(ground, missing, workers, (run, root, device, asked))
            for point, value in found:
                done[point] = value
                write_atomic(out, text_of(ground.settings, done))
                on_point(len(done), len(asked.grid))
    except BusyError as busy:
        raise SnntxError(f"{out}: is being written by {busy}; wait for its end") from None
    except BrokenProcessPool:
        raise SnntxError(
            f"{out}: a worker was ended, perhaps for want of memory; what is done is kept: run the "
            "same command again to go on, with fewer --workers"
        ) from None
    except OSError as error:
        raise SnntxError(f"{out}: cannot be written: {error.strerror or error}") from error
    return read_landscape(out)


def _computed(
    ground: Ground, missing: list[Point], workers: int, given: tuple[Any, ...]
) -> Iterable[tuple[Point, tuple[float, float]]]:
    if workers == 1 or len(missing) < 2:
        yield from ((point, ground.value(point)) for point in missing)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(missing)), context, _begin, given)
    try:
        for job in as_completed([pool.submit(_value, point) for point in missing]):
            yield job.result()
    finally:
        pool.shutdown(cancel_futures=True)
