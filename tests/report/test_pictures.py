"""Strips of frames: rows as even as can be, each frame at its place."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from snntx.report.pictures import LARGEST_PX, _strip, data_uri


@pytest.mark.parametrize(
    ("frames", "across", "down"),
    [(1, 1, 1), (5, 5, 1), (6, 3, 2), (7, 4, 2), (10, 5, 2), (11, 4, 3), (16, 4, 4)],
)
def test_rows_are_even(frames: int, across: int, down: int) -> None:
    strip, *shape = _strip(np.zeros((frames, 8, 6, 3), np.uint8))
    assert shape == [across, down]
    assert strip.shape == (down * 9 - 1, across * 7 - 1, 3)


def test_frames_lie_from_left_to_right_and_top_to_bottom() -> None:
    values = np.arange(1, 7, dtype=np.uint8)
    strip, *_ = _strip(np.broadcast_to(values[:, None, None, None], (6, 8, 6, 3)))
    assert strip[0, ::7, 0].tolist() == [1, 2, 3]
    assert strip[9, ::7, 0].tolist() == [4, 5, 6]


def test_large_frames_are_made_smaller_and_all_is_png() -> None:
    strip, *_ = _strip(np.zeros((1, 180, 240, 3), np.uint8))
    assert strip.shape == (48, LARGEST_PX, 3)
    raw = base64.b64decode(data_uri(strip).removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(raw)).size == (LARGEST_PX, 48)
