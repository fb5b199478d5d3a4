"""Values that cannot be: refused before the run directory is looked at, with what would do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe
from snntx.train.run.distributed import Group
from snntx.train.run.fit import train
from snntx.train.run.objective import chosen_backend
from snntx.train.run.values import check_shares

CARD = "simulated-digits"


def recipe(**settings: object) -> Recipe:
    return Recipe.of(model="nmnist", epochs=1, **settings)


@pytest.mark.parametrize(
    ("batch", "cuts", "things", "processes", "message"),
    [
        (
            16, 1, 100, 3,
            "a batch of 16 cannot be shared by 3 processes in equal parts; set batch_size=15",
        ),
        (
            16, 8, 10, 1,
            "a batch of 10 (there are no more for batch_size = 16) cut into 8 micro-batches leaves "
            "fewer than two samples to each, and norms are over them; set accumulate=5",
        ),
        (
            16, 4, 100, 4,
            "a batch of 16 shared by 4 processes and cut into 4 micro-batches leaves fewer than "
            "two samples to each, and norms are over them; set accumulate=2 or batch_size=32",
        ),
        (
            4, 1, 100, 4,
            "a batch of 4 shared by 4 processes leaves fewer than two samples to each, and norms "
            "are over them; set batch_size=8",
        ),
        (
            16, 1, 7, 4,
            "a batch of 7 (there are no more for batch_size = 16) shared by 4 processes leaves "
            "fewer than two samples to each, and norms are over them; set accumulate=1 and "
            "--nproc-per-node 1",
        ),
    ],
)  # fmt: skip
def test_a_batch_that_leaves_one_sample_names_what_would_do(
    batch: int, cuts: int, things: int, processes: int, message: str
) -> None:
    chosen = recipe(batch_size=batch, accumulate=cuts)
    with pytest.raises(UsageError) as caught:
        check_shares(chosen, things, processes)
    assert str(caught.value) == message
    for name, value in re.findall(r"(batch_size|accumulate)=(\d+)", message):
        count = re.search(r"--nproc-per-node (\d+)", message)
        mended = chosen.changed(**{name: int(value)})
        check_shares(mended, things, int(count[1]) if count else processes)


def test_batches_that_can_be_shared() -> None:
    check_shares(recipe(batch_size=16, accumulate=4), 100, 2)
    check_shares(recipe(batch_size=16), 7, 1)
    check_shares(recipe(batch_size=16, accumulate=3), 100, 1)


@pytest.mark.parametrize(
    ("cuts", "things", "processes", "draws", "message"),
    [
        (1, 33, 1, 0, "an epoch of 33 with a batch of 1, but norms are over two samples or more"),
        (1, 35, 2, 0, "an epoch of 35 with a batch of 3, but for 2 processes and 1 micro-batches"),
        (4, 39, 1, 0, "an epoch of 39 with a batch of 7, but for 1 processes and 4 micro-batches"),
        (1, 32, 1, 65, "an epoch of 65 with a batch of 1, but norms"),
    ],
)
def test_a_last_batch_that_is_too_small(
    cuts: int, things: int, processes: int, draws: int, message: str
) -> None:
    kept = recipe(batch_size=16, accumulate=cuts, draws_per_epoch=draws, last_batch="keep")
    with pytest.raises(UsageError, match=f"{message}.*; set last_batch=drop$"):
        check_shares(kept, things, processes)
    check_shares(kept.changed(last_batch="drop"), things, processes)


def test_last_batches_that_will_do() -> None:
    for things, cuts, processes in ((34, 1, 1), (32, 1, 1), (36, 1, 2), (40, 4, 1), (7, 1, 1)):
        check_shares(recipe(batch_size=16, accumulate=cuts, last_batch="keep"), things, processes)


def test_too_many_micro_batches_name_two_ways() -> None:
    with pytest.raises(UsageError, match="set accumulate=4 or batch_size=10") as caught:
        recipe(batch_size=8, accumulate=5)
    for name, value in re.findall(r"(batch_size|accumulate)=(\d+)", str(caught.value)):
        recipe(**{"batch_size": 8, "accumulate": 5, name: int(value)})


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("protocol=papper", "unknown protocol 'papper'; did you mean 'paper'"),
        ("accumulate=8", "set accumulate=5"),
    ],
)
def test_values_come_before_the_directory(
    cache: FrameCache, tmp_path: Path, setting: str, message: str
) -> None:
    out = tmp_path / "taken"
    out.write_text("a file")
    settings = ["batch_size=16", "recordings_per_class=1", setting]
    chosen = load_recipe(load_card(CARD), settings=settings)
    with pytest.raises(UsageError, match=message):
        train(load_card(CARD), cache, chosen, out, device=torch.device("cpu"), group=Group())


def test_triton_computes_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(UsageError) as caught:
        chosen_backend(recipe(backend="triton"), torch.device("cpu"))
    assert str(caught.value) == (
        "backend = triton computes on CUDA, not on the CPU; set backend=auto, or backend=numba, or "
        "--device cuda where there is one"
    )
    for name in ("auto", "numba"):
        assert chosen_backend(recipe(backend=name), torch.device("cpu")) == "numba"
