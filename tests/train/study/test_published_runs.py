"""Each run of the published scripts, and the run of ours that is it, setting by setting.

The scripts are run_aba.sh and run_omni.sh of He et al. (AAAI 2024), with two runs more that the
page beside them names. A run is written down as the model, steps, batch and flags of its command;
what a flag means, and what the code does without it, is translated here once.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from snntx.data_cards import load_card
from snntx.train.recipe.whole import Recipe
from snntx.train.run.schedule import base_rate, learning_rate
from snntx.train.study.sweep import SweepRun, load_sweep
from snntx.train.study.sweeps.expand import expand

PAGE = Path(__file__).parents[3] / "docs" / "published.md"


class Published(NamedTuple):
    """One command: where it stands, its seed, and its flags."""

    script: str
    seed: int
    flags: dict[str, Any]


# ---------------------------------------------------------------- the scripts as data

COMMON = {"node-type": "LIFNode", "smoothing": 0.0, "domain-loss": True}
CALTECH = {
    **COMMON,
    "model": "Transfer_VGG_SNN",
    "target-dataset": "NCALTECH101",
    "step": 10,
    "batch-size": 120,
    "act-fun": "QGateGrad",
    "num-classes": 101,
    "traindata-ratio": 1.0,
    "TET-loss": True,
}
CEP = {
    **COMMON,
    "model": "Transfer_ResNet18",
    "target-dataset": "CEPDVS",
    "step": 6,
    "batch-size": 120,
    "act-fun": "QGateGrad",
    "num-classes": 20,
    "TET-loss": True,
    "event-size": 48,
    "train-portion": 0.5,
    "DVS-DA": True,
    "epochs": 200,
}
OMNI = {
    **COMMON,
    "model": "Transfer_SCNN",
    "target-dataset": "nomni",
    "step": 12,
    "batch-size": 16,
    "num-classes": 1623,
    "act-fun": "BackEIGateGrad",
    "epochs": 50,
    "lr": 1.2,
    "sched": "step",
    "decay-epochs": 40,
    "opt": "adamw",
    "warmup-epochs": 5,
}
SEEDS = (42, 1024, 90210)


def published(data: dict[str, Any], script: str, weight: float, *more: str) -> dict[str, Any]:
    """The flags of one command."""
    return {**data, "domain-loss-coefficient": weight, **dict.fromkeys(more, True)}


def commands() -> dict[str, list[tuple[str, Published]]]:
    """Every published run by card, each with the variant of ``paper-ablation`` that is it."""
    aba, omni, page = "run_aba.sh", "run_omni.sh", "README.md"
    grey, switch, regular = "no-use-hsv", "no-sliding-training", "regularization"
    caltech: list[tuple[str, str, int, float, tuple[str, ...]]] = [
        *(("baseline", aba, seed, 0.0, ()) for seed in SEEDS),
        *(("no-regularization", aba, seed, 0.5, ()) for seed in SEEDS),
        ("blue-no-regularization-hard-switch-no-domain", aba, 42, 0.5, (grey, switch)),
        ("blue-no-regularization", aba, 42, 0.5, (grey,)),
        ("blue", aba, 42, 0.5, (grey, regular)),
        ("hard-switch-no-domain", aba, 42, 0.5, (switch, regular)),
        ("full", page, 42, 0.5, (regular,)),
    ]
    cep: list[tuple[str, str, int, float, tuple[str, ...]]] = [
        *(("baseline", aba, seed, 0.0, ()) for seed in SEEDS),
        *(("no-regularization", aba, seed, 0.5, ()) for seed in SEEDS),
        ("blue", aba, 42, 0.5, (grey, regular)),
        ("hard-switch-no-domain", aba, 42, 0.5, (switch, regular)),
        ("full", page, 42, 0.5, (regular,)),
    ]
    omniglot: list[tuple[str, str, int, float, tuple[str, ...]]] = [
        ("no-regularization", omni, seed, 0.5, ()) for seed in SEEDS
    ]
    tables = {"n-caltech101": (CALTECH, caltech), "cep-dvs": (CEP, cep)}
    return {
        card: [
            (variant, Published(script, seed, published(data, script, weight, *more)))
            for variant, script, seed, weight, more in rows
        ]
        for card, (data, rows) in {**tables, "n-omniglot": (OMNI, omniglot)}.items()
    }


RUNS = [
    pytest.param(card, variant, run, id=f"{card}-{variant}-{run.seed}")
    for card, rows in commands().items()
    for variant, run in rows
]
DEFAULTS = {
    "epochs": 300,
    "lr": 5e-3,
    "sched": "cosine",
    "warmup-epochs": 5,
    "warmup-lr": 1e-6,
    "min-lr": 1e-5,
    "decay-rate": 0.1,
    "decay-epochs": 30,
    "opt": "adamw",
    "weight-decay": 0.01,
    "event-size": 48,
    "train-portion": 0.9,
    "threshold": 0.5,
    "tau": 2.0,
    "pow": 3,
    "TET-loss": False,
    "DVS-DA": False,
    "no-use-hsv": False,
    "no-sliding-training": False,
    "regularization": False,
    "tsregular": -1.0,
    "traindata-ratio": 1.0,
    "rgbdata-ratio": 1.0,
    "snr": 0,
}
"""What the published command line takes where a flag is left out."""


# ---------------------------------------------------------------- what flags mean here


def translated(flags: dict[str, Any]) -> dict[str, Any]:
    """The settings of ours that a published command's flags are."""
    has = {**DEFAULTS, **flags}
    target = has["target-dataset"]
    cropped = target in ("NCALTECH101", "CEPDVS") and not has["snr"]
    switched = has["no-sliding-training"]
    settings = {
        "model": {
            "Transfer_VGG_SNN": "vgg",
            "Transfer_ResNet18": "resnet18",
            "Transfer_SCNN": "scnn",
        }[has["model"]],
        "surrogate": {"QGateGrad": "qgate", "BackEIGateGrad": "backeigate"}[has["act-fun"]],
        "surrogate_alpha": 2.0,
        "threshold": has["threshold"],
        "learn_threshold": False,
        "tau": has["tau"],
        "reset": "hard",
        "norm": "per-step",
        "epochs": has["epochs"],
        "batch_size": has["batch-size"],
        "lr": has["lr"],
        "lr_scaling": "linear",
        "schedule": has["sched"],
        "warmup_epochs": has["warmup-epochs"],
        "warmup_lr": has["warmup-lr"],
        "weight_decay": has["weight-decay"],
        "optimizer": has["opt"],
        "clip_norm": 0.0,
        "ema_decay": 0.0,
        "precision": "float32",
        "method": "sliding",
        "label_smoothing": has["smoothing"],
        "tet": has["TET-loss"],
        "tet_lambda": 1e-3,
        "tet_target": has["threshold"],
        "domain_weight": 0.0 if switched else has["domain-loss-coefficient"],
        "regularization": has["regularization"],
        "fixed_coefficient": has["tsregular"] if has["tsregular"] > 0 else None,
        "replacement": "hard-switch" if switched else "power",
        "sliding_power": float(has["pow"]),
        "protocol": "paper",
        "channel": "blue" if has["no-use-hsv"] else "V",
        "static_view": "image",
        "pairing": "class",
        "balanced": target == "NCALTECH101",
        "event_fraction": has["traindata-ratio"],
        "static_fraction": has["rgbdata-ratio"],
        "recordings_per_class": 0,
        "draws_per_epoch": 0,
        "last_batch": "drop",
        "crop_padding": has["event-size"] // 12 if cropped else 0,
        "flip": has["DVS-DA"],
        "rotation": 15.0 if has["DVS-DA"] else 0.0,
        "snr_db": None,
        "augment": "none",
    }
    if has["sched"] == "cosine":
        return settings | {"min_lr": has["min-lr"]}
    return settings | {"decay_epochs": has["decay-epochs"], "decay_rate": has["decay-rate"]}


@functools.cache
def ours(card: str) -> list[SweepRun]:
    """The runs of ``snntx sweep paper-ablation CARD``."""
    return expand(load_sweep("paper-ablation"), load_card(card), "paper-ablation")


@pytest.mark.parametrize(("card", "variant", "run"), RUNS)
def test_a_published_run_is_a_run_of_the_sweep(card: str, variant: str, run: Published) -> None:
    shipped = load_card(card)
    (found,) = [
        each for each in ours(card) if (each.variant, each.recipe.run.seed) == (variant, run.seed)
    ]
    assert found.name == f"paper-{variant}-seed{run.seed}"
    expected, settings = translated(run.flags) | {"seed": run.seed}, found.recipe.settings()
    assert {key: settings[key] for key in expected} == expected
    left = Recipe.of(model=settings["model"], epochs=settings["epochs"]).settings()
    beside = {key: value for key, value in settings.items() if key not in expected}
    assert beside == {key: left[key] for key in beside}, "settings beside them are defaults"

    recipe, framing = found.recipe, shipped.framing
    side = 28 if card == "n-omniglot" else run.flags.get("event-size", DEFAULTS["event-size"])
    assert (recipe.data.steps or framing.steps, framing.size) == (run.flags["step"], side)
    assert len(shipped.classes) in (run.flags["num-classes"], 0)
    split, portion = shipped.splits["paper"], run.flags.get("train-portion", 0.9)
    if card == "n-caltech101":
        assert (split.rule, split.train) == ("leading", portion)
    elif card == "cep-dvs":
        assert (split.rule, split.train_count, split.test_count) == ("window", 500 * portion, 100)
    else:
        assert (split.rule, len(split.train_values), len(split.test_values)) == ("field", 15, 5)


@pytest.mark.parametrize("card", commands())
def test_the_sweep_has_no_other_run(card: str) -> None:
    rows = [(variant, run.seed) for variant, run in commands()[card]]
    found = [(each.variant, each.recipe.run.seed) for each in ours(card)]
    assert sorted(found) == sorted(rows)


@pytest.mark.parametrize(("card", "variant", "run"), RUNS)
def test_its_learning_rates_are_the_published_ones(card: str, variant: str, run: Published) -> None:
    recipe = next(each.recipe for each in ours(card) if each.variant == variant)
    optim, epochs = recipe.optim, recipe.optim.epochs
    assert (
        base_rate(optim)
        == {
            "n-caltech101": pytest.approx(5.859375e-4, rel=1e-12),
            "cep-dvs": pytest.approx(5.859375e-4, rel=1e-12),
            "n-omniglot": pytest.approx(0.01875, rel=1e-12),
        }[card]
    )
    rates = [
        learning_rate(
            epoch,
            base_lr=base_rate(optim),
            epochs=epochs,
            schedule=optim.schedule,
            warmup_epochs=optim.warmup_epochs,
            warmup_lr=optim.warmup_lr,
            min_lr=optim.min_lr,
            decay_epochs=optim.decay_epochs,
            decay_rate=optim.decay_rate,
        )
        for epoch in (0, 5, epochs - 1)
    ]
    assert rates[0] == 1e-6
    if card == "n-omniglot":
        assert rates[1:] == pytest.approx([0.01875, 0.001875], rel=1e-12)
    else:
        assert rates[1] < base_rate(optim)
        assert 1e-5 < rates[2] < 1.1e-5


def test_the_published_recipe_by_the_published_seeds() -> None:
    """On N-Omniglot that is the whole script; elsewhere its run of seed 42 is the main run."""
    for card in commands():
        runs = expand(load_sweep("published"), load_card(card), "published")
        assert [each.name for each in runs] == [f"paper-seed{seed}" for seed in SEEDS]
        whole = "no-regularization" if card == "n-omniglot" else "full"
        held = {each.recipe.run.seed: each.recipe for each in ours(card) if each.variant == whole}
        found = {each.recipe.run.seed: each.recipe for each in runs}
        assert all(found[seed] == recipe for seed, recipe in held.items())
        assert set(held) == (set(SEEDS) if card == "n-omniglot" else {42})


def test_the_page_names_every_run_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(run_\w+\.sh|README\.md)` \| (\S+) \| (.*?) \| ([\d, ]+) \| `([\w-]+)` \|$",
        text,
        re.MULTILINE,
    )
    named = {
        (script, card, variant, int(seed))
        for script, card, _, seeds, variant in rows
        for seed in seeds.split(", ")
    }
    assert named == {
        (run.script, card, variant, run.seed)
        for card, each in commands().items()
        for variant, run in each
    }
    for script, card, told, _, variant in rows:
        (flags, *_) = [
            run.flags for name, run in commands()[card] if (name, run.script) == (variant, script)
        ]
        choosing = ["no-use-hsv", "no-sliding-training", "regularization"]
        expected = [f"--domain-loss-coefficient {flags['domain-loss-coefficient']}"]
        expected += [f"--{flag}" for flag in choosing if flags.get(flag)]
        assert re.findall(r"--[\w-]+(?: [\d.]+)?", told) == expected
