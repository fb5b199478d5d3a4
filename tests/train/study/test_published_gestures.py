"""Each run that Yao et al. (ICCV 2023) published, and the recipe of a card that is it.

A run is written down as the options of its script and what its code does beside them; what that
means here is translated once, and compared setting by setting.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from snntx.cli import run as cli
from snntx.data_cards import load_card
from snntx.preprocess.framing.options import FrameOptions
from snntx.tests import jaer_files as files
from snntx.train.batches.seen import framing_of, windows_of
from snntx.train.recipe.networks import build_model
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe
from snntx.train.run.schedule import base_rate, learning_rate

PAGE = Path(__file__).parents[3] / "docs" / "published.md"


class Published(NamedTuple):
    """One script: its options."""

    card: str
    recipe: str
    arch: str
    steps: int
    ds: int
    batch: int
    epochs: int
    lr: float
    decay: float
    classes: int
    dt: int | None = None
    clip: int = 1
    r: int = 1
    drops: bool = False


RUNS = [
    Published("dvs128-gesture", "paper", "A", 60, 4, 32, 200, 1e-4, 1e-4, 11, 15, 10, 4),
    Published("dvs128-gesture", "paper-by-number", "B", 20, 1, 8, 200, 1e-3, 0.0, 11),
    Published("dvs128-gait-day", "paper", "A", 60, 4, 32, 200, 1e-4, 1e-4, 20, 15, 10, 4, True),
    Published("dvs128-gait-night", "paper", "D", 60, 4, 32, 100, 1e-4, 1e-4, 20, 15, 10, 8, True),
    Published("davis-actions", "paper", "B", 36, 2, 4, 200, 1e-4, 0.0, 10, 120, 10),
    Published("daily-action", "paper", "B", 36, 2, 4, 100, 1e-3, 0.0, 12, 120, 10),
]
EACH = pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.card}-{run.recipe}")
ARCH: dict[str, dict[str, Any]] = {
    "A": {"model": "asa3", "conv_channels": None, "dropout": None},
    "B": {"model": "asa5", "conv_channels": None, "spike_pool": None},
    "D": {"model": "asa3", "conv_channels": (32, 32, 32), "dropout": 0.5},
}
NEURONS: dict[str, dict[str, Any]] = {
    "asa3": {"neuron": "lif-undecayed", "tau": 1 / 0.7, "threshold": 0.3, "dropout_layers": None},
    "asa5": {"neuron": "plif", "tau": 2.0, "threshold": 1.0},
}
FRAMES = {
    "A": (60, 2, 32, 32),
    "D": (60, 2, 32, 32),
}
PARAMETERS = {
    "dvs128-gesture-paper": 2_329_045,
    "dvs128-gesture-paper-by-number": 1_701_123,
    "dvs128-gait-night-paper": 551_614,
    "davis-actions-paper": 1_962_617,
}
"""The published counts, but for the 117 numbers of dead tensors in A and D."""


def ours(run: Published) -> Recipe:
    return load_recipe(load_card(run.card), run.recipe)


def translated(run: Published) -> dict[str, Any]:
    """The settings of ours that a script's options, and its code, are."""
    by_time = run.dt is not None
    arch = ARCH[run.arch]
    return {
        **arch,
        **NEURONS[arch["model"]],
        "width": 1.0,
        "norm": "merged",
        "sends": "spikes",
        "fires": "at",
        "reset": "hard",
        "layout": "xy" if by_time else "yx",
        "attention": "asa",
        "attention_mode": "reference",
        "attention_combine": "xor",
        "attention_lam": 0.5,
        "attention_reduction": run.r,
        "attention_place": "neuron",
        "epochs": run.epochs,
        "batch_size": run.batch,
        "lr": run.lr,
        "lr_scaling": "none",
        "min_lr": 1e-6,
        "warmup_epochs": 0,
        "schedule": "cosine-late",
        "weight_decay": run.decay,
        "decays": "all",
        "optimizer": "adam",
        "ema_decay": 0.0,
        "clip_norm": 0.0,
        "accumulate": 1,
        "precision": "float32",
        "method": "event-only",
        "loss": "squared",
        "tet": False,
        "label_smoothing": 0.0,
        "protocol": "paper",
        "steps": run.steps,
        "dt_ms": run.dt,
        "downsample": run.ds if by_time else None,
        "size": None if by_time else 128 // run.ds,
        "slice": "random" if by_time else "whole",
        "clips": run.clip,
        "vote": "majority" if by_time else "mean",
        "balanced": False,
        "last_batch": "keep",
        "event_drop": "published" if run.drops else "none",
        "seed": 0,
    }


@EACH
def test_a_published_run_is_a_recipe_of_its_card(run: Published) -> None:
    expected, settings = translated(run), ours(run).settings()
    assert {key: settings[key] for key in expected} == expected
    left = Recipe.of(model=settings["model"], epochs=1, method="event-only").settings()
    beside = {key: value for key, value in settings.items() if key not in expected}
    assert beside == {key: left[key] for key in beside}, "settings beside them are defaults"
    card = load_card(run.card)
    assert len(card.classes) == run.classes
    assert card.splits["paper"].rule in ("field", "window")


@EACH
def test_its_frames_and_its_network_are_the_published_ones(run: Published) -> None:
    card, recipe = load_card(run.card), ours(run)
    if run.dt is None:  # as the recipe's note in the card says
        options = FrameOptions.from_card(card, bins="count", steps=20, size="native", tail="keep")
        assert options.frame_shape == (20, 2, 128, 128)
    else:
        options = framing_of(FrameOptions.from_card(card), recipe)
        windows = windows_of(options, recipe)
        assert windows is not None
        assert (windows.length_us, windows.clips) == (run.steps * run.dt * 1000, run.clip)
    rows, columns = options.frame_shape[2:]
    assert options.frame_shape == FRAMES.get(run.arch, (run.steps, 2, rows, columns))
    if run.dt == 120:
        assert (columns, rows) == (346 // run.ds, 260 // run.ds)
    model = build_model(
        recipe, num_classes=run.classes, steps=run.steps, size=options.frame_shape[2:]
    )
    own = [
        each.numel()
        for name, each in model.named_parameters()
        if not name.startswith(("static_head", "coefficient"))
    ]
    expected = PARAMETERS.get(f"{run.card}-{run.recipe}")
    if expected is not None:
        assert sum(own) == expected


@EACH
def test_its_learning_rates_are_the_published_ones(run: Published) -> None:
    optim = ours(run).optim
    assert base_rate(optim) == run.lr
    found = [
        learning_rate(
            epoch,
            base_lr=base_rate(optim),
            epochs=optim.epochs,
            schedule=optim.schedule,
            warmup_epochs=optim.warmup_epochs,
            warmup_lr=optim.warmup_lr,
            min_lr=optim.min_lr,
            decay_epochs=optim.decay_epochs,
            decay_rate=optim.decay_rate,
        )
        for epoch in range(run.epochs)
    ]
    late = np.arange(run.epochs - 1)
    expected = 1e-6 + (run.lr - 1e-6) * (1 + np.cos(np.pi * late / run.epochs)) / 2
    np.testing.assert_allclose(found, [run.lr, *expected], rtol=1e-12)


def write_gestures(folder: Path) -> None:
    """Three files in the official layout, two gestures of 20 ms in each."""
    folder.mkdir(parents=True)
    names = ["user01_led", "user02_led", "user24_led"]
    for seed, name in enumerate(names):
        draw = np.random.default_rng(seed)
        x, y = draw.integers(0, 128, (2, 2000))
        t, p = np.sort(draw.integers(0, 40_000, 2000)), draw.integers(0, 2, 2000)
        packets = np.array_split(files.polarity(x, y, t, p), 3)
        files.write_3(folder / f"{name}.aedat", *map(files.packet, packets))
        rows = "class,startTime_usec,endTime_usec\n1,0,20000\n4,20000,40000\n"
        (folder / f"{name}_labels.csv").write_text(rows)
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\nuser02_led.aedat\n")
    (folder / "trials_to_test.txt").write_text("user24_led.aedat\n")


@pytest.mark.parametrize(
    ("recipe", "flags", "majority"),
    [
        ("paper", [], True),
        ("paper-by-number", ["--as", "frames", "--bins", "count", "--steps", "20",
                             "--size", "native", "--tail", "keep"], False),
    ],
)  # fmt: skip
def test_its_commands_train_and_measure(
    recipe: str,
    flags: list[str],
    majority: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The page's commands on made files, with a narrow network for one epoch."""
    write_gestures(tmp_path / "raw/DvsGesture")
    place = ["--cache", str(tmp_path / "cache")]
    raw, out = ["--raw", str(tmp_path / "raw")], str(tmp_path / "run")
    assert cli(["preprocess", "dvs128-gesture", *raw, *place, *flags]) == 0, capsys.readouterr()
    small = ["--set", "width=0.05", "--set", "epochs=1", "--set", "batch_size=2"]
    named = ["--recipe", recipe, "--out", out]
    assert cli(["train", "dvs128-gesture", *named, *place, *small]) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert cli(["evaluate", out, *place]) == 0
    assert ("(by the majority of 10 clips; of single clips" in capsys.readouterr().out) == majority


def test_the_page_names_every_run_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w-]+) \| `([\w-]+)` \| ([ABD]) \| (\d+) \|", text, re.MULTILINE)
    assert rows == [(run.card, run.recipe, run.arch, str(run.steps)) for run in RUNS]
