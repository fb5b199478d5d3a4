"""Events to frame tensors ``(T, C, H, W)``, float32: events per pixel, frame and polarity.

**Bins.** With ``N`` events from ``t_0`` to ``t_1``, frame ``i`` of ``T`` counts

=================  ==========================================================================
``bins="time"``    ``t_0 + i w <= t < t_0 + (i + 1) w`` with ``w = max(1, (t_1 - t_0) // T)``
                   (tonic ``ToFrame(n_time_bins=T)``), or ``w = window_ms`` where it is given
                   (tonic ``ToFrame(time_window=w)``): frames past the recording are empty
``bins="count"``   events ``i n`` up to ``(i + 1) n`` with ``n = max(1, N // T)``
                   (tonic ``ToFrame(n_event_bins=T)``)
=================  ==========================================================================

**Tail.** ``drop`` leaves out what remains after frame ``T - 1``, as tonic does: for equal
windows at least the last event. ``keep`` puts it into the last frame (SpikingJelly's
``integrate_events_by_fixed_frames_number``, ``split_by="number"`` or ``"time"``).

**Space.** ``crop`` keeps sensor pixels ``[top:bottom, left:right]`` of the frames (which
events make a frame does not change); pixels past an inferred sensor are empty. Resizing
and down-sampling are described in :mod:`snntx.preprocess.framing.grid`. Counts are int32,
then float32.

**Polarity.** ``split``: off and on, C = 2. ``merged``: their sum, counted together, C = 1.

**Values**, of the finished frames ``f``: ``counts`` is ``f``; ``binary`` is 1 where ``f > 0``,
else 0; ``log`` is ``ln(1 + f)``; ``max`` is ``f / max(f)`` over the recording's whole tensor,
and all 0 where that is all 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import SnntxError
from .checks import check_framing, window_us
from .events import Events
from .grid import Axis, Span, axes
from .kernels import frame, scan_columns, search_records
from .options import FrameOptions
from .records import Records
from .windows import Windows, clip_starts

_COLUMN = np.iinfo(np.int16)


def _integers(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return one column of whole numbers; fractions would be cut off without a word."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise SnntxError(f"{name} must be one column (N,), found shape {array.shape}")
    if array.size and array.dtype.kind not in "iub":
        raise SnntxError(f"{name} must be integers, found {array.dtype}")
    return array


def _narrow(values: ArrayLike, name: str) -> NDArray[np.int16]:
    """Return coordinates as int16 without ever wrapping one."""
    array = _integers(values, name)
    if array.dtype != np.int16 and array.size and (array.min() < 0 or array.max() > _COLUMN.max):
        raise SnntxError(f"{name} lies in [{array.min()}, {array.max()}], expected [0, 32767]")
    return np.ascontiguousarray(array, np.int16)


def _off_on(values: NDArray[Any]) -> NDArray[np.int8]:
    """Return polarities as int8, checked before a wide integer could wrap."""
    if values.dtype != np.bool_ and (values.min() < 0 or values.max() > 1):
        bad = int(np.flatnonzero((values < 0) | (values > 1))[0])
        raise SnntxError(f"polarity of event {bad} is {values[bad]}, expected 0 (off) or 1 (on)")
    return np.ascontiguousarray(values, np.int8)


def _edges(
    first: int, last: int, count: int, *, steps: int, bins: str, window_ms: float | None
) -> NDArray[np.int64]:
    """Return ``T + 1`` edges: times in microseconds, or numbers of events for ``count``."""
    if bins == "count":
        return np.minimum(max(1, count // steps) * np.arange(steps + 1, dtype=np.int64), count)
    window = max(1, (last - first) // steps) if window_ms is None else window_us(window_ms)
    return first + window * np.arange(steps + 1, dtype=np.int64)


def _edges_of(first: int, last: int, count: int, options: FrameOptions) -> NDArray[np.int64]:
    return _edges(
        first, last, count, steps=options.steps, bins=options.bins, window_ms=options.window_ms
    )


def _axes(span: Span, options: FrameOptions) -> tuple[Axis, Axis]:
    """Return how rows and columns of a recording of this span go into frames of these options."""
    return axes(
        span,
        size=options.size,
        sensor=options.sensor,
        crop=options.crop,
        zero_origin=options.zero_origin,
        downsample=options.downsample,
    )


def _valued(frames: NDArray[np.float32], values: str) -> NDArray[np.float32]:
    """Return frames with other values; ``frames`` may be overwritten."""
    if values == "binary":
        return (frames > 0).astype(np.float32)
    if values == "log":
        return np.log1p(frames, out=frames)
    if values == "max":
        largest = frames.max()
        return np.divide(frames, largest, out=frames) if largest > 0 else frames
    return frames


def frames_from_events(
    x: ArrayLike,
    y: ArrayLike,
    t: ArrayLike,
    p: ArrayLike,
    *,
    steps: int,
    size: int | tuple[int, int] | None = None,
    sensor: tuple[int, int] | None = None,
    tail: str = "drop",
    zero_origin: bool = False,
    bins: str = "time",
    window_ms: float | None = None,
    values: str = "counts",
    polarity: str = "split",
    crop: tuple[int, int, int, int] | None = None,
    downsample: int = 1,
) -> NDArray[np.float32]:
    """Frame one recording; formulas and sources in the module's docstring.

    Args:
        x, y: pixel coordinates from 0, ``(N,)``.
        t: timestamps in microseconds, never going back, ``(N,)``.
        p: polarity, 0 off and 1 on, ``(N,)``.
        steps: number of frames ``T``.
        size: side, or ``(H, W)``, of the frames; None keeps the sensor's pixels.
        sensor: ``(height, width)``; None takes the largest coordinate plus one.
        tail: ``drop`` or ``keep`` the events after the last frame.
        zero_origin: subtract the smallest x and y first.
        bins: ``time`` or ``count``.
        window_ms: duration of a frame in milliseconds, for ``bins="time"``; None takes the
            recording's duration divided by ``steps``.
        values: ``counts``, ``binary``, ``log`` or ``max``.
        polarity: ``split`` or ``merged``.
        crop: ``(top, bottom, left, right)`` in pixels, ends excluded, before resizing.
        downsample: side of the square of pixels that are counted as one, where no size is given.

    Returns:
        float32 ``(T, 2, H, W)``, polarity off then on; merged ``(T, 1, H, W)``.

    Raises:
        SnntxError: no events, times that go back, a polarity that is not 0 or 1, a
            coordinate outside the sensor.
        UsageError: an option has no meaning.
    """
    target = (size, size) if isinstance(size, int) else size
    check_framing(
        steps=steps, tail=tail, bins=bins, values=values, polarity=polarity, size=target,
        sensor=sensor, window_ms=window_ms, crop=crop, downsample=downsample,
    )  # fmt: skip
    columns, rows = _narrow(x, "x"), _narrow(y, "y")
    times, signs = _integers(t, "t").astype(np.int64, copy=False), _integers(p, "p")
    if not columns.size == rows.size == times.size == signs.size:
        raise SnntxError(
            f"x, y, t, p differ in length: {columns.size}, {rows.size}, {times.size}, {signs.size}"
        )
    if times.size == 0:
        raise SnntxError("no events; a recording needs at least one")
    signs, times = _off_on(signs), np.ascontiguousarray(times)
    *span, ordered = scan_columns(columns, rows, times)
    if not ordered:
        at = int(np.flatnonzero(times[1:] < times[:-1])[0]) + 1
        raise SnntxError(
            f"time goes back at event {at}, from {times[at - 1]} to {times[at]} us; "
            "sort the events by time first"
        )
    down, across = axes(
        Span(*map(int, span)), size=target, sensor=sensor, crop=crop, zero_origin=zero_origin,
        downsample=downsample,
    )  # fmt: skip
    bounds = _edges(
        int(times[0]), int(times[-1]), times.size, steps=steps, bins=bins, window_ms=window_ms
    )
    if bins == "time":
        bounds = np.searchsorted(times, bounds)
    if tail == "keep":
        bounds[-1] = times.size
    return _valued(frame((columns, rows, signs), bounds, down, across, polarity), values)


def frames_from_records(records: Records, options: FrameOptions) -> NDArray[np.float32]:
    """Frame ATIS records without unpacking them: :func:`frames_from_events` bit for bit.

    Raises:
        SnntxError: a coordinate outside the sensor.
    """
    down, across = _axes(records.span, options)
    first, duration = records.first_us, records.duration_us
    bounds = _edges_of(first, first + duration, records.size, options)
    if options.bins == "time":
        bounds = search_records(records.words, bounds)
    if options.tail == "keep":
        bounds[-1] = records.size
    frames = frame((records.data, records.words), bounds, down, across, options.polarity)
    return _valued(frames, options.values)


def frames_in_window(events: Events, span: Span, options: FrameOptions) -> NDArray[np.float32]:
    """Frame a part of a recording as the first event in it begins; none at all is all zero.

    Args:
        events: of the part, of polarity 0 or 1, in order of time; out of order, ``bins="time"``
            has frames end where bisections of the times left end, as the published code has them.
        span: of the whole recording, so that each of its parts lies alike in the frames.
        options: made of counts; frames of ``window_ms`` each, or of the part's own duration over
            ``steps``.

    Raises:
        SnntxError: a coordinate outside the sensor.
    """
    if not events.size:
        return np.zeros(options.frame_shape, np.float32)
    down, across = _axes(span, options)
    bounds = _edges_of(int(events.t[0]), int(events.t[-1]), events.size, options)
    if options.bins == "time":
        # the first frame begins with the first event, even one that is not the earliest
        bounds = np.concatenate([[0], np.searchsorted(events.t, bounds[1:])])
    if options.tail == "keep":
        bounds[-1] = events.size
    columns = (events.x, events.y, events.p)
    return _valued(frame(columns, bounds, down, across, options.polarity), options.values)


def frames_of_clips(events: Events, options: FrameOptions, windows: Windows) -> NDArray[np.float32]:
    """Frame the clips of a test of one whole recording, ``(clips, T, C, H, W)``.

    Args:
        events: all of it, in order of time, of polarity 0 or 1.
        options: as in :func:`frames_in_window`.
        windows: length and number of the clips.

    Raises:
        SnntxError: a coordinate outside the sensor.
    """
    span = Span(*(int(end(column)) for column in (events.x, events.y) for end in (np.min, np.max)))
    t = events.t - events.t[0]
    used = int(np.searchsorted(t, t[-1]))
    starts = clip_starts(int(t[used - 1]) if used else 0, windows)
    ends = np.searchsorted(t, np.stack([starts, starts + windows.length_us])).T.tolist()
    parts = [events.take(slice(first, end)) for first, end in ends]
    return np.stack([frames_in_window(part, span, options) for part in parts])
