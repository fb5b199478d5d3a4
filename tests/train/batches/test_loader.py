"""The loader: the same batches for any number of workers, whole batches in one read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, SubsetRandomSampler

from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.train.batches.batch import Batch
from snntx.train.batches.loader import FrameDataset, epoch_batches
from snntx.train.batches.training import TrainingData
from snntx.train.recipe.whole import Recipe


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    seal = next((small_cache / "cache").glob("simulated-digits/*/SEALED"))
    return FrameCache(seal.parent)


@pytest.fixture
def data(cache: FrameCache) -> TrainingData:
    recipe = Recipe.of(model="nmnist", epochs=4, batch_size=8, crop_padding=2)
    return TrainingData(cache, recipe)


def same(a: Batch, b: Batch) -> bool:
    assert a.static is not None
    assert b.static is not None
    return (
        torch.equal(a.event, b.event)
        and torch.equal(a.static, b.static)
        and torch.equal(a.labels, b.labels)
        and a.replaced == b.replaced
    )


def test_workers_change_nothing(data: TrainingData) -> None:
    alone = list(epoch_batches(data, 2))
    assert len(alone) == data.batches >= 3
    for workers in (1, 2):
        helped = list(epoch_batches(data, 2, workers=workers))
        assert len(helped) == len(alone)
        assert all(same(a, b) for a, b in zip(alone, helped, strict=True))


def test_epochs_differ_and_equal_the_plain_iteration(data: TrainingData) -> None:
    first, second = list(epoch_batches(data, 0)), list(epoch_batches(data, 1))
    assert not all(same(a, b) for a, b in zip(first, second, strict=True))
    assert all(same(a, b) for a, b in zip(first, data.epoch(0), strict=True))


def test_a_dataset_serves_frames_and_labels_of_its_part(cache: FrameCache) -> None:
    indices = cache.split("holdout", "test")
    dataset = FrameDataset(cache, indices)
    assert len(dataset) == indices.size
    frames, label = dataset[1]
    np.testing.assert_array_equal(frames.numpy(), cache.frames(int(indices[1])))
    assert label == cache.labels[indices[1]]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_dataset_is_safe_in_workers(cache: FrameCache, method: str) -> None:
    cache.frames(0)  # an open handle in the parent must not reach the workers
    dataset = FrameDataset(cache, np.arange(len(cache)))
    loader = DataLoader(dataset, batch_size=7, num_workers=2, multiprocessing_context=method)
    frames = torch.cat([batch[0] for batch in loader])
    np.testing.assert_array_equal(frames.numpy(), cache.frames(np.arange(len(cache))))


def test_a_shuffled_epoch_is_a_true_permutation(cache: FrameCache) -> None:
    dataset = FrameDataset(cache, np.arange(len(cache)))
    sampler = SubsetRandomSampler(range(len(dataset)), torch.Generator().manual_seed(0))
    labels = [y for _, y in (dataset[i] for i in sampler)]
    assert sorted(labels) == sorted(cache.labels.tolist())


def test_a_batch_is_read_in_one_call(cache: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    frames = FrameCache.frames

    def counted(self: FrameCache, which: list[int]) -> NDArray[np.float32]:
        calls.append(len(which))
        return frames(self, which)

    monkeypatch.setattr(FrameCache, "frames", counted)
    list(DataLoader(FrameDataset(cache, np.arange(10)), batch_size=5))
    assert calls == [5, 5]
