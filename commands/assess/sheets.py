"""Tables that ``snntx evaluate`` writes for other programs: CSV, and Parquet behind its extra.

Names of classes and files are foreign text. A cell that a spreadsheet would take for a formula
(it begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return) gets an apostrophe before
it in CSV; Parquet, which no program calculates, keeps names as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...preprocess.disk.atomic import placing, write_atomic
from ...preprocess.disk.folders import cause_of
from ..terminal.spreadsheet import sheet_text

if TYPE_CHECKING:
    from ...train.assess.evaluation import Evaluation

SUFFIXES = (".csv", ".parquet")


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of named values as CSV, the names of the first row as header.

    A row that lacks a name has an empty cell there.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = sheet_text([names, *([row.get(name, "") for name in names] for row in rows)])
    return _readable(text)


def _readable(text: str) -> str:
    """Return text with escapes in place of bytes of file names that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def result_row(result: Evaluation) -> dict[str, Any]:
    """Return a result as one row: what was measured, then the numbers."""
    row: dict[str, Any] = {
        name: getattr(result, name)
        for name in ("checkpoint", "card", "cache_key", "protocol", "part", "seed", "epoch")
    }
    row |= {
        "recordings": result.metrics.recordings,
        "top1": result.metrics.top1,
        "top1_low": result.interval[0],
        "top1_high": result.interval[1],
        "top5": result.metrics.top5,
        "balanced": result.balanced,
        "loss": result.metrics.loss,
        "ece": result.calibration.ece,
    }
    if result.votes is not None:
        row["majority_top1"] = result.votes.top1
    if result.firing is not None:
        row["nasfr"] = result.firing.nasfr
    if result.cost is not None:
        row["pJ"] = result.cost.energy.total_pj
    if result.static is not None:
        row["static_top1"] = result.static.metrics.top1
    row |= {f"top1_step_{t}": share for t, share in enumerate(result.by_step, 1)}
    row |= {f"top1_{each.kind}_{each.severity:g}": each.top1 for each in result.corruption}
    return row


def prediction_rows(result: Evaluation) -> list[dict[str, Any]]:
    """Return a row a recording: its class, the network's, and the probability of each class."""
    held = result.evidence
    columns = [f"probability {name}" for name in held.classes]
    found, chances = held.answers.predicted.tolist(), held.answers.probabilities.tolist()
    return [
        {
            "checkpoint": result.checkpoint,
            "recording": identity,
            "class": held.classes[label],
            "predicted": held.classes[guess],
            "right": guess == label,
            **dict(zip(columns, shares, strict=True)),
        }
        for identity, label, guess, shares in zip(
            held.identities, held.labels.tolist(), found, chances, strict=True
        )
    ]


def check_sheet(path: Path) -> None:
    """Refuse a file that cannot be written as its name says, before anything is computed.

    Raises:
        UsageError: its suffix is another, or Parquet's extra is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: expected a name that ends with {' or '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        _pyarrow(path)


def write_sheet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as the file's suffix says; it is the old one or the whole new one.

    Raises:
        UsageError: as of :func:`check_sheet`, or the file cannot be written.
    """
    check_sheet(path)
    try:
        if path.suffix == ".csv":
            write_atomic(path, csv_text(rows))
            return
        arrow = _pyarrow(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with placing(path) as file:
            from pyarrow import parquet

            told = [
                {_readable(k): _readable(v) if isinstance(v, str) else v for k, v in row.items()}
                for row in rows
            ]
            parquet.write_table(arrow.Table.from_pylist(told), file)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {cause_of(error)}") from error


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise UsageError(
            f'{path}: Parquet needs pyarrow; run pip install "snntx[parquet]", or give a name that '
            "ends with .csv"
        ) from None
    return pyarrow
