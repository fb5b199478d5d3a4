"""Framing options, apart from the kernels so that reading them imports no compiler."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...data_cards.vocabulary import (
    ALL_VALUES,
    BINS,
    EXTENTS,
    POLARITIES,
    TAILS,
    VALUES,
    WINDOWED,
)
from ...errors import SnntxError, UsageError, nearest

if TYPE_CHECKING:
    from ...data_cards.schema import Card

MAX_FRAME_BYTES = 1 << 30
"""Largest frame tensor of one recording; it is held in memory and is one HDF5 chunk."""
MAX_DURATION_US = 1 << 60
"""Longest time that fixed windows may span; epoch microseconds plus this fit int64."""


@dataclass(frozen=True)
class FrameOptions:
    """How a recording becomes a frame tensor; formulas: :mod:`snntx.preprocess.framing.frames`.

    Attributes:
        steps: number of frames ``T``.
        size: ``(H, W)`` of the frames, or None for the sensor's own.
        sensor: ``(height, width)`` of the sensor, or None to infer it per recording.
        limit: largest ``(height, width)`` there can be, where the sensor is inferred.
        tail: what becomes of the events after the last frame: ``drop`` or ``keep``.
        zero_origin: subtract each recording's smallest x and y first.
        bins: frames of equal duration (``time``) or of equally many events (``count``).
        window_ms: duration of a frame in milliseconds, whole microseconds; None divides each
            recording's own duration by ``steps``.
        values: ``counts``, ``binary``, ``log`` or ``max``, of the finished frames; or
            ``frequency`` or ``frequency-float16``, of :mod:`snntx.preprocess.framing.frequency`;
            or ``frequency-published`` or ``event-published``, of
            :mod:`snntx.preprocess.framing.published`.
        polarity: ``split`` into off and on, or ``merged`` into one channel.
        crop: ``(top, bottom, left, right)`` in sensor pixels, ends excluded, before resizing.
        antialias: average where such frames shrink, instead of sampling; not where they are made
            of counts.
        downsample: side of the square of pixels that are counted as one, instead of a ``size``;
            coordinates are divided by it, rounded down.
    """

    steps: int
    size: tuple[int, int] | None = None
    sensor: tuple[int, int] | None = None
    limit: tuple[int, int] | None = None
    tail: str = "drop"
    zero_origin: bool = False
    bins: str = "time"
    window_ms: float | None = None
    values: str = "counts"
    polarity: str = "split"
    crop: tuple[int, int, int, int] | None = None
    antialias: bool = False
    downsample: int = 1

    def __post_init__(self) -> None:
        self._check_values()
        check_framing(
            steps=self.steps,
            size=self.size,
            sensor=self.sensor,
            limit=self.limit,
            tail=self.tail,
            bins=self.bins,
            window_ms=self.window_ms,
            values="counts" if self.values in WINDOWED else self.values,
            polarity=self.polarity,
            crop=self.crop,
            downsample=self.downsample,
        )
        if self.size is None and self.sensor is None and self.crop is None:
            raise UsageError(
                "frames would differ in size between recordings: give a size, a crop, "
                "or a fixed sensor"
            )
        if 4 * math.prod(self.frame_shape) > MAX_FRAME_BYTES:
            shape = " x ".join(map(str, self.frame_shape))
            raise UsageError(
                f"one recording of {shape} frames would take more than "
                f"{MAX_FRAME_BYTES >> 20} MiB; take fewer steps or a smaller size"
            )

    def _check_values(self) -> None:
        """Frequencies and the like are defined for equal windows of the whole recording only."""
        if self.values not in ALL_VALUES:
            raise UsageError(
                f"values must be one of {', '.join(ALL_VALUES)}, found '{self.values}'"
                f"{nearest(self.values, ALL_VALUES)}"
            )
        if self.values not in WINDOWED:
            if self.antialias:
                raise UsageError(
                    "antialias needs values = 'frequency' or one of its kind, found "
                    f"'{self.values}'"
                )
            return
        for name, found, needed in (
            ("bins", self.bins, "time"),
            ("window_ms", self.window_ms, None),
            ("tail", self.tail, "keep"),
            ("polarity", self.polarity, "split"),
            ("zero_origin", self.zero_origin, False),
            ("downsample", self.downsample, 1),
        ):
            if found != needed:
                wanted = "no value" if needed is None else f"'{needed}'"
                raise UsageError(
                    f"values = '{self.values}' needs {name} = {wanted}, found '{found}'"
                )
        if self.sensor is None:
            raise UsageError(f"values = '{self.values}' needs a fixed sensor, which the card lacks")

    @property
    def frame_shape(self) -> tuple[int, int, int, int]:
        """``(T, C, H, W)`` of every frame tensor made with these options; C is 2, merged 1."""
        cropped = self.crop and (self.crop[1] - self.crop[0], self.crop[3] - self.crop[2])
        height, width = self.size or cropped or self.sensor or (0, 0)
        height, width = -(-height // self.downsample), -(-width // self.downsample)
        return self.steps, channels(self.polarity), height, width

    @property
    def extent(self) -> str:
        """The card's word for what the frames show; ``sensor`` where that is fixed."""
        if self.sensor is not None:
            return "sensor"
        return "recording" if self.zero_origin else "reach"

    @classmethod
    def from_card(cls, card: Card, **given: Any) -> FrameOptions:
        """Return a card's framing, with what is ``given`` (and not None) in its place.

        A ``size`` may be the side of a square, or ``native`` for the sensor's own pixels;
        ``bins`` without ``window_ms`` leaves the card's window out. ``extent`` is a word of the
        card, which decides ``sensor``, ``limit`` and ``zero_origin``.

        Raises:
            UsageError: an option has no meaning, of the card (names it) or as given.
        """
        try:
            own = cls._of_card(card)
        except UsageError as error:
            raise UsageError(f"card {card.name}: [framing] {error}") from error
        changes = {name: value for name, value in given.items() if value is not None}
        return cls._of_card(card, **changes) if changes else own

    @classmethod
    def _of_card(cls, card: Card, **given: Any) -> FrameOptions:
        chosen = dataclasses.asdict(card.framing)
        del chosen["kind"]
        sensor, limit = card.events.sensor, card.events.limit
        if "bins" in given:
            chosen["window_ms"] = None
        chosen |= given
        extent = chosen.pop("extent")
        _check_extent(extent, sensor if "extent" in given else (0, 0), chosen["values"])
        if extent != "sensor":
            sensor, limit = None, sensor or limit
            chosen["zero_origin"] = extent == "recording"
        if isinstance(chosen["size"], int):
            chosen["size"] = (chosen["size"], chosen["size"])
        elif chosen["size"] == "native":
            chosen["size"] = None
        return cls(**chosen, sensor=sensor, limit=limit)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> FrameOptions:
        """Return the options that ``dataclasses.asdict`` and JSON made ``table`` of.

        Raises:
            SnntxError: an option that this release does not know.
        """
        unknown = sorted(table.keys() - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise SnntxError(f"framing option '{unknown[0]}' is of a later release; update snntx")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in table.items()
        }
        return cls(**values)


def _check_extent(extent: str, sensor: tuple[int, int] | None, values: str) -> None:
    """Refuse an extent that is no word, or that goes with no sensor or values.

    Raises:
        UsageError: what was found and what was expected.
    """
    if extent not in EXTENTS:
        raise UsageError(
            f"extent must be one of {', '.join(EXTENTS)}, found '{extent}'"
            f"{nearest(extent, EXTENTS)}"
        )
    if extent == "sensor" and sensor is None:
        raise UsageError("extent = 'sensor' needs a fixed sensor, which the card lacks")
    if extent != "sensor" and values in WINDOWED:
        raise UsageError(f"values = '{values}' needs extent = 'sensor', found '{extent}'")


def channels(polarity: str) -> int:
    """Return the number of channels of a frame."""
    return 1 if polarity == "merged" else 2


def window_us(window_ms: float) -> int:
    """Return a window in whole microseconds.

    Raises:
        UsageError: not a positive, whole number of microseconds.
    """
    scaled = window_ms * 1000
    if not math.isfinite(scaled) or round(scaled) < 1 or abs(scaled - round(scaled)) > 1e-6:
        raise UsageError(
            f"window_ms must be a whole number of microseconds, at least 0.001, found {window_ms}"
        )
    return round(scaled)


def check_framing(
    *,
    steps: int,
    tail: str,
    bins: str,
    values: str,
    polarity: str,
    size: tuple[int, int] | None = None,
    sensor: tuple[int, int] | None = None,
    limit: tuple[int, int] | None = None,
    window_ms: float | None = None,
    crop: Sequence[int] | None = None,
    downsample: int = 1,
) -> None:
    """Refuse an option without meaning; arguments as in :class:`FrameOptions`.

    Raises:
        UsageError: names the option, what was found and what was expected.
    """
    if steps < 1:
        raise UsageError(f"steps must be at least 1, found {steps}")
    if downsample < 1 or (downsample > 1 and size is not None):
        found = f"{downsample}" if downsample < 1 else f"{downsample} and size = {size}"
        raise UsageError(
            f"downsample must be at least 1, and takes the place of a size, found {found}; leave "
            "out one of them (size = 'native' keeps the sensor's pixels)"
        )
    for name, pair in (("size", size), ("sensor", sensor), ("limit", limit)):
        if pair is not None and min(pair) < 1:
            raise UsageError(f"{name} must be positive (height, width), found {pair}")
    for name, value, known in (
        ("tail", tail, TAILS),
        ("bins", bins, BINS),
        ("values", values, VALUES),
        ("polarity", polarity, POLARITIES),
    ):
        if value not in known:
            raise UsageError(
                f"{name} must be one of {', '.join(known)}, found '{value}'{nearest(value, known)}"
            )
    if window_ms is not None:
        if bins != "time":
            raise UsageError(f"window_ms needs bins = 'time', found bins = '{bins}'")
        if window_us(window_ms) * steps > MAX_DURATION_US:
            raise UsageError(f"{steps} windows of {window_ms} ms are longer than any recording")
    if crop is not None:
        top, bottom, left, right = crop
        if not (0 <= top < bottom and 0 <= left < right):
            raise UsageError(
                "crop must be (top, bottom, left, right) with 0 <= top < bottom and "
                f"0 <= left < right, found {tuple(crop)}"
            )
        height, width = sensor or limit or (bottom, right)
        if bottom > height or right > width:
            raise UsageError(
                f"crop {tuple(crop)} reaches beyond the sensor of {height} rows and {width} columns"
            )
