"""Fine-tuning starts from an earlier run's weights, whole or not at all."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.errors import SnntxError, UsageError
from snntx.preprocess.framing.options import FrameOptions
from snntx.tests import published_files as files
from snntx.train.checkpoints.export import export
from snntx.train.checkpoints.initialise import initial_weights
from snntx.train.checkpoints.reference import reference_view
from snntx.train.checkpoints.state import Checkpoint, load_checkpoint, save_checkpoint
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel
from snntx.train.recipe.whole import Recipe

CARD = "simulated-digits"
NAMES = [str(digit) for digit in range(10)]


def make(seed: int, name: str = "nmnist", classes: int = 10, **options: Any) -> TransferModel:
    torch.manual_seed(seed)
    model = create_model(name, num_classes=classes, steps=3, width=0.25, **options)
    with torch.no_grad():  # running statistics and coefficients of its own
        for tensor in model.state_dict().values():
            tensor.add_(torch.rand(tensor.shape) if tensor.is_floating_point() else seed)
    return model


def checkpoint_of(model: TransferModel, classes: list[str], **recipe: Any) -> Checkpoint:
    return Checkpoint(
        recipe=Recipe.of(model=model.name, epochs=2, steps=3, width=0.25, **recipe),
        card=CARD,
        cache_key="0123456789abcdef",
        classes=classes,
        event_format="atis",
        sort=False,
        frames=FrameOptions(steps=3, size=None, sensor=model.size),
        epoch=1,
        validation={"part": "validation", "top1": 0.5, "top5": 1.0, "loss": 1.25},
        best={"epoch": 1, "part": "validation", "top1": 0.5, "top5": 1.0, "loss": 1.25},
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
    path = {"run": run, "checkpoint": run / "best.pt"}.get(how, tmp_path / "exported")
    if how == "export":
        export(load_checkpoint(run / "best.pt"), "safetensors", path)
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


def voting(name: str, model: TransferModel) -> set[str]:
    """Names of a voting head's tensors."""
    return {each for each in model.state_dict() if each.startswith(f"{name}.")}


def test_voting_heads_of_other_classes_stay_fresh(tmp_path: Path) -> None:
    source = make(1, "nmnist-published", classes=7)
    heads = voting("static_head", source) | voting("event_head", source)
    assert "event_head.linear.weight" in heads
    lines = [
        f"{head}: left fresh, the source tells 7 classes apart, this run 10"
        for head in ("static_head", "event_head")
    ]
    state = files.state_of(source)
    bare, theirs = tmp_path / "a.pth", tmp_path / "b.pth"
    export(checkpoint_of(source, NAMES[:7]), "torch", bare)
    torch.save(state, theirs)
    for path in (save(tmp_path / "run", source, NAMES[:7]), bare, theirs):
        model = make(2, "nmnist-published")
        own = values(model)
        assert initial_weights(model, path) == lines
        found = values(model)
        assert differing(found, own) == own.keys() - heads
        assert all(torch.equal(found[n], t) for n, t in values(source).items() if n not in heads)


def test_voting_heads_start_from_a_static_only_run(tmp_path: Path) -> None:
    source, model = make(1, "nmnist-published"), make(2, "nmnist-published")
    run = save(tmp_path / "run", source, branch="static")
    notes = initial_weights(model, run, classes=NAMES)
    assert notes == ["event_head: from the source's static_head, the only one that it trained"]
    for leaf in ("linear.weight", "linear.bias"):
        found = model.state_dict()[f"event_head.{leaf}"]
        assert torch.equal(found, source.state_dict()[f"static_head.{leaf}"])
    assert differing(values(model), values(source)) == voting("event_head", model)


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
    assert torch.equal(
        model.state_dict()["event_head.weight"], source.state_dict()["static_head.weight"]
    )
    assert torch.equal(
        model.state_dict()["event_head.bias"], source.state_dict()["static_head.bias"]
    )
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
    with pytest.raises(UsageError, match=r"none\.pth\.tar: no such run directory or checkpoint"):
        initial_weights(make(1), tmp_path / "none.pth.tar")
    (tmp_path / "a.pt").write_text("text")
    with pytest.raises(SnntxError, match=r"a\.pt: not a readable checkpoint"):
        initial_weights(make(1), tmp_path / "a.pt")


# from weights alone


def bare(path: Path, model: TransferModel) -> Path:
    """Weights by name and nothing else, as ``torch.save`` of a dictionary writes them."""
    torch.save(dict(checkpoint_of(model, NAMES).model), path)
    return path


def test_a_plain_state_is_taken_by_number(tmp_path: Path) -> None:
    source, model = make(1), make(2)
    notes = initial_weights(model, bare(tmp_path / "a.weights.pt", source), classes=NAMES)
    assert notes == [
        f"{head}: copied class by class as numbered, the source names none"
        for head in ("static_head", "event_head")
    ]
    assert differing(values(model), values(source)) == set()


def test_heads_of_a_plain_state_of_other_classes_stay_fresh(tmp_path: Path) -> None:
    source, model = make(1, classes=7), make(2)
    own = values(model)
    notes = initial_weights(model, bare(tmp_path / "a.pth", source), classes=NAMES)
    assert [note.partition(",")[0] for note in notes] == [
        "static_head: left fresh",
        "event_head: left fresh",
    ]
    assert differing(values(model), own) == own.keys() - HEADS


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.nn.Linear(2, 3).state_dict(), "do not fit this recipe's network: missing coeff"),
        (make(1, "scnn").state_dict(), "missing event_head.bias, missing event_head.weight"),
        (make(1, size=(28, 28)).state_dict(), "hidden.linear.weight (64, 392) instead of"),
    ],
)
def test_a_plain_state_of_another_network(
    source: dict[str, Tensor], message: str, tmp_path: Path
) -> None:
    path, model = tmp_path / "a.pt", make(2)
    torch.save(source, path)
    before = values(model)
    with pytest.raises(UsageError) as caught:
        initial_weights(model, path)
    assert str(caught.value).startswith(f"{path}: its weights ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert differing(values(model), before) == set()


def test_a_state_by_the_reference_names(tmp_path: Path) -> None:
    _, state = published(tmp_path / "a.pth.tar")
    torch.save(state, tmp_path / "bare.pt")
    model = fresh()
    assert initial_weights(model, tmp_path / "bare.pt") == []
    view = reference_view(model, model.state_dict())
    assert all(torch.equal(tensor, state[name]) for name, tensor in view.items())


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
