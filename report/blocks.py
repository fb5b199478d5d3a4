"""What a page is made of: sections of facts, tables, figures, pictures and notes.

In: text as it was found, of classes and files too. Out: blocks that the templates write; they, and
nobody before them, escape what is foreign.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

SHADES = 9
"""Of a table's cells, from 0 for none; ``style.css`` has as many."""


@dataclass(frozen=True)
class Cell:
    """A field of a table.

    Attributes:
        text: that is read.
        value: that it is sorted by, where it is a number.
        shade: how dark it is, from 0 to :data:`SHADES`; None for a plain field.
        framed: whether it stands out, as the diagonal of a confusion matrix does.
    """

    text: str
    value: float | None = None
    shade: int | None = None
    framed: bool = False


def number(value: float | None, form: str = ".4f", unit: str = "") -> Cell:
    """Return a number's field; a dash, which sorts last, where there is none."""
    if value is None or not math.isfinite(value):
        return Cell("–")
    return Cell(f"{value:{form}}{unit}", float(value))


def shaded(text: str, share: float | None, *, framed: bool = False) -> Cell:
    """Return a field that is the darker the nearer ``share`` is to 1."""
    if share is None:
        return Cell(text, framed=framed)
    level = round(min(max(share, 0.0), 1.0) * SHADES)
    return Cell(text, share, level, framed)


@dataclass(frozen=True)
class Facts:
    """Names and values, such as ``card`` and ``n-mnist``."""

    kind: ClassVar[str] = "facts"
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table; the first field of a row names it.

    Attributes:
        caption: what it shows.
        header: name of each column.
        rows: fields.
        sortable: whether a reader may sort it.
        folded: whether it is opened by the reader.
        matrix: whether its fields are small and even, as of a confusion matrix.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sortable: bool = True
    folded: bool = False
    matrix: bool = False

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers."""
        return tuple(
            any(row[i].value is not None for row in self.rows) for i in range(len(self.header))
        )


@dataclass(frozen=True)
class Figure:
    """A drawn figure, with its numbers.

    Attributes:
        title: above it.
        svg: that is drawn.
        caption: how to read it.
        numbers: the same as a table, folded.
    """

    kind: ClassVar[str] = "figure"
    title: str
    svg: Markup
    caption: str
    numbers: Table | None = None


@dataclass(frozen=True)
class Figures:
    """Figures side by side, where there is room."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Picture:
    """A picture of pixels.

    Attributes:
        source: a ``data:`` address.
        alt: what it shows.
        width: in pixels of the page.
        height: likewise.
    """

    source: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Shown:
    """One recording: what it is, and its pictures."""

    title: str
    text: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gallery:
    """Recordings below one another."""

    kind: ClassVar[str] = "gallery"
    title: str
    caption: str
    items: tuple[Shown, ...]


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    kind: ClassVar[str] = "words"
    text: str


@dataclass(frozen=True)
class Missing:
    """What is not on the page, why, and what would bring it there."""

    kind: ClassVar[str] = "missing"
    text: str


Block = Facts | Table | Figures | Gallery | Words | Missing


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: of its anchor.
        title: its heading.
        blocks: in order.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]


def notes(texts: Iterable[str]) -> tuple[Words, ...]:
    """Return a paragraph a text."""
    return tuple(Words(text[:1].upper() + text[1:]) for text in texts)


def columns(caption: str, header: Sequence[str], *values: Sequence[float | None]) -> Table:
    """Return a folded table of columns of numbers; the first names the rows."""
    rows = tuple(
        (Cell(f"{row[0]:g}", row[0]), *(number(each, ".4g") for each in row[1:]))
        for row in zip(*values, strict=True)
        if row[0] is not None
    )
    return Table(caption, tuple(header), rows, sortable=False, folded=True)
