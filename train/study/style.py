"""How pictures of comparisons look, and how they say their units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .compare import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Told apart by people who see no red or no green (Okabe and Ito); the palest come last."""
MARKERS = ("o", "s", "^", "D", "v", "P")
BASELINE_COLOUR, GREY = "#444444", "#666666"
LABEL_GAP_POINTS, DODGE_POINTS = 11.0, 4.0
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "snntx",
    "font.size": 9,
    "text.parse_math": False,  # names of groups are plain text, whatever signs they have
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#222222",
    "xtick.color": GREY,
    "ytick.color": GREY,
}
AXIS_TITLES = {
    "event_fraction": "training recordings used (% of each class)",
    "static_fraction": "static images used (% of each class)",
    "recordings_per_class": "training recordings a class",
    "snr_db": "signal-to-noise ratio (dB)",
    "rotation": "rotation (degrees)",
    "steps": "time steps",
    "size": "side of the frames (pixels)",
    "width": "width (times the network's)",
}
PERCENT = ("event_fraction", "static_fraction")


def scale_of(found: Comparison) -> float:
    """Return what values are multiplied by: accuracies are shown in percent."""
    return 1.0 if found.metric == "loss" else 100.0


def unit_of(found: Comparison, *, difference: bool = False) -> str:
    """Return the unit of values, or of their differences."""
    if found.metric == "loss":
        return "nats"
    return "percentage points" if difference else "%"


def scaled(low: float | None, high: float | None, scale: float) -> tuple[float, float] | None:
    """Return an interval in the unit that is shown; None where there is none."""
    return None if low is None or high is None else (scale * low, scale * high)


def caption(figure: Figure, text: str) -> None:
    """Say below the picture what its marks are."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=7.5, color=GREY)
