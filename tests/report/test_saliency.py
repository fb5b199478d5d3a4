"""Where the branches look, on the page: which recordings are chosen, and what is said of them."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from snntx.errors import UsageError
from snntx.report import gather as gather_module
from snntx.report.blocks import Gallery, Missing, Words
from snntx.report.gather import Found, gather
from snntx.report.page import part_of, write_page
from snntx.report.saliency import saliency
from snntx.tests.report.conftest import HOSTILE


def test_the_worst_and_the_best_are_shown_each_of_another_class(
    gathered: dict[str, Found],
) -> None:
    found = gathered["both"]
    assert found.saliency is not None
    evidence = found.result.evidence
    chances = evidence.answers.logits.mean(1).double().softmax(1).numpy()
    own = chances[np.arange(len(evidence.labels)), evidence.labels]
    likely = dict(zip(evidence.identities, own.tolist(), strict=True))
    shown = found.saliency.recordings
    assert len(shown) == 6
    worst, best = shown[:3], shown[3:]
    for half in (worst, best):
        assert len({each.true for each in half}) == 3
    assert likely[worst[0].identity] == min(likely.values())
    assert likely[best[0].identity] == max(likely.values())
    assert all(each.event is not None and each.static is not None for each in shown)


def test_a_gallery_has_a_strip_of_each_branch(gathered: dict[str, Found]) -> None:
    [gallery] = [b for b in saliency(gathered["both"]).blocks if isinstance(b, Gallery)]
    assert "layer second" in gallery.caption
    for each in gallery.items:
        event, static = each.pictures
        assert "event branch over the 3 steps" in event.alt
        assert "static branch over the 3 steps" in static.alt
        assert event.width > 2 * event.height
    [gallery] = [b for b in saliency(gathered["alone"]).blocks if isinstance(b, Gallery)]
    assert [len(each.pictures) for each in gallery.items] == [1] * 6


def test_the_notes_say_what_is_left_out(gathered: dict[str, Found]) -> None:
    said = [b.text for b in saliency(gathered["alone"]).blocks if isinstance(b, Words)]
    assert any("static branch is untrained, left out" in each for each in said)


def test_twins_are_preferred_and_nothing_is_shown_twice(gathered: dict[str, Found]) -> None:
    result = gathered["both"].result
    count = len(result.evidence.labels)
    paired = np.zeros(count, bool)
    paired[-2:] = True
    chosen = gather_module._to_look_at(result, paired)
    assert len(chosen) == len(set(chosen))
    assert set(result.evidence.identities[-2:]) <= set(chosen)


def test_why_there_are_none_is_said(
    runs: dict[str, Path], small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(run: Path, layer: str, *_: object, **__: object) -> None:
        raise UsageError(f"--layer {layer}: sends no pixels")

    monkeypatch.setattr(gather_module, "saliency_of", refuse)
    shutil.copy(runs["alone"] / "best.pt", tmp_path)
    root, cpu = small_cache / "cache", torch.device("cpu")
    found = gather(tmp_path, "bare", root, cpu, "test", lambda line: None)
    [block] = saliency(found).blocks
    assert block == Missing("No saliency: --layer first: sends no pixels.")


def test_hostile_names_stay_text_there_too(gathered: dict[str, Found]) -> None:
    found = gathered["both"]
    assert found.saliency is not None
    shown = tuple(
        dataclasses.replace(each, identity=HOSTILE[1], true=HOSTILE[0], explained=HOSTILE[2])
        for each in found.saliency.recordings
    )
    bad = dataclasses.replace(found.saliency, recordings=shown, notes=HOSTILE, layer=HOSTILE[0])
    page = write_page("t", [part_of(dataclasses.replace(found, saliency=bad), 1)])
    assert HOSTILE[0] not in page
    assert HOSTILE[1] not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\x1b" not in page
