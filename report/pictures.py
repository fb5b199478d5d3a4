"""Recordings as small PNGs inside the page: the frames in one strip, and the twin.

In: frames ``(T, 2, H, W)`` and the twin ``(H0, W0)`` of a recording. Out: ``data:`` addresses.
Pixels are enlarged by the browser, by whole factors where there is room, and not smoothed.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..draw.contact_sheet import frame_colours
from ..draw.saliency import overlaid
from ..draw.tiles import grey
from ..train.insight.saliency import Salient
from .blocks import Picture, Shown
from .gather import Mistake

ACROSS = 5
"""Frames of a row, at most."""
TILE_PX = 60
"""Side of a frame on the page, about."""
LARGEST_PX = 64
"""Side of what is kept of a frame or twin; larger ones are made smaller."""


def data_uri(colours: NDArray[np.uint8]) -> str:
    """Return RGB ``(H, W, 3)`` as PNG in a ``data:`` address."""
    file = io.BytesIO()
    Image.fromarray(colours).quantize(64, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def shown(mistake: Mistake) -> Shown:
    """Return a recording that was classified wrongly, with its pictures."""
    row = mistake.row
    found = []
    if row.static is not None:
        twin = _fitted(grey(row.static))
        found.append(_picture(twin, f"static twin of {row.identity}", 1, 1))
    strip, across, down = _strip(frame_colours(row.frames))
    alt = f"{len(row.frames)} frames of {row.identity}, left to right and top to bottom"
    found.append(_picture(strip, alt, across, down))
    text = f"taken for {mistake.taken_for}, probability {mistake.probability:.2f}"
    if row.static is None:
        text += "; no twin"
    return Shown(row.identity, text, tuple(found))


def looked(each: Salient) -> Shown:
    """Return a recording with the maps of the branches over what they were shown."""
    found, said = [], [f"class {each.true}, maps of class {each.explained}"]
    for name, look in (("event", each.event), ("static", each.static)):
        if look is None:  # the section's notes say why
            continue
        strip, across, down = _strip(overlaid(look))
        alt = (
            f"maps of the {name} branch over the {len(look.maps)} steps of {each.identity}, "
            "left to right and top to bottom"
        )
        found.append(_picture(strip, alt, across, down))
        said.append(f"{name} branch answers {look.predicted}, probability {look.probability:.2f}")
    return Shown(each.identity, "; ".join(said), tuple(found))


def _picture(colours: NDArray[np.uint8], alt: str, across: int, down: int) -> Picture:
    height, width = colours.shape[:2]
    factor = max(1, round(TILE_PX * max(across, down) / max(height, width)))
    return Picture(data_uri(colours), alt, width * factor, height * factor)


def _fitted(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if max(colours.shape[:2]) <= LARGEST_PX:
        return colours
    image = Image.fromarray(colours)
    image.thumbnail((LARGEST_PX, LARGEST_PX), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _strip(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int]:
    """Return frames ``(T, H, W, 3)`` in rows, and how many there are across and down."""
    small = [_fitted(each) for each in frames]
    height, width = small[0].shape[:2]
    down = -(-len(small) // ACROSS)
    across = -(-len(small) // down)  # rows as even as can be
    gap = 1
    sheet = np.full((down * (height + gap) - gap, across * (width + gap) - gap, 3), 90, np.uint8)
    for i, each in enumerate(small):
        y, x = i // across * (height + gap), i % across * (width + gap)
        sheet[y : y + height, x : x + width] = each
    return sheet, across, down
