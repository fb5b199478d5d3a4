"""Fine-tuning starts from an earlier run's weights, whole or not at all; static-only pieces."""

import argparse
import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.preprocess.framing.options import FrameOptions
from snntx.train.assess.evaluate import measure
from snntx.train.batches.images import static_channel
from snntx.train.batches.loader import epoch_batches
from snntx.train.batches.static_only import (
    StaticOnlyData,
    StaticSelection,
    evaluate_static,
    static_selection,
)
from snntx.train.checkpoints.export import export
from snntx.train.checkpoints.initialise import initial_weights
from snntx.train.checkpoints.reference import reference_view
from snntx.train.checkpoints.state import Checkpoint, save_checkpoint
from snntx.train.method.losses import event_loss
from snntx.train.method.static_only import shown, static_only_terms
from snntx.train.network.create import TransferModel, create_model
from snntx.train.recipe.whole import Recipe

CARD = "simulated-digits"
CPU = torch.device("cpu")
NAMES = [str(digit) for digit in range(10)]


def _files() -> ModuleType:
    path = Path(__file__).parents[2] / "published_files.py"
    spec = importlib.util.spec_from_file_location("published_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = _files()


def make(seed: int, name: str = "nmnist", classes: int = 10, **options: Any) -> TransferModel:
    torch.manual_seed(seed)
    model = create_model(name, num_classes=classes, steps=3, width=0.25, **options)
    with torch.no_grad():  # running statistics and coefficients of its own
        for tensor in model.state_dict().values():
            tensor.add_(torch.rand(tensor.shape) if tensor.is_floating_point() else seed)
    return model


def checkpoint_of(model: TransferModel, classes: list[str], **recipe: Any) -> Checkpoint:
    return Checkpoint(
        recipe=Recipe(model=model.name, epochs=2, steps=3, width=0.25, **recipe),
        card=CARD,
        cache_key="0123456789abcdef",
        classes=classes,
        event_format="atis",
        sort=False,
        frames=FrameOptions(steps=3, size=None, sensor=model.size),
        epoch=1,
        validation={"part": "validation", "top1": 0.5, "top5": 1.0, "loss": 1.25},
        best={"epoch": 0, "part": "validation", "top1": 0.5, "top5": 1.0, "loss": 1.25},
        model=model.state_dict(),
        optimizer={},
        scaler={},
        auxiliary={},
        average={},
        batch=0,
        sums={},
        rng=torch.get_rng_state(),
    )


def save(folder: Path, model: TransferModel, classes: list[str] = NAMES, **recipe: Any) -> Path:
    folder.mkdir(exist_ok=True)
    save_checkpoint(folder / "best.pt", checkpoint_of(model, classes, **recipe))
    return folder


def values(model: TransferModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> set[str]:
    assert a.keys() == b.keys()
    return {name for name in a if not torch.equal(a[name], b[name])}


# from one of ours


@pytest.mark.parametrize("how", ["run", "checkpoint", "export"])
def test_every_tensor_is_copied(how: str, tmp_path: Path) -> None:
    source, model = make(1), make(2)
    run = save(tmp_path / "run", source)
    path = {"run": run, "checkpoint": run / "best.pt"}.get(how) or export(run, "safetensors")
    wanted = values(source)
    assert "hidden.norm.running_var" in differing(values(model), wanted)
    assert initial_weights(model, path, classes=NAMES) == []
    assert differing(values(model), wanted) == set()


HEADS = {f"{head}.{leaf}" for head in ("static_head", "event_head") for leaf in ("weight", "bias")}


def test_heads_of_other_classes_stay_fresh(tmp_path: Path) -> None:
    source, model = make(1, classes=7), make(2)
    own = values(model)
    notes = initial_weights(model, save(tmp_path / "run", source, NAMES[:7]))
    assert notes == [
        "static_head: left fresh, the source tells 7 classes apart, this run 10",
        "event_head: left fresh, the source tells 7 classes apart, this run 10",
    ]
    found = values(model)
    assert differing(found, own) == own.keys() - HEADS
    assert all(torch.equal(found[n], t) for n, t in values(source).items() if n not in HEADS)


def test_heads_of_as_many_other_classes_stay_fresh(tmp_path: Path) -> None:
    source, model = make(1), make(2)
    own, run = values(model), save(tmp_path / "run", source, [*NAMES[:8], "9", "8"])
    (note, _) = initial_weights(model, run, classes=NAMES)
    assert note == "static_head: left fresh, the source has class '9' where this run has '8'"
    assert differing(values(model), own) == own.keys() - HEADS
    assert initial_weights(model, run) == []  # by number, where no names are given


def test_a_shared_head(tmp_path: Path) -> None:
    source, model = make(1, "scnn", classes=4), make(2, "scnn", classes=5)
    own = values(model)
    (note,) = initial_weights(model, save(tmp_path / "run", source, NAMES[:4]))
    assert note.startswith("shared_head: left fresh")
    heads = {"shared_head.weight", "shared_head.bias"}
    assert differing(values(model), own) == own.keys() - heads


def test_both_heads_start_from_a_static_only_run(tmp_path: Path) -> None:
    source, model = make(1), make(2)
    run = save(tmp_path / "run", source, branch="static")
    notes = initial_weights(model, run, classes=NAMES)
    assert notes == ["event_head: from the source's static_head, the only one that it trained"]
    assert torch.equal(model.event_head.weight, source.static_head.weight)
    assert torch.equal(model.event_head.bias, source.static_head.bias)
    event = {"event_head.weight", "event_head.bias"}
    assert differing(values(model), values(source)) == event


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "scnn"}, "holds the weights of model nmnist, not of scnn"),
        ({"norm": "none"}, "unexpected first.norm.running_mean"),
        ({"size": (28, 28)}, "hidden.linear.weight (64, 512) instead of (64, 392)"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_copied(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    run, model = save(tmp_path / "run", make(1)), make(2, **options)
    before = values(model)
    with pytest.raises(UsageError) as caught:
        initial_weights(model, run)
    assert str(caught.value).startswith(f"{run}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert differing(values(model), before) == set()


def test_other_steps_do_not_fit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model("nmnist", num_classes=10, steps=4, width=0.25)
    with pytest.raises(UsageError, match=r"coefficient \(3,\) instead of \(4,\)"):
        initial_weights(model, save(tmp_path / "run", make(1)))


def test_no_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such run directory or checkpoint"):
        initial_weights(make(1), tmp_path / "none")
    with pytest.raises(UsageError, match=r"none\.pth\.tar: no such checkpoint"):
        initial_weights(make(1), tmp_path / "none.pth.tar")
    (tmp_path / "a.pt").write_text("text")
    with pytest.raises(SnntxError, match=r"a\.pt: not a readable checkpoint"):
        initial_weights(make(1), tmp_path / "a.pt")


# from a published one


def published(path: Path, **changes: Any) -> tuple[Path, dict[str, Tensor]]:
    torch.manual_seed(4)
    options: dict[str, Any] = {"num_classes": 10, "steps": 3, "size": (34, 34)} | changes
    state = files.state_of(create_model("scnn", **options))
    return files.write(path, state, argparse.Namespace(act_fun="BackEIGateGrad")), state


def fresh(**changes: Any) -> TransferModel:
    torch.manual_seed(5)
    options: dict[str, Any] = {"name": "scnn", "num_classes": 10, "steps": 3, "size": (34, 34)}
    options |= changes
    return create_model(**options)


@pytest.mark.parametrize("classes", [10, 12])
def test_from_a_published_checkpoint(classes: int, tmp_path: Path) -> None:
    path, state = published(tmp_path / "a.pth.tar", num_classes=classes)
    model = fresh()
    head = model.get_parameter("shared_head.weight").clone()
    notes = initial_weights(model, path, classes=NAMES)
    kept = {name for name in state if not name.startswith("fc2.")}
    view = reference_view(model, model.state_dict())
    assert all(torch.equal(view[name], state[name]) for name in kept & view.keys())
    assert len(kept & view.keys()) == 7  # two convolutions, a linear map, three coefficients
    if classes == 10:
        assert notes == []
        assert torch.equal(view["fc2.weight"], state["fc2.weight"])
    else:
        assert notes == ["shared_head: left fresh, the source tells 12 classes apart, this run 10"]
        assert torch.equal(model.get_parameter("shared_head.weight"), head)


@pytest.mark.parametrize(
    ("source", "own", "message"),
    [
        ({}, {"name": "nmnist"}, "holds the weights of model scnn, not of nmnist"),
        ({"steps": 4}, {}, "was trained with steps = 4, not 3"),
        ({"threshold": 0.3}, {}, "was trained with threshold = 0.3, not 0.5"),
        ({}, {"alpha": 1.0}, "was trained with surrogate_alpha = 2, not 1"),
        ({"size": (28, 28)}, {}, "fc1.weight (300, 640) instead of (300, 1000)"),
    ],
)
def test_a_published_checkpoint_that_does_not_fit(
    source: dict[str, Any], own: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (path, _), model = published(tmp_path / "a.pth.tar", **source), fresh(**own)
    before = values(model)
    with pytest.raises(UsageError) as caught:
        initial_weights(model, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert differing(values(model), before) == set()


# static images alone


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    return open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)


def recipe(**changes: Any) -> Recipe:
    settings: dict[str, Any] = {"model": "nmnist", "epochs": 2, "batch_size": 8, "seed": 3}
    return Recipe(**(settings | changes))


def test_an_image_is_shown_at_every_step_in_both_polarities() -> None:
    images = torch.rand(2, 4, 5)
    frames = shown(images, 3)
    assert frames.shape == (2, 3, 2, 4, 5)
    assert all(torch.equal(frames[:, t, p], images) for t in range(3) for p in range(2))
    assert frames.untyped_storage().data_ptr() == images.untyped_storage().data_ptr()


@pytest.mark.parametrize("protocol", ["holdout", "paper"])
def test_batches_are_the_training_statics_with_their_labels(
    cache: FrameCache, protocol: str
) -> None:
    data = StaticOnlyData(cache, recipe(protocol=protocol, balanced=False))
    train = cache.static_split(protocol, "train")
    images = static_channel(cache.static_images(), list(cache.index.planes), "V")
    seen = []
    order = data.order(0)
    for number, batch in enumerate(data.epoch(0)):
        chosen = train[order[number * 8 :][:8]]
        seen += chosen.tolist()
        assert batch.static is not None
        assert batch.constant is not None
        assert torch.equal(batch.static, shown(images[torch.from_numpy(chosen)], 3))
        assert batch.labels.tolist() == cache.index.static_label[chosen].tolist()
        assert bool(batch.constant.all())
        assert batch.replaced == 0
        assert batch.event.shape == (8, 0)
        assert [len(part.labels) for part in batch.split(2)] == [4, 4]
    assert len(seen) == len(set(seen)) == data.batches * 8 > 8
    held = set(cache.index.twin[cache.split(protocol, "test")].tolist())
    assert held
    assert not held & set(seen)


def test_orders_differ_by_epoch_and_seed_and_are_balanced(cache: FrameCache) -> None:
    data = StaticOnlyData(cache, recipe(draws_per_epoch=4000))
    order = data.order(0)
    assert order.tolist() == StaticOnlyData(cache, recipe(draws_per_epoch=4000)).order(0).tolist()
    assert order.tolist() != data.order(1).tolist()
    other = StaticOnlyData(cache, recipe(draws_per_epoch=4000, seed=4))
    assert order.tolist() != other.order(0).tolist()
    counts = np.bincount(data.labels[order])
    expected = 4000 / len(np.unique(data.labels))
    assert np.abs(counts[counts > 0] - expected).max() < 6 * expected**0.5


def test_the_loader_takes_them(cache: FrameCache) -> None:
    data = StaticOnlyData(cache, recipe())
    loaded = list(epoch_batches(data, 1))
    expected = list(data.epoch(1))
    assert len(loaded) == data.batches
    for found, batch in zip(loaded, expected, strict=True):
        assert torch.equal(found.labels, batch.labels)
        assert torch.equal(found.static, batch.static)  # type: ignore[arg-type]


def test_a_subset_of_the_statics(cache: FrameCache) -> None:
    some = cache.static_split("holdout", "train")[:5]
    data = StaticOnlyData(cache, recipe(), some)
    assert (data.batch_size, data.batches) == (5, 1)
    assert data.labels.tolist() == cache.index.static_label[some].tolist()
    with pytest.raises(SnntxError, match="leaves 1 static images to train on, need 2"):
        StaticOnlyData(cache, recipe(), some[:1])


def test_the_static_branch_is_the_models_own(cache: FrameCache) -> None:
    model = make(1).double().train(False)
    batch = next(StaticOnlyData(cache, recipe()).epoch(0))
    assert batch.static is not None
    static = batch.static.double()
    with torch.no_grad():
        expected = model(static, torch.rand_like(static), batch.constant).static_logits
        assert torch.equal(model.forward_static(static, batch.constant), expected)
        terms = static_only_terms(
            model, static, batch.labels, batch.constant, tet=False, label_smoothing=0.1
        )
    loss = event_loss(expected, batch.labels, tet=False, label_smoothing=0.1)
    assert terms["loss"].item() == terms["static"].item() == loss.item()
    right = expected.mean(0).argmax(1) == batch.labels
    assert terms["accuracy"].item() == right.double().mean().item()


def test_the_event_head_learns_nothing(cache: FrameCache) -> None:
    model = make(1).train()
    batch = next(StaticOnlyData(cache, recipe()).epoch(0))
    assert batch.static is not None
    terms = static_only_terms(model, batch.static, batch.labels, batch.constant)
    terms["loss"].backward()  # type: ignore[no-untyped-call]
    moved = {name for name, p in model.named_parameters() if p.grad is not None}
    assert {n for n, _ in model.named_parameters()} - moved == {
        "coefficient",
        "event_head.weight",
        "event_head.bias",
    }


@pytest.mark.parametrize(("protocol", "part"), [("holdout", "validation"), ("paper", "test")])
def test_the_epoch_is_chosen_on_the_twins_of_the_selection_part(
    cache: FrameCache, protocol: str, part: str
) -> None:
    found = static_selection(cache, recipe(protocol=protocol))
    twins = cache.index.twin[cache.split(protocol, part)]
    assert (found.part, found.kind) == (part, "static")
    assert found.indices.tolist() == sorted(set(twins.tolist()))


def test_or_on_its_recordings_where_there_is_no_image(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameCache, "static_split", lambda *_: np.array([], np.int64))
    found = static_selection(cache, recipe())
    assert (found.part, found.kind) == ("validation", "event")
    assert found.indices.tolist() == cache.split("holdout", "validation").tolist()


@pytest.mark.parametrize("kind", ["static", "event"])
def test_the_selection_is_measured_through_the_static_head(
    cache: FrameCache, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snntx.train.batches.static_only.BATCH", 3)
    model, indices = make(1), np.arange(7)
    selection = StaticSelection("validation", kind, indices)
    found = evaluate_static(model, cache, selection, recipe(channel="V"), CPU)
    assert not model.training
    if kind == "static":
        images = static_channel(cache.static_images(), list(cache.index.planes), "V")
        frames, labels = shown(images[:7], 3), cache.index.static_label[:7]
    else:
        frames, labels = torch.from_numpy(cache.frames(indices)), cache.labels[:7]
    with torch.no_grad():
        logits = model(frames, torch.rand(7, 3, 2, 34, 34)).static_logits.mean(0)
    expected = measure(logits, labels, cache.classes)
    assert dataclasses.replace(found, loss=0) == dataclasses.replace(expected, loss=0)
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
