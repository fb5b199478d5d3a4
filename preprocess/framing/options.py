"""Framing options, apart from the kernels so that reading them imports no compiler."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...data_cards.vocabulary import ALL_VALUES, WINDOWED
from ...errors import SnntxError, UsageError, nearest
from .checks import channels, check_extent, check_framing

if TYPE_CHECKING:
    from ...data_cards.schema import Card

MAX_FRAME_BYTES = 1 << 30
"""Largest frame tensor of one recording; it is held in memory and is one HDF5 chunk."""


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

    def changed(
        self,
        *,
        steps: int | None = None,
        size: int | None = None,
        window_ms: float | None = None,
        downsample: int | None = None,
    ) -> FrameOptions:
        """Return the options with what is given, and not None, in its place.

        ``size`` is a side; it takes the place of ``downsample``, and that of it. ``window_ms``
        makes frames of equal duration.
        """
        given: dict[str, Any] = {} if steps is None else {"steps": steps}
        if window_ms is not None:
            given |= {"window_ms": window_ms, "bins": "time"}
        if size is not None:
            given |= {"size": (size, size), "downsample": 1}
        if downsample is not None:
            given |= {"size": None, "downsample": downsample}
        return dataclasses.replace(self, **given)

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
        if given.get("downsample", 1) > 1 and "size" not in given:
            chosen["size"] = None
        chosen |= given
        extent = chosen.pop("extent")
        check_extent(extent, sensor if "extent" in given else (0, 0), chosen["values"])
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
