"""Where a run's branches look, drawn on what they were shown: one line of frames a branch.

In: recordings with their maps. Out: pictures, or PNG bytes. What was shown is grey and dimmed; over
it lies the map, from nothing over purple and orange to pale yellow, which differ in lightness too,
so that it is read without seeing red or green. A branch's maps share one scale over all of its
steps.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..errors import plain
from ..train.insight.saliency import Look, Salient
from .style import write_picture
from .tiles import BRIGHT, FAINT, PAPER, RULE, SOFT, paste, write_text

TILE_PX, GAP_PX, MARGIN_PX, TEXT_PX, HEAD_PX = 96, 6, 24, 120, 52
STOPS = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]])
"""RGB of magma (Smith and van der Walt, matplotlib) at 0, 1/4, … 1."""
STRONGEST = 0.8
"""Share of a picture that the strongest map covers."""
DIMMED = 0.55
"""Light that what was shown keeps: the upper half of the map outshines it, wherever it lies."""


def overlaid(look: Look) -> NDArray[np.uint8]:
    """Return RGB ``(T, H, W, 3)`` of what a branch was shown, its maps over it."""
    light = look.shown.astype(np.float64).sum(1)
    light -= light.min()
    fired = light[light > 0]
    brightest = float(np.percentile(fired, 99)) if fired.size else 1.0
    grey = (np.clip(light / brightest, 0, 1) ** 0.6 * DIMMED * 255)[..., None]
    height, width = light.shape[1:]
    strongest = float(look.maps.max())
    scaled = look.maps / strongest if strongest > 0 else look.maps
    shares = np.stack([_enlarged(each, (width, height)) for each in scaled])
    at = np.linspace(0, 1, len(STOPS))
    colour = np.stack([np.interp(shares, at, STOPS[:, c]) for c in range(3)], -1)
    cover = STRONGEST * shares[..., None]
    mixed: NDArray[np.uint8] = np.rint(grey * (1 - cover) + colour * cover).astype(np.uint8)
    return mixed


def _enlarged(values: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.floating]:
    image = Image.fromarray(np.asarray(values, np.float32))
    resized = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    clipped: NDArray[np.floating] = np.clip(resized, 0, 1)
    return clipped


def saliency_picture(recordings: Sequence[Salient], layer: str) -> Image.Image:
    """Return recordings below one another, a line a branch."""
    steps = max(len(look.maps) for each in recordings for look in _looks(each).values())
    width = 2 * MARGIN_PX + TEXT_PX + steps * (TILE_PX + GAP_PX)
    heights = [HEAD_PX + len(_looks(each)) * (TILE_PX + GAP_PX) for each in recordings]
    sheet = Image.new("RGB", (max(width, 640), sum(heights) + 2 * MARGIN_PX + 24), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = MARGIN_PX
    for each, height in zip(recordings, heights, strict=True):
        _one(sheet, draw, each, y)
        y += height
    draw.line((MARGIN_PX, y + 4, sheet.width - MARGIN_PX, y + 4), RULE)
    scale = "each branch from 0 to its largest over all steps; %: score"
    words = f"Grad-CAM of layer {plain(layer)}; {scale}"
    for place in range(96):
        share = place / 95 * (len(STOPS) - 1)
        low = min(int(share), len(STOPS) - 2)
        tone = STOPS[low] + (share - low) * (STOPS[low + 1] - STOPS[low])
        x = sheet.width - MARGIN_PX - 96 + place
        draw.line((x, y + 13, x, y + 23), tuple(int(v) for v in tone))
    room = sheet.width - 2 * MARGIN_PX - 110
    write_text(draw, (MARGIN_PX, y + 24), words, 12, SOFT, "ls", room)
    return sheet


def _looks(each: Salient) -> dict[str, Look]:
    both = {"event": each.event, "twin": each.static}
    return {name: look for name, look in both.items() if look is not None}


def _one(sheet: Image.Image, draw: ImageDraw.ImageDraw, each: Salient, y: int) -> None:
    room = sheet.width - 2 * MARGIN_PX
    title = f"{plain(each.identity)}: true {plain(each.true)}, maps of {plain(each.explained)}"
    write_text(draw, (MARGIN_PX, y + 18), title, 15, BRIGHT, "ls", room)
    first_x = MARGIN_PX + TEXT_PX
    steps = max(len(look.maps) for look in _looks(each).values())
    for step in range(steps):
        x = first_x + step * (TILE_PX + GAP_PX) + TILE_PX // 2
        name = f"step {step + 1}" if step == 0 else str(step + 1)
        write_text(draw, (x, y + HEAD_PX - 8), name, 11, FAINT, "ms", TILE_PX)
    top = y + HEAD_PX
    for name, look in _looks(each).items():
        words = (name, 14, BRIGHT), (f"predicted {plain(look.predicted)}", 11, SOFT)
        score = f"{look.probability:.1%} for {plain(each.explained)}"
        lines = (*words, (score, 11, SOFT))
        for line, (text, size, colour) in enumerate(lines):
            place = (MARGIN_PX, top + 36 + 17 * line)
            write_text(draw, place, text, size, colour, "ls", TEXT_PX - 10)
        for step, colours in enumerate(overlaid(look)):
            corner = (first_x + step * (TILE_PX + GAP_PX), top)
            paste(sheet, colours, corner, (TILE_PX, TILE_PX))
        top += TILE_PX + GAP_PX


def saliency_png(recordings: Sequence[Salient], layer: str) -> bytes:
    """Return the picture as PNG bytes."""
    file = io.BytesIO()
    saliency_picture(recordings, layer).save(file, "PNG", optimize=True)
    return file.getvalue()


def save_saliency(recordings: Sequence[Salient], layer: str, path: Path) -> None:
    """Write the picture as PNG, whole or not at all.

    Raises:
        SnntxError: the file cannot be written.
    """
    sheet = saliency_picture(recordings, layer)
    write_picture(path, lambda file: sheet.save(file, "PNG", optimize=True))
