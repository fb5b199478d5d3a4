"""A simulated event sensor that watches a still image move: image in, events out.

The image ``(H0, W0)`` in [0, 1] is moved in front of the sensor along three saccades that
close a triangle, as Orchard et al. (2015) moved a camera in front of a screen to record
N-MNIST. Every pixel follows Lichtsteiner et al. (2008). With ``L = ln I`` the pixel's log
intensity and ``L_ref`` its memory,

    L - L_ref >= threshold_on   emits ON  (p = 1)
    L_ref - L >= threshold_off  emits OFF (p = 0)

and the event holds the pixel in reset for ``refractory_us``, after which it remembers what
it then sees: ``L_ref = L(t + refractory_us)``. ``L`` is linear between simulation steps, so
crossings fall between them; times are microseconds from 0, rounded to the nearest.

The defaults were fitted to 100 real N-MNIST recordings: 6 px of motion with a bell-shaped
speed, some 4,000 events in 300 ms, half of them ON, rarely two of a pixel within 1.5 ms,
and a background of ON events at 0.4 Hz a pixel, the mark of a leaking reset switch (Nozaki
and Delbruck, 2017). One thing differs: an arriving bright edge is ON here; there it is OFF.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from .disk.compiling import njit
from .framing.events import Events
from .saccades import Float64Array, SaccadePath

TIME_LIMIT_US = 1 << 23
MIN_THRESHOLD = 0.01  # what mismatch leaves a pixel at least, in log units


@dataclass(frozen=True)
class SensorOptions:
    """The sensor, what it watches and how finely it is simulated.

    Attributes:
        height, width: rows and columns of the sensor.
        threshold_on, threshold_off: rise and fall of log intensity that emit an event.
        threshold_sigma: standard deviation of both thresholds from pixel to pixel.
        sensor_seed: chooses the mismatch: one seed is one chip, whatever it records.
        refractory_us: dead time of a pixel after its event, in microseconds.
        noise_hz: background events per pixel and second.
        noise_on: share of the background events that is ON.
        black_level: intensity of a black image pixel; a white one has ``1 + black_level``.
        step_us: simulation step in microseconds; the default moves the image by 0.25 px at most.
        path: how the image moves.
    """

    height: int = 34
    width: int = 34
    threshold_on: float = 0.32
    threshold_off: float = 0.32
    threshold_sigma: float = 0.03
    sensor_seed: int = 0
    refractory_us: int = 1_500
    noise_hz: float = 0.4
    noise_on: float = 1.0
    black_level: float = 0.1
    step_us: int = 2_000
    path: SaccadePath = field(default_factory=SaccadePath)

    def __post_init__(self) -> None:
        positive = ("height", "width", "threshold_on", "threshold_off", "black_level", "step_us")
        for name in (*positive, "threshold_sigma", "refractory_us", "noise_hz", "sensor_seed"):
            value, least = getattr(self, name), "positive" if name in positive else "0 or more"
            if not (value > 0 or (value == 0 and name not in positive)):
                raise UsageError(f"{name} must be {least}, found {value}")
        if not 0 <= self.noise_on <= 1:
            raise UsageError(f"noise_on must lie in [0, 1], found {self.noise_on}")
        if not 0 < self.path.duration_us < TIME_LIMIT_US:
            raise UsageError(f"the path must last under 2**23 us, found {self.path.duration_us}")


DEFAULTS = SensorOptions()


@njit(cache=True, nogil=True)
def _move(scene, top, left, out):  # type: ignore[no-untyped-def]
    """Bilinear views ``out (K, H, W)`` of the scene from ``(top, left)``, each ``(K,)``."""
    for k in range(out.shape[0]):
        row, column = math.floor(top[k]), math.floor(left[k])
        v, h = top[k] - row, left[k] - column
        for i in range(out.shape[1]):
            above, below = scene[row + i], scene[row + i + 1]
            for j in range(out.shape[2]):
                c = column + j
                upper = above[c] + h * (above[c + 1] - above[c])
                lower = below[c] + h * (below[c + 1] - below[c])
                out[k, i, j] = upper + v * (lower - upper)


@njit(cache=True, nogil=True)
def _cross(frames, width, times, on, off, refractory, x, y, t, p):  # type: ignore[no-untyped-def]
    """Write the threshold crossings of ``frames (K, P)``, pixel by pixel within a step.

    Returns their number; those beyond the columns' length are counted, not written.
    """
    reference = np.log(frames[0])
    release = np.full(frames.shape[1], -1.0)  # end of the dead time; -1: the pixel is live
    log_now = reference.copy()
    count = 0
    for k in range(1, frames.shape[0]):
        before, now = frames[k - 1], frames[k]
        t0, t1 = times[k - 1], times[k]
        for i in range(now.size):
            if now[i] == before[i] and release[i] < 0:
                continue
            a, b = log_now[i], math.log(now[i])
            log_now[i] = b
            slope = (b - a) / (t1 - t0)
            while True:
                if release[i] > t1:
                    break
                if release[i] >= 0:
                    reference[i] = a + slope * (release[i] - t0)
                    release[i] = -1.0
                polarity = 1 if b > a else 0
                level = reference[i] + on[i] if polarity else reference[i] - off[i]
                if (a == b) or (a < b < level) or (a > b > level):
                    break
                time = t0 + (level - a) / slope
                if count < t.size:
                    x[count], y[count] = i % width, i // width
                    t[count], p[count] = math.floor(time + 0.5), polarity
                count += 1
                if refractory > 0:
                    release[i] = time + refractory
                else:
                    reference[i] = level
    return count


@njit(cache=True, nogil=True)
def _alive(x, y, t, last, refractory, kept):  # type: ignore[no-untyped-def]
    """Mark the events, in time order, outside the dead time of their pixel."""
    for i in range(t.size):
        kept[i] = t[i] - last[y[i], x[i]] >= refractory
        if kept[i]:
            last[y[i], x[i]] = t[i]


def _in_order(events: Events, height: int, width: int) -> Events:
    """Sort by time; ties by row, then column, then emission."""
    key = (events.t * height + events.y) * width + events.x
    return events.take(np.argsort(key, kind="stable"))


def events_from_intensity(
    frames: ArrayLike,
    times_us: ArrayLike,
    *,
    threshold_on: ArrayLike,
    threshold_off: ArrayLike,
    refractory_us: int = 0,
) -> Events:
    """Events of an ideal, noiseless sensor; the pixel's equations are in the module's docstring.

    Args:
        frames: intensity, positive, ``(K, H, W)``; the first one is the initial memory.
        times_us: when each frame holds, growing, in microseconds, ``(K,)``.
        threshold_on, threshold_off: rise and fall of log intensity, a number or ``(H, W)``.
        refractory_us: dead time in microseconds.

    Returns:
        Events in time order; ties by row, then column, then order of emission.
    """
    intensity = np.ascontiguousarray(frames, np.float64)
    times = np.ascontiguousarray(times_us, np.float64)
    if intensity.ndim != 3 or times.shape != intensity.shape[:1] or intensity.size == 0:
        shapes = f"{intensity.shape} and {times.shape}"
        raise UsageError(f"frames must be (K, H, W) and times_us (K,), not empty, found {shapes}")
    if not 0 < intensity.min() <= intensity.max() < np.inf:
        found = f"[{intensity.min()}, {intensity.max()}]"
        raise UsageError(f"intensity must be positive and finite for its log, found {found}")
    if not (times[0] >= 0 and np.all(np.diff(times) > 0)):
        raise UsageError("times_us must start at 0 or later and grow from frame to frame")
    height, width = intensity.shape[1:]
    either = (threshold_on, threshold_off)
    on, off = (np.broadcast_to(np.asarray(e, float), (height, width)).ravel() for e in either)
    if not min(on.min(), off.min()) > 0:
        raise UsageError(f"thresholds must be positive, found {min(on.min(), off.min())}")
    count, capacity = 1 << 13, 0
    while count > capacity:  # too small at first for a busy scene, then exact
        capacity = count
        x, y = np.empty(capacity, np.int16), np.empty(capacity, np.int16)
        t, p = np.empty(capacity, np.int64), np.empty(capacity, np.int8)
        flat = intensity.reshape(times.size, -1)
        count = int(_cross(flat, width, times, on, off, float(refractory_us), x, y, t, p))
    return _in_order(Events(x, y, t, p).take(slice(count)), height, width)


def moving_views(image: ArrayLike, options: SensorOptions, times_us: ArrayLike) -> Float64Array:
    """Intensity ``(K, H, W)`` that the sensor sees at ``times_us (K,)``.

    The image, black around, is centred on the middle of its path and sampled bilinearly:
    row ``i`` sees row ``i - y_px - (H - H0 - height_px) / 2``, and so do the columns.
    """
    picture = np.asarray(image, np.float64)
    if picture.ndim != 2 or picture.size == 0:
        raise UsageError(f"the image must be (height, width), found {picture.shape}")
    if not 0 <= picture.min() <= picture.max() <= 1:
        raise UsageError(f"the image must lie in [0, 1], found [{picture.min()}, {picture.max()}]")
    (height, width), path = picture.shape, options.path
    reach = max(options.height, options.width, abs(path.base_px), abs(path.height_px))
    margin = 2 * math.ceil(reach) + 1  # black, and more of it than any view can see
    x_px, y_px = path.at(times_us)
    top = margin - y_px - (options.height - height - path.height_px) / 2
    left = margin - x_px - (options.width - width - path.base_px) / 2
    views = np.empty((x_px.size, options.height, options.width))
    _move(np.pad(picture, margin) + options.black_level, top, left, views)
    return views


def _background(options: SensorOptions, rng: np.random.Generator) -> Events:
    """Poisson background of the whole sensor over the path's duration, in no order."""
    pixels, duration_us = options.height * options.width, options.path.duration_us
    count = int(rng.poisson(options.noise_hz * pixels * duration_us * 1e-6))
    y, x = np.divmod(rng.integers(0, pixels, count), options.width)
    t, p = rng.integers(0, duration_us, count), rng.random(count) < options.noise_on
    return Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))


def simulate_events(
    image: ArrayLike, *, options: SensorOptions = DEFAULTS, seed: int | Sequence[int]
) -> Events:
    """Record one image; the same image, options and seed give the same events.

    Args:
        image: brightness in [0, 1], ``(H0, W0)``; it need not have the sensor's size.
        options: the sensor and the motion.
        seed: of the background noise, a number or a sequence such as ``(run, index)``.

    Returns:
        Events in time order (ties by row, then column), ``0 <= t <= options.path.duration_us``;
        a pixel's dead time swallows signal and background alike.
    """
    duration_us, shape = options.path.duration_us, (options.height, options.width)
    steps = -(-duration_us // options.step_us)
    times_us = np.minimum(np.arange(steps + 1, dtype=np.int64) * options.step_us, duration_us)
    mismatch = np.random.default_rng(options.sensor_seed).standard_normal((2, *shape))
    nominal = np.array([options.threshold_on, options.threshold_off]).reshape(2, 1, 1)
    on, off = np.maximum(nominal + options.threshold_sigma * mismatch, MIN_THRESHOLD)
    signal = events_from_intensity(
        moving_views(image, options, times_us),
        times_us,
        threshold_on=on,
        threshold_off=off,
        refractory_us=options.refractory_us,
    )
    noise = _background(options, np.random.default_rng(seed))
    both = Events(
        np.concatenate((signal.x, noise.x)),
        np.concatenate((signal.y, noise.y)),
        np.concatenate((signal.t, noise.t)),
        np.concatenate((signal.p, noise.p)),
    )
    events = _in_order(both, *shape)
    kept = np.empty(events.size, np.bool_)
    never = np.full(shape, -TIME_LIMIT_US - options.refractory_us, np.int64)
    _alive(events.x, events.y, events.t, never, options.refractory_us, kept)
    return events.take(np.flatnonzero(kept))
