"""RGB and HSV both ways against ``colorsys``, corners by hand, and resizing against torch."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch.nn.functional import interpolate

from snntx.errors import SnntxError, UsageError
from snntx.preprocess.framing.resize import resize_bilinear
from snntx.preprocess.statics.rgb_hsv import hsv_to_rgb, rgb_to_hsv, value_of

CORNERS = [
    ((0, 0, 0), (0, 0, 0)),
    ((1, 1, 1), (0, 0, 1)),
    ((0.5, 0.5, 0.5), (0, 0, 0.5)),
    ((1, 0, 0), (0, 1, 1)),
    ((1, 1, 0), (1 / 6, 1, 1)),
    ((0, 1, 0), (1 / 3, 1, 1)),
    ((0, 1, 1), (1 / 2, 1, 1)),
    ((0, 0, 1), (2 / 3, 1, 1)),
    ((1, 0, 1), (5 / 6, 1, 1)),
    ((0.5, 0.25, 0.25), (0, 0.5, 0.5)),
    ((0.25, 0.5, 0.375), (5 / 12, 0.5, 0.5)),
]


@pytest.mark.parametrize(("rgb", "hsv"), CORNERS)
def test_corners_by_hand(rgb: tuple[float, ...], hsv: tuple[float, ...]) -> None:
    assert rgb_to_hsv(np.array(rgb, float)).tolist() == pytest.approx(hsv, abs=1e-15)
    assert hsv_to_rgb(np.array(hsv, float)).tolist() == pytest.approx(rgb, abs=1e-15)
    assert value_of(np.array(rgb, float)) == hsv[2]


def test_every_one_of_a_large_random_set_equals_colorsys() -> None:
    rng = np.random.default_rng(0)
    some = rng.random((100_000, 3))
    some[::7] = rng.integers(0, 4, some[::7].shape) / 3  # greys and ties
    hsv = rgb_to_hsv(some)
    assert hsv.tolist() == [list(colorsys.rgb_to_hsv(*c)) for c in some.tolist()]
    assert hsv_to_rgb(some).tolist() == [list(colorsys.hsv_to_rgb(*c)) for c in some.tolist()]
    np.testing.assert_allclose(hsv_to_rgb(hsv), some, atol=2e-15)


def test_bytes_equal_colorsys_and_come_back() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (200, 150, 3), dtype=np.uint8)
    hsv = rgb_to_hsv(pixels)
    expected = [list(colorsys.rgb_to_hsv(*c)) for c in (pixels / 255).reshape(-1, 3).tolist()]
    assert hsv.shape == pixels.shape
    assert hsv.reshape(-1, 3).tolist() == expected
    np.testing.assert_array_equal(np.round(hsv_to_rgb(hsv) * 255).astype(np.uint8), pixels)


def test_the_fast_path_is_the_third_channel() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    for image in (pixels, rng.random((64, 48, 3)), rng.random((9, 3), np.float32)):
        np.testing.assert_array_equal(value_of(image), rgb_to_hsv(image)[..., 2])
        assert value_of(image).dtype == rgb_to_hsv(image).dtype
    np.testing.assert_array_equal(value_of(pixels) * 255, pixels.max(axis=-1))


def test_types() -> None:
    assert rgb_to_hsv(np.zeros((2, 3), np.float32)).dtype == np.float32
    assert hsv_to_rgb(np.zeros((2, 3), np.float32)).dtype == np.float32
    assert rgb_to_hsv(np.zeros((2, 3), np.uint8)).dtype == np.float64
    assert hsv_to_rgb(np.zeros((0, 3))).shape == (0, 3)


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=0, max_dims=2, max_side=5).map(lambda shape: (*shape, 3)),
        elements=st.floats(0, 1, allow_subnormal=False),
    )
)
def test_there_and_back(rgb: np.typing.NDArray[np.float64]) -> None:
    hsv = rgb_to_hsv(rgb)
    assert ((hsv >= 0) & (hsv <= 1)).all()
    np.testing.assert_allclose(hsv_to_rgb(hsv), rgb, atol=1e-14)
    grey = rgb.max(axis=-1) == rgb.min(axis=-1)
    assert (hsv[grey][..., :2] == 0).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 2)), r"three channels on its last axis, found \(3, 2\)"),
        (np.float64(1), "three channels"),
        (np.zeros((2, 3), np.int64), "must be uint8 or floats in \\[0, 1\\], found int64"),
        (np.array([0.0, 0.5, 1.5]), r"lies in \[0.0, 1.5\], expected \[0, 1\]"),
        (np.array([0.0, 0.5, -0.1]), r"lies in \[-0.1, 0.5\]"),
        (np.array([0.0, 0.5, np.nan]), "lies in"),
    ],
)
def test_what_is_no_image(values: np.typing.NDArray[np.float64], message: str) -> None:
    for convert in (rgb_to_hsv, hsv_to_rgb, value_of):
        with pytest.raises(SnntxError, match=message):
            convert(values)


# resizing


def test_resize_by_hand() -> None:
    row = np.array([[0.0, 4.0, 8.0, 12.0]])
    assert resize_bilinear(row, (1, 2)).tolist() == [[2, 10]]
    assert resize_bilinear(row, (1, 8)).tolist() == [[0, 1, 3, 5, 7, 9, 11, 12]]
    # two outputs, each a triangle two inputs wide on both sides, cut at the border
    expected = (0 * 3 + 4 * 3 + 8 * 1) / 7
    smooth = resize_bilinear(row, (1, 2), antialias=True)[0]
    assert smooth.tolist() == pytest.approx([expected, 12 - expected])


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(48, 48), (28, 28), (7, 100), (1, 1)])
@pytest.mark.parametrize("shape", [(32, 32), (260, 346), (13, 200), (48, 48), (5, 1), (1, 1)])
def test_resize_equals_torch(
    shape: tuple[int, int], size: tuple[int, int], antialias: bool
) -> None:
    for kind, tolerance in ((np.float32, 1e-6), (np.float64, 1e-13)):
        planes = np.random.default_rng(0).random((3, *shape)).astype(kind)
        expected = interpolate(
            torch.from_numpy(planes)[None],
            size=size,
            mode="bilinear",
            align_corners=False,
            antialias=antialias,
        )[0]
        found = resize_bilinear(planes, size, antialias=antialias)
        assert found.dtype == kind
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("shape", "size"), [((2, 2), (0, 2)), ((0, 2), (2, 2))])
def test_nothing_to_resize(shape: tuple[int, int], size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="both must be positive"):
        resize_bilinear(np.zeros(shape, np.float32), size)
