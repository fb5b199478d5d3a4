"""Images as events of small movements, against the published numbers and a plain restatement."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snntx.data_cards import load_card
from snntx.errors import SnntxError
from snntx.preprocess.cache.contents import SealedCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.batches.i2e import (
    DISPLACEMENTS,
    PUBLISHED,
    as_events,
    draw_placements,
    placements,
)
from snntx.train.batches.static_only import StaticOnlyData
from snntx.train.batches.training import TrainingData
from snntx.train.batches.views import Moving, tell_uniform
from snntx.train.measure.static_part import static_batches, static_selection
from snntx.train.network.create import create_model
from snntx.train.recipe.whole import Recipe

CARD = "simulated-digits"
GOLDEN = Path(__file__).parents[2] / "golden"


def plainly(image: NDArray[Any], steps: int, ratio: float, places: NDArray[Any]) -> NDArray[Any]:
    """One image's events, pixel by pixel from the formula."""
    height, width = image.shape
    out = np.zeros((steps, 2, height, width))
    bound = ratio * (image.max() - image.min())
    for k, (row, column) in enumerate(places):
        down, right = DISPLACEMENTS[k % 8]
        step = k if steps >= 8 else int(np.floor(k * steps / 8))
        for y in range(height):
            for x in range(width):
                near = image[np.clip(y + row, 0, height - 1), np.clip(x + column, 0, width - 1)]
                far = image[
                    np.clip(y + row + down, 0, height - 1),
                    np.clip(x + column + right, 0, width - 1),
                ]
                change = far - near
                out[step, 0, y, x] += change != 0 and max(-change, 0) >= bound
                out[step, 1, y, x] += change != 0 and max(change, 0) >= bound
    return out


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("side", [8, 16])
def test_the_published_numbers(side: int, compiled: bool) -> None:
    """Rise and fall there are ON and OFF here; a constant image fires everywhere there."""
    golden = np.load(GOLDEN / f"i2e_{side}x{side}.npz")
    image = torch.from_numpy(golden["image"].max(1))
    found = as_events(
        image, 8, float(golden["ratio"]), draw_placements(2, 8, None), compiled=compiled
    )
    expected = golden["events"].transpose(1, 0, 2, 3, 4)[:, :, ::-1]
    for one, ours, theirs in zip(image, found.numpy(), expected, strict=True):
        if one.min() == one.max():
            assert theirs.all()
            assert not ours.any()
        else:
            np.testing.assert_array_equal(ours, theirs)


def test_the_published_placements_and_kernels() -> None:
    kernels = np.load(GOLDEN / "i2e_8x8.npz")["kernels"]
    for frame, kernel in enumerate(kernels):
        row, column = PUBLISHED[frame]
        expected = np.zeros((3, 3))
        expected[1 + row, 1 + column] -= 1
        far = PUBLISHED[frame] + DISPLACEMENTS[frame]
        expected[1 + far[0], 1 + far[1]] += 1
        np.testing.assert_array_equal(kernel, expected)
    assert [len(placements(frame)) for frame in range(8)] == [2, 2, 2, 2, 6, 6, 4, 4]


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
    steps=st.sampled_from([1, 2, 3, 5, 6, 7, 8, 9, 12, 17]),
    ratio=st.floats(0.01, 1.0),
    levels=st.sampled_from([1, 2, 5, 256]),
    seed=st.integers(0, 99),
    random=st.booleans(),
)
def test_both_paths_are_the_formula(
    shape: tuple[int, int, int], steps: int, ratio: float, levels: int, seed: int, random: bool
) -> None:
    draw = np.random.default_rng(seed)
    images = torch.from_numpy(draw.integers(0, levels, shape) / 255)
    places = draw_placements(shape[0], steps, draw if random else None)
    found = [as_events(images, steps, ratio, places, compiled=each) for each in (True, False)]
    assert torch.equal(*found)
    for image, ours, place in zip(images.numpy(), found[0].numpy(), places, strict=True):
        np.testing.assert_array_equal(ours, plainly(image, steps, ratio, place))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_paths_agree_in_both_precisions(dtype: torch.dtype) -> None:
    images = torch.rand(5, 34, 34, generator=torch.Generator().manual_seed(0), dtype=dtype)
    places = draw_placements(5, 10, np.random.default_rng(1))
    one, other = (as_events(images, 10, 0.3, places, compiled=each) for each in (True, False))
    assert one.dtype == other.dtype == dtype
    assert torch.equal(one, other)


def test_fewer_steps_count_and_more_repeat() -> None:
    images = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0))
    eight = as_events(images, 8, 0.2, draw_placements(2, 8, None))
    six = as_events(images, 6, 0.2, draw_placements(2, 6, None))
    groups = [(0, 1), (2,), (3,), (4, 5), (6,), (7,)]
    for step, members in enumerate(groups):
        assert torch.equal(six[:, step], eight[:, list(members)].sum(1))
    twelve = as_events(images, 12, 0.2, draw_placements(2, 12, None))
    assert torch.equal(twelve[:, 8:], eight[:, :4])
    drawn = draw_placements(500, 16, np.random.default_rng(0))
    assert not np.array_equal(drawn[:, :8], drawn[:, 8:])


def test_placements_are_uniform_over_all_there_are() -> None:
    drawn = draw_placements(6000, 8, np.random.default_rng(0))
    for frame in range(8):
        found, counts = np.unique(drawn[:, frame], axis=0, return_counts=True)
        assert {tuple(each) for each in found} == {tuple(each) for each in placements(frame)}
        np.testing.assert_allclose(counts, 6000 / len(counts), rtol=0.15)


def test_a_value_that_is_no_number_is_refused() -> None:
    images = torch.zeros(2, 3, 3)
    images[1, 0, 0] = torch.nan
    with pytest.raises(SnntxError, match="no number"):
        as_events(images, 8, 0.1, draw_placements(2, 8, None))


def test_images_of_one_brightness_are_counted() -> None:
    images = torch.rand(4, 3, 3)
    said: list[str] = []
    images[2] = 0.5
    tell_uniform(Moving(0.1), images, said.append)
    assert said == [
        "1 of 4 static images are of one brightness and show no event, such as the 3. of those "
        "shown"
    ]


@pytest.fixture
def cache(small_cache: Path) -> SealedCache:
    return open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None)


def recipe(**changes: Any) -> Recipe:
    settings = {"model": "nmnist", "epochs": 2, "batch_size": 8, "seed": 3, "static_view": "i2e"}
    return Recipe.of(**(settings | changes))


@pytest.mark.parametrize("method", ["sliding", "time-mixup"])
def test_a_transfer_is_shown_events_of_its_images(cache: SealedCache, method: str) -> None:
    """No sample is constant in time, and what is not replaced is still known to be an image."""
    data = TrainingData(cache, recipe(method=method, replacement="none"))
    still = TrainingData(cache, recipe(method=method, replacement="none", static_view="image"))
    batch, image = (each.batch(np.arange(8), 0, 0) for each in (data, still))
    assert batch.static is not None
    assert image.static is not None
    assert batch.constant is not None
    assert not batch.constant.any()
    assert batch.replaced == 0
    places = draw_placements(8, 3, data_draw())
    assert torch.equal(batch.static, as_events(image.static[:, 0, 0], 3, 0.12, places))
    assert torch.equal(batch.event, image.event)  # no other draw has moved
    shown = batch.notes["static.rate"]
    assert torch.equal(shown, (batch.static != 0).float().flatten(1).mean(1))
    assert batch.notes["event.rate"].shape == (8,)


def data_draw() -> np.random.Generator:
    from snntx.train.augment.draws import Draws, Purpose

    return Draws(3, 0, 0)(Purpose.STATIC_VIEW)


def test_replaced_samples_show_their_recordings(cache: SealedCache) -> None:
    data = TrainingData(cache, recipe(method="sliding", sliding_power=0.01))
    batch = data.batch(np.arange(8), 1, 3)
    assert batch.static is not None
    assert batch.images is not None
    assert 0 < batch.replaced == int((~batch.images).sum())
    assert torch.equal(batch.static[~batch.images], batch.event[~batch.images])
    parts = batch.split(2)
    assert [part.replaced for part in parts] == [
        int((~each).sum()) for each in batch.images.tensor_split(2)
    ]


def test_pretraining_draws_and_evaluation_does_not(cache: SealedCache) -> None:
    chosen = recipe(method="static-only")
    data = StaticOnlyData(cache, chosen)
    one, again, later = (data.batch(np.arange(4), epoch, 0).static for epoch in (0, 0, 1))
    assert one is not None
    assert again is not None
    assert later is not None
    assert torch.equal(one, again)
    assert not torch.equal(one, later)
    torch.manual_seed(0)
    model = create_model("nmnist", num_classes=10, steps=3, width=0.25).eval()
    selection = static_selection(cache, chosen)
    logits = [
        static_batches(model, cache, selection, chosen, torch.device("cpu"))(np.arange(4))
        for _ in range(2)
    ]
    assert torch.equal(*logits)
