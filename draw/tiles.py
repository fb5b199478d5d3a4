"""What pictures of pixels are put together from: tiles, and text that fits its place.

Pixels are enlarged by whole factors, never smoothed; only what is larger than its tile is made
smaller. The typeface is Pillow's own, so that a picture looks the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, TILE, RULE = (17, 19, 24), (0, 0, 0), (58, 63, 73)
BRIGHT, SOFT, FAINT = (238, 240, 243), (160, 167, 179), (104, 111, 124)


def font(size_px: int) -> ImageFont.FreeTypeFont:
    """Return the typeface in one size."""
    found = ImageFont.load_default(size_px)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


def write_text(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size_px: int,
    colour: tuple[int, int, int],
    anchor: str,
    room_px: int,
) -> None:
    """Write text, its middle left out where it does not fit into ``room_px``."""
    face, shown, kept = font(size_px), text, len(text)
    while face.getlength(shown) > room_px and kept > 2:
        kept -= 1
        shown = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
    draw.text(place, shown, colour, face, anchor)


def grey(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return brightness ``(H, W)`` in [0, 1] as RGB ``(H, W, 3)``."""
    shades: NDArray[np.uint8] = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return shades[..., None].repeat(3, -1)


def paste(
    sheet: Image.Image,
    colours: NDArray[np.uint8],
    corner: tuple[int, int],
    tile: tuple[int, int],
) -> None:
    """Paste RGB ``(H, W, 3)`` into the middle of a black tile, as large as fits.

    Args:
        sheet: the picture.
        colours: see above.
        corner: ``(x, y)`` of the tile.
        tile: its width and height in pixels.
    """
    factor = min(tile[0] // colours.shape[1], tile[1] // colours.shape[0])
    image = Image.fromarray(colours.repeat(max(factor, 1), 0).repeat(max(factor, 1), 1))
    if not factor:
        image.thumbnail(tile, Image.Resampling.LANCZOS)
    x, y = corner
    sheet.paste(TILE, (x, y, x + tile[0], y + tile[1]))
    sheet.paste(image, (x + (tile[0] - image.width) // 2, y + (tile[1] - image.height) // 2))
