"""One recording framed as the options say; its file's name stands in every error.

In: :class:`~snntx.preprocess.framing.events.Events` or
:class:`~snntx.preprocess.framing.records.Records`, and
:class:`~snntx.preprocess.framing.options.FrameOptions`. Out: the frame tensor ``(T, C, H, W)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data_cards.vocabulary import AS_PUBLISHED, WINDOWED
from ...errors import BadFileError, SnntxError
from .events import LEAVE_OUT, Events
from .frames import frames_from_events, frames_from_records
from .frequency import frequency_frames
from .grid import OutsideError
from .options import FrameOptions
from .published import published_frames
from .records import Records

_ADVICE = f"the file is damaged, or {LEAVE_OUT}"


def frame_recording(
    events: Events | Records, path: Path, options: FrameOptions
) -> NDArray[np.float32]:
    """Frame one recording, as columns or as its file's records; errors name the file.

    Raises:
        BadFileError: an event lies outside the sensor, or times or polarities are wrong.
    """
    if options.limit is not None and events.size:
        rows, columns = events.reach
        if rows > options.limit[0] or columns > options.limit[1]:
            raise BadFileError(
                f"{path}: events span {rows} rows and {columns} columns, but the sensor has "
                f"{options.limit[0]} rows and {options.limit[1]} columns; {_ADVICE}"
            )
    if options.values in WINDOWED:
        return _windowed_frames(events, path, options)
    try:
        if isinstance(events, Records):
            return frames_from_records(events, options)
        return frames_from_events(
            *events,
            steps=options.steps,
            size=options.size,
            sensor=options.sensor,
            tail=options.tail,
            zero_origin=options.zero_origin,
            bins=options.bins,
            window_ms=options.window_ms,
            values=options.values,
            polarity=options.polarity,
            crop=options.crop,
            downsample=options.downsample,
        )
    except OutsideError as error:
        raise BadFileError(f"{path}: {error}; {_ADVICE}") from error
    except SnntxError as error:
        raise BadFileError(f"{path}: {error}") from error


def _windowed_frames(
    events: Events | Records, path: Path, options: FrameOptions
) -> NDArray[np.float32]:
    """Frame one recording by equal windows of its whole sensor; errors name the file."""
    assert options.sensor is not None  # FrameOptions sees to it
    if isinstance(events, Records):
        events = events.events()
    rows, columns = events.reach
    if rows > options.sensor[0] or columns > options.sensor[1]:
        raise BadFileError(
            f"{path}: events span {rows} rows and {columns} columns, outside the sensor of "
            f"{options.sensor[0]} rows and {options.sensor[1]} columns; {_ADVICE}"
        )
    placed: dict[str, Any] = {
        "steps": options.steps,
        "sensor": options.sensor,
        "crop": options.crop,
        "size": options.size,
        "antialias": options.antialias,
    }
    try:
        if options.values in AS_PUBLISHED:
            return published_frames(*events, **placed, binary=options.values == "event-published")
        half = options.values == "frequency-float16"
        return frequency_frames(*events, **placed, round_half=half)
    except SnntxError as error:
        raise BadFileError(f"{path}: {error}") from error
