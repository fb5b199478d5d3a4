"""What the transfer did in a run, drawn: likeness by layer and step, terms, and how it went.

In: a diagnosis, and the columns of the run's log. Out: a PNG. Colours differ in lightness too, so
the picture is read without seeing red or green, and in grey.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import plain
from .style import DPI, GREY, INK, OFF_COLOUR, ON_COLOUR, STYLE, need_matplotlib, write_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..train.insight.diagnostics import Diagnosis
    from ..train.insight.trajectories import Trajectories

MAP = "cividis"
"""Made for people with and without colour vision (Nuñez, Anderton and Renslow, 2018)."""
LONGEST = 26
"""Signs of a layer's name that are shown."""
FEW = 8
"""Epochs below which each is a dot too: a line of one is not seen."""
WRITTEN = 12
"""Steps up to which each field has its number."""


def draw_alignment(found: Diagnosis, went: Trajectories | None, path: Path) -> None:
    """Draw a diagnosis and write it as PNG.

    Args:
        found: what was compared.
        went: of the run's log; None where there is none.
        path: the PNG to write.

    Raises:
        UsageError: matplotlib is not installed.
        SnntxError: the file cannot be written.
    """
    need_matplotlib("--plot")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    layers = len(found.alignment.layers)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.9 + 0.24 * layers), dpi=DPI, layout="constrained")
        parts = figure.subplots(1, 2, width_ratios=(3, 2), squeeze=False)[0]
        _likeness(figure, parts[0], found)
        if went is None:
            parts[1].axis("off")
            parts[1].text(0, 0.95, "no log of this run", color=GREY, va="top")
        else:
            _epochs(parts[1], went)
        title = f"{found.checkpoint}: {found.alignment.pairs:,} twins of part {found.part}"
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=10, color=INK)
        if found.before is not None and found.after is not None:
            figure.supxlabel(_told(found), x=0.01, ha="left", fontsize=7.5, color=GREY)
        write_picture(path, lambda file: figure.savefig(file))


def _likeness(figure: Figure, panel: Any, found: Diagnosis) -> None:
    """Draw a field for each layer and step."""
    names = [plain(name) for name in found.alignment.layers]
    rows = [each.debiased for each in found.alignment.layers.values()]
    values = np.array([[np.nan if v is None else v for v in row] for row in rows], np.float64)
    panel.set_facecolor("#DDDDDD")  # where a branch does not vary
    drawn = panel.imshow(values, cmap=MAP, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    steps = values.shape[1]
    labels = [n if len(n) <= LONGEST else f"…{n[1 - LONGEST :]}" for n in names]
    panel.set_yticks(range(len(names)), labels)
    panel.set(xlabel="time step", title="debiased CKA of the branches")
    panel.set_xticks(*_ticks(steps))
    if steps <= WRITTEN:
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            text = "–" if np.isnan(value) else f"{value:.2f}"
            ink = "white" if value < 0.5 else "black"  # on nothing, which is pale: black
            panel.text(column, row, text, ha="center", va="center", fontsize=7, color=ink)
    bar = figure.colorbar(drawn, ax=panel, pad=0.02)
    bar.set_label("CKA (0 unlike, 1 alike; grey: does not vary)", fontsize=7.5)


def _ticks(steps: int) -> tuple[list[int], list[str]]:
    every = -(-steps // WRITTEN)
    places = list(range(0, steps, every))
    return places, [str(place + 1) for place in places]


def _epochs(panel: Any, went: Trajectories) -> None:
    """Draw P and the coefficients of the steps over the epochs."""
    coefficients = np.array(went.coefficients)
    few: dict[str, Any] = {"marker": "o", "markersize": 3} if len(went.epochs) < FEW else {}
    steps = coefficients.shape[1]
    for step in range(steps):
        shade = 0.25 + 0.75 * (step + 1) / steps
        label = f"g of step {step + 1}" if step in (0, steps - 1) else None
        look = {"color": ON_COLOUR, "alpha": shade, "linewidth": 1.2, "label": label}
        panel.plot(went.epochs, coefficients[:, step], **look, **few)
    look = {"color": OFF_COLOUR, "linestyle": "--", "linewidth": 1.6, "label": "P"}
    panel.plot(went.epochs, went.probability, **look, **few)
    mean = [float(np.mean(row)) if row else np.nan for row in went.cka]
    look = {"color": INK, "linestyle": ":", "linewidth": 1.6, "label": "CKA of the loss"}
    panel.plot(went.epochs, mean, **look, **few)
    panel.set(
        xlabel="epoch", ylabel="share, weight or CKA", ylim=(-0.02, 1.02), title="in training"
    )
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(fontsize=7.5, frameon=False)


def _told(found: Diagnosis) -> str:
    assert found.before is not None
    assert found.after is not None
    told = [
        f"{name} {found.before[name]:.3f} → {value:.3f}"
        for name, value in found.after.items()
        if not name.rpartition(".")[2].isdigit()
    ]
    line = f"method {found.method}, before → after training: {', '.join(told)}"
    return "\n".join(textwrap.wrap(plain(line), 150))
