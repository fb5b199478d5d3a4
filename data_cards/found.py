"""What a data card says of files on disk: raw recordings, their tables, and static images.

A pattern is a path below the root with named fields, each matching part of one path
component: ``{split}/{class}/{stem}.bin``. The field ``class`` is the recording's class; a
recording's identity is its path below the root without the suffix. ``twin`` is a template
over the same fields that gives the identity of the static image it was recorded from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ..declared.fields import Declared, Setting
from .tables import Columns, Labels
from .vocabulary import ClassFrom, Fit, Outside, StaticLayout, StaticOrder


@dataclass(frozen=True)
class LabelTable(Declared):
    """A text file that gives each recording's class, where its path does not."""

    file: Annotated[str, Setting("its path below the root of the recordings")]
    column: Annotated[
        int, Setting("which whitespace-separated token of a row is the class, from 1")
    ]
    header_rows: Annotated[int, Setting("rows before the first data row")] = 0
    key: Annotated[
        str, Setting("the pattern's field that is the number of the data row, from 0")
    ] = "number"


@dataclass(frozen=True)
class Slices(Declared):
    """Files of many recordings, each with a table beside it of when they start and end."""

    identity: Annotated[
        str, Setting("template over the pattern's fields and ``field``: a recording's identity")
    ]
    field: Annotated[
        str, Setting("name of the field that becomes the number of a recording's row, two digits")
    ] = "part"
    suffix: Annotated[
        str, Setting("what follows the file's stem in the name of the table beside it")
    ] = ".csv"
    header_rows: Annotated[int, Setting("rows before the first recording")] = 1
    start_column: Annotated[
        int, Setting("which column of a row is its first timestamp, from 1, in microseconds")
    ] = 2
    end_column: Annotated[int, Setting("which one is the timestamp that it ends before")] = 3
    recordings: Annotated[
        int | None,
        Setting(
            "how many recordings every file holds; a table of more or fewer rows is "
            "then a bad file, since nobody could say which one is missing. Absent, "
            "as many as its table has rows"
        ),
    ] = None
    class_column: Annotated[
        int | None,
        Setting(
            "which column of a row, from 1, is the number of its class among the card's "
            "``classes``; absent, the path tells the class"
        ),
    ] = None
    class_first: Annotated[int, Setting("number of the first class in that column")] = 1


@dataclass(frozen=True)
class NameLists(Declared):
    """Lists of the names of files that say which set each file is of."""

    files: Annotated[
        dict[str, str],
        Setting("name of a set → path of its list below the root, a text of one name a line"),
    ]
    entry: Annotated[
        str, Setting("template over the pattern's fields: the name of a file as the lists have it")
    ]
    field: Annotated[
        str, Setting("name of the field that becomes the set of each file; empty in no list")
    ] = "set"
    number: Annotated[
        str,
        Setting(
            "field of the pattern that is the number of a file's class: each line then ends with "
            "a label, that number or, in every line, one less; absent, lines are names alone"
        ),
    ] = ""


@dataclass(frozen=True)
class EventFiles(Declared):
    """Raw recordings on disk."""

    format: Annotated[
        str, Setting("name of a reader: a shipped or installed one, or ``package.module:Name``")
    ]
    pattern: Annotated[str, Setting("path pattern below the root")]
    roots: Annotated[
        tuple[str, ...],
        Setting("folders below ``--raw`` to look in; the first that holds a match is the root"),
    ] = (".",)
    sensor: Annotated[
        tuple[int, int] | None,
        Setting("``[height, width]``; absent where the extent differs per recording"),
    ] = None
    limit: Annotated[
        tuple[int, int] | None,
        Setting("largest ``[height, width]`` there can be, where ``sensor`` is absent"),
    ] = None
    sort: Annotated[
        bool, Setting("sort a recording whose times go back instead of refusing it")
    ] = False
    wraps: Annotated[
        bool,
        Setting(
            "count on where the format's timer starts over, after 2^23 us in ``atis``, 2^31 or "
            "2^32 us in ``mat``, plain columns and AEDAT 2.0, instead of refusing the recording"
        ),
    ] = False
    outside: Annotated[
        Outside,
        Setting(
            "``stop`` at a recording with events outside ``sensor`` or ``limit``, or ``drop`` "
            "them, and those without whole coordinates from 0; how many there were is noted in "
            "the cache"
        ),
    ] = "stop"
    order: Annotated[
        str,
        Setting(
            "a field that is a whole number: recordings are listed, split and "
            "paired by its value (2 before 10, 007 = 7); absent, they are listed by "
            "name"
        ),
    ] = ""
    labels: Annotated[
        LabelTable | None,
        Setting("where the classes stand; absent, the pattern has a field ``class``"),
    ] = None
    class_name: Annotated[
        str,
        Setting(
            "template over the fields that gives the class, where the pattern has "
            "no field ``class``"
        ),
    ] = field(default="", metadata={"key": "class"})
    class_order: Annotated[
        str,
        Setting(
            "template over the fields by which classes found on disk are sorted for "
            "label order; absent, by their names"
        ),
    ] = ""
    slices: Annotated[
        Slices | None, Setting("where the recordings of a file of many start and end")
    ] = None
    columns: Annotated[
        Columns | None,
        Setting("which columns of a file are which; absent, they are called t, x, y and p"),
    ] = None
    numbered: Annotated[
        Labels | None,
        Setting("where the classes of the recordings of a file of many stand, in order"),
    ] = None
    lists: Annotated[
        NameLists | None, Setting("lists beside the recordings that say which set each is of")
    ] = None
    class_from: Annotated[
        ClassFrom,
        Setting(
            "``path``, or ``file`` where a format's files tell the number of their class among "
            "the card's ``classes``, from 0"
        ),
    ] = "path"

    @property
    def file_format(self) -> str:
        """The format of one file alone, such as ``tonic:NMNIST`` where tonic has many.

        What ``columns`` says of it follows a ``?``.
        """
        if self.format == "tonic":
            return f"tonic:{self.roots[0]}"
        columns = self.columns.text if self.columns is not None else ""
        return f"{self.format}?{columns}" if columns else self.format


@dataclass(frozen=True)
class StaticFiles(Declared):
    """Static images on disk."""

    layout: Annotated[
        StaticLayout,
        Setting(
            "``images`` (picture files by pattern), ``mnist`` (IDX files and CSV) or ``cifar10`` "
            "(batches of the binary version, class partners all)"
        ),
    ]
    twin: Annotated[str, Setting("template over the recording's fields giving its twin's identity")]
    pattern: Annotated[
        str,
        Setting(
            "path pattern below the root (``images`` only). Without a field "
            "``class``, an image is of its recording's class, and left out where it "
            "has no recording"
        ),
    ] = ""
    suffixes: Annotated[
        tuple[str, ...],
        Setting("suffixes of the files, such as ``jpg``, where the pattern ends without one"),
    ] = ()
    roots: Annotated[
        tuple[str, ...], Setting("folders below ``--static`` to look in (``images`` only)")
    ] = (".",)
    fit: Annotated[
        Fit,
        Setting(
            "``stretch`` (bilinear, aspect not kept) or ``pad`` (centred on black, no scaling)"
        ),
    ] = "stretch"
    order: Annotated[
        StaticOrder,
        Setting(
            "``resize-then-channel`` (uint8 R, G, B of the resized picture) or "
            "``channel-then-resize`` (V of HSV at full size, then V, R, G, B "
            "resized as real numbers; ``images`` and ``stretch`` only)"
        ),
    ] = "resize-then-channel"
    antialias: Annotated[
        bool, Setting("average where ``channel-then-resize`` shrinks, instead of sampling")
    ] = False
    class_name: Annotated[
        str, Setting("template over the pattern's fields that gives the class")
    ] = field(default="", metadata={"key": "class"})
    identity: Annotated[
        str, Setting("template over them that gives the identity; absent, the path without suffix")
    ] = ""
    archives: Annotated[
        tuple[str, ...],
        Setting(
            "zip files below the roots whose members are read without unpacking "
            "(``images`` only). Of two pictures of one identity a folder's comes "
            "first, then that of the archive named first"
        ),
    ] = ()
    grey: Annotated[bool, Setting("keep one plane of grey instead of R, G and B")] = False
    min_paired: Annotated[
        float,
        Setting(
            "share of the images, or of the recordings where those are fewer, that must find their "
            "twin by name; below it ``preprocess`` stops unless it is told what to do with the "
            "rest (``--unpaired``)",
            low=0,
            high=1,
        ),
    ] = 0.5
    twin_evidence: Annotated[str, Setting("how the twin rule is known")] = ""
