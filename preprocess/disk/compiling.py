"""Numba's decorators, imported only once the compiled code has a place to be kept."""

from __future__ import annotations

from .kernel_cache import place_kernels

place_kernels()

from numba import njit, prange  # noqa: E402

__all__ = ["njit", "prange"]
