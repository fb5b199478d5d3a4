"""What a data card may say: the schema of ``data_cards/*.toml`` and of a user's own card.

A pattern is a path below the root with named fields, each matching part of one path
component: ``{split}/{class}/{stem}.bin``. The field ``class`` is the recording's class; a
recording's identity is its path below the root without the suffix. ``twin`` is a template
over the same fields that gives the identity of the static image it was recorded from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
class EventFiles:
    """Raw recordings on disk.

    Attributes:
        format: a name in ``snntx.preprocess.readers.FORMATS``.
        pattern: path pattern below the root.
        roots: folders below ``--raw`` to look in; the first that holds a match is the root.
        sensor: ``[height, width]``; absent where the extent differs per recording.
        limit: largest ``[height, width]`` there can be, where ``sensor`` is absent.
        sort: sort a recording whose times go back instead of refusing it.
    """

    format: str
    pattern: str
    roots: tuple[str, ...] = (".",)
    sensor: tuple[int, int] | None = None
    limit: tuple[int, int] | None = None
    sort: bool = False


@dataclass(frozen=True)
class StaticFiles:
    """Static images on disk.

    Attributes:
        layout: ``images`` (picture files by pattern) or ``mnist`` (IDX files and CSV).
        twin: template over the recording's fields giving its twin's identity.
        pattern: path pattern below the root (``images`` only).
        roots: folders below ``--static`` to look in (``images`` only).
        fit: ``stretch`` (bilinear, aspect not kept) or ``pad`` (centred on black, no scaling).
        twin_evidence: how the twin rule is known.
    """

    layout: str
    twin: str
    pattern: str = ""
    roots: tuple[str, ...] = (".",)
    fit: str = "stretch"
    twin_evidence: str = ""


@dataclass(frozen=True)
class Framing:
    """Framing defaults; ``steps`` and ``size`` may be overridden on the command line.

    Attributes:
        steps: frames per recording.
        size: side of the square frames in pixels; absent keeps the sensor's own.
        tail: ``drop`` or ``keep`` the events after the last whole window.
        zero_origin: subtract each recording's smallest x and y first.
    """

    steps: int
    size: int | None = None
    tail: str = "drop"
    zero_origin: bool = False


@dataclass(frozen=True)
class SplitRule:
    """How one protocol splits the recordings.

    Attributes:
        rule: ``hash`` (stratified, by identity hash), ``leading`` (the first share of each
            class in order of identity) or ``field`` (by a field of the pattern).
        validation: share of each class (``hash``).
        test: share of each class (``hash``).
        train: share of each class (``leading``), rounded half to even; the rest is test.
        field: name of the field (``field``).
        train_value: the field's value for training recordings.
        test_value: the field's value for test recordings.
    """

    rule: str
    validation: float = 0.0
    test: float = 0.0
    train: float = 0.0
    field: str = ""
    train_value: str = ""
    test_value: str = ""


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
    """

    name: str
    about: About
    events: EventFiles
    framing: Framing
    splits: dict[str, SplitRule]
    static: StaticFiles | None = None
    classes: tuple[str, ...] = ()
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
