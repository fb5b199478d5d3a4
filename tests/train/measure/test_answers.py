"""What a network answers, and how early: against its own logits, step by step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from snntx.data_cards import load_card
from snntx.preprocess.cache.contents import SealedCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.measure.answers import answers
from snntx.train.measure.metrics import clip_logits
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel

CPU = torch.device("cpu")


@pytest.fixture
def cache(small_cache: Path) -> SealedCache:
    return open_cache(small_cache / "cache", load_card("simulated-digits"), steps=3, size=None)


@pytest.fixture
def model() -> TransferModel:
    torch.manual_seed(0)
    return create_model("nmnist", num_classes=10, steps=3, width=0.25)


def test_answers_are_the_means_over_the_first_steps(
    cache: SealedCache, model: TransferModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snntx.train.measure.metrics.BATCH", 7)  # several batches
    recordings = np.arange(20)
    labels = cache.labels[recordings]
    found = answers(model, cache, recordings, labels, CPU)
    assert torch.equal(found.logits, clip_logits(model, cache, recordings, CPU))
    with torch.inference_mode():
        steps = model.forward_event(torch.from_numpy(cache.frames(recordings))).double().numpy()
    for t in range(3):
        mean = steps[: t + 1].mean(0)
        expected = [
            next(c for c in range(10) if row[c] == row.max()) == label
            for row, label in zip(mean, labels, strict=True)
        ]
        assert found.right_by_step[:, t].tolist() == expected
    assert found.by_step == pytest.approx(found.right_by_step.mean(0))
    assert found.by_step[-1] == (found.predicted == labels).mean()
    np.testing.assert_allclose(
        found.probabilities, F.softmax(found.logits[:, 0].double(), 1).numpy()
    )


def test_of_equal_logits_the_first_class_is_the_answer(
    cache: SealedCache, model: TransferModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "forward_event", lambda frames: torch.zeros(3, len(frames), 10))
    recordings = np.arange(12)
    labels = cache.labels[recordings]
    found = answers(model, cache, recordings, labels, CPU)
    assert not found.predicted.any()
    assert found.by_step == ((labels == 0).mean(),) * 3


def test_frames_are_changed_first(cache: SealedCache, model: TransferModel) -> None:
    seen = []

    def empty(recordings: np.ndarray, clips: np.ndarray) -> np.ndarray:
        seen.extend(recordings.tolist())
        assert clips.shape[:2] == (len(recordings), 1)
        return np.zeros_like(clips)

    found = answers(model, cache, np.arange(5), cache.labels[:5], CPU, empty)
    assert seen == [0, 1, 2, 3, 4]
    assert (found.logits == found.logits[:1]).all()
