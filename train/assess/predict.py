"""Classes and probabilities of new recordings, framed as the checkpoint's cache was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import BadFileError, UsageError
from ...preprocess.disk.remarks import hearing
from ...preprocess.framing.events import Events
from ...preprocess.framing.frames import frames_of_clips
from ...preprocess.framing.recording import frame_recording
from ...preprocess.framing.records import Records
from ...preprocess.readers.reading import Usable, read_events, usable
from ...preprocess.readers.tonic_sets import data_set_of
from ..batches.seen import windows_of
from ..checkpoints.state import Checkpoint
from ..network.model import TransferModel
from .given import refuse_other


@dataclass(frozen=True)
class Prediction:
    """One recording's result.

    Attributes:
        file: the raw file.
        events: events in it.
        predicted: the most probable class.
        probabilities: softmax of the mean logits (over steps and clips) by class, most probable
            first.
    """

    file: str
    events: int
    predicted: str
    probabilities: dict[str, float]


BATCH = 16
"""Recordings that are classified at once."""


def predict(
    checkpoint: Checkpoint,
    files: Iterable[Path],
    device: torch.device,
    *,
    batch: int = BATCH,
    on_bad: Callable[[BadFileError], None] | None = None,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[Prediction]:
    """Classify raw files of the checkpoint's format, all of them: see :func:`predictions`."""
    return list(predictions(checkpoint, files, device, batch=batch, on_bad=on_bad, on_note=on_note))


def predictions(
    checkpoint: Checkpoint,
    files: Iterable[Path],
    device: torch.device,
    *,
    batch: int = BATCH,
    on_bad: Callable[[BadFileError], None] | None = None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Iterator[Prediction]:
    """Yield the classes of raw files of the checkpoint's format, in their order.

    No more than one batch's frames are held. A recording's result is the same in any batch, up to
    the rounding of the network's sums.

    Args:
        checkpoint: the network, and how its recordings were framed.
        files: the recordings.
        device: where to compute.
        batch: recordings that are classified at once.
        on_bad: called with the error of each file that cannot be used, which is then passed over;
            None lets the first one end it all.
        on_note: called with what is odd about a file that is classified.

    Raises:
        BadFileError: a file cannot be read, decoded or framed.
        UsageError: nothing reads single files of the format.
    """
    model = checkpoint.build_model(device)
    spec = Usable(_file_format(checkpoint), checkpoint.sort, checkpoint.wraps, checkpoint.outside)
    waiting: list[tuple[Path, int, NDArray[np.float32]]] = []

    def answered() -> Iterator[Prediction]:
        yield from _answers(model, checkpoint.classes, waiting, device)
        waiting.clear()

    for file in files:
        try:
            refuse_other(file, spec.format)
            with hearing() as heard:
                events = read_events(
                    file, spec.format, sort=spec.sort, wraps=spec.wraps, drops=spec.drops
                )
                inside = usable(events, file, spec, checkpoint.frames)
            clips = _clips(inside, file, checkpoint)
        except BadFileError as error:
            if on_bad is None:
                yield from answered()
                raise
            on_bad(error)
            continue
        for each in heard:
            on_note(f"{file}: {each.whole}")
        waiting.append((file, events.size, clips))
        if len(waiting) == batch:
            yield from answered()
    yield from answered()


def _answers(
    model: TransferModel,
    classes: Sequence[str],
    waiting: Sequence[tuple[Path, int, NDArray[np.float32]]],
    device: torch.device,
) -> Iterator[Prediction]:
    """Classify recordings together."""
    if not waiting:
        return
    frames = torch.from_numpy(np.concatenate([clips for _, _, clips in waiting]))
    with torch.inference_mode():
        mean = model.forward_event(frames.to(device)).mean(0).float()
    parts = torch.split(mean, [len(clips) for _, _, clips in waiting])
    for (file, count, _), logits in zip(waiting, parts, strict=True):
        probability, order = logits.mean(0).softmax(0).cpu().sort(stable=True, descending=True)
        named = {classes[i]: p for i, p in zip(order.tolist(), probability.tolist(), strict=True)}
        yield Prediction(str(file), count, next(iter(named)), named)


def _clips(events: Events | Records, file: Path, checkpoint: Checkpoint) -> NDArray[np.float32]:
    """Return what a test shows of a recording, ``(clips, T, 2, H, W)``.

    Raises:
        BadFileError: it cannot be framed.
    """
    whole = frame_recording(events, file, checkpoint.frames)
    windows = windows_of(checkpoint.frames, checkpoint.recipe)
    if windows is None:
        return whole[None]
    columns = events.events() if isinstance(events, Records) else events
    return frames_of_clips(columns, checkpoint.frames, windows)


def _file_format(checkpoint: Checkpoint) -> str:
    """Return the format of a file; which of tonic's data sets it is was not always kept."""
    if checkpoint.event_format != "tonic":
        return checkpoint.event_format
    name = data_set_of(checkpoint.card)
    if not name:
        raise UsageError(
            f"the run is of card {checkpoint.card}, whose files tonic reads, and was trained "
            "before runs kept which of tonic's data sets that is; train it again to classify "
            "single files"
        )
    return f"tonic:{name}"
