"""``snntx show CARD IDENTITY``: clouds, and moving pictures with a layer's spikes."""

import shlex
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snntx.cli import run
from snntx.draw.cloud import Points, points_of, thinned
from snntx.draw.moving import Spikes, moving_pictures, spike_maps
from snntx.preprocess.cache.events.event_cache import EventCache
from snntx.preprocess.cache.opening import opened
from snntx.train.checkpoints.weights import open_weights
from snntx.train.measure.spikes import layer_spikes

CARD, WHICH = "simulated-digits", "Train/0/00001"
Output = namedtuple("Output", "code out err")
Call = Callable[..., Output]


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    out = tmp_path_factory.mktemp("draw") / "run"
    words = ["--cache", str(small_cache / "cache"), "--out", str(out)]
    for setting in ("steps=3", "epochs=1", "batch_size=16"):
        words += ["--set", setting]
    assert run(["train", CARD, *words]) == 0
    return out


@pytest.fixture(scope="module")
def events(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of an event cache of the same recordings."""
    root = tmp_path_factory.mktemp("events")
    raw, static = small_cache / "data/raw", small_cache / "data/static"
    words = ["--raw", raw, "--static", static, "--cache", root, "--as", "events", "--jobs", 1]
    assert run(["preprocess", CARD, *map(str, words)]) == 0
    return root


@pytest.fixture
def show(
    capsys: pytest.CaptureFixture[str], small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))

    def call(*words: Any) -> Output:
        capsys.readouterr()
        code = run(["show", *map(str, words)])
        return Output(code, *capsys.readouterr())

    return call


def refused(output: Output, *parts: str) -> None:
    assert output.code == 2, output
    assert output.err.count("\n") == 1
    for part in parts:
        assert part in output.err


# ---------------------------------------------------------------- clouds


def test_points_of_an_event_cache_are_its_events(events: Path) -> None:
    cache = opened(next(events.glob("*/*/SEALED")).parent)
    assert isinstance(cache, EventCache)
    i = cache.identities.index(WHICH)
    points, found = points_of(cache, i), cache.events(i)
    assert (points.unit, points.what) == ("time (ms)", "events")
    assert points.t[0] == 0
    assert points.t[-1] == pytest.approx(cache.index.rows.duration_us[i] / 1000)
    np.testing.assert_array_equal(points.x, found.x)
    np.testing.assert_array_equal(points.y, found.y)
    np.testing.assert_array_equal(points.on, found.p == 1)


def test_points_of_a_frame_cache_are_where_its_frames_count(small_cache: Path) -> None:
    cache = opened(next((small_cache / "cache").glob("*/*/SEALED")).parent)
    points, frames = points_of(cache, 0), cache.frames(0)
    again = np.zeros(frames.shape, bool)
    place = (points.t.astype(int) - 1, points.on.astype(int), points.y.astype(int))
    again[(*place, points.x.astype(int))] = True
    np.testing.assert_array_equal(again, frames > 0)
    assert points.unit == "time step"
    assert (np.diff(points.t) >= 0).all()


def test_thinned_keeps_both_ends_and_the_columns_together() -> None:
    t = np.arange(1000.0)
    found = thinned(Points(2 * t, 3 * t, t, t % 2 == 0, "time (ms)", "events"), 10)
    assert found.t.tolist() == [0, 111, 222, 333, 444, 555, 666, 777, 888, 999]
    assert (found.x == 2 * found.t).all()
    assert (found.on == (found.t % 2 == 0)).all()


def test_a_cloud_is_drawn_of_either_cache(show: Call, events: Path, tmp_path: Path) -> None:
    for name, root in (("frames", []), ("events", ["--cache", events])):
        out = tmp_path / f"{name}.png"
        assert show(CARD, WHICH, "--cloud", "--out", out, *root).code == 0
        with Image.open(out) as image:
            found = np.asarray(image.convert("RGB")).reshape(-1, 3)
        for colour in ((0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)):
            assert (found == colour).all(1).any()


def test_without_matplotlib_one_line_says_what_installs_it(
    show: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused(show(CARD, WHICH, "--cloud", "--out", tmp_path / "a.png"), "pip install 'snntx[plot]'")


# ---------------------------------------------------------------- moving pictures


def delays(path: Path) -> list[int]:
    with Image.open(path) as image:
        found = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(image.info["duration"])
        return found


def test_a_gif_shows_every_step_as_long_as_asked(show: Call, tmp_path: Path) -> None:
    out = tmp_path / "digit.gif"
    assert show(CARD, WHICH, "--out", out, "--frame-ms", 130).code == 0
    assert delays(out) == [130, 130, 130]


def test_equal_frames_stay_apart(tmp_path: Path) -> None:
    pictures = moving_pictures(np.zeros((4, 2, 6, 5), np.float32), None, None, "still")
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=50)
    assert delays(tmp_path / "a.gif") == [50] * 4


def test_spike_maps() -> None:
    values = np.zeros((1, 2, 1, 2), np.float32)
    values[0, 0, 0, 1] = 1
    assert spike_maps(values).tolist() == [[[0, 0.5]]]
    flat = np.array([[1, 0, 0, 0, 1]], np.float32)
    assert spike_maps(flat).tolist() == [[[1, 0, 0], [0, 1, 0], [0, 0, 0]]]


def test_a_layers_spikes_move_beside_the_frames(
    show: Call, trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    plain, out = tmp_path / "plain.gif", tmp_path / "spikes.gif"
    name = first_layer(trained)
    assert show(CARD, WHICH, "--out", plain).code == 0
    assert show(CARD, WHICH, "--out", out, "--run", trained, "--layer", name).code == 0
    assert len(delays(out)) == 3
    with Image.open(plain) as without, Image.open(out) as beside:
        assert beside.width > without.width
        assert beside.height == without.height


def first_layer(trained: Path) -> str:
    model = open_weights(trained).trained().build_model(torch.device("cpu"))
    names = (n for n, m in model.named_modules() if type(m).__name__.startswith("Spiking"))
    return str(next(names))


def test_spikes_are_those_of_the_forward_pass(trained: Path, small_cache: Path) -> None:
    cache = opened(next((small_cache / "cache").glob("*/*/SEALED")).parent)
    model = open_weights(trained).trained().build_model(torch.device("cpu"))
    frames = torch.from_numpy(cache.frames(0))
    name, kept = first_layer(trained), []
    layer = model.get_submodule(name)
    layer.register_forward_hook(lambda _, __, output: kept.append(output.spikes))
    with torch.inference_mode():
        model.forward_event(frames[None])
    found = layer_spikes(model, frames, name)
    assert found.shape[0] == 3
    assert found.any()
    np.testing.assert_array_equal(found, kept[0][:, 0].float().numpy())


def test_spikes_scale_to_white() -> None:
    spikes = Spikes("conv", np.full((2, 4, 3, 3), 0.25, np.float32))
    pictures = moving_pictures(np.zeros((2, 2, 3, 3), np.float32), None, spikes, "a")
    assert pictures[1].getpixel((pictures[1].width - 136, 184)) == (255, 255, 255)
    assert all(side % 2 == 0 for side in pictures[0].size)  # as encoders of MP4 need it


def test_an_mp4_is_written(show: Call, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / "digit.mp4"
    assert show(CARD, WHICH, "--out", out).code == 0
    assert out.read_bytes()[4:8] == b"ftyp"
    assert [file.name for file in tmp_path.iterdir()] == ["digit.mp4"]


def test_without_the_encoder_one_line_says_what_installs_it(
    show: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    refused(show(CARD, WHICH, "--out", tmp_path / "a.mp4"), "pip install 'snntx[video]'", ".gif")


# ---------------------------------------------------------------- wrong words


def test_wrong_words_name_the_near_ones(show: Call, trained: Path, tmp_path: Path) -> None:
    gif = ["--out", tmp_path / "a.gif"]
    name = first_layer(trained)
    refused(show(CARD, "train/0/00001", *gif), "did you mean 'Train/0/00001'?")
    refused(show("simulated-digit", WHICH, *gif), f"did you mean '{CARD}'?")
    wrong = show(CARD, WHICH, *gif, "--run", trained, "--layer", f"{name}x")
    refused(wrong, f"did you mean '{name}'?")
    assert not (tmp_path / "a.gif").exists()


def test_wishes_that_do_not_suit_each_other_say_what_to_give(
    show: Call, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(show(CARD, WHICH, "--cloud", "--out", "a.gif"), "give --out NAME.png")
    refused(show(CARD, WHICH, "--run", trained, "--out", "a.gif"), "add --layer NAME")
    refused(show(CARD, WHICH, "--layer", "x", "--out", "a.gif"), "add --run RUN")
    still = show(CARD, WHICH, "--run", trained, "--layer", first_layer(trained))
    refused(still, "give --out NAME.gif")
    refused(show("run", "--cloud"), "add its IDENTITY")
    odd = show(CARD, WHICH, "--out", "a.gif", "--frame-ms", 125)
    refused(odd, "give --frame-ms 120")
    advice = shlex.split(odd.err.partition("give ")[2])
    assert show(CARD, WHICH, "--out", "a.gif", *advice).code == 0


def test_a_run_of_another_card_is_refused(
    show: Call, trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_cache / "cache" / CARD, tmp_path / "n-mnist")
    words = ["--run", trained, "--layer", "x", "--out", tmp_path / "a.gif"]
    refused(show("n-mnist", WHICH, *words), f"is a run of card {CARD}, not n-mnist")
