"""Mixed recordings: what is shown, whose labels it has, and what a mixed label costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.train.augment.base import Mixture
from snntx.train.augment.mixing import gaussian_mask, mix, mixed, static_mixture
from snntx.train.augment.policies import centred_boxes
from snntx.train.batches.batch import Batch
from snntx.train.batches.training import TrainingData
from snntx.train.method.losses import TransferLoss, event_loss, mean_logit_loss, tet_loss
from snntx.train.network.model import TransferOutput
from snntx.train.recipe.whole import Recipe

KINDS = ["mixup", "cutmix", "eventmix"]


def batch(count: int = 64) -> tuple[Tensor, Tensor]:
    """Frames of one value each, which is the label plus one."""
    labels = torch.arange(count)
    return (labels + 1.0)[:, None, None, None, None].expand(count, 4, 2, 10, 12).clone(), labels


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_shows_the_recordings_that_its_labels_name(kind: str) -> None:
    frames, labels = batch()
    kept = frames.clone()
    out, mixture = mix(kind, frames, labels, np.random.default_rng(0), probability=1.0)
    assert torch.equal(frames, kept)
    assert sorted(mixture.other.tolist()) == labels.tolist()
    assert ((mixture.share >= 0) & (mixture.share <= 1)).all()
    own, other = labels + 1.0, mixture.other + 1.0
    # every recording is constant: its share of the sample is its label's share
    mean = out.flatten(1).mean(1)
    torch.testing.assert_close(mean, mixture.share * own + (1 - mixture.share) * other)
    assert mixture.share.std() > 0.2  # uneven: each sample draws for itself
    assert mixture.share.mean() == pytest.approx(0.5 if kind != "cutmix" else 0.6, abs=0.12)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_mixed_with_the_probability_asked_for(kind: str) -> None:
    frames, labels = batch(400)
    out, mixture = mix(kind, frames, labels, np.random.default_rng(0), probability=0.0)
    assert torch.equal(out, frames)
    assert (mixture.share == 1).all()
    out, mixture = mix(kind, frames, labels, np.random.default_rng(0), probability=0.25)
    untouched = (out == frames).flatten(1).all(1)
    assert (mixture.share[untouched] == 1).all()
    assert (~untouched).float().mean() == pytest.approx(0.25, abs=0.07)


def test_alpha_shapes_the_shares() -> None:
    frames, labels = batch(400)
    spread = {}
    for alpha in (0.2, 1.0, 20.0):
        draw = np.random.default_rng(0)
        _, mixture = mix("mixup", frames, labels, draw, alpha=alpha, probability=1.0)
        spread[alpha] = float(mixture.share.var())
        variance = 1 / (4 * (2 * alpha + 1))  # of Beta(alpha, alpha)
        assert spread[alpha] == pytest.approx(variance, rel=0.2)


def test_mixup_by_hand() -> None:
    frames = torch.rand(6, 3, 2, 4, 4)
    labels = torch.tensor([3, 1, 4, 0, 5, 2])
    out, (other, share) = mix("mixup", frames, labels, np.random.default_rng(2), probability=1)
    for i in range(6):
        second = frames[labels.tolist().index(int(other[i]))]
        torch.testing.assert_close(out[i], share[i] * frames[i] + (1 - share[i]) * second)


def test_cutmix_pastes_one_box_at_all_steps() -> None:
    frames, labels = batch()
    out, (other, share) = mix("cutmix", frames, labels, np.random.default_rng(3), probability=1)
    for i in range(64):
        if other[i] == labels[i]:
            continue
        pasted = out[i] == other[i] + 1
        assert torch.equal(pasted, pasted[:1, :1].expand_as(pasted))
        rows, columns = pasted[0, 0].any(1), pasted[0, 0].any(0)
        assert torch.equal(pasted[0, 0], rows[:, None] & columns)
        assert share[i] == pytest.approx(1 - float(rows.sum() * columns.sum()) / 120, abs=1e-6)


def test_sides_of_a_box_are_rounded_to_whole_pixels() -> None:
    """Odd ones too: cut down to even ones, those of 0.3 and 0.55 would be 2 of 10 and 6 of 12."""
    share = np.array([[0.3, 0.55], [0.26, 0.24], [0.0, 1.0]])
    boxes = centred_boxes(np.full((3, 2), 0.5), share, (10, 12))
    assert (boxes[:, 1] - boxes[:, 0]).tolist() == [3, 3, 0]
    assert (boxes[:, 3] - boxes[:, 2]).tolist() == [7, 3, 12]


@pytest.mark.parametrize("kind", KINDS)
def test_partners_are_of_the_batch_each_once(kind: str) -> None:
    frames, labels = batch(16)
    for seed in range(4):
        _, mixture = mix(kind, frames, labels, np.random.default_rng(seed), probability=1.0)
        assert sorted(mixture.other.tolist()) == labels.tolist()


# EventMix


SHAPE = (5, 9, 11)


def test_the_mask_has_the_share_asked_for() -> None:
    share = torch.tensor([0.0, 0.1, 0.37, 0.5, 0.9, 1.0])
    mask = gaussian_mask(share, SHAPE, np.random.default_rng(0))
    assert mask.shape == (6, *SHAPE)
    assert mask.flatten(1).sum(1).tolist() == [round(float(s) * 495) for s in share]


def test_a_larger_mask_contains_a_smaller() -> None:
    small, large = (
        gaussian_mask(torch.full((8,), share), SHAPE, np.random.default_rng(1))
        for share in (0.2, 0.6)
    )
    assert (large | ~small).all()
    assert len({mask.numpy().tobytes() for mask in small}) == 8


def test_the_mask_is_the_top_of_a_mixture_of_gaussians() -> None:
    """Restated voxel by voxel from the same draws."""
    draw = np.random.default_rng(4)
    number = draw.integers(2, 5, 3)
    weight = draw.random((3, 4))
    centre = draw.integers(0, np.array(SHAPE), (3, 4, 3))
    deviation = draw.uniform(0.1, 1, (3, 4, 3)) * np.array(SHAPE) / 2
    mask = gaussian_mask(torch.full((3,), 0.3), SHAPE, np.random.default_rng(4)).numpy()
    for i in range(3):
        density = np.zeros(SHAPE)
        for voxel in np.ndindex(SHAPE):
            for k in range(number[i]):
                away = (np.array(voxel) - centre[i, k]) / deviation[i, k]
                density[voxel] += weight[i, k] * np.exp(-(away**2).sum() / 2)
        assert density[mask[i]].min() >= density[~mask[i]].max() * (1 - 1e-5)
        assert mask[i].any()


def test_event_shares_count_events_not_pixels() -> None:
    """Own events in the left half, the other's in the right."""
    frames = torch.zeros(2, 4, 2, 10, 12)
    frames[0, ..., :6], frames[1, ..., 6:] = 2.0, 5.0
    for seed in range(20):
        out, (other, share) = mix(
            "eventmix", frames, torch.tensor([0, 1]), np.random.default_rng(seed), probability=1
        )
        if other.tolist() == [0, 1]:
            assert share.tolist() == pytest.approx([1, 1]) or torch.equal(out, frames)
            continue
        stays = float(out[0, ..., :6].sum() / frames[0].sum())
        comes = float(out[0, ..., 6:].sum() / frames[1].sum())
        if stays + comes:
            assert float(share[0]) == pytest.approx(stays / (stays + comes), abs=1e-5)
        assert set(out[0, ..., :6].flatten().tolist()) <= {0.0, 2.0}
        assert set(out[0, ..., 6:].flatten().tolist()) <= {0.0, 5.0}


def test_recordings_without_events_keep_finite_shares() -> None:
    frames = torch.zeros(8, 4, 2, 10, 12)
    frames[:3] = 1
    _, mixture = mix("eventmix", frames, torch.arange(8), np.random.default_rng(0), probability=1.0)
    assert ((mixture.share >= 0) & (mixture.share <= 1)).all()


# what mixed labels cost


def soft(labels: Tensor, mixture: Mixture, classes: int) -> Tensor:
    """Labels as weights of the classes, ``(B, C)``."""
    own = functional.one_hot(labels, classes) * mixture.share[:, None]
    weights = own + functional.one_hot(mixture.other, classes) * (1 - mixture.share)[:, None]
    torch.testing.assert_close(weights.sum(1), torch.ones_like(mixture.share))
    return weights


@pytest.fixture
def mixture() -> Mixture:
    return Mixture(torch.tensor([2, 0, 1, 3]), torch.tensor([0.25, 1.0, 0.0, 0.625]).double())


LABELS = torch.tensor([0, 1, 2, 3])
LOGITS = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_mixed_by_hand(mixture: Mixture) -> None:
    cost = torch.tensor([1.0, 10.0, 100.0, 1000.0]).double()
    assert mixed(lambda y: cost[y], LABELS, mixture).tolist() == pytest.approx(
        [0.25 + 75, 10, 10, 1000]
    )
    assert torch.equal(mixed(lambda y: cost[y], LABELS, None), cost)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_losses_are_cross_entropies_with_soft_labels(
    mixture: Mixture, smoothing: float
) -> None:
    target = soft(LABELS, mixture, 5)
    entropy = torch.stack(
        [functional.cross_entropy(z, target, label_smoothing=smoothing) for z in LOGITS]
    )
    found = tet_loss(LOGITS, LABELS, tet_lambda=0, label_smoothing=smoothing, mixture=mixture)
    torch.testing.assert_close(found, entropy.mean())
    weights = torch.tensor([0.2, 0.5, 0.9]).double()
    found = tet_loss(
        LOGITS, LABELS, tet_lambda=0, label_smoothing=smoothing, weights=weights, mixture=mixture
    )
    torch.testing.assert_close(found, (weights * entropy).mean())
    mean = functional.cross_entropy(LOGITS.mean(0), target, label_smoothing=smoothing)
    found = mean_logit_loss(LOGITS, LABELS, label_smoothing=smoothing, mixture=mixture)
    torch.testing.assert_close(found, mean)
    for tet, expected in ((True, entropy.mean()), (False, mean)):
        found = event_loss(
            LOGITS, LABELS, tet=tet, tet_lambda=0, label_smoothing=smoothing, mixture=mixture
        )
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("tet", [True, False])
def test_each_branch_has_its_own_mixture(mixture: Mixture, tet: bool) -> None:
    features = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1)).double()
    output = TransferOutput(LOGITS, LOGITS.flip(0) * 2, features, features)
    loss = TransferLoss(tet=tet, regularization=False)
    coefficient = torch.ones(3).double()
    plain = loss(output, LABELS, coefficient)
    static = Mixture(mixture.other, torch.ones(4).double())
    both = loss(output, LABELS, coefficient, event_mixture=mixture, static_mixture=static)
    torch.testing.assert_close(both.static, plain.static)
    alone = event_loss(output.event_logits, LABELS, tet=tet, mixture=mixture)
    torch.testing.assert_close(both.event, alone)
    assert (both.event - plain.event).abs() > 0.05
    assert torch.equal(both.domain, plain.domain)


def test_a_static_image_keeps_its_one_class(mixture: Mixture) -> None:
    constant = torch.tensor([True, True, False, False])
    static = static_mixture(mixture, constant)
    assert static.share.tolist() == [1, 1, 0, 0.625]
    assert torch.equal(static.other, mixture.other)


# batches


def test_a_training_batch_carries_its_labels(small_cache: Path) -> None:
    seal = next((small_cache / "cache").glob("simulated-digits/*/SEALED"))
    recipe = Recipe.of(
        model="none",
        epochs=4,
        batch_size=8,
        augment="mixup",
        mix_probability=0.5,
        sliding_power=0.5,
    )
    data = TrainingData(FrameCache(seal.parent), recipe)
    replaced = 0
    for batch in data.epoch(2):
        assert batch.mixture is not None
        assert batch.static_mixture is not None
        assert batch.static is not None
        assert batch.constant is not None
        other, share = batch.mixture
        assert sorted(other.tolist()) == sorted(batch.labels.tolist())
        assert (batch.static_mixture.share[batch.constant] == 1).all()
        shows_events = ~batch.constant
        assert torch.equal(batch.static_mixture.share[shows_events], share[shows_events])
        assert torch.equal(batch.static[shows_events], batch.event[shows_events])
        replaced += batch.replaced
        parts = batch.split(3)
        assert torch.equal(torch.cat([p.other_labels for p in parts]), other)  # type: ignore[misc]
        assert torch.equal(torch.cat([p.mix for p in parts]), share)  # type: ignore[misc]
    assert replaced > 5


def test_a_plain_batch_has_no_mixture() -> None:
    batch = Batch(torch.zeros(2, 1, 2, 3, 3), None, torch.tensor([0, 1]), None)
    assert batch.mixture is None
    assert batch.static_mixture is None
    assert [part.mixture for part in batch.split(2)] == [None, None]
