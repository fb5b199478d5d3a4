"""A contact sheet of recordings: the static twin and the frames of each, as one PNG.

A frame ``(2, H, W)`` of counts becomes light on black. With ``c`` the counts of a polarity
and ``c_99`` the 99th percentile of the recording's non-zero counts, brightness is
``min(1, c / c_99) ** 0.6``; OFF shines orange, ON blue, and their sum is white where both
fell into one frame. The two hues stay apart for colour-blind readers (Okabe and Ito, 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from ..errors import UsageError
from ..preprocess.upkeep.inspect import SheetRow
from .style import write_picture
from .tiles import BRIGHT, FAINT, PAPER, RULE, SOFT, font, grey, paste, write_text

TILE_PX = 96
"""Smallest side of a frame on the sheet."""
GAP_PX, MARGIN_PX, HEAD_PX, TEXT_PX = 6, 36, 104, 168
WORDS_PX = TEXT_PX - 12
"""Room for a row's label and identity."""
POLARITIES = np.array([[255, 138, 26], [42, 136, 255]], np.float32)
"""RGB of OFF and ON."""
BRIGHTEST_PERCENTILE = 99
GAMMA = 0.6


def contact_sheet(rows: Sequence[SheetRow], *, title: str, path: Path) -> tuple[int, int]:
    """Draw recordings below one another and write the sheet, whole or not at all.

    Args:
        rows: recordings; their frames may differ in number and size.
        title: above the sheet, and in the file's own ``Title`` field.
        path: the PNG to write; an older one is replaced.

    Returns:
        ``(width, height)`` of the picture in pixels.

    Raises:
        UsageError: no rows, or frames that are not ``(T, 2, H, W)``.
        SnntxError: the file cannot be written.
    """
    if not rows:
        raise UsageError("a contact sheet needs at least one recording")
    for row in rows:
        if row.frames.ndim != 4 or row.frames.shape[1] != 2 or row.frames.size == 0:
            raise UsageError(
                f"{row.identity}: frames must be (T, 2, H, W), found {row.frames.shape}"
            )
    sheet = _draw([SheetRow(*row) for row in rows], title)
    about = PngInfo()
    about.add_itxt("Title", title)
    about.add_itxt("Software", "snntx")
    write_picture(path, lambda file: sheet.save(file, "PNG", optimize=True, pnginfo=about))
    return sheet.size


def sheet_size(rows: Sequence[SheetRow]) -> tuple[int, int]:
    """``(width, height)`` in pixels of the sheet of these rows."""
    steps = max(row.frames.shape[0] for row in rows)
    tile_width, tile_height = _tile(rows)
    width = 2 * MARGIN_PX + TEXT_PX + (steps + 1) * tile_width + (steps + 2) * GAP_PX
    return width, HEAD_PX + len(rows) * (tile_height + GAP_PX) - GAP_PX + MARGIN_PX


def frame_colours(frames: NDArray[np.floating]) -> NDArray[np.uint8]:
    """RGB ``(T, H, W, 3)`` of counts ``(T, 2, H, W)``; the formula is in the module's docstring."""
    counts = np.asarray(frames, np.float32)
    fired = counts[counts > 0]
    brightest = float(np.percentile(fired, BRIGHTEST_PERCENTILE)) if fired.size else 1.0
    light = np.clip(counts / brightest, 0, 1) ** GAMMA
    colour = np.einsum("tphw,pc->thwc", light, POLARITIES)
    rounded: NDArray[np.uint8] = np.rint(np.minimum(colour, 255)).astype(np.uint8)
    return rounded


def _scale(row: SheetRow) -> int:
    """Whole factor by which a recording's pixels are enlarged."""
    return max(1, -(-TILE_PX // int(max(row.frames.shape[2:]))))


def _tile(rows: Sequence[SheetRow]) -> tuple[int, int]:
    """``(width, height)`` in pixels that holds the frames of every row."""
    return (
        max(_scale(row) * row.frames.shape[3] for row in rows),
        max(_scale(row) * row.frames.shape[2] for row in rows),
    )


def _draw(rows: Sequence[SheetRow], title: str) -> Image.Image:
    """Lay out the sheet: head, then one line of tiles per row."""
    sheet = Image.new("RGB", sheet_size(rows), PAPER)
    draw = ImageDraw.Draw(sheet)
    tile = _tile(rows)
    twin_x = MARGIN_PX + TEXT_PX
    first_x = twin_x + tile[0] + 3 * GAP_PX
    steps = max(row.frames.shape[0] for row in rows)
    _head(draw, title, sheet.width, twin_x, first_x, tile[0], steps)
    for number, row in enumerate(rows):
        y = HEAD_PX + number * (tile[1] + GAP_PX)
        write_text(
            draw, (MARGIN_PX, y + tile[1] // 2 - 3), row.label, 17, BRIGHT, "ls", TEXT_PX - 12
        )
        write_text(
            draw, (MARGIN_PX, y + tile[1] // 2 + 17), row.identity, 12, SOFT, "ls", TEXT_PX - 12
        )
        _twin(sheet, draw, row.static, (twin_x, y), tile)
        for step, colours in enumerate(frame_colours(row.frames)):
            enlarged = colours.repeat(_scale(row), 0).repeat(_scale(row), 1)
            corner = (first_x + step * (tile[0] + GAP_PX), y)
            paste(sheet, enlarged, corner, tile)
    return sheet


def _head(
    draw: ImageDraw.ImageDraw,
    title: str,
    width: int,
    twin_x: int,
    first_x: int,
    tile_width: int,
    steps: int,
) -> None:
    """Title, legend and the names of the columns."""
    legend_x = width - MARGIN_PX
    off, on = (tuple(int(part) for part in colour) for colour in POLARITIES)
    for name, colour in (("both", (255, 255, 255)), ("OFF", off), ("ON", on)):
        draw.text((legend_x, 46), name, SOFT, font(13), "rs")
        legend_x -= round(font(13).getlength(name)) + 18
        draw.rectangle((legend_x, 36, legend_x + 10, 46), colour)
        legend_x -= 16
    write_text(draw, (MARGIN_PX, 46), title, 22, BRIGHT, "ls", legend_x - MARGIN_PX - 8)
    y = HEAD_PX - 10
    write_text(draw, (twin_x + tile_width // 2, y), "twin", 12, FAINT, "ms", tile_width)
    for step in range(steps):
        x = first_x + step * (tile_width + GAP_PX) + tile_width // 2
        name = f"frame {step + 1}" if step == 0 else str(step + 1)
        write_text(draw, (x, y), name, 12, FAINT, "ms", tile_width)


def _twin(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    static: NDArray[np.floating] | None,
    corner: tuple[int, int],
    tile: tuple[int, int],
) -> None:
    """Paste the static twin, or an outlined cell that says there is none."""
    if static is None:
        x, y = corner
        draw.rectangle((x, y, x + tile[0] - 1, y + tile[1] - 1), None, RULE)
        draw.text((x + tile[0] // 2, y + tile[1] // 2), "no twin", FAINT, font(13), "mm")
        return
    paste(sheet, grey(static), corner, tile)
