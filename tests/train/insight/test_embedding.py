"""Both branches' features in a plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.manifold import TSNE

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.draw.features import draw_features
from snntx.preprocess.cache.opening import open_cache
from snntx.train.batches.images import shown_images
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.insight.embedding import Embedding, embed_run

CARD, CPU = "simulated-digits", torch.device("cpu")


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("embedding") / "run"
    settings = ("steps=3", "epochs=1", "batch_size=16", "width=0.25", "tensorboard=false")
    words = [word for setting in settings for word in ("--set", setting)]
    root = str(small_cache / "cache")
    assert run(["train", CARD, "--cache", root, "--out", str(out), "--device", "cpu", *words]) == 0
    return out


def test_points_are_those_of_both_branches_features(trained: Path, small_cache: Path) -> None:
    found = embed_run(trained, small_cache / "cache", CPU)
    cache = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    checkpoint = load_checkpoint(trained / "best.pt")
    recordings = cache.split("holdout", "test")
    count = len(recordings)
    order = recordings[np.random.default_rng(0).permutation(count)]
    images = shown_images(cache, checkpoint.recipe, cache.index.twin[order])
    with torch.inference_mode():
        output = checkpoint.build_model(CPU)(
            images[:, None, None].expand(-1, 3, 2, -1, -1),
            torch.from_numpy(cache.frames(order)),
            torch.ones(count, dtype=torch.bool),
        )
    features = torch.cat([output.static_features.mean(0), output.event_features.mean(0)])
    perplexity = min(30.0, 2 * count / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=0)
    expected = tsne.fit_transform(features.numpy())
    assert found.perplexity == perplexity
    np.testing.assert_array_equal(found.labels, cache.labels[order])
    np.testing.assert_allclose(found.static, expected[:count], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.event, expected[count:], rtol=1e-3, atol=1e-3)


def test_it_is_drawn(trained: Path, small_cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["diagnose", str(trained), "--cache", str(small_cache / "cache"), "--device", "cpu"]
    picture = tmp_path / "new" / "run.png"
    assert run([*words, "--features", str(picture)]) == 0
    with Image.open(picture) as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_a_hundred_classes_with_signs_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    points = np.random.default_rng(0).random((2, 200, 2)).astype(np.float32)
    names = tuple(f"$x^{n}\n\x1b[31m" for n in range(100))
    labels = np.arange(200) % 100
    found = Embedding("runs/x/best.pt", "test", points[0], points[1], labels, names, 30.0)
    draw_features(found, tmp_path / "many.png")
    assert (tmp_path / "many.png").stat().st_size > 0


def test_another_suffix_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", "nowhere", "--features", str(tmp_path / "x.jpg")]) == 2
    assert "--features" in capsys.readouterr().err
