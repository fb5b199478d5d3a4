"""The words that a card may use where it has a choice, each list once.

In: nothing. Out: ``Literal`` types for the fields of :mod:`snntx.data_cards.schema`, and their
words as tuples. The formats of raw recordings are no such list: readers come in by a door.
"""

from __future__ import annotations

from typing import Literal, get_args

Tail = Literal["drop", "keep"]
Extent = Literal["sensor", "recording", "reach"]
Bins = Literal["time", "count"]
Counted = Literal["counts", "binary", "log", "max"]
Frequency = Literal["frequency", "frequency-float16"]
AsPublished = Literal["frequency-published", "event-published"]
Values = Literal[Counted, Frequency, AsPublished]
Polarity = Literal["split", "merged"]
Outside = Literal["stop", "drop"]
StaticLayout = Literal["images", "mnist", "cifar10"]
ClassFrom = Literal["path", "file"]
Fit = Literal["stretch", "pad"]
StaticOrder = Literal["resize-then-channel", "channel-then-resize"]
Kind = Literal["frames", "events"]
Rule = Literal["hash", "leading", "window", "field"]

TAILS: tuple[str, ...] = get_args(Tail)
BINS: tuple[str, ...] = get_args(Bins)
EXTENTS: tuple[str, ...] = get_args(Extent)
VALUES: tuple[str, ...] = get_args(Counted)
"""Values that are made of counts."""
FREQUENCIES: tuple[str, ...] = get_args(Frequency)
"""Values of :mod:`snntx.preprocess.framing.frequency`, which frames events in its own way."""
AS_PUBLISHED: tuple[str, ...] = get_args(AsPublished)
"""Values of :mod:`snntx.preprocess.framing.published`, likewise."""
WINDOWED = (*FREQUENCIES, *AS_PUBLISHED)
"""Values made of equal windows of the whole recording, resized with corners not aligned."""
ALL_VALUES = (*VALUES, *WINDOWED)
KINDS: tuple[str, ...] = get_args(Kind)
POLARITIES: tuple[str, ...] = get_args(Polarity)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(name: str) -> bool:
    """Whether a file name is that of an archive that can be unpacked."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)
