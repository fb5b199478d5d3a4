"""``snntx diagnose``: a run's branches on twins, its first weights, its log."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess.cache.contents import SealedCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.assess import elsewhere
from snntx.train.batches.images import shown_images
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.insight import pairs
from snntx.train.insight.diagnostics import diagnose_run, first_weights
from snntx.train.method.choice import make_method
from snntx.train.method.losses import TransferLoss
from snntx.train.run.running import Running

CARD, CPU = "simulated-digits", torch.device("cpu")
SETTINGS = (
    "steps=3", "epochs=2", "batch_size=16", "lr=0.1", "draws_per_epoch=0", "width=0.25",
    "recordings_per_class=0", "tensorboard=false", "regularization=true", "backend=torch",
)  # fmt: skip


def train(out: Path, small_cache: Path, *more: str) -> Path:
    words = [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]
    root = str(small_cache / "cache")
    assert run(["train", CARD, "--cache", root, "--out", str(out), "--device", "cpu", *words]) == 0
    return out


@pytest.fixture(scope="module")
def first_state() -> dict[str, Tensor]:
    """The weights with which training took its first step; filled by :func:`trained`."""
    return {}


@pytest.fixture(scope="module")
def trained(
    small_cache: Path, tmp_path_factory: pytest.TempPathFactory, first_state: dict[str, Tensor]
) -> Path:
    step = Running.step

    def watched(self: Running, batch: Any) -> Any:
        if not first_state:
            state = self.model.state_dict()
            first_state.update({name: value.clone() for name, value in state.items()})
        return step(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Running, "step", watched)
        return train(tmp_path_factory.mktemp("diagnose") / "run", small_cache)


@pytest.fixture
def cache(small_cache: Path) -> SealedCache:
    return open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)


def test_the_first_weights_are_those_of_training(
    trained: Path, first_state: dict[str, Tensor]
) -> None:
    checkpoint = load_checkpoint(trained / "best.pt")
    drawn = torch.get_rng_state()
    found = first_weights(checkpoint, make_method(checkpoint.recipe)).model.state_dict()
    assert found.keys() == first_state.keys()
    assert all(torch.equal(value, first_state[name]) for name, value in found.items())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_terms_are_the_losss_on_twins(trained: Path, small_cache: Path, cache: SealedCache) -> None:
    found = diagnose_run(trained, small_cache / "cache", CPU, part="validation")
    checkpoint = load_checkpoint(trained / "best.pt")
    recordings = cache.split("holdout", "validation")
    order = recordings[np.random.default_rng(0).permutation(len(recordings))]
    images = shown_images(cache, checkpoint.recipe, cache.index.twin[order])
    static = images[:, None, None].expand(-1, 3, 2, -1, -1)
    event = torch.from_numpy(cache.frames(order))
    labels = torch.from_numpy(cache.labels[order])
    objective = first_weights(checkpoint, make_method(checkpoint.recipe))
    for told, model in (
        (found.before, objective.model),
        (found.after, checkpoint.build_model(CPU)),
    ):
        with torch.no_grad():
            output = model.train()(static, event)
            terms = TransferLoss()(output, labels, model.coefficient)
        assert told is not None
        assert told["domain"] == pytest.approx(float(terms.domain), rel=1e-5)
        assert told["static"] == pytest.approx(float(terms.static), rel=1e-5)
        assert told["event"] == pytest.approx(float(terms.event), rel=1e-5)
        cka = [told[f"cka.{step}"] for step in range(3)]
        assert cka == pytest.approx(terms.cka.tolist(), rel=1e-5)
    assert found.before != found.after
    assert found.twins == found.alignment.pairs == len(recordings)
    count = len(recordings)
    assert found.notes == (f"{count} of these {count} recordings it was chosen on",)


def test_of_more_twins_some_are_drawn_and_that_is_said(trained: Path, small_cache: Path) -> None:
    one, two = (diagnose_run(trained, small_cache / "cache", CPU, most=5) for _ in range(2))
    assert one == two
    assert one.alignment.pairs == 5
    assert f"5 of {one.twins} twins, drawn" in one.notes


def test_a_method_without_images_has_no_distance(small_cache: Path, tmp_path: Path) -> None:
    out = train(tmp_path / "run", small_cache, "method=event-only", "epochs=1")
    found = diagnose_run(out, small_cache / "cache", CPU)
    assert found.before is None
    assert found.after is None
    assert "method event-only shows no image beside a recording" in found.notes[-1]
    assert found.alignment.pairs == found.twins


def test_first_weights_of_a_file_that_is_gone_are_left_out(
    trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    assert run(["export", str(trained), "--to", "safetensors", "--out", str(weights)]) == 0
    out = train(tmp_path / "run", small_cache, f"initial={weights}", "epochs=1")
    there = diagnose_run(out, small_cache / "cache", CPU)
    assert there.before is not None
    after = diagnose_run(trained, small_cache / "cache", CPU).after
    assert after is not None
    assert there.before["domain"] == after["domain"]  # it began where the other ended
    weights.unlink()
    found = diagnose_run(out, small_cache / "cache", CPU)
    assert found.before is None
    assert found.after == there.after
    assert "the weights that the run began with cannot be had again" in found.notes[-1]
    assert str(weights) in found.notes[-1]


def test_images_that_move_are_shown_as_in_tests(small_cache: Path, tmp_path: Path) -> None:
    out = train(tmp_path / "run", small_cache, "static_view=i2e", "epochs=1")
    found = diagnose_run(out, small_cache / "cache", CPU)
    assert found.after is not None
    still = train(tmp_path / "still", small_cache, "epochs=1")
    assert found.before != diagnose_run(still, small_cache / "cache", CPU).before


def test_an_export_without_heads_says_so(small_cache: Path, tmp_path: Path) -> None:
    out = train(tmp_path / "run", small_cache, "method=time-mixup", "epochs=1")
    found = diagnose_run(out, small_cache / "cache", CPU)
    assert found.after is not None
    assert {"domain", "modality", "mix_ratio"} < found.after.keys()
    weights = tmp_path / "weights.safetensors"
    assert run(["export", str(out), "--to", "safetensors", "--out", str(weights)]) == 0
    export = diagnose_run(weights, small_cache / "cache", CPU)
    assert export.after is None
    assert "an export has no weights of what is trained beside the network" in export.notes[-1]
    assert export.alignment == found.alignment


def test_too_few_twins_are_refused(
    trained: Path, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = elsewhere.measured_on

    def without(*arguments: Any) -> Any:
        on = measured(*arguments)
        on.cache.index.twin[:] = -1
        return on

    monkeypatch.setattr(pairs, "measured_on", without)
    with pytest.raises(UsageError, match=r"0 of \d+ test recordings have a static twin, and 4"):
        diagnose_run(trained, small_cache / "cache", CPU)


# from outside


def test_json_is_whole(
    trained: Path, small_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["diagnose", str(trained), "--cache", str(small_cache / "cache"), "--device", "cpu"]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = diagnose_run(trained, small_cache / "cache", CPU)
    assert told.pop("trajectories")["epochs"] == [1, 2]
    assert told == json.loads(json.dumps(dataclasses.asdict(found)))


def test_it_is_drawn(trained: Path, small_cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["diagnose", str(trained), "--cache", str(small_cache / "cache"), "--device", "cpu"]
    picture = tmp_path / "new" / "run.png"
    assert run([*words, "--plot", str(picture)]) == 0
    with Image.open(picture) as image:
        colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 100
    alone = tmp_path / "alone.png"
    words[1] = str(trained / "best.pt")
    assert run([*words, "--plot", str(alone)]) == 0
    assert alone.stat().st_size > 0


def test_another_suffix_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diagnose", "nowhere", "--plot", str(tmp_path / "x.jpg")]) == 2
    assert "the name has to end with .png" in capsys.readouterr().err
