"""Bilinear resizing of real-valued planes, as tensor libraries define it (corners not aligned).

Output pixel ``i`` of ``h_out`` looks at ``r = s * (i + 1/2) - 1/2`` with ``s = h_in / h_out``.
Without antialias it mixes the inputs ``floor(r)`` and ``floor(r) + 1``, with ``r`` held at 0 or
above and the last input repeated. With antialias and ``s > 1`` the triangle is widened to ``s``
pixels on each side, cut at the border and normalised. Each axis adds its taps in a fixed
order, so the same input gives the same bytes on any number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import UsageError


def resize_bilinear(
    planes: NDArray[Any], size: tuple[int, int], *, antialias: bool = False
) -> NDArray[Any]:
    """Resize ``(..., H, W)`` float32 or float64 planes to ``(..., *size)`` of the same type.

    Args:
        planes: real values.
        size: ``(height, width)`` wanted.
        antialias: average over all pixels that fall into one, where it shrinks.

    Raises:
        UsageError: the size is not positive, or the planes hold no pixel.
    """
    if min(size) < 1 or 0 in planes.shape[-2:]:
        raise UsageError(f"cannot resize planes of {planes.shape} to {size}: both must be positive")
    return _both(planes, size, antialias, (None, None))


def used_places(
    source: int, target: int, dtype: DTypeLike, *, antialias: bool = False
) -> NDArray[np.intp]:
    """Return the places, rising, of the ``source`` inputs that ``target`` outputs look at."""
    return np.unique(_taps(source, target, antialias, np.dtype(dtype))[0])


def resize_used(
    planes: NDArray[Any], source: tuple[int, int], size: tuple[int, int], *, antialias: bool = False
) -> NDArray[Any]:
    """Do what :func:`resize_bilinear` does where only the pixels it looks at are at hand.

    Args:
        planes: real values ``(..., h, w)`` at :func:`used_places` of both axes.
        source: ``(H, W)`` of the whole planes.
        size: ``(height, width)`` wanted.
        antialias: as in :func:`resize_bilinear`, and in :func:`used_places`.

    Returns:
        ``(..., *size)``, the same bytes as of the whole planes.
    """
    return _both(planes, size, antialias, source)


def _both(
    planes: NDArray[Any],
    size: tuple[int, int],
    antialias: bool,
    source: tuple[int | None, int | None],
) -> NDArray[Any]:
    """Resize the columns, then the rows, of whole planes or of the used places of ``source``."""
    for axis in (-1, -2):
        whole = source[axis]
        places, weights = _taps(whole or planes.shape[axis], size[axis], antialias, planes.dtype)
        if whole is not None:
            places = np.searchsorted(np.unique(places), places)
        if axis == -2:
            weights = weights[..., None]
        total = weights[0] * np.take(planes, places[0], axis)
        for place, weight in zip(places[1:], weights[1:], strict=True):
            total += weight * np.take(planes, place, axis)
        planes = total
    return planes


@lru_cache(maxsize=64)
def _taps(
    source: int, target: int, antialias: bool, dtype: np.dtype[Any]
) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Input places and weights of every output pixel, ``(taps, target)`` each, not to be changed.

    They are the same for every recording of a data set.
    """
    number = dtype.type
    scale = number(source) / number(target)
    if not antialias:  # one rounding of r, as where multiply and subtract are fused
        exact = np.float64(scale) * (np.arange(target) + 0.5) - 0.5
        position = np.maximum(exact, 0).astype(dtype)
        first = np.minimum(position.astype(np.intp), source - 1)
        second = np.minimum(first + 1, source - 1)
        weight = np.clip(position - first.astype(dtype), 0, 1).astype(dtype)
        return np.stack([first, second]), np.stack([1 - weight, weight])
    centre = scale * (np.arange(target, dtype=dtype) + number(0.5))
    reach = max(scale, number(1))
    low = np.maximum((centre - reach + number(0.5)).astype(np.intp), 0)
    high = np.minimum((centre + reach + number(0.5)).astype(np.intp), source)
    place = low + np.arange(int((high - low).max()))[:, None]
    distance = (place.astype(dtype) - centre + number(0.5)) / reach
    weights = np.where(place < high, np.maximum(1 - np.abs(distance), 0), 0).astype(dtype)
    weights /= weights.sum(axis=0)
    return np.minimum(place, source - 1), weights
