"""RGB and HSV, both ways: OpenCV's convention with H, S and V all in [0, 1].

With ``V = max(R, G, B)`` and ``m = min(R, G, B)``::

    S = (V - m) / V, 0 where V = 0
    H = (G - B) / (V - m) / 6           where V = R
        (2 + (B - R) / (V - m)) / 6     else where V = G
        (4 + (R - G) / (V - m)) / 6     else, all modulo 1; 0 where V = m (grey)

OpenCV gives ``360 H`` for real images. The arithmetic follows Python's ``colorsys`` step by
step, so that double precision gives its very numbers. The published method takes V alone,
which :func:`value_of` computes without the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import SnntxError

Floats = NDArray[np.floating[Any]]


def rgb_to_hsv(rgb: ArrayLike) -> Floats:
    """Convert ``(..., 3)`` R, G, B to H, S, V.

    Args:
        rgb: uint8 (0 to 255), or floats in [0, 1].

    Returns:
        float32 for float32 input, else float64; same shape, all in [0, 1].

    Raises:
        SnntxError: the last axis is not 3, another type, or a value outside [0, 1].
    """
    red, green, blue = np.moveaxis(_unit(rgb, "RGB"), -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    least = np.minimum(np.minimum(red, green), blue)
    spread = value - least
    grey = spread == 0
    divisor = np.where(grey, 1, spread).astype(value.dtype, copy=False)
    to_red, to_green, to_blue = ((value - c) / divisor for c in (red, green, blue))
    sector = np.where(
        red == value,
        to_blue - to_green,
        np.where(green == value, 2 + to_red - to_blue, 4 + to_green - to_red),
    )
    hue = np.where(grey, 0, (sector / 6) % 1)
    saturation = spread / np.where(grey, 1, value)
    return np.stack([hue, saturation, value], axis=-1).astype(value.dtype, copy=False)


def hsv_to_rgb(hsv: ArrayLike) -> Floats:
    """Convert ``(..., 3)`` H, S, V to R, G, B, the inverse of :func:`rgb_to_hsv`.

    Args:
        hsv: floats in [0, 1] (a hue of 1 is red, as 0 is), or uint8 (0 to 255 for all three).

    Returns:
        float32 for float32 input, else float64; same shape, all in [0, 1].

    Raises:
        SnntxError: the last axis is not 3, another type, or a value outside [0, 1].
    """
    hue, saturation, value = np.moveaxis(_unit(hsv, "HSV"), -1, 0)
    sector = np.floor(hue * 6)
    part = hue * 6 - sector
    low = value * (1 - saturation)
    falling = value * (1 - saturation * part)
    rising = value * (1 - saturation * (1 - part))
    place = sector.astype(np.intp) % 6
    red = np.choose(place, [value, falling, low, low, rising, value])
    green = np.choose(place, [rising, value, value, falling, low, low])
    blue = np.choose(place, [low, low, rising, value, value, falling])
    grey = (saturation == 0)[..., None]
    rgb = np.where(grey, value[..., None], np.stack([red, green, blue], axis=-1))
    return rgb.astype(value.dtype, copy=False)


def value_of(rgb: ArrayLike) -> Floats:
    """Return V alone, ``(...)``, of ``(..., 3)`` R, G, B: the third channel of the full answer.

    Args:
        rgb: uint8 (0 to 255; the maximum is taken before the division), or floats in [0, 1].

    Raises:
        SnntxError: the last axis is not 3, another type, or a value outside [0, 1].
    """
    image = _colours(rgb, "RGB")
    largest = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])
    if image.dtype != np.uint8:
        _check_range(image, "RGB")
    return _scaled(largest)


def _colours(values: ArrayLike, what: str) -> NDArray[Any]:
    image = np.asarray(values)
    if image.ndim == 0 or image.shape[-1] != 3:
        raise SnntxError(f"{what} must have three channels on its last axis, found {image.shape}")
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise SnntxError(f"{what} must be uint8 or floats in [0, 1], found {image.dtype}")
    return image


def _scaled(image: NDArray[Any]) -> Floats:
    if image.dtype == np.uint8:
        return image / 255.0
    return image if image.dtype == np.float32 else image.astype(np.float64, copy=False)


def _check_range(image: NDArray[Any], what: str) -> None:
    if image.size and not (image.min() >= 0 and image.max() <= 1):
        raise SnntxError(
            f"{what} lies in [{image.min()}, {image.max()}], expected [0, 1]; divide by its largest"
        )


def _unit(values: ArrayLike, what: str) -> Floats:
    """Return the image as floats in [0, 1], or say what is wrong with it."""
    image = _colours(values, what)
    if image.dtype != np.uint8:
        _check_range(image, what)
    return _scaled(image)
