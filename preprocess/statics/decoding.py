"""A picture file of any mode as the RGB that a viewer shows.

A camera's orientation (EXIF) is applied. Where a picture is transparent, it is laid on white: the
colours below alpha 0 are nobody's. Pixels of 16 bits keep their upper eight; where a picture
holds nothing above 10 or 12 bits, as files of cameras and microscopes do, it is read as of so
many, and a remark says so. Of several pictures in a file the first is taken, with a remark.
8-bit grey and RGB without orientation are given as they are decoded, byte for byte.
"""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from ...errors import BadFileError
from ..disk.files import refuse_text
from ..disk.remarks import remark

MAX_PIXELS = 100_000_000
FEWER_BITS = (10, 12)
"""Depths that 16-bit files hold besides 16."""
WHITE = (255, 255, 255, 255)
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientations, by what makes the picture upright."""


def decode_picture(data: bytes, path: Path) -> Image.Image:
    """Decode a picture file of any mode (grey, palette, CMYK, alpha, 16 bits) to RGB.

    Raises:
        BadFileError: not a picture, truncated, or absurdly large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # size is checked here, damage raises or does not matter
            with Image.open(io.BytesIO(data)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise BadFileError(
                        f"{path}: {picture.width} x {picture.height} pixels, more than the "
                        f"{MAX_PIXELS} allowed; shrink the image"
                    )
                return _upright(_colours(picture, data, path), picture)
    except BadFileError:
        raise
    except UnidentifiedImageError as error:
        refuse_text(data, path, "a picture")
        # its text holds an address, and a cache lists reasons
        raise BadFileError(
            f"{path}: not a readable picture: of no known format; convert or download it again"
        ) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise BadFileError(
            f"{path}: not a readable picture: {reason}; copy or download it again"
        ) from error


def _colours(picture: Image.Image, data: bytes, path: Path) -> Image.Image:
    """Return the first picture of an open file as RGB, as it lies in the file."""
    raw = _raw_mode(picture)
    if picture.mode.startswith("I;16"):  # convert() would clip at 255
        colours = _grey(picture, raw)
    elif "16" in raw:
        colours = _deep(picture, data, raw)
    elif picture.mode in ("I", "F"):
        raise BadFileError(f"{path}: 32-bit pixels; convert the picture to 8 bits")
    else:
        colours = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if _has_more(data):
        remark("frames", "in files of several pictures, of which the first was taken")
    return _on_white(colours)


def _raw_mode(picture: Image.Image) -> str:
    """Return how an open file's pixels lie in it, such as ``RGB;16B``; to be asked before them."""
    tiles = picture.tile if isinstance(picture, ImageFile.ImageFile) else []
    tile = tiles[0].args if tiles else ""
    return str(tile[0] if isinstance(tile, tuple) and tile else tile)


def _grey(picture: Image.Image, raw: str) -> Image.Image:
    """Return grey of more than 8 bits as RGB, or RGBA where one value stands for transparency."""
    values = np.asarray(picture)
    bits = 12 if raw.endswith(";12") else _bits(int(values.max(initial=0)))
    grey = (values >> (bits - 8)).astype(np.uint8)
    if getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    key = picture.info.get("transparency")
    colours = Image.fromarray(grey).convert("RGB")
    if isinstance(key, int):
        colours.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return colours


def _deep(picture: Image.Image, data: bytes, raw: str) -> Image.Image:
    """Return colours of 16 bits, of which Pillow gives the upper eight alone, as RGB or RGBA."""
    upper = np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
    colours: NDArray[np.uint8] = upper[..., :3]
    if colours.max(initial=0) < 1 << (max(FEWER_BITS) - 8):
        lower = _lower(data, raw, picture.mode)
        if lower is None:
            remark("dark", "dark in their 16 bits, and perhaps of fewer: taken as of 16")
        else:
            values = colours.astype(np.uint16) << 8 | lower
            bits = _bits(int(values.max(initial=0)))
            colours = (values >> (bits - 8)).astype(np.uint8)
    return Image.fromarray(np.concatenate([colours, upper[..., 3:]], axis=2))


def _lower(data: bytes, raw: str, mode: str) -> NDArray[np.uint8] | None:
    """Return the lower eight bits of 16-bit R, G and B, None where Pillow cannot be asked."""
    own = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
    kind, _, order = raw.partition(";")
    if kind != mode or mode not in ("RGB", "RGBA") or order not in own:
        return None
    swapped = f"{kind};{own[order]}"  # with the bytes swapped, the lower are the upper ones
    with Image.open(io.BytesIO(data)) as again:
        again.tile = [tile._replace(args=_first(tile.args, swapped)) for tile in again.tile]
        return np.asarray(again)[..., :3]


def _first(args: Any, mode: str) -> Any:
    """Return the arguments of Pillow's decoder with another mode of the pixels in the file."""
    return (mode, *args[1:]) if isinstance(args, tuple) else mode


def _bits(largest: int) -> int:
    """Return of how many bits 16-bit values are, by the largest of them; a remark where fewer."""
    for bits in FEWER_BITS:
        if 0 < largest < 1 << bits:
            remark("depth", f"of {bits} bits in files of 16, by their largest value: read so")
            return bits
    return 16


def _on_white(picture: Image.Image) -> Image.Image:
    """Lay a picture on white where it is transparent."""
    if picture.mode != "RGBA":
        return picture
    if np.asarray(picture)[..., 3].min(initial=255) == 255:
        return picture.convert("RGB")
    remark("alpha", "transparent in places, laid on white")
    return Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture).convert("RGB")


def _has_more(data: bytes) -> bool:
    """Say whether a file holds more pictures than one."""
    try:
        with Image.open(io.BytesIO(data)) as again:
            return bool(getattr(again, "is_animated", False))
    except Exception:  # of damage behind the first picture, in a file of several formats' making
        return True


def _upright(colours: Image.Image, picture: Image.Image) -> Image.Image:
    """Turn a picture as its camera says; Pillow has turned a TIFF already, and says so no more."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever Pillow says of damaged EXIF, which is no part of the pixels
        remark("orientation", "whose orientation cannot be read: taken as they lie")
        return colours
    return colours if turn is None else colours.transpose(turn)
