"""bfloat16 in compiled code, against PyTorch's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit

from snntx.train.network.backends.compiled.scalars import get, put


@njit  # type: ignore[untyped-decorator]
def _copy(source: Any, target: Any) -> None:
    for j in range(source.size):
        put(target, j, get(source, j))


def test_every_bfloat16_is_read() -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    found = np.empty(2**16, np.float32)
    _copy(bits, found)
    expected = torch.from_numpy(bits).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_what_is_written_is_rounded_to_nearest_and_ties_to_even() -> None:
    upper = np.arange(2**16, dtype=np.uint32) << 16
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    values = (upper[:, None] | lower).reshape(-1).view(np.float32)
    found = np.empty(values.size, np.uint16)
    _copy(values, found)
    expected = torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()
    number = ~np.isnan(values)
    np.testing.assert_array_equal(found[number], expected[number])
    assert np.isnan(torch.from_numpy(found[~number]).view(torch.bfloat16).float().numpy()).all()
