"""What ``snntx predict`` prints: a table for people, JSON, JSON lines or CSV for machines.

In: predictions one by one, and the classes in label order. Out: text on standard output or in a
file; lines of CSV and JSON lines as they come, so that a process that is killed leaves whole ones.
The bar goes to standard error, where that is a terminal. Names of files and classes are foreign
text: for people they are printed on one line, without control characters.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ...errors import UsageError
from ...preprocess.disk.atomic import READABLE, placing
from ...preprocess.disk.folders import cause_of
from .columns import table_lines
from .spreadsheet import sheet_text
from .text import print_table

if TYPE_CHECKING:
    from ...train.assess.predict import Prediction


@contextmanager
def classifying(files: Sequence[Path]) -> Iterator[Iterable[Path]]:
    """Yield the files one by one, with a bar once that takes two seconds."""
    from tqdm import tqdm

    bar = tqdm(files, desc="predict", unit=" files", delay=2, leave=False, disable=None)
    try:
        yield bar
    finally:
        bar.close()


SPOOLED = 1 << 20
"""Bytes for a file that are held in memory; more lie in a temporary file until the end."""


class Told:
    """Predictions on their way out.

    Args:
        form: ``table``, ``json`` (one list), ``jsonl`` (an object a line) or ``csv`` (a row a file
            below a header; a column for the probability of each class; names that a spreadsheet
            would calculate are defused).
        classes: names in label order.
        out: a file to write at the end instead, whole or not at all.

    Attributes:
        count: predictions so far.
    """

    def __init__(self, form: str, classes: Sequence[str], out: Path | None = None) -> None:
        self.count = 0
        self._form, self._classes, self._out = form, classes, out
        self._kept: list[Prediction] = []
        self._text = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115  (closed by end)

    def add(self, result: Prediction) -> None:
        """Take one prediction; print its line at once where lines are printed."""
        self.count += 1
        if self._form in ("table", "json"):
            self._kept.append(result)
        elif self._form == "jsonl":
            self._tell(json.dumps(vars(result), ensure_ascii=False) + "\n")
        else:
            header = ["file", "events", "predicted"]
            header += [f"probability {name}" for name in self._classes]
            shares = [result.probabilities[name] for name in self._classes]
            row = [result.file, result.events, result.predicted, *shares]
            self._tell(sheet_text([header, row] if self.count == 1 else [row]))

    def end(self) -> None:
        """Print what is told as a whole, and write the file.

        Raises:
            UsageError: the file cannot be written.
        """
        if self._form == "json" and self._kept:
            held = [vars(result) for result in self._kept]
            self._tell(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
        elif self._form == "table" and self._kept:
            header, rows = ["file", "class", "events", "probabilities"], self._rows()
            if self._out is None:
                print_table(header, rows, right=9)
            else:
                self._tell("\n".join(table_lines([header, *rows], right=9)) + "\n")
        if self._out is not None:
            try:
                self._out.parent.mkdir(parents=True, exist_ok=True)
                with self._text, placing(self._out) as file:
                    self._text.seek(0)
                    whole = io.BufferedWriter(cast(io.RawIOBase, file))  # a raw one writes parts
                    shutil.copyfileobj(self._text, whole)
                    whole.flush()
                    whole.detach()
                self._out.chmod(READABLE)
            except OSError as error:
                raise UsageError(f"{self._out}: cannot be written: {cause_of(error)}") from error

    def _rows(self) -> list[list[str]]:
        rows = []
        for result in self._kept:
            best = list(result.probabilities.items())[:3]
            shown = ", ".join(f"{name} {probability:.3f}" for name, probability in best)
            rows.append([result.file, result.predicted, f"{result.events:,}", shown])
        return rows

    def _tell(self, text: str) -> None:
        """Print text, or keep it for the file; a byte that is no UTF-8 becomes an escape."""
        plain = text.encode("utf-8", "backslashreplace")
        if self._out is None:
            click.echo(plain.decode(), nl=False)
        else:
            self._text.write(plain)
