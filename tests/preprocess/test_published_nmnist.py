"""N-MNIST as the published code reads it: frames and digits against numbers it gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.train.batches.images import shown_images
from snntx.train.batches.partners import Partners
from snntx.train.batches.views import Still
from snntx.train.recipe.sources import load_recipe

pytestmark = pytest.mark.real

RECORDINGS = 8
Golden = dict[str, NDArray[Any]]
Command = Callable[..., str]


@pytest.fixture(scope="module")
def golden(real: Path) -> Golden:
    path = real / "nmnist_preprocess.npz"
    if not path.is_file():
        pytest.skip(f"the published code's numbers for N-MNIST not found: {path}")
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture
def folders(real: Path, tmp_path: Path) -> list[str]:
    """The first eight recordings and the digits they show, each by a link to where it lies."""
    raw, static = tmp_path / "raw", tmp_path / "static"
    static.mkdir()
    (static / "train_first_100.csv").symlink_to(real / "mnist" / "train_first_100.csv")
    for number in range(1, RECORDINGS + 1):
        (found,) = (real / "n_mnist").glob(f"Train/*/{number:05d}.bin")
        link = raw / found.relative_to(real / "n_mnist")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(found)
    return ["--raw", str(raw), "--static", str(static), "--cache", str(tmp_path / "cache")]


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str]) -> Command:
    def command(*words: object) -> str:
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return command


@pytest.fixture
def cache(folders: list[str], snntx: Command) -> FrameCache:
    out = snntx("preprocess", "n-mnist", *folders, "--static-fit", "stretch", "--json")
    return FrameCache(json.loads(out)["directory"])


def numbers(identities: list[str]) -> list[int]:
    """Positions in the golden arrays, from 0."""
    return [int(identity.rpartition("/")[2]) - 1 for identity in identities]


def test_frames_and_digits(cache: FrameCache, golden: Golden) -> None:
    places = numbers(cache.identities)
    assert sorted(places) == list(range(RECORDINGS))
    np.testing.assert_array_equal(cache.frames(range(RECORDINGS)), golden["event_frames"][places])
    np.testing.assert_array_equal(cache.labels, golden["event_labels"][places])
    # of each recording the events after the last whole window are left out, one of these eight
    events = golden["event_count_total"][places]
    np.testing.assert_array_equal(cache.index.rows.events, events)
    np.testing.assert_array_equal(cache.frames(range(RECORDINGS)).sum((1, 2, 3, 4)), events - 1)

    recipe = load_recipe(load_card("n-mnist"), "published")
    digits = [list(cache.index.static_identity).index(f"Train/{n:05d}") for n in range(1, 9)]
    np.testing.assert_array_equal(cache.static_images()[digits][:, 0], golden["static_resized"])
    seen = shown_images(cache, recipe, np.array(digits))
    np.testing.assert_array_equal(seen.numpy(), golden["static_final"])
    batch = Still().frames(seen, 10, None)
    assert batch.shape == (8, 10, 2, 34, 34)
    np.testing.assert_array_equal(batch[:, 9, 1].numpy(), golden["static_final"])


def test_partners_are_all_digits_of_the_class(cache: FrameCache) -> None:
    recipe = load_recipe(load_card("n-mnist"), "published")
    recordings = cache.split("paper", "train")
    assert recordings.size == RECORDINGS
    partners = Partners(cache, recipe, recordings)
    labels = cache.labels[recordings[:1]]
    digits = np.flatnonzero(cache.index.static_label == labels[0])
    draws = (np.arange(10 * digits.size) + 0.5) / (10 * digits.size)
    found = [int(partners.choose(recordings[:1], labels, draw)[0]) for draw in draws[:, None]]
    assert sorted(found) == sorted(np.repeat(digits, 10).tolist())


def test_the_recipe_takes_the_images_it_asks_for(
    folders: list[str], snntx: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for link in list((tmp_path / "raw").glob("Train/*/*.bin"))[:3]:  # the epoch is chosen by Test
        other = tmp_path / "raw" / "Test" / link.parent.name / link.name
        other.parent.mkdir(parents=True, exist_ok=True)
        other.symlink_to(link.resolve())
    padded = json.loads(snntx("preprocess", "n-mnist", *folders, "--json"))["key"]
    small = ["--set", "width=0.02", "--set", "epochs=1", "--set", "batch_size=3"]
    out = tmp_path / "run"
    words = ["train", "n-mnist", *folders[-2:], "--recipe", "published", "--out", str(out), *small]
    assert run([*words, "--key", padded]) == 2
    assert "has static_fit = pad, but the recipe asks for static_fit = stretch" in (
        capsys.readouterr().err
    )
    assert run(words) == 1
    err = capsys.readouterr().err
    assert "recipe published of card n-mnist: the network and the preprocessing of the" in err
    assert "with frames (10, 2, 34, 34) and static_fit = stretch" in err
    advice = err.rpartition("make it with: snntx ")[2].split()
    assert advice[-2:] == ["--static-fit", "stretch"]
    for place, word in (("--raw", folders[1]), ("--static", folders[3])):
        advice[advice.index(place) + 1] = word
    stretched = json.loads(snntx(*advice, "--json"))["key"]
    assert stretched != padded
    snntx(*words)
    record = json.loads((out / "log.jsonl").read_text().splitlines()[0])
    assert record["selection"]["part"] == "test"
    result = json.loads(snntx("evaluate", out, *folders[-2:], "--json"))
    assert (result["cache_key"], result["recordings"]) == (stretched, 3)
    assert result["protocol"] == "paper"
