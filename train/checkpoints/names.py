"""Names of the files in a run directory. Imports nothing, so listing runs stays fast.

Who writes a file and who reads it, in training, evaluation and studies, take its name from here.
"""

from __future__ import annotations

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
