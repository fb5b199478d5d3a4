"""What a data card may say: the schema of ``shipped/*.toml`` and of a user's own card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from ..declared.fields import Declared, Setting
from .found import EventFiles, StaticFiles
from .vocabulary import Bins, Extent, Kind, Polarity, Rule, Tail, Values


@dataclass(frozen=True)
class About(Declared):
    """What the dataset is, for people."""

    title: Annotated[str, Setting("the name people use")]
    summary: Annotated[str, Setting("one or two sentences")]
    homepage: Annotated[str, Setting("where it is described")]
    licence: Annotated[str, Setting("of the data")]
    citation: Annotated[str, Setting("the paper to cite")]
    obtain: Annotated[
        str, Setting("what to download and how to lay it out for ``--raw`` and ``--static``")
    ]
    quirks: Annotated[tuple[str, ...], Setting("facts that surprise users, one sentence each")] = ()


@dataclass(frozen=True)
class Framing(Declared):
    """Framing defaults, most of them also flags of ``preprocess``."""

    steps: Annotated[int, Setting("frames per recording")]
    size: Annotated[
        int | None, Setting("side of the square frames in pixels; absent keeps the sensor's own")
    ] = None
    tail: Annotated[
        Tail, Setting("``drop`` or ``keep`` the events after the last whole window")
    ] = "drop"
    zero_origin: Annotated[bool, Setting("subtract each recording's smallest x and y first")] = (
        False
    )
    extent: Annotated[
        Extent,
        Setting(
            "``sensor`` (frames show the sensor, where ``[events]`` gives one), ``recording`` (the "
            "smallest rectangle that holds the recording's events) or ``reach`` (from pixel 0, 0 "
            "to the recording's largest x and y: tonic's ``sensor_size=None``)"
        ),
    ] = "sensor"
    bins: Annotated[
        Bins, Setting("frames of equal duration (``time``) or of equally many events (``count``)")
    ] = "time"
    window_ms: Annotated[
        float | None,
        Setting("duration of a frame in milliseconds; absent, the recording's over ``steps``"),
    ] = None
    values: Annotated[
        Values,
        Setting(
            "``counts``, ``binary``, ``log``, ``max``, ``frequency``, ``frequency-float16``, "
            "``frequency-published`` or ``event-published``"
        ),
    ] = "counts"
    polarity: Annotated[Polarity, Setting("``split`` or ``merged``; the models need ``split``")] = (
        "split"
    )
    crop: Annotated[
        tuple[int, int, int, int] | None,
        Setting("``[top, bottom, left, right]`` in sensor pixels, before resizing"),
    ] = None
    antialias: Annotated[
        bool, Setting("average where frequency and event frames shrink, instead of sampling")
    ] = False
    downsample: Annotated[
        int, Setting("side of the square of pixels that are counted as one, instead of a ``size``")
    ] = 1
    kind: Annotated[
        Kind,
        Setting(
            "what ``preprocess`` keeps of each recording: its ``frames``, or its ``events``, of "
            "which training draws windows; ``--as`` chooses the other"
        ),
    ] = "frames"


@dataclass(frozen=True)
class Published(Declared):
    """What was published on the dataset: weights, and how the frames behind them were made.

    A flag that is absent is as the card's own framing; with none, its frames are the published.
    """

    weights: Annotated[str, Setting("where to get them")] = ""
    extent: Annotated[Extent | None, Setting("``--extent`` of the published frames")] = None
    values: Annotated[Values | None, Setting("``--values`` of the published frames")] = None

    @property
    def framing(self) -> dict[str, str]:
        """Its flags of ``preprocess``, by the names of the options; empty where there are none."""
        given = {"extent": self.extent, "values": self.values}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class SplitRule(Declared):
    """How one protocol splits the recordings."""

    rule: Annotated[
        Rule,
        Setting(
            "``hash`` (stratified, by identity hash), ``leading`` (the first share "
            "of each class in order of listing), ``window`` (the first recordings "
            "of each class train, the next ones test, the rest is unused) or "
            "``field`` (by a field of the pattern)"
        ),
    ]
    validation: Annotated[float, Setting("share of each class (``hash``)")] = 0.0
    test: Annotated[float, Setting("share of each class (``hash``)")] = 0.0
    train: Annotated[
        float, Setting("share of each class (``leading``), rounded half to even; the rest is test")
    ] = 0.0
    train_count: Annotated[int, Setting("recordings of each class to train on (``window``)")] = 0
    test_count: Annotated[int, Setting("recordings of each class to test on (``window``)")] = 0
    field: Annotated[str, Setting("name of the field (``field``)")] = ""
    train_value: Annotated[str, Setting("the field's value for training recordings")] = ""
    test_value: Annotated[str, Setting("the field's value for test recordings")] = ""
    train_values: Annotated[
        tuple[str, ...], Setting("more such values for training recordings")
    ] = ()
    test_values: Annotated[tuple[str, ...], Setting("more such values for test recordings")] = ()
    validation_values: Annotated[
        tuple[str, ...], Setting("its values for validation recordings")
    ] = ()


@dataclass(frozen=True)
class Download(Declared):
    """A file that ``snntx fetch`` brings; one of the checksums is required."""

    url: Annotated[str, Setting("where from, ``https`` or ``http``")]
    file: Annotated[str, Setting("its name on disk")]
    sha256: Annotated[str, Setting("its SHA-256 in hexadecimal")] = ""
    md5: Annotated[
        str, Setting("its MD5 in hexadecimal, where the publisher gives no better one")
    ] = ""
    bytes: Annotated[int | None, Setting("its size, where known")] = None
    unpack: Annotated[bool, Setting("unpack it, and the archives inside it, beside it")] = False
    note: Annotated[str, Setting("what it is, for people")] = ""


@dataclass(frozen=True)
class Card(Declared):
    """One dataset, from raw files to training defaults."""

    name: Annotated[str, Setting("identity of the card; also the folder of its caches")]
    about: Annotated[About, Setting("what it is, for people")]
    events: Annotated[EventFiles, Setting("raw recordings")]
    framing: Annotated[Framing, Setting("framing defaults")]
    splits: Annotated[
        dict[str, SplitRule], Setting("one rule for each protocol; ``holdout`` is required")
    ]
    static: Annotated[
        StaticFiles | None, Setting("static images; absent for an event-only dataset")
    ] = None
    published: Annotated[
        Published | None, Setting("published weights and frames; absent where there are none")
    ] = None
    classes: Annotated[
        tuple[str, ...],
        Setting("class names in label order; absent, the sorted names found on disk"),
    ] = ()
    recipes: Annotated[
        dict[str, dict[str, Any]],
        Setting("named tables of training settings; ``default`` is required"),
    ] = field(default_factory=dict)
    recipe_notes: Annotated[
        dict[str, str],
        Setting("what a user of a recipe should know of it, by its name"),
    ] = field(default_factory=dict)
    downloads: Annotated[tuple[Download, ...], Setting("files that ``snntx fetch`` brings")] = ()
