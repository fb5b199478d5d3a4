"""``snntx saliency``: what a run's branches saw, which recordings are chosen, and the picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.draw.saliency import DIMMED, STOPS, overlaid, saliency_png
from snntx.errors import UsageError
from snntx.preprocess.cache.opening import open_cache
from snntx.train.assess import elsewhere
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.insight import saliency
from snntx.train.insight.gradcam import grad_cam
from snntx.train.insight.saliency import Look, saliency_of

CARD, CPU = "simulated-digits", torch.device("cpu")
SETTINGS = (
    "steps=3", "epochs=1", "batch_size=16", "lr=0.1", "width=0.25", "recordings_per_class=0",
    "tensorboard=false", "backend=torch",
)  # fmt: skip


def train(out: Path, small_cache: Path, *more: str) -> Path:
    words = [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]
    given = [CARD, "--cache", str(small_cache / "cache"), "--out", str(out)]
    assert run(["train", *given, "--device", "cpu", *words]) == 0
    return out


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("saliency") / "run", small_cache)


def test_the_worst_and_the_best_are_chosen(trained: Path, small_cache: Path) -> None:
    cache = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    checkpoint = load_checkpoint(trained / "best.pt")
    places = cache.split("holdout", "test")
    with torch.no_grad():
        logits = checkpoint.build_model(CPU).forward_event(torch.from_numpy(cache.frames(places)))
    shares = logits.double().mean(0).softmax(1).numpy()
    own = [float(row[label]) for row, label in zip(shares, cache.labels[places], strict=True)]
    ranked = [cache.identities[places[i]] for i in np.argsort(own, kind="stable")]
    found = saliency_of(trained, "second", (), small_cache / "cache", CPU)
    assert [each.identity for each in found.recordings] == [*ranked[:3], *ranked[:-4:-1]]
    assert any("the 6 were chosen" in note for note in found.notes)


def test_both_branches_are_shown_their_own(trained: Path, small_cache: Path) -> None:
    found = saliency_of(trained, "second", (), small_cache / "cache", CPU)
    checkpoint = load_checkpoint(trained / "best.pt")
    model, classes = checkpoint.build_model(CPU), checkpoint.classes
    for each in found.recordings:
        for branch, look in (("event", each.event), ("static", each.static)):
            assert look is not None
            frames = torch.from_numpy(look.shown)[None]
            explained = classes.index(each.explained)
            maps, logits = grad_cam(model, frames, "second", torch.tensor([explained]), branch)
            assert np.array_equal(maps[0], look.maps)
            assert look.maps.shape == (3, 8, 8)
            assert look.predicted == classes[int(logits[0].argmax())]
            share = float(logits[0].double().softmax(0)[explained])
            assert look.probability == pytest.approx(share)
        assert each.event is not None
        assert each.static is not None
        assert each.explained == each.event.predicted
        assert (each.static.shown == each.static.shown[:1, :1]).all()  # the image, at all steps
        assert not np.array_equal(each.static.shown, each.event.shown)


def test_recordings_and_a_class_can_be_named(trained: Path, small_cache: Path) -> None:
    root = small_cache / "cache"
    names = [
        saliency_of(trained, "first", (), root, CPU, part=part).recordings[0].identity
        for part in ("train", "test")
    ]
    found = saliency_of(trained, "first", names, root, CPU, part="all", class_name="3")
    assert [each.identity for each in found.recordings] == names
    assert {each.explained for each in found.recordings} == {"3"}
    assert any("it was trained on" in note for note in found.notes)
    with pytest.raises(UsageError, match=r"no recording of part test has this identity.*--part"):
        saliency_of(trained, "first", names, root, CPU)
    with pytest.raises(UsageError, match=r"--class 33: the run has no such class"):
        saliency_of(trained, "first", (), root, CPU, class_name="33")


def test_a_missing_twin_is_said(
    trained: Path, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = elsewhere.measured_on

    def without(*arguments: Any) -> Any:
        on = measured(*arguments)
        on.cache.index.twin[:] = -1
        return on

    monkeypatch.setattr(saliency, "measured_on", without)
    found = saliency_of(trained, "second", (), small_cache / "cache", CPU)
    assert "6 of 6 recordings have no twin, so no static branch" in found.notes
    assert all(each.static is None for each in found.recordings)
    assert saliency_png(found.recordings, "second")


def test_maps_that_are_nought_are_counted(
    trained: Path, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(model: Any, frames: torch.Tensor, *rest: Any) -> Any:
        maps, logits = grad_cam(model, frames, *rest)
        maps[:, 1] = 0
        maps[:, [0, 2]] += 1
        return maps, logits

    monkeypatch.setattr(saliency, "grad_cam", nothing)
    notes = saliency_of(trained, "second", (), small_cache / "cache", CPU).notes
    for branch in ("event", "static"):
        assert any(f"{branch} branch: 6 of 18 maps are 0" in note for note in notes)


def test_an_untrained_branch_is_left_out(small_cache: Path, tmp_path: Path) -> None:
    out = train(tmp_path / "run", small_cache, "method=event-only")
    found = saliency_of(out, "second", (), small_cache / "cache", CPU)
    assert all(each.static is None and each.event is not None for each in found.recordings)
    assert any("its static branch is untrained, left out" in note for note in found.notes)


def test_a_run_with_attention_is_drawn(small_cache: Path, tmp_path: Path) -> None:
    out = train(tmp_path / "run", small_cache, "attention=asa")
    found = saliency_of(out, "first", (), small_cache / "cache", CPU)
    assert any(each.event is not None and each.event.maps.any() for each in found.recordings)


def test_the_strongest_shines_and_nothing_stays_grey() -> None:
    shown = np.ones((1, 2, 4, 4), np.float32)
    shown[0, :, 0] = 0  # what is darkest is black
    colours = overlaid(Look(np.array([[[0.0, 2.0]] * 2], np.float32), shown, "", 0.0))[0]
    assert colours[0, 0].tolist() == [0, 0, 0]
    assert colours[2, 0].tolist() == [round(255 * DIMMED)] * 3
    assert colours[0, 3].tolist() == pytest.approx((0.8 * STOPS[-1]).tolist(), abs=1)
    nothing = overlaid(Look(np.zeros((1, 2, 2), np.float32), shown, "", 0.0))[0]
    assert (nothing == nothing[..., :1]).all()


# from outside


def test_pictures_are_written(
    trained: Path, small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(small_cache / "cache")
    words = ["saliency", str(trained), "--cache", root, "--device", "cpu", "--layer", "second"]
    assert run([*words, "--out", str(tmp_path / "new" / "all.png")]) == 0
    assert "wrote" in capsys.readouterr().err
    found = saliency_of(trained, "second", (), root, CPU)
    content = (tmp_path / "new" / "all.png").read_bytes()
    assert content == saliency_png(found.recordings, "second")
    with Image.open(io.BytesIO(content)) as image:
        assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 100
    assert run([*words, "--out", str(tmp_path / "each")]) == 0
    assert len(list((tmp_path / "each").glob("*.png"))) == 6


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--layer", "scond", "--out", "x.png"], "did you mean 'second'?"),
        (["--layer", "hidden", "--out", "x.png"], "--layer hidden: sends no pixels"),
        (["--layer", "second", "--out", "x.jpg"], "--out x.jpg: expected a name that ends"),
        (["0/no", "--layer", "second", "--out", "x.png"], "0/no: no recording of part test"),
    ],
)
def test_a_wrong_call_is_one_line(
    words: list[str],
    told: str,
    trained: Path,
    small_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["saliency", str(trained), "--cache", str(small_cache / "cache"), "--device", "cpu"]
    assert run([*given, *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert not list(tmp_path.iterdir())
    assert len([line for line in error.splitlines() if line.startswith("snntx: error")]) == 1
