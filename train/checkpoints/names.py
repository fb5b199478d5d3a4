"""Names of the files in a run directory. Imports nothing heavy, so listing runs stays fast.

Who writes a file and who reads it, in training, evaluation and studies, take its name from here,
and how epochs are numbered in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECIPE = "recipe.toml"
"""Every setting, resolved; written when the directory is claimed."""
STARTED = "data.json"
"""Card, root of caches and key that it was started on; written with the recipe."""
LOG = "log.jsonl"
"""One JSON line an epoch."""
LAST = "last.pt"
"""The checkpoint to go on from; its presence says that a first epoch was finished."""
BEST = "best.pt"
"""The checkpoint of the best epoch, which stands for the run."""
METRICS = "metrics.json"
"""What evaluation measured of ``best.pt`` on the test part."""
DIVERGED = "diverged.pt"
"""Inputs of the step whose loss was not finite."""
RUN = "run.json"
"""What the run was called with, on what, and when: its starts. No part of the result."""
TERMINAL = "terminal.txt"
"""What ``snntx train`` printed, without bars. No part of the result."""
LOCK = ".lock"
"""Held by the training that writes here."""
EVENTS = "events.out.tfevents."
"""How TensorBoard's own file names begin."""
FORMAT = 2
"""``format`` of a line of the log and of the metrics: epochs are counted from 1."""
COUNTED_FROM = "epochs_from"
"""Entry of a checkpoint: 1, the number of a run's first epoch; release 0.1, without it, had 0."""
_COUNTED = ("epoch", "best_epoch")


def from_one(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the log, or metrics, of this format; those of 0.1 counted from 0.

    Raises:
        ValueError: it is of a later format.
        TypeError: an epoch is no number.
    """
    found: Any = record.get("format", 1)
    if found == FORMAT:
        return dict(record)
    if found != 1:
        raise ValueError(f"format {found!r}, this release reads 1 and {FORMAT}")
    counted = {name: record[name] + 1 for name in _COUNTED if name in record}
    return {"format": FORMAT, **{k: v for k, v in record.items() if k != "format"}, **counted}
