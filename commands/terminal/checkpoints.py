"""What ``snntx predict`` prints for people.

Names of files and classes are foreign text: they are printed on one line, without control
characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .text import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...train.assess.predict import Prediction


def print_predictions(results: Sequence[Prediction]) -> None:
    """Print the most probable classes of each file."""
    rows = []
    for result in results:
        best = list(result.probabilities.items())[:3]
        shown = ", ".join(f"{name} {probability:.3f}" for name, probability in best)
        rows.append([result.file, result.predicted, f"{result.events:,}", shown])
    print_table(["file", "class", "events", "probabilities"], rows, right=9)
