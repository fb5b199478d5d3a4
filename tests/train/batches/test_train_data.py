"""Batches by hand: partners, replacement, balance, augmentation, and draws that repeat.

The data set is made so that a static image tells who it is: its value V is the same at every
pixel and different from every other image's.
"""

import dataclasses
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from snntx.data_cards import parse_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.formats.atis import encode
from snntx.train.batches.batch import Batch
from snntx.train.batches.loader import epoch_batches
from snntx.train.batches.partners import nested_subset
from snntx.train.batches.training import TrainingData, training_subset
from snntx.train.method.base import Place, Sample
from snntx.train.method.choice import make_method
from snntx.train.method.replacement import hard_switch, replacement_probability
from snntx.train.recipe.doors import METHODS
from snntx.train.recipe.whole import Recipe

SIDE, STEPS = 6, 2
RECORDINGS = {"few": 6, "many": 24}
EXTRA = 2
CARD = f"""
name = "painted"
[about]
title = "Painted"
summary = "Constant images."
homepage = ""
licence = ""
citation = ""
obtain = ""
[events]
format = "atis"
pattern = "{{class}}/{{stem}}.bin"
sensor = [{SIDE}, {SIDE}]
[static]
layout = "images"
pattern = "{{class}}/{{stem}}.png"
twin = "{{class}}/{{stem}}"
[framing]
steps = {STEPS}
[splits.holdout]
rule = "hash"
validation = 0.2
test = 0.2
[splits.paper]
rule = "leading"
train = 0.5
[recipes.default]
model = "none"
epochs = 4
"""


def write_recordings(folder: Path, counts: dict[str, int]) -> None:
    rng = np.random.default_rng(3)
    for name, count in counts.items():
        for i in range(count):
            x, y = rng.integers(0, SIDE, (2, 200))
            t, p = np.sort(rng.integers(0, 10_000, 200)), rng.integers(0, 2, 200)
            path = folder / name / f"{i:02d}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]


def write_statics(folder: Path, counts: dict[str, int]) -> None:
    """A twin of every recording and two images without one; V is a multiple of 7."""
    value = 0
    for name, count in counts.items():
        stems = [f"{i:02d}" for i in range(count)] + [f"extra{i}" for i in range(EXTRA)]
        for stem in stems:
            value += 7
            path = folder / name / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (SIDE, SIDE), (value // 2, value, value // 3)).save(path)


def build(folder: Path, *, statics: dict[str, int] | None) -> FrameCache:
    write_recordings(folder / "raw", RECORDINGS)
    if statics is not None:
        write_statics(folder / "static", statics)
    request = make_request(
        parse_card(CARD.encode(), "painted.toml"),
        raw=folder / "raw",
        static=None if statics is None else folder / "static",
        cache=folder / "cache",
    )
    return FrameCache(preprocess(request).directory)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    """Training part of ``holdout``: 4 of class few, 14 of class many."""
    return build(tmp_path_factory.mktemp("painted"), statics=RECORDINGS)


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    """The same recordings without static images."""
    return build(tmp_path_factory.mktemp("eventful"), statics=None)


def recipe(**settings: Any) -> Recipe:
    return Recipe.of(**{"model": "none", "epochs": 4, "batch_size": 6, **settings})


def share(data: TrainingData, epoch: int, number: int) -> float:
    """Return P at one batch of a run."""
    return data.method.log(Place(epoch, number, data.recipe.optim.epochs, data.batches))["P"]


def identify(cache: FrameCache) -> dict[int, int]:
    """Value of a static image → its index."""
    values = cache.static_images().max(axis=1)[:, 0, 0].tolist()
    found = {value: i for i, value in enumerate(values)}
    assert len(found) == 30 + 2 * EXTRA
    return found


def shown(batch: Batch, cache: FrameCache) -> list[int]:
    """Index of the static image that each sample shows, -1 for its own events."""
    assert batch.static is not None
    names, found = identify(cache), []
    for static, event in zip(batch.static, batch.event, strict=True):
        value = float(static.flatten()[0])
        if torch.equal(static, event):
            found.append(-1)
            continue
        assert torch.equal(static, torch.full((STEPS, 2, SIDE, SIDE), value))
        found.append(names[round(value * 255)])
    return found


def same(a: Batch, b: Batch) -> bool:
    assert a.static is not None
    assert b.static is not None
    pairs = [(a.event, b.event), (a.static, b.static), (a.labels, b.labels)]
    return all(torch.equal(x, y) for x, y in pairs) and a.replaced == b.replaced


# sliding replacement


@pytest.mark.parametrize(
    ("step", "steps", "power", "expected"),
    [
        (0, 40, 3, 0.0),
        (20, 40, 3, 0.125),
        (23, 40, 3, 0.190109375),
        (23, 40, 1, 0.575),
        (39, 40, 3, 0.926859375),
        (10, 40, 0.5, 0.5),
        (40, 40, 3, 1.0),
        (80, 40, 3, 1.0),
    ],
)
def test_replacement_probability(step: int, steps: int, power: float, expected: float) -> None:
    assert replacement_probability(step, steps, power) == pytest.approx(expected, abs=1e-12)


def test_replacement_probability_of_a_batch(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe())
    assert data.batches == 3
    assert share(data, 0, 0) == 0
    assert share(data, 1, 2) == pytest.approx((5 / 12) ** 3)
    assert share(data, 3, 2) == pytest.approx((11 / 12) ** 3)


@pytest.mark.parametrize(
    ("draws", "dropped", "kept"),
    [
        (0, [6, 6, 6], [6, 6, 6]),
        (20, [6, 6, 6], [6, 6, 6, 2]),
        (4, [6], [4]),
        (18, [6] * 3, [6] * 3),
    ],
)
def test_the_last_batch(cache: FrameCache, draws: int, dropped: list[int], kept: list[int]) -> None:
    for last_batch, sizes in (("drop", dropped), ("keep", kept)):
        data = TrainingData(cache, recipe(draws_per_epoch=draws, last_batch=last_batch))
        assert [len(batch.labels) for batch in data.epoch(1)] == sizes
        assert [len(batch.labels) for batch in epoch_batches(data, 1)] == sizes
        assert (data.batches, data.draws) == (len(sizes), sum(sizes))


def test_a_kept_last_batch_shows_every_recording_once(cache: FrameCache) -> None:
    whole = TrainingData(cache, recipe(balanced=False, batch_size=4, last_batch="keep"))
    assert [len(batch.labels) for batch in whole.epoch(0)] == [4, 4, 4, 4, 2]
    assert sorted(whole.order(0)) == list(range(18))
    dropped = TrainingData(cache, recipe(balanced=False, batch_size=4))
    assert whole.order(0)[:16].tolist() == dropped.order(0).tolist()
    # its progress is that of any step
    assert share(whole, 1, 4) == pytest.approx((9 / 20) ** 3)


def test_a_quarter_of_all_samples_is_replaced(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(epochs=200))
    by_epoch = [sum(batch.replaced for batch in data.epoch(e)) / 18 for e in range(200)]
    assert np.mean(by_epoch) == pytest.approx(0.25, abs=0.02)
    assert np.mean(by_epoch[:100]) == pytest.approx(1 / 32, abs=0.02)  # mean of x³ below ½
    assert np.mean(by_epoch[100:]) == pytest.approx(15 / 32, abs=0.04)


def test_without_sliding_nothing_is_replaced(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(sliding=False))
    for batch in data.epoch(3):
        assert batch.replaced == 0
        assert -1 not in shown(batch, cache)


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (2, 2), (4, 3), (5, 3), (6, 4), (300, 151)])
def test_the_hard_switch_comes_after_half_of_the_epochs(epochs: int, first: int) -> None:
    """The first epoch number above ``epochs / 2``, counted from 0."""
    assert [hard_switch(e, epochs) for e in range(epochs)] == [
        float(e >= first) for e in range(epochs)
    ]


def test_the_hard_switch_replaces_none_and_then_all(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(sliding=False, hard_switch=True, crop_padding=2))
    for epoch, replaced in enumerate((0, 0, 0, 6)):
        for number, batch in enumerate(data.epoch(epoch)):
            assert share(data, epoch, number) == replaced / 6
            assert batch.replaced == replaced
            assert shown(batch, cache).count(-1) == replaced


def test_without_sliding_the_probability_is_zero(cache: FrameCache) -> None:
    assert share(TrainingData(cache, recipe(sliding=False)), 3, 2) == 0


def test_a_replaced_sample_shows_its_augmented_events(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(crop_padding=2))
    plain = TrainingData(cache, recipe())
    replaced, kept, moved = 0, 0, 0
    for epoch in (2, 3):
        for batch, uncropped in zip(data.epoch(epoch), plain.epoch(epoch), strict=True):
            found = shown(batch, cache)
            assert found.count(-1) == batch.replaced
            for i, static in enumerate(found):
                if static == -1:
                    replaced += 1
                    moved += not torch.equal(batch.event[i], uncropped.event[i])
                else:
                    kept += 1
                    assert cache.index.static_label[static] == batch.labels[i]
    assert replaced > 5
    assert kept > 5
    assert moved > replaced / 2  # of 25 offsets, 24 move the frames


# partners


@pytest.mark.parametrize("protocol", ["holdout", "paper"])
def test_partners_are_all_images_of_the_class_but_twins_of_held_out_recordings(
    cache: FrameCache, protocol: str
) -> None:
    held = np.concatenate([cache.split(protocol, part) for part in ("validation", "test")])
    twins = set(cache.index.twin[held].tolist())
    assert len(twins) == len(held) > 0  # every held-out recording has a twin that must not appear
    allowed = set(range(len(cache.index.static_identity))) - twins

    data = TrainingData(cache, recipe(sliding=False, protocol=protocol))
    drawn = set()
    for epoch in range(60):
        for batch in data.epoch(epoch):
            found = shown(batch, cache)
            assert cache.index.static_label[found].tolist() == batch.labels.tolist()
            drawn.update(found)
    assert drawn == allowed


def partners(cache: FrameCache, epochs: int = 60, **settings: Any) -> set[int]:
    data = TrainingData(cache, recipe(sliding=False, **settings))
    return {i for e in range(epochs) for batch in data.epoch(e) for i in shown(batch, cache)}


def test_a_smaller_static_fraction_lies_within_a_larger(cache: FrameCache) -> None:
    """Of 6 and 16 images: rounded down, but one of each class at least."""
    train = cache.static_split("holdout", "train")
    labels = cache.index.static_label
    assert np.bincount(labels[train]).tolist() == [6, 16]
    sets = [partners(cache, static_fraction=f) for f in (0.01, 0.25, 0.5, 1.0)]
    counts = [np.bincount(labels[sorted(s)]).tolist() for s in sets]
    assert counts == [[1, 1], [1, 4], [3, 8], [6, 16]]
    assert all(a < b for a, b in pairwise(sets))
    assert partners(cache, static_fraction=0.5, seed=43) != sets[2]


def test_a_static_fraction_of_zero_is_the_event_branch_alone(cache: FrameCache) -> None:
    settings = recipe(static_fraction=0.0)
    assert settings.transfer is False
    none, alone = (TrainingData(cache, r) for r in (settings, recipe(transfer=False)))
    for batch, expected in zip(none.epoch(1), alone.epoch(1), strict=True):
        assert batch.static is None
        assert torch.equal(batch.event, expected.event)


def test_instances_are_paired_with_their_own_twin(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(sliding=False, pairing="instance"))
    twins = cache.index.twin
    for epoch in range(4):
        batch = data.batch(np.arange(18), epoch, 0)
        assert shown(batch, cache) == twins[data.indices].tolist()


def test_without_a_twin_in_the_training_part_a_class_partner_is_drawn(
    cache: FrameCache,
) -> None:
    data = TrainingData(cache, recipe(sliding=False, pairing="instance", static_fraction=0.5))
    kept = partners(cache, static_fraction=0.5)
    twins, labels = cache.index.twin[data.indices], cache.index.static_label
    paired = np.isin(twins, sorted(kept))
    assert 0 < paired.sum() < 18
    seen: dict[int, set[int]] = {i: set() for i in range(18)}
    for epoch in range(60):
        found = shown(data.batch(np.arange(18), epoch, 0), cache)
        assert set(found) <= kept
        for i, static in enumerate(found):
            seen[i].add(static)
    for i in range(18):
        own_class = {k for k in kept if labels[k] == data.labels[i]}
        assert seen[i] == ({int(twins[i])} if paired[i] else own_class)


def test_pairing_by_instance_needs_a_twin(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = dataclasses.replace(cache.index, twin=np.full_like(cache.index.twin, -1))
    monkeypatch.setattr(cache, "index", none)
    with pytest.raises(SnntxError, match="pairing = instance, but no training recording has a"):
        TrainingData(cache, recipe(pairing="instance"))
    assert TrainingData(cache, recipe(pairing="class")).batches == 3


PLACES = [(epoch, number) for epoch in (500, 501, 502) for number in range(3)]
"""Of a run of 1,000 epochs of 3 batches: P hardly changes between them."""


def test_partners_change_with_epoch_and_batch(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(sliding=False, epochs=1000))
    positions = np.arange(6)
    assert len({tuple(shown(data.batch(positions, *place), cache)) for place in PLACES}) == 9


def test_replaced_samples_change_with_epoch_and_batch(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(sliding_power=1, epochs=1000))
    positions = np.arange(18)
    masks = [[i == -1 for i in shown(data.batch(positions, *place), cache)] for place in PLACES]
    assert len({tuple(mask) for mask in masks}) == 9
    assert np.mean(masks) == pytest.approx(0.5, abs=0.15)


def test_crops_change_with_epoch_and_batch(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(transfer=False, crop_padding=2, epochs=1000))
    positions = np.arange(6)
    events = {data.batch(positions, *place).event.numpy().tobytes() for place in PLACES}
    assert len(events) == 9


def test_a_class_without_partner_is_named(tmp_path: Path) -> None:
    lonely = build(tmp_path, statics={"many": 24})
    with pytest.raises(SnntxError) as caught:
        TrainingData(lonely, recipe())
    assert str(caught.value).startswith(f"{lonely.directory}: no static partner for class few;")
    assert "--set method=event-only" in str(caught.value)
    assert TrainingData(lonely, recipe(transfer=False)).batches == 3


def test_a_cache_without_statics_names_its_classes(eventful: FrameCache) -> None:
    with pytest.raises(SnntxError, match="no static partner for class few, many; preprocess with"):
        TrainingData(eventful, recipe())


def test_events_alone_need_no_statics(eventful: FrameCache) -> None:
    data = TrainingData(eventful, recipe(transfer=False, balanced=False))
    batches = list(data.epoch(3))
    assert [(batch.static, batch.replaced) for batch in batches] == [(None, 0)] * 3
    assert batches[0].event.shape == (6, STEPS, 2, SIDE, SIDE)


def test_events_and_labels_are_those_of_the_cache(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe())
    positions = np.array([3, 17, 3])
    batch = data.batch(positions, 0, 0)
    expected = cache.frames(cache.split("holdout", "train")[positions])
    np.testing.assert_array_equal(batch.event.numpy(), expected)
    assert batch.labels.tolist() == [0, 1, 0]
    assert batch.labels.dtype == torch.int64
    assert batch.event.dtype == torch.float32


# which recordings are drawn


def drawn_labels(data: TrainingData, epochs: int) -> NDArray[np.int64]:
    return np.concatenate([b.labels.numpy() for e in range(epochs) for b in data.epoch(e)])


def test_balanced_draws_equalise_the_classes(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe())
    assert np.bincount(data.labels).tolist() == [4, 14]
    labels = drawn_labels(data, 200)
    assert labels.size == 3600
    assert labels.mean() == pytest.approx(0.5, abs=0.04)


def test_balanced_draws_weigh_by_what_is_trained_on_and_not_by_whole_classes(
    cache: FrameCache,
) -> None:
    data = TrainingData(cache, recipe(event_fraction=0.4))
    held, whole = np.bincount(data.labels), np.bincount(cache.labels)
    assert held.tolist() == [1, 5]
    orders = [data.labels[data.order(epoch)] for epoch in range(6000)]
    drawn = np.bincount(np.concatenate(orders))
    share = drawn[1] / drawn.sum()
    by_class = held[1] / whole[1] / (held / whole).sum()
    assert abs(by_class - 0.5) > 0.02
    assert share == pytest.approx(0.5, abs=0.01)


def test_unbalanced_draws_take_every_recording_once(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(balanced=False))
    train = cache.frames(cache.split("holdout", "train"))
    for epoch in range(3):
        frames = torch.cat([batch.event for batch in data.epoch(epoch)]).numpy()
        assert sorted(f.tobytes() for f in frames) == sorted(f.tobytes() for f in train)
    assert drawn_labels(data, 1).tolist() != sorted(drawn_labels(data, 1).tolist())


@pytest.mark.parametrize(("draws", "batches"), [(0, 3), (4, 1), (6, 1), (17, 2), (18, 3), (54, 9)])
@pytest.mark.parametrize("balanced", [True, False])
def test_batches_of_an_epoch(cache: FrameCache, draws: int, batches: int, balanced: bool) -> None:
    data = TrainingData(cache, recipe(draws_per_epoch=draws, balanced=balanced))
    sizes = [len(batch.labels) for batch in data.epoch(0)]
    assert sizes == [6] * batches
    assert share(data, 3, 0) == pytest.approx(0.75**3)


def test_more_draws_than_recordings_take_each_equally_often(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(draws_per_epoch=54, balanced=False))
    assert np.bincount(drawn_labels(data, 1)).tolist() == [12, 42]


def test_a_batch_is_not_larger_than_the_set(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(batch_size=120))
    assert [len(batch.labels) for batch in data.epoch(0)] == [18]


def test_a_batch_depends_on_seed_epoch_and_number_alone(cache: FrameCache) -> None:
    settings = recipe(crop_padding=2)
    data = TrainingData(cache, settings)
    batches = list(data.epoch(2))
    fresh = TrainingData(cache, settings)
    (last,) = islice(fresh.epoch(2), 2, None)
    assert same(last, batches[2])
    positions = fresh.order(2)[12:18]
    assert same(fresh.batch(positions, 2, 2), batches[2])  # no earlier batch was made
    assert not same(fresh.batch(positions, 2, 1), batches[2])
    assert not same(fresh.batch(positions, 1, 2), batches[2])
    other = TrainingData(cache, recipe(crop_padding=2, seed=43))
    assert not same(other.batch(positions, 2, 2), batches[2])


def test_epochs_and_seeds_draw_differently(cache: FrameCache) -> None:
    first, second = TrainingData(cache, recipe()), TrainingData(cache, recipe(seed=43))
    orders = [tuple(data.order(epoch)) for data in (first, second) for epoch in range(3)]
    assert len(set(orders)) == 6


def test_global_random_state_is_neither_used_nor_changed(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(crop_padding=2))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    once = list(data.epoch(1))
    drawn = torch.rand(3), np.random.random(3)  # noqa: NPY002
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert all(same(a, b) for a, b in zip(once, data.epoch(1), strict=True))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert torch.equal(torch.rand(3), drawn[0])
    assert np.array_equal(np.random.random(3), drawn[1])  # noqa: NPY002


# fewer recordings


def test_a_smaller_subset_lies_within_a_larger(cache: FrameCache) -> None:
    train = set(cache.split("holdout", "train").tolist())
    for seed in range(3):
        sets = [
            set(training_subset(cache, recipe(recordings_per_class=k, seed=seed)).tolist())
            for k in (1, 2, 3, 4, 9, 99)
        ]
        assert [len(s) for s in sets] == [2, 4, 6, 8, 4 + 9, 18]
        assert all(a < b for a, b in pairwise(sets))
        assert sets[-1] == train
    indices = training_subset(cache, recipe(recordings_per_class=3))
    assert cache.labels[indices].tolist() == [0, 0, 0, 1, 1, 1]


def test_a_smaller_fraction_lies_within_a_larger(cache: FrameCache) -> None:
    """Of 4 and 14 recordings: rounded down, but one of each class at least."""
    for seed in range(3):
        sets = [
            set(training_subset(cache, recipe(event_fraction=f, seed=seed)).tolist())
            for f in (0.01, 0.1, 0.2, 0.5, 0.75, 0.99, 1)
        ]
        assert [len(s) for s in sets] == [1 + 1, 1 + 1, 1 + 2, 2 + 7, 3 + 10, 3 + 13, 18]
        assert all(a <= b for a, b in pairwise(sets))


def test_fraction_and_number_share_one_order_and_the_smaller_holds(cache: FrameCache) -> None:
    def subset(**settings: Any) -> list[int]:
        return [int(i) for i in training_subset(cache, recipe(**settings))]

    assert subset(event_fraction=0.5, recordings_per_class=2) == subset(recordings_per_class=2)
    both = subset(event_fraction=0.5, recordings_per_class=5)
    assert np.bincount(cache.labels[both]).tolist() == [2, 5]
    assert set(both) == set(subset(event_fraction=0.5)) & set(subset(recordings_per_class=5))


def test_a_fraction_is_not_rounded_below_its_number() -> None:
    order, labels = np.random.default_rng(0).permutation(100), np.zeros(100, np.int64)
    sizes = [nested_subset(order, labels, f).size for f in (0.07, 0.29, 0.57, 0.58)]
    assert 100 * 0.29 < 29
    assert sizes == [7, 29, 57, 58]


def test_a_batch_of_a_fraction_has_its_recordings_alone(cache: FrameCache) -> None:
    data = TrainingData(cache, recipe(event_fraction=0.5, balanced=False))
    assert data.indices.size == 9
    kept = {frames.tobytes() for frames in cache.frames(data.indices)}
    drawn = {f.tobytes() for e in range(9) for b in data.epoch(e) for f in b.event.numpy()}
    assert drawn == kept


def test_the_subset_depends_on_the_seed_alone(cache: FrameCache) -> None:
    def subset(**settings: Any) -> tuple[int, ...]:
        return tuple(training_subset(cache, recipe(recordings_per_class=3, **settings)).tolist())

    assert subset(seed=1) == subset(seed=1, transfer=False, epochs=9, batch_size=2)
    assert len({subset(seed=seed) for seed in range(4)}) == 4


def test_nothing_to_train_on(cache: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "split", lambda protocol, part: np.array([5]))
    with pytest.raises(UsageError, match="protocol holdout leaves 1 recordings to train on; need"):
        training_subset(cache, recipe())


def test_an_unknown_protocol(cache: FrameCache) -> None:
    with pytest.raises(UsageError, match="unknown protocol 'holdot'; did you mean 'holdout'"):
        TrainingData(cache, recipe(protocol="holdot"))


def test_the_recipes_channel_is_used(cache: FrameCache) -> None:
    positions = np.arange(6)
    values = TrainingData(cache, recipe(sliding=False)).batch(positions, 0, 0).static
    blue = TrainingData(cache, recipe(sliding=False, channel="blue")).batch(positions, 0, 0).static
    assert values is not None
    assert blue is not None
    expected = torch.floor(values * 255 / 3 + 1e-3) / 255  # painted so: B = V // 3
    torch.testing.assert_close(blue, expected)


# the device that batches are made on

DEVICES = [
    "meta",  # holds no values, and refuses to compute with tensors of another device
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
        ],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("strategy", ["sliding", "time-mixup"])
@pytest.mark.parametrize("augment", ["none", "nda", "randaugment"])
def test_batches_are_made_where_they_are_asked_for(
    cache: FrameCache, device: str, strategy: str, augment: str
) -> None:
    chosen = recipe(
        crop_padding=2,
        flip=True,
        rotation=15.0,
        snr_db=10.0,
        sliding_power=0.0,
        strategy=strategy,
        augment=augment,
    )
    positions = np.arange(6)
    expected = TrainingData(cache, chosen).batch(positions, 0, 1)
    found = TrainingData(cache, chosen, torch.device(device)).batch(positions, 0, 1)
    assert expected.static is not None
    assert found.static is not None
    for there, here in ((found.event, expected.event), (found.static, expected.static)):
        assert there.device.type == device
        assert there.shape == here.shape
        if device != "meta":
            torch.testing.assert_close(there.cpu(), here)
    assert found.constant is not None
    assert expected.constant is not None
    assert torch.equal(found.constant, expected.constant)
    assert torch.equal(found.labels, expected.labels)


# methods

REPLACING = [name for name in METHODS.names() if METHODS.get(name).without_static]


@pytest.mark.parametrize("name", REPLACING)
def test_shares_of_nothing_and_all(name: str) -> None:
    draw = torch.Generator().manual_seed(1)
    static = torch.rand(4, 1, 1, 3, 3, generator=draw).expand(4, 5, 2, 3, 3)
    event = torch.rand(4, 5, 2, 3, 3, generator=draw)
    method = make_method(recipe(method=name, replacement="hard-switch"))
    numbers = np.arange(4)
    sample = Sample(event, static, torch.zeros(4, dtype=torch.long), numbers, numbers)
    nothing = method.show(sample, Place(0, 0, 4, 1), np.random.default_rng(1))
    assert torch.equal(nothing.static, static)
    assert nothing.constant.all()
    everything = method.show(sample, Place(3, 0, 4, 1), np.random.default_rng(1))
    assert torch.equal(everything.static, event)
    assert not everything.constant.any()
