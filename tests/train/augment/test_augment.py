"""Augmentation by hand: geometry, policies, dropped events, noise, and draws that repeat."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.train.augment.apply import add_noise, augment, geometry
from snntx.train.augment.base import Batches
from snntx.train.augment.draws import Draws
from snntx.train.augment.dropping import event_drop
from snntx.train.augment.geometry import (
    affine,
    composed,
    cut_out,
    mirrored,
    moved,
    rotation,
    shifted,
    within,
)
from snntx.train.augment.policies import centred_boxes, nda, randaugment
from snntx.train.batches.batch import Batch
from snntx.train.batches.loader import epoch_batches
from snntx.train.batches.training import TrainingData
from snntx.train.recipe.inputs import Augment
from snntx.train.recipe.whole import Recipe

CPU = torch.device("cpu")
DRAWS = Draws(seed=7, epoch=2, number=3)
EVERYTHING = {
    "crop_padding": 2,
    "flip": True,
    "rotation": 15.0,
    "snr_db": 20.0,
    "augment": ("randaugment", "nda", "eventdrop", "eventmix"),
    "mix_probability": 1.0,
}


def recipe(**settings: Any) -> Recipe:
    return Recipe.of(**{"model": "none", "epochs": 4, **settings})


def settings_of(**settings: Any) -> Augment:
    return recipe(**settings).augment


def frames(batch: int = 3, steps: int = 2, height: int = 4, width: int = 5) -> Tensor:
    """All values different and none zero."""
    count = batch * steps * 2 * height * width
    return 1 + torch.arange(count, dtype=torch.float32).view(batch, steps, 2, height, width)


def still(batch: int) -> Tensor:
    return torch.zeros(batch, 2, dtype=torch.float64)


# maps of pixels


def test_a_shift_by_hand() -> None:
    plain = frames()
    out = moved(plain, shifted(torch.tensor([[0, 0], [-1, -2], [1, 0]]), (4, 5)))
    assert torch.equal(out[0], plain[0])
    down_right = torch.zeros_like(plain[1])
    down_right[..., 1:, 2:] = plain[1, ..., :-1, :-2]
    assert torch.equal(out[1], down_right)
    up = torch.zeros_like(plain[2])
    up[..., :-1, :] = plain[2, ..., 1:, :]
    assert torch.equal(out[2], up)


def test_a_shift_that_wraps_is_a_roll() -> None:
    plain, offsets = frames(), [(0, 0), (-1, 2), (3, -7)]
    out = moved(plain, shifted(torch.tensor(offsets), (4, 5), wrap=True))
    for i, (rows, columns) in enumerate(offsets):
        assert torch.equal(out[i], torch.roll(plain[i], (-rows, -columns), (-2, -1)))


def test_a_mirror_swaps_left_and_right() -> None:
    plain = frames()
    out = moved(plain, mirrored(torch.tensor([True, False, True]), (4, 5)))
    assert torch.equal(out[1], plain[1])
    assert torch.equal(out[::2], plain[::2].flip(-1))


@pytest.mark.parametrize("side", [4, 5])
def test_quarter_turns_are_exact(side: int) -> None:
    plain = frames(4, 2, side, side)
    degrees = torch.tensor([90.0, 180.0, -90.0, 0.0])
    out = moved(plain, affine(rotation(degrees), still(4), (side, side)))
    for turned, quarters in zip(range(4), (1, 2, 3, 0), strict=True):
        expected = np.rot90(plain[turned].numpy(), quarters, (-2, -1))  # counter-clockwise
        np.testing.assert_array_equal(out[turned].numpy(), expected)


def test_a_rotation_equals_nearest_sampling_of_the_rotated_grid() -> None:
    plain = frames(8, 2, 12, 12)
    degrees = torch.linspace(-41.3, 37.7, 8, dtype=torch.float64)
    angle = torch.deg2rad(degrees)
    zero = torch.zeros(8, dtype=torch.float64)
    rows = [torch.stack([angle.cos(), -angle.sin(), zero], 1)]
    rows += [torch.stack([angle.sin(), angle.cos(), zero], 1)]  # in x, y
    grid = functional.affine_grid(torch.stack(rows, 1), [8, 4, 12, 12], align_corners=False)
    images = plain.double().flatten(1, 2)
    expected = functional.grid_sample(images, grid, "nearest", "zeros", align_corners=False)
    out = moved(plain, affine(rotation(degrees), still(8), (12, 12)))
    assert torch.equal(out.flatten(1, 2).double(), expected)
    outside = (out == 0).flatten(1).any(1)
    assert outside[degrees.abs() > 5].all()  # corners come from outside
    assert outside.sum() == 7


def test_a_shear_moves_each_row_by_its_distance_from_the_middle() -> None:
    plain = frames(1, 1, 5, 5)
    matrix = torch.eye(2, dtype=torch.float64)[None].clone()
    matrix[:, 1, 0] = 1
    out = moved(plain, affine(matrix, still(1), (5, 5)))
    for row, shift in enumerate((-2, -1, 0, 1, 2)):
        padded = functional.pad(plain[..., row, :], (2, 2))
        assert torch.equal(out[..., row, :], padded[..., 2 + shift : 7 + shift])


def test_maps_compose_as_moves_follow_each_other() -> None:
    plain, size = frames(3, 2, 6, 7), (6, 7)
    maps = [
        shifted(torch.tensor([[1, 2], [-2, 0], [0, -3]]), size),
        mirrored(torch.tensor([True, False, True]), size),
        affine(rotation(torch.tensor([20.0, -33.0, 70.0])), still(3), size),
        cut_out(torch.tensor([[0, 2, 1, 3], [5, 9, 0, 7], [2, 2, 0, 7]]), size),
    ]
    one_by_one = plain
    for source in maps:
        one_by_one = moved(one_by_one, source)
    assert torch.equal(moved(plain, composed(maps)), one_by_one)
    assert (one_by_one > 0).any()


def test_boxes_by_hand() -> None:
    boxes = torch.tensor([[1, 3, 0, 2], [-5, 1, 4, 9], [2, 2, 0, 5]])
    expected = torch.zeros(3, 4, 5, dtype=torch.bool)
    expected[0, 1:3, :2] = True
    expected[1, :1, 4:] = True
    assert torch.equal(within(boxes, (4, 5)), expected)
    out = moved(frames(), cut_out(boxes, (4, 5)))
    kept = ~expected[:, None, None].expand_as(out)
    assert torch.equal(out, frames() * kept)


def test_centred_boxes_are_cut_at_the_frame() -> None:
    centre = np.array([[0.5, 0.5], [0.0, 0.99], [0.3, 0.2]])
    share = np.array([[0.5, 0.2], [0.5, 0.2], [0.0, 1.0]])
    boxes = centred_boxes(centre, share, (8, 10))
    assert boxes.tolist() == [[2, 6, 4, 6], [0, 2, 8, 10], [2, 2, 0, 7]]


# crop, flip, rotation of a recipe


def test_a_crop_reaches_every_place_and_all_frames_of_a_recording_move_together() -> None:
    plain = torch.zeros(400, 2, 2, 5, 5)
    plain[..., 2, 2] = 1
    out, _ = augment(plain, torch.zeros(400), settings_of(crop_padding=1), DRAWS)
    places = out.flatten(3).argmax(-1)
    assert (places == places[:, :1, :1]).all()
    assert set(places[:, 0, 0].tolist()) == {6, 7, 8, 11, 12, 13, 16, 17, 18}
    assert out.sum() == 400 * 2 * 2


def test_half_of_the_recordings_are_flipped() -> None:
    plain = frames(400, 1, 2, 3)
    out, _ = augment(plain, torch.zeros(400), settings_of(flip=True), DRAWS)
    flipped = (out == plain.flip(-1)).flatten(1).all(1)
    assert torch.equal(out[~flipped], plain[~flipped])
    assert flipped.float().mean() == pytest.approx(0.5, abs=0.08)


def test_angles_fill_their_range() -> None:
    """A point far from the middle tells by how much it was turned."""
    side, radius = 201, 90
    plain = torch.zeros(60, 1, 1, side, side)
    plain[..., side // 2, side // 2 + radius] = 1
    wide = functional.max_pool2d(plain.flatten(0, 2), 3, 1, 1).view_as(plain)
    out, _ = augment(wide, torch.zeros(60), settings_of(rotation=30.0), DRAWS)
    rows = torch.arange(side)[:, None] - side // 2
    columns = torch.arange(side) - side // 2
    mass = out.sum((1, 2, 3, 4))
    up, right = -(out * rows).sum((1, 2, 3, 4)) / mass, (out * columns).sum((1, 2, 3, 4)) / mass
    degrees = torch.rad2deg(torch.atan2(up, right))
    assert degrees.abs().max() < 30.5
    assert degrees.min() < -24
    assert degrees.max() > 24
    assert degrees.mean().abs() < 8


def test_geometry_shows_the_same_to_all_frames_of_a_recording() -> None:
    image = frames(40, 1, 12, 12)[:, :, :1]
    plain = image.expand(40, 3, 2, 12, 12)
    settings = settings_of(
        crop_padding=2, flip=True, rotation=15.0, augment=("nda", "randaugment"), epochs=1
    )
    out, _ = augment(plain, torch.zeros(40), settings, DRAWS)
    shown = out.flatten(3).sum(-1) > 0
    assert shown.any(1).all()
    first = out[torch.arange(40), shown[:, :, 0].int().argmax(1), 0]
    expected = torch.where(shown[..., None, None], first[:, None, None], torch.zeros(()))
    assert torch.equal(out, expected)
    assert len({sample.numpy().tobytes() for sample in (first > 0)}) > 20  # each its own


# policies


def kind_of(source: Tensor, reach: int) -> str:
    """What NDA did to one recording, by its map ``(H, W)``."""
    size = (source.shape[0], source.shape[1])
    identity = shifted(torch.zeros(1, 2, dtype=torch.long), size)[0]
    for plain in (identity, identity.flip(-1)):
        if torch.equal(torch.where(source < 0, source, plain), source):
            return "cut out" if (source < 0).any() else "roll"
        for rows in range(-reach, reach + 1):
            for columns in range(-reach, reach + 1):
                if torch.equal(torch.roll(plain, (rows, columns), (0, 1)), source):
                    return "roll"
    columns_kept = (source // size[1] == torch.arange(size[0])[:, None]) | (source < 0)
    return "shear" if columns_kept.all() else "rotate"


def test_nda_mirrors_half_and_does_one_of_four() -> None:
    size = (24, 24)
    source = nda(np.random.default_rng(1), 400, size, CPU)
    kinds = Counter(kind_of(each, 2) for each in source)
    assert set(kinds) == {"roll", "cut out", "shear", "rotate"}
    assert all(60 < count < 140 for count in kinds.values())
    cut = source[[kind_of(each, 2) == "cut out" for each in source]]
    holes = (cut < 0).flatten(1).sum(1)
    assert holes.max() == 8 * 8  # a third of the side
    assert holes.min() >= 4 * 4  # cut at the frame
    middle = source[:, 12] % 24
    ordered = (middle[:, 13:20] - middle[:, 12:19]).float().mean(1)
    assert (ordered < 0).float().mean() == pytest.approx(0.5, abs=0.08)


def test_randaugment_without_magnitude_changes_nothing() -> None:
    source, kept = randaugment(np.random.default_rng(0), 50, 6, (8, 9), CPU, count=3, magnitude=0.0)
    assert torch.equal(source, shifted(torch.zeros(50, 2, dtype=torch.long), (8, 9)))
    assert kept.all()


def test_randaugment_draws_its_operations_evenly() -> None:
    batch, steps, side = 800, 10, 16
    source, kept = randaugment(
        np.random.default_rng(0), batch, steps, (side, side), CPU, count=1, magnitude=1.0
    )
    identity = shifted(torch.zeros(1, 2, dtype=torch.long), (side, side))
    same = (source == identity).flatten(1).all(1)
    emptied = ~kept.all(1)
    assert emptied.float().mean() == pytest.approx(1 / 8, abs=0.04)
    assert (kept[emptied].sum(1) == steps // 2).all()
    changes = (kept[emptied][:, 1:] != kept[emptied][:, :-1]).sum(1)
    assert changes.max() <= 2  # one run of steps
    assert same[emptied].all()
    assert same.float().mean() == pytest.approx(2 / 8, abs=0.05)  # and the identity
    shifts = [(4, 0), (-4, 0), (0, 4), (0, -4)]
    found = [(source == shifted(torch.tensor([s]), (side, side))).flatten(1).all(1) for s in shifts]
    assert all(share.float().mean() == pytest.approx(1 / 16, abs=0.03) for share in found)
    boxed = ((source == identity) | (source < 0)).flatten(1).all(1) & ~same
    assert boxed.float().mean() == pytest.approx(1 / 8, abs=0.04)
    assert (source[boxed] < 0).flatten(1).sum(1).max() == (side // 2) ** 2


def test_randaugment_counts_its_operations() -> None:
    changed = []
    for count in (1, 4):
        _, kept = randaugment(
            np.random.default_rng(0), 800, 10, (8, 8), CPU, count=count, magnitude=0.2
        )
        changed.append((~kept).any(1).float().mean())
    assert changed[0] == pytest.approx(1 / 8, abs=0.04)
    assert changed[1] == pytest.approx(1 - (7 / 8) ** 4, abs=0.05)


def test_augmentations_of_a_recipe_are_used() -> None:
    plain = frames(30, 10, 8, 8)
    for name in ("nda", "randaugment", "eventdrop"):
        out, mixture = augment(plain, torch.zeros(30), settings_of(augment=name), DRAWS)
        assert mixture is None
        assert not torch.equal(out, plain)
        assert torch.isin(out, torch.cat([plain.flatten(), torch.zeros(1)])).all()


# dropped events


def dropped_as(kept: Tensor) -> str:
    """Which rule dropped events of one recording of ones, ``(T, C, H, W)`` bool."""
    if kept.all():
        return "none"
    by_step = kept.flatten(1)
    if (by_step.all(1) | ~by_step.any(1)).all():
        return "time"
    if (kept == kept[:1, :1]).all():
        return "area"
    return "each"


def test_events_are_dropped_in_one_of_four_ways() -> None:
    plain = torch.full((800, 10, 2, 20, 20), 3.0)
    out = event_drop(plain, np.random.default_rng(0))
    assert (plain == 3).all()
    kept = out != 0
    assert torch.equal(out, plain * kept)
    kinds: dict[str, list[Tensor]] = {name: [] for name in ("none", "time", "area", "each")}
    for sample in kept:
        kinds[dropped_as(sample)].append(sample)
    # some spans fall between the middles of two frames or cover all: those drop nothing
    assert 180 < len(kinds["none"]) < 260
    assert 140 < len(kinds["time"]) < 220
    assert 160 < len(kinds["area"]) < 240
    assert 160 < len(kinds["each"]) < 240

    spans = [(~s.flatten(1).any(1)).nonzero().flatten() for s in kinds["time"]]
    assert all((span.diff() == 1).all() for span in spans)
    lengths = {len(span) for span in spans}
    assert lengths == set(range(1, 10))

    boxes = [~s[0, 0] for s in kinds["area"]]
    for box in boxes:
        rows, columns = box.any(1).sum(), box.any(0).sum()
        assert box.sum() == rows * columns
        assert max(rows, columns) <= 5
    assert {int(box.any(1).sum()) for box in boxes} == {1, 2, 3, 4, 5}

    shares = np.array([1 - s.float().mean() for s in kinds["each"]])
    tenths = np.round(shares * 10)
    np.testing.assert_allclose(shares, tenths / 10, atol=0.025)
    assert set(tenths) == set(range(1, 10))


def test_a_recording_never_loses_all_events() -> None:
    plain = torch.ones(200, 1, 1, 1, 1)
    assert torch.equal(event_drop(plain, np.random.default_rng(0)), plain)


# noise


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 12.5])
def test_noise_has_the_ratio_asked_for(snr_db: float) -> None:
    draw = np.random.default_rng(5)
    plain = torch.from_numpy(draw.poisson(0.4, (4, 10, 2, 48, 48))).float()
    plain *= torch.tensor([1.0, 0.01, 30.0, 0.0])[:, None, None, None, None]
    noise = (add_noise(plain, snr_db, draw) - plain).double()
    power = plain.double().square().flatten(1).mean(1)
    measured = 10 * torch.log10(power / noise.square().flatten(1).mean(1))
    assert measured[:3].tolist() == pytest.approx([snr_db] * 3, abs=0.15)
    assert noise[3].abs().max() == 0
    sigma = noise[:3].flatten(1).std(1)
    assert (noise[:3].flatten(1).mean(1).abs() < 0.03 * sigma).all()
    inside = (noise[:3].flatten(1).abs() < sigma[:, None]).float().mean(1)
    assert inside.tolist() == pytest.approx([math.erf(math.sqrt(0.5))] * 3, abs=0.01)
    scaled = noise[:2].flatten(1) / sigma[:2, None]
    assert (scaled[0] * scaled[1]).mean().abs() < 0.03  # each recording's own


def test_noise_of_a_recipe_is_added_last() -> None:
    plain = frames(4, 2, 8, 8)
    quiet, _ = augment(plain, torch.zeros(4), settings_of(crop_padding=3), DRAWS)
    noisy, _ = augment(plain, torch.zeros(4), settings_of(crop_padding=3, snr_db=30.0), DRAWS)
    power = quiet.square().flatten(1).mean(1)
    noise = (noisy - quiet).square().flatten(1).mean(1)
    assert (10 * torch.log10(power / noise)).tolist() == pytest.approx([30] * 4, abs=2)
    assert (noisy != 0).all()  # in the padding too


# draws


def test_nothing_asked_for_changes_nothing() -> None:
    plain = frames()
    out, mixture = augment(plain, torch.zeros(3), settings_of(), DRAWS)
    assert out is plain
    assert mixture is None


def test_a_batch_is_a_function_of_seed_epoch_and_number() -> None:
    plain, labels = frames(6, 4, 12, 12), torch.arange(6)
    kept = plain.clone()
    first, mixture = augment(plain, labels, settings_of(**EVERYTHING), DRAWS)
    assert torch.equal(plain, kept)
    again, mixed_again = augment(plain, labels, settings_of(**EVERYTHING), Draws(7, 2, 3))
    assert torch.equal(first, again)
    assert mixture is not None
    assert mixed_again is not None
    assert all(torch.equal(a, b) for a, b in zip(mixture, mixed_again, strict=True))
    for other in (Draws(8, 2, 3), Draws(7, 1, 3), Draws(7, 2, 4)):
        assert not torch.equal(augment(plain, labels, settings_of(**EVERYTHING), other)[0], first)


def test_another_augmentation_changes_no_draw() -> None:
    shape = Batches(20, 4, (9, 9), CPU)
    alone = geometry(shape, settings_of(crop_padding=4), DRAWS)
    beside = geometry(shape, settings_of(**{**EVERYTHING, "crop_padding": 4}), DRAWS)
    assert len(alone) == 1
    assert len(beside) == 3
    assert torch.equal(alone[0], beside[0])
    plain, labels = frames(20, 4, 9, 9), torch.zeros(20)
    noisy = settings_of(snr_db=20.0)
    without = settings_of(snr_db=20.0, augment="mixup", mix_probability=0.0)
    assert torch.equal(
        augment(plain, labels, noisy, DRAWS)[0], augment(plain, labels, without, DRAWS)[0]
    )


def test_recordings_of_a_batch_draw_for_themselves() -> None:
    plain = frames(1, 4, 12, 12).expand(16, -1, -1, -1, -1)
    for settings in (
        {"rotation": 40.0},
        {"crop_padding": 4},
        {"augment": "eventdrop"},
        {"snr_db": 10.0},
    ):
        out, _ = augment(plain, torch.zeros(16), settings_of(**settings), DRAWS)
        assert len({sample.numpy().tobytes() for sample in out}) > 8


def test_workers_change_nothing(small_cache: Path) -> None:
    seal = next((small_cache / "cache").glob("simulated-digits/*/SEALED"))
    data = TrainingData(FrameCache(seal.parent), recipe(batch_size=8, **EVERYTHING))

    def same(a: Batch, b: Batch) -> bool:
        names = ("event", "static", "labels", "constant", "other_labels", "mix")
        return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)

    alone = list(epoch_batches(data, 3))
    assert len(alone) >= 3
    for workers in (1, 2):
        helped = list(epoch_batches(data, 3, workers=workers))
        assert all(same(a, b) for a, b in zip(alone, helped, strict=True))
