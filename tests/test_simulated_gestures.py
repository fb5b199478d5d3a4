"""The generated set of gestures: the official layout, and every stage from raw files to a score."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.cache.opening import open_cache

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "simulated_gestures.py"
SECONDS = 0.4


@pytest.fixture(scope="module")
def gestures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulated_gestures", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_circle_the_other_way_round_is_its_mirror_in_time(gestures: ModuleType) -> None:
    """And the right arm's clockwise circle looks as the left arm's does: from the person."""
    turn = np.linspace(0, 2 * np.pi, 9)
    draw = np.random.default_rng(0)
    there, back = gestures.hands(3, turn, draw), gestures.hands(4, -turn, draw)
    np.testing.assert_allclose(there, back, atol=1e-12)
    assert not np.allclose(there, gestures.hands(4, turn, draw))
    right, left = gestures.hands(3, turn, draw)[:, 0], gestures.hands(5, turn, draw)[:, 1]
    seen = [np.stack([sign * at[:, 0], at[:, 1]]) for sign, at in ((-1, right), (1, left))]
    steps = [np.diff(x + 1j * y) for x, y in seen]
    turned = [np.angle(step[1:] / step[:-1]).sum() for step in steps]
    assert turned[0] == pytest.approx(turned[1])
    assert abs(turned[0]) > np.pi


def test_people_lights_and_trials_differ_and_each_repeats(gestures: ModuleType) -> None:
    length = int(SECONDS * 1e6)
    one = gestures.record(1, 1, 0, 1, length)
    again = gestures.record(1, 1, 0, 1, length)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    for other in ((1, 2, 0, 1), (1, 1, 1, 1), (1, 1, 0, 2), (2, 1, 0, 1)):
        events = gestures.record(*other, length)
        assert events.size != one.size or not np.array_equal(events.t, one.t)
    assert np.all(np.diff(one.t) >= 0)
    assert one.t[0] < 0 <= length <= one.t[-1]  # the sensor does not sleep in the pauses


def test_the_generated_set_goes_all_the_way(
    gestures: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gestures.write(tmp_path / "raw", users=5, lights=1, seconds=SECONDS)
    cache = ["--cache", str(tmp_path / "cache")]
    assert run(["preprocess", "dvs128-gesture", "--raw", str(tmp_path / "raw"), *cache]) == 0
    printed = capsys.readouterr().out
    assert "60 in 11 classes" in printed
    assert "note" not in printed
    held = open_cache(tmp_path / "cache", load_card("dvs128-gesture"))
    assert (len(held.split("paper", "train")), len(held.split("paper", "test"))) == (48, 12)
    settings = ("steps=4", "dt_ms=50", "width=0.05", "epochs=1", "batch_size=8", "clips=2")
    words = [word for each in settings for word in ("--set", each)]
    out = ["--out", str(tmp_path / "run"), "--device", "cpu"]
    call = ["train", "dvs128-gesture", "--recipe", "paper", *cache, *out, *words]
    assert run([*call, "--set", "attention_mode=per-sample"]) == 0
    capsys.readouterr()
    assert run(["evaluate", str(tmp_path / "run"), *cache, "--device", "cpu", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["recordings"] == 12
    assert 0 <= result["top1"] <= 1
