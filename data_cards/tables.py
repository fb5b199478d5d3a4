"""Tables of ``[events]`` that some data sets need: named columns, labels beside arrays.

In: TOML. Out: frozen dataclasses, checked by :mod:`snntx.data_cards.checks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from ..declared.fields import Declared, Setting, declared_fields

TimeUnit = Literal["us", "ms", "s", "ns"]
Along = Literal["columns", "rows"]
TIME_UNITS: tuple[str, ...] = get_args(TimeUnit)


@dataclass(frozen=True)
class Columns(Declared):
    """Which columns of a file are times, coordinates and polarities, and what they count in."""

    t: Annotated[
        str,
        Setting(
            "name of the column of times: of an array of a file, with ``/`` also of a part of "
            "it (``events/t``), or the column's number from 1 where columns have no names"
        ),
    ] = "t"
    x: Annotated[str, Setting("of the columns of pixels, from the left and 0-based")] = "x"
    y: Annotated[str, Setting("of the rows of pixels, from the top and 0-based")] = "y"
    p: Annotated[str, Setting("of the polarities, 0 or -1 (off) and 1 (on)")] = "p"
    unit: Annotated[
        TimeUnit,
        Setting("what times count: ``us``, ``ms``, ``s`` or ``ns``; rounded to whole ``us``"),
    ] = "us"
    along: Annotated[
        Along,
        Setting(
            "where the columns of an array without names lie: ``columns``, an event a row, (n, "
            "4), or ``rows``, an event a column, (4, n)"
        ),
    ] = "columns"

    @property
    def names(self) -> dict[str, str]:
        """Key → name of each column."""
        return {"t": self.t, "x": self.x, "y": self.y, "p": self.p}

    @property
    def text(self) -> str:
        """What differs from the defaults, as text that :meth:`of` reads; empty for nothing."""
        fields = declared_fields(type(self))
        given = {f.key: getattr(self, f.name) for f in fields}
        return urlencode({f.key: given[f.key] for f in fields if given[f.key] != f.default})

    @classmethod
    def of(cls, text: str) -> Columns:
        """Return what a text of :attr:`text` stands for."""
        return cls(**dict(parse_qsl(text, keep_blank_values=True)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Labels(Declared):
    """Files of many recordings without names, each with a file beside it of their classes."""

    file: Annotated[
        str, Setting("template over the pattern's fields: the file of whole numbers, from the root")
    ]
    identity: Annotated[
        str, Setting("template over the pattern's fields and ``field``: a recording's identity")
    ]
    field: Annotated[
        str, Setting("name of the field that becomes a recording's number, from 00000")
    ] = "number"
