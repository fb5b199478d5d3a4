"""What a data card may say: the schema of ``data_cards/*.toml`` and of a user's own card.

A pattern is a path below the root with named fields, each matching part of one path
component: ``{split}/{class}/{stem}.bin``. The field ``class`` is the recording's class; a
recording's identity is its path below the root without the suffix. ``twin`` is a template
over the same fields that gives the identity of the static image it was recorded from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .vocabulary import (
    Bins,
    Extent,
    Fit,
    Polarity,
    Rule,
    StaticLayout,
    StaticOrder,
    Tail,
    Values,
)


@dataclass(frozen=True)
class About:
    """What the dataset is, for people.

    Attributes:
        title: the name people use.
        summary: one or two sentences.
        homepage: where it is described.
        licence: of the data.
        citation: the paper to cite.
        obtain: what to download and how to lay it out for ``--raw`` and ``--static``.
        quirks: facts that surprise users, one sentence each.
    """

    title: str
    summary: str
    homepage: str
    licence: str
    citation: str
    obtain: str
    quirks: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelTable:
    """A text file that gives each recording's class, where its path does not.

    Attributes:
        file: its path below the root of the recordings.
        column: which whitespace-separated token of a row is the class, from 1.
        header_rows: rows before the first data row.
        key: the pattern's field that is the number of the data row, from 0.
    """

    file: str
    column: int
    header_rows: int = 0
    key: str = "number"


@dataclass(frozen=True)
class Slices:
    """Files of many recordings, each with a table beside it of when they start and end.

    Attributes:
        identity: template over the pattern's fields and ``field``: a recording's identity.
        field: name of the field that becomes the number of a recording's row, two digits.
        suffix: of the table, beside the file of the same stem.
        header_rows: rows before the first recording.
        start_column: which column of a row is its first timestamp, from 1, in microseconds.
        end_column: which one is the timestamp that it ends before.
        recordings: how many recordings every file holds; a table of more or fewer rows is then a
            bad file, since nobody could say which one is missing. Absent, as many as its table
            has rows.
    """

    identity: str
    field: str = "part"
    suffix: str = ".csv"
    header_rows: int = 1
    start_column: int = 2
    end_column: int = 3
    recordings: int | None = None


@dataclass(frozen=True)
class EventFiles:
    """Raw recordings on disk.

    Attributes:
        format: name of a reader: a shipped or installed one, or ``package.module:Name``.
        pattern: path pattern below the root.
        roots: folders below ``--raw`` to look in; the first that holds a match is the root.
        sensor: ``[height, width]``; absent where the extent differs per recording.
        limit: largest ``[height, width]`` there can be, where ``sensor`` is absent.
        sort: sort a recording whose times go back instead of refusing it.
        order: a field that is a whole number: recordings are listed, split and paired by its
            value (2 before 10, 007 = 7); absent, they are listed by name.
        labels: where the classes stand; absent, the pattern has a field ``class``.
        class_name: key ``class``: template over the fields that gives the class, where the
            pattern has no field ``class``.
        class_order: template over the fields by which classes found on disk are sorted for
            label order; absent, by their names.
        slices: where the recordings of a file of many start and end.
    """

    format: str
    pattern: str
    roots: tuple[str, ...] = (".",)
    sensor: tuple[int, int] | None = None
    limit: tuple[int, int] | None = None
    sort: bool = False
    order: str = ""
    labels: LabelTable | None = None
    class_name: str = field(default="", metadata={"key": "class"})
    class_order: str = ""
    slices: Slices | None = None


@dataclass(frozen=True)
class StaticFiles:
    """Static images on disk.

    Attributes:
        layout: ``images`` (picture files by pattern) or ``mnist`` (IDX files and CSV).
        twin: template over the recording's fields giving its twin's identity.
        pattern: path pattern below the root (``images`` only). Without a field ``class``,
            an image is of its recording's class, and left out where it has no recording.
        suffixes: suffixes of the files, such as ``jpg``, where the pattern ends without one.
        roots: folders below ``--static`` to look in (``images`` only).
        fit: ``stretch`` (bilinear, aspect not kept) or ``pad`` (centred on black, no scaling).
        order: ``resize-then-channel`` (uint8 R, G, B of the resized picture) or
            ``channel-then-resize`` (V of HSV at full size, then V, R, G, B resized as real
            numbers; ``images`` and ``stretch`` only).
        antialias: average where ``channel-then-resize`` shrinks, instead of sampling.
        class_name: key ``class``: template over the pattern's fields that gives the class.
        identity: template over them that gives the identity; absent, the path without suffix.
        archives: zip files below the roots whose members are read without unpacking
            (``images`` only). Of two pictures of one identity a folder's comes first, then
            that of the archive named first.
        grey: keep one plane of grey instead of R, G and B.
        twin_evidence: how the twin rule is known.
    """

    layout: StaticLayout
    twin: str
    pattern: str = ""
    suffixes: tuple[str, ...] = ()
    roots: tuple[str, ...] = (".",)
    fit: Fit = "stretch"
    order: StaticOrder = "resize-then-channel"
    antialias: bool = False
    class_name: str = field(default="", metadata={"key": "class"})
    identity: str = ""
    archives: tuple[str, ...] = ()
    grey: bool = False
    twin_evidence: str = ""


@dataclass(frozen=True)
class Framing:
    """Framing defaults, all but ``extent`` and ``zero_origin`` also flags of ``preprocess``.

    Attributes:
        steps: frames per recording.
        size: side of the square frames in pixels; absent keeps the sensor's own.
        tail: ``drop`` or ``keep`` the events after the last whole window.
        zero_origin: subtract each recording's smallest x and y first.
        extent: ``sensor`` (frames show the sensor, where ``[events]`` gives one) or
            ``recording`` (the smallest rectangle that holds the recording's events).
        bins: frames of equal duration (``time``) or of equally many events (``count``).
        window_ms: duration of a frame in milliseconds; absent, the recording's over ``steps``.
        values: ``counts``, ``binary``, ``log``, ``max``, ``frequency`` or ``frequency-float16``.
        polarity: ``split`` or ``merged``; the models need ``split``.
        crop: ``[top, bottom, left, right]`` in sensor pixels, before resizing.
        antialias: average where frequency frames shrink, instead of sampling.
    """

    steps: int
    size: int | None = None
    tail: Tail = "drop"
    zero_origin: bool = False
    extent: Extent = "sensor"
    bins: Bins = "time"
    window_ms: float | None = None
    values: Values = "counts"
    polarity: Polarity = "split"
    crop: tuple[int, int, int, int] | None = None
    antialias: bool = False


@dataclass(frozen=True)
class SplitRule:
    """How one protocol splits the recordings.

    Attributes:
        rule: ``hash`` (stratified, by identity hash), ``leading`` (the first share of each
            class in order of listing), ``window`` (the first recordings of each class train,
            the next ones test, the rest is unused) or ``field`` (by a field of the pattern).
        validation: share of each class (``hash``).
        test: share of each class (``hash``).
        train: share of each class (``leading``), rounded half to even; the rest is test.
        train_count: recordings of each class to train on (``window``).
        test_count: recordings of each class to test on (``window``).
        field: name of the field (``field``).
        train_value: the field's value for training recordings.
        test_value: the field's value for test recordings.
        train_values: more such values for training recordings.
        test_values: more such values for test recordings.
    """

    rule: Rule
    validation: float = 0.0
    test: float = 0.0
    train: float = 0.0
    train_count: int = 0
    test_count: int = 0
    field: str = ""
    train_value: str = ""
    test_value: str = ""
    train_values: tuple[str, ...] = ()
    test_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Download:
    """A file that ``snntx fetch`` brings; one of the checksums is required.

    Attributes:
        url: where from, ``https`` or ``http``.
        file: its name on disk.
        sha256: its SHA-256 in hexadecimal.
        md5: its MD5 in hexadecimal, where the publisher gives no better one.
        bytes: its size, where known.
        unpack: unpack it, and the archives inside it, beside it.
        note: what it is, for people.
    """

    url: str
    file: str
    sha256: str = ""
    md5: str = ""
    bytes: int | None = None
    unpack: bool = False
    note: str = ""


@dataclass(frozen=True)
class Card:
    """One dataset, from raw files to training defaults.

    Attributes:
        name: identity of the card; also the folder of its caches.
        about: what it is, for people.
        events: raw recordings.
        static: static images; absent for an event-only dataset.
        framing: framing defaults.
        splits: one rule for each protocol; ``holdout`` is required.
        classes: class names in label order; absent, the sorted names found on disk.
        recipes: named tables of training settings; ``default`` is required.
        downloads: files that ``snntx fetch`` brings.
    """

    name: str
    about: About
    events: EventFiles
    framing: Framing
    splits: dict[str, SplitRule]
    static: StaticFiles | None = None
    classes: tuple[str, ...] = ()
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()
