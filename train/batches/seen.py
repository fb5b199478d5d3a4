"""A cache as a recipe sees it: frames of its steps, size and duration, whole or in windows.

In: a sealed cache of either kind and a recipe. Out: the cache that training and tests read, or
one line that says what it lacks. A frame cache is taken as it is; of an event cache, frames are
made by the recipe's settings over the options it was built with.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...preprocess.cache.contents import Change, SealedCache
from ...preprocess.framing.checks import window_us
from ...preprocess.framing.events import Events
from ...preprocess.framing.options import FrameOptions
from ...preprocess.framing.windows import Windows
from ..augment.draws import Draws, Purpose
from ..augment.windows import event_drop
from ..method.choice import make_method
from ..recipe.whole import Recipe


def seen_by(cache: SealedCache, recipe: Recipe) -> SealedCache:
    """Return a cache with the frames that a recipe asks for.

    Raises:
        UsageError: its frames cannot be that, or static images are of another size.
    """
    if cache.kind == "frames":
        if recipe.data.of_events:
            raise UsageError(
                f"{cache.directory}: holds frames, but {', '.join(recipe.data.of_events)} needs "
                f"events; run snntx preprocess {cache.index.attributes['card']} --as events, or "
                "leave the setting out"
            )
        return cache
    options = framing_of(cache.options, recipe)
    _check_statics(cache, options, recipe)
    windows = windows_of(options, recipe)
    if (options, windows) == (cache.options, cache.windows):
        return cache
    return cache.framed(options, windows)


def framing_of(options: FrameOptions, recipe: Recipe) -> FrameOptions:
    """Return the framing options of an event cache under a recipe."""
    data = recipe.data
    framing = options.changed(
        steps=data.steps, size=data.size, window_ms=data.dt_ms, downsample=data.downsample
    )
    if recipe.augment.event_drop == "published":  # its events, out of order, may be in no frame
        framing = dataclasses.replace(framing, tail="drop")
    return framing


def windows_of(options: FrameOptions, recipe: Recipe) -> Windows | None:
    """Return the windows that a recipe shows, None where it shows whole recordings.

    Raises:
        UsageError: nothing says how long a frame is.
    """
    if recipe.data.slice == "whole":
        return None
    if options.window_ms is None:
        raise UsageError(
            "slice = random needs the duration of a frame, which neither the recipe nor the cache "
            "says; set dt_ms, such as --set dt_ms=15"
        )
    return Windows(options.steps * window_us(options.window_ms), recipe.data.clips)


def _check_statics(cache: SealedCache, options: FrameOptions, recipe: Recipe) -> None:
    """Refuse frames of another size than the static images that are shown beside them."""
    shown = recipe.transfer or make_method(recipe).draws == "images"
    if not shown or not cache.index.static_identity:
        return
    own = tuple(int(n) for n in cache.index.attributes["frame_shape"][2:])
    wanted = options.frame_shape[2:]
    if own == wanted:
        return
    data, card = recipe.data, cache.index.attributes["card"]
    flag = f"--downsample {data.downsample}" if data.downsample else f"--size {wanted[0]}"
    raise UsageError(
        f"{cache.directory}: its static images are {own[0]} x {own[1]}, but the recipe asks for "
        f"frames of {wanted[0]} x {wanted[1]}; run snntx preprocess {card} --as events {flag} with "
        "both folders, leave the setting out, or train without images: --set method=event-only"
    )


def training_frames(
    cache: SealedCache, recordings: NDArray[np.int64], draws: Draws, drop: str = "none"
) -> NDArray[np.float32]:
    """Return what training is shown of some recordings, ``(B, T, 2, H, W)``.

    Windows start where the batch's draws of :attr:`Purpose.WINDOW` say, and lose the events that
    those of :attr:`Purpose.WINDOW_DROP` do.

    Args:
        cache: as :func:`seen_by` gives it.
        recordings: of the batch.
        draws: of the batch.
        drop: the recipe's ``event_drop``.
    """
    if cache.windows is None:
        return cache.frames(recordings)
    change: Change | None = None
    if drop != "none":
        draw, sensors = draws(Purpose.WINDOW_DROP), _sensors(cache, recordings)

        def change(place: int, events: Events) -> Events:
            return event_drop(events, sensors[place], draw, published=drop == "published")

    return cache.slices(recordings, draws(Purpose.WINDOW).random(len(recordings)), change)


def _sensors(cache: SealedCache, recordings: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the height and width of each recording's sensor, or what its events reach."""
    if cache.options.sensor is not None:
        return [cache.options.sensor] * len(recordings)
    rows = cache.index.rows
    assert rows.corner is not None  # windows are an event cache's
    reach = (rows.corner[recordings] + rows.extent[recordings]).tolist()
    return [(height, width) for height, width in reach]
