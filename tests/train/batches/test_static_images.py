"""Static images as they are shown: one channel, and its edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess.cache.opening import open_cache
from snntx.train.batches.images import edges, normalised, shown_images, static_channel
from snntx.train.batches.static_only import StaticOnlyData
from snntx.train.batches.training import TrainingData
from snntx.train.recipe.whole import Recipe


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("V", 200 / 255),
        ("grey", (0.299 * 100 + 0.587 * 200 + 0.114 * 30) / 255),
        ("blue", 30 / 255),
        ("mean", 330 / 3 / 255),
    ],
)
def test_channel_by_hand(channel: str, expected: float) -> None:
    image = np.empty((1, 3, 2, 2), np.uint8)
    image[0, 0], image[0, 1], image[0, 2] = 100, 200, 30
    found = static_channel(image, ["R", "G", "B"], channel)
    assert found.shape == (1, 2, 2)
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == pytest.approx([expected] * 4, abs=1e-6)


def test_v_is_taken_pixel_by_pixel() -> None:
    image = np.array([[[[255, 0]], [[0, 51]], [[102, 0]]]], np.uint8)  # R, G, B of two pixels
    assert static_channel(image, ["R", "G", "B"], "V").tolist() == [[pytest.approx([1, 0.2])]]


@pytest.mark.parametrize("channel", ["V", "grey", "blue", "mean"])
def test_a_single_plane_has_one_channel(channel: str) -> None:
    image = np.array([[[[0, 51, 255]]]], np.uint8)
    assert static_channel(image, ["L"], channel).tolist() == [[pytest.approx([0, 0.2, 1])]]


def test_edges_by_hand() -> None:
    ramp = 0.25 * torch.arange(4.0).expand(3, 4)  # 0.25 a pixel to the right
    spot = torch.zeros(3, 4)
    spot[1, 1] = 1.0
    found = edges(torch.stack([ramp, 3 * ramp.flip(1), spot]))
    assert found.shape == (3, 3, 4)
    torch.testing.assert_close(found[0], torch.full((3, 4), 0.25))
    torch.testing.assert_close(found[1], torch.full((3, 4), 0.75))
    # half the difference of both neighbours, and at the border the whole one of the only
    expected = torch.tensor([[0, 1, 0, 0], [1, 0, 0.5, 0], [0, 1, 0, 0]])
    torch.testing.assert_close(found[2], expected)


def test_edges_against_numpy() -> None:
    images = np.random.default_rng(4).random((5, 9, 7))
    expected = np.hypot(*np.gradient(images, axis=(1, 2)))
    np.testing.assert_allclose(edges(torch.from_numpy(images)).numpy(), expected, rtol=1e-13)


def test_runs_are_shown_the_edges(small_cache: Path) -> None:
    card = load_card("simulated-digits")
    cache = open_cache(small_cache / "cache", card, steps=3, size=None, key=None)
    plain = Recipe.of(model="nmnist", epochs=1, batch_size=4)
    seen = plain.changed(static_view="edges")
    expected = edges(shown_images(cache, plain))
    assert not torch.equal(expected, shown_images(cache, plain))
    torch.testing.assert_close(shown_images(cache, seen), expected)

    for make in (TrainingData, StaticOnlyData):
        image, edge = (next(iter(make(cache, each).epoch(0))) for each in (plain, seen))
        assert image.static is not None
        assert edge.static is not None
        torch.testing.assert_close(edge.static[:, 0, 0], edges(image.static[:, 0, 0]))
        assert torch.equal(image.labels, edge.labels)


def test_normalised_by_hand() -> None:
    found = normalised(torch.tensor([[[0.0, 1.0, 0.1307]]]))
    assert found.flatten().tolist() == pytest.approx([-0.42421, 2.82148, 0.0], abs=1e-5)
    assert found.dtype == torch.float32


def test_runs_are_shown_the_normalised_image(small_cache: Path) -> None:
    card = load_card("simulated-digits")
    cache = open_cache(small_cache / "cache", card, steps=3, size=None, key=None)
    plain = Recipe.of(model="nmnist", epochs=1, batch_size=4)
    seen = plain.changed(static_view="normalised")
    images = cache.static_images()[:, 0].astype(np.float64) / 255
    expected = (images - 0.1307) / 0.3081
    np.testing.assert_allclose(shown_images(cache, seen).numpy(), expected, atol=1e-6)


def test_an_unknown_view() -> None:
    with pytest.raises(UsageError, match="unknown static_view 'edge'; did you mean 'edges'"):
        Recipe.of(model="nmnist", epochs=1, static_view="edge")
