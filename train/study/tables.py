"""A comparison as rows of text, CSV, Markdown and plain values."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import plain
from .compare import Comparison, Row
from .runs import METRIC_NAMES
from .statistics import Paired
from .sweep import setting_words

CSV_FIELDS: tuple[tuple[str, Callable[[Row], Any]], ...] = (
    ("n", lambda row: row.sample.n),
    ("mean", lambda row: row.sample.mean),
    ("sd", lambda row: row.sample.sd),
    ("low", lambda row: row.sample.low),
    ("high", lambda row: row.sample.high),
    ("seeds", lambda row: " ".join(map(str, row.group.runs))),
    ("values", lambda row: " ".join(map(repr, row.group.values.values()))),
)
"""Columns of every row; ``low`` and ``high`` bound the 95 % interval of the mean."""
PAIRED_FIELDS: tuple[tuple[str, Callable[[Paired], Any]], ...] = (
    ("pairs", lambda paired: paired.sample.n),
    ("difference", lambda paired: paired.sample.mean),
    ("difference_sd", lambda paired: paired.sample.sd),
    ("difference_low", lambda paired: paired.sample.low),
    ("difference_high", lambda paired: paired.sample.high),
    ("t", lambda paired: paired.t),
    ("p", lambda paired: paired.p),
    ("p_sign_flip", lambda paired: paired.p_sign_flip),
    ("p_holm", lambda paired: paired.p_holm),
)
"""Columns of every row that has a baseline."""


def headline(found: Comparison) -> str:
    """Return what was measured on what."""
    recordings = "" if found.recordings is None else f" ({found.recordings:,} recordings)"
    return (
        f"{METRIC_NAMES[found.metric]} on the {found.part} part{recordings} of {found.card}, "
        f"protocol {found.protocol}"
    )


def table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return header and rows for people."""
    header = ["group", "n", "mean", "sd"]
    compared = bool(found.baseline)
    if compared:
        header += ["difference", "95 % interval", "p", "p Holm", "p sign-flip", "pairs"]
    if found.firing:
        header += ["NASFR", "change"]
    rows = []
    for row in found.rows:
        sd = "-" if row.sample.sd is None else f"{row.sample.sd:.4f}"
        cells = [row.group.label, str(row.sample.n), f"{row.sample.mean:.4f}", sd]
        if compared:
            cells += _paired_cells(row.paired)
        if found.firing:
            change = found.change(row)
            cells += [f"{row.nasfr:.4f}", "-" if change is None else f"{100 * change:+.1f} %"]
        rows.append(cells)
    return header, rows


def _paired_cells(paired: Paired | None) -> list[str]:
    if paired is None:
        return ["-"] * 6
    sample = paired.sample
    interval = "-"
    if sample.low is not None and sample.high is not None:
        interval = f"{sample.low:+.4f} to {sample.high:+.4f}"
    ps = [p_text(p) for p in (paired.p, paired.p_holm, paired.p_sign_flip)]
    return [f"{sample.mean:+.4f}", interval, *ps, str(sample.n)]


def p_text(p: float | None) -> str:
    """Return a p value, with ``-`` for none."""
    if p is None:
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def footnotes(found: Comparison) -> list[str]:
    """Return how the figures were made, and what a reader has to know."""
    lines = ["mean and sd (n - 1 in the denominator) over seeds"]
    if found.baseline:
        lines.append(
            f"difference from {found.baseline} on shared seeds (pairs); interval and p by the "
            f"paired t test, Holm's over {found.comparisons} comparisons"
        )
        pairs = [row.paired.sample.n for row in found.rows if row.paired is not None]
        if pairs and max(pairs) > 1:
            least = 2.0 ** (1 - max(pairs))
            lines.append(
                f"the exact sign-flip test has no p below {least:.3g} with {max(pairs)} pairs"
            )
    if found.firing:
        lines.append("NASFR: spikes per neuron and step of the whole network; change from baseline")
    return [*lines, *found.notes]


_NUMBERS = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?( [+-]?[\d.]+(e[+-]?\d+)?)*", re.IGNORECASE)
FORMULA = ("=", "+", "-", "@")


def _inert(text: str) -> str:
    """Return foreign text that a spreadsheet takes for text: no formula, no control character."""
    shown = plain(text)
    if shown.lstrip().startswith(FORMULA) and not _NUMBERS.fullmatch(shown):
        return f"'{shown}"
    return shown


def _inert_markdown(text: str) -> str:
    """Return foreign text for Markdown: on one line, and with no HTML that a page would run."""
    return html.escape(plain(text), quote=False)


def to_markdown(found: Comparison) -> str:
    """Return a Markdown table with what it is of above, and how it was made below."""
    header, rows = table(found)
    rows = [[_inert(label), *cells] for label, *cells in rows]
    lines = [
        f"{_inert_markdown(headline(found))}:",
        "",
        _cells(header),
        _cells(["---", *["---:"] * (len(header) - 1)]),
    ]
    lines += [_cells(row) for row in rows]
    return "\n".join([*lines, "", _inert_markdown("; ".join(footnotes(found))) + ".", ""])


def _cells(values: Sequence[str]) -> str:
    cells = [_inert_markdown(value).replace("|", "\\|") for value in values]
    return f"| {' | '.join(cells)} |"


def to_csv(found: Comparison) -> str:
    """Return one line a group, all digits; what is not known is empty."""
    settings = list(found.rows[0].group.varying)
    common = {name: getattr(found, name) for name in ("card", "protocol", "part", "metric")}
    names = ["group", *settings, *common, *(name for name, _ in CSV_FIELDS), "baseline"]
    names += [name for name, _ in PAIRED_FIELDS]
    names += ["nasfr", "nasfr_change"] if found.firing else []
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in found.rows:
        cells = {**_settings(row), **common, **_values(row), **_firing(found, row)}
        writer.writerow({k: _inert(v) if isinstance(v, str) else v for k, v in cells.items()})
    return text.getvalue()


def _settings(row: Row) -> dict[str, str]:
    shown = row.group.varying.items()
    return {key: "" if value is None else setting_words(value) for key, value in shown}


def _firing(found: Comparison, row: Row) -> dict[str, Any]:
    """Return NASFR and its change where they were asked for."""
    if not found.firing:
        return {}
    return {"nasfr": row.nasfr, "nasfr_change": found.change(row)}


def _values(row: Row) -> dict[str, Any]:
    values = {"group": row.group.label, **{name: of(row) for name, of in CSV_FIELDS}}
    values["baseline"] = row.baseline
    if row.paired is not None:
        values |= {name: of(row.paired) for name, of in PAIRED_FIELDS}
    return {key: "" if value is None else value for key, value in values.items()}


def to_json(found: Comparison) -> dict[str, Any]:
    """Return plain values, with every run's path and value."""
    rows = []
    for row in found.rows:
        runs = [
            {"run": str(run.path), "seed": seed, "value": run.value}
            for seed, run in row.group.runs.items()
        ]
        own = {name: of(row) for name, of in CSV_FIELDS if name not in ("seeds", "values")}
        paired = None
        if row.paired is not None:
            paired = {name: of(row.paired) for name, of in PAIRED_FIELDS}
            paired["differences"] = {str(k): v for k, v in row.paired.differences.items()}
        settings = row.group.varying
        rows.append(
            {"group": row.group.label, "settings": settings, **own, "runs": runs}
            | {"baseline": row.baseline or None, "paired": paired, **_firing(found, row)}
        )
    names = ("card", "protocol", "part", "recordings", "metric", "baseline", "left_out", "notes")
    return {**{name: getattr(found, name) for name in names}, "groups": rows}
