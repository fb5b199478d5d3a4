"""What ``snntx predict`` prints: a table for people, JSON, JSON lines or CSV for machines.

In: predictions, and the classes in label order. Out: text on standard output; the bar goes to
standard error, where that is a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import print_json
from .checkpoints import print_predictions
from .spreadsheet import sheet_text

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


def print_as(form: str, results: Sequence[Prediction], classes: Sequence[str]) -> None:
    """Print predictions.

    Args:
        form: ``table``, ``json`` (one list), ``jsonl`` (an object a line) or ``csv`` (a row a file
            below a header; a column for the probability of each class; names that a spreadsheet
            would calculate are defused).
        results: the predictions.
        classes: names in label order.
    """
    if form == "table":
        print_predictions(results)
    elif form == "json":
        print_json([vars(result) for result in results])
    elif form == "jsonl":
        for result in results:
            _write(json.dumps(vars(result), ensure_ascii=False) + "\n")
    else:
        header = ["file", "events", "predicted", *(f"probability {c}" for c in classes)]
        rows = [
            [r.file, r.events, r.predicted, *(r.probabilities[name] for name in classes)]
            for r in results
        ]
        _write(sheet_text([header, *rows]))


def _write(text: str) -> None:
    """Print text; a byte of a file name that is no UTF-8 becomes an escape."""
    click.echo(text.encode("utf-8", "backslashreplace").decode(), nl=False)
