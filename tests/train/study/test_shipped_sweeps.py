"""The shipped sweeps: what each one trains on which card, by which settings."""

import functools
from pathlib import Path

import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe
from snntx.train.study.progress import differing
from snntx.train.study.sweep import SweepRun, for_card, load_sweep, sweep_names
from snntx.train.study.sweeps.expand import expand

CARDS = ("n-caltech101", "cep-dvs", "n-omniglot", "n-mnist", "simulated-digits")
ONE_CHANNEL = ("n-omniglot", "n-mnist", "simulated-digits")
SEEDS = (42, 1024, 90210)


@functools.cache
def runs_of(sweep: str, card: str) -> list[SweepRun]:
    """Every run of a shipped sweep."""
    return expand(load_sweep(sweep), load_card(card), sweep)


def first_recipes(sweep: str, card: str) -> dict[str, Recipe]:
    """The recipes of a sweep's first seed, by run."""
    return {e.name: e.recipe for e in runs_of(sweep, card) if e.recipe.run.seed == SEEDS[0]}


def parts(card: str, recipe: str = "default") -> dict[tuple[str, int], Recipe]:
    """The recipes of the parts by variant and seed."""
    sweep = for_card(load_sweep("paper-parts"), card, "paper-parts", recipes=(recipe,))
    runs = expand(sweep, load_card(card), "paper-parts")
    assert sorted({each.recipe.run.seed for each in runs}) == sorted(SEEDS)
    found = {(each.variant, each.recipe.run.seed): each.recipe for each in runs}
    assert len(runs) == len(SEEDS) * len({variant for variant, _ in found})
    return found


def variants(card: str, recipe: str = "default") -> dict[str, Recipe]:
    """The recipes of the parts by variant, of the first seed."""
    return {name: each for (name, seed), each in parts(card, recipe).items() if seed == SEEDS[0]}


def test_every_one_is_read_and_named_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep_names() == [
        "domain-weight",
        "event-fraction",
        "few-labels",
        "fixed-coefficient",
        "paper-ablation",
        "paper-parts",
        "published",
        "sliding-power",
        "snr",
        "static-fraction",
    ]
    assert run(["sweep", "--help"]) == 0
    text = capsys.readouterr().out.split("\n")
    page = (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    for name in sweep_names():
        assert load_sweep(name).about
        assert any(line.split()[:1] == [name] for line in text)
        assert f"| `{name}` |" in page


RECIPES = {
    "few-labels": ("few", ["n-mnist", "simulated-digits"]),
    "published": ("paper", list(CARDS[:4])),
}
"""Sweeps that need a recipe which not every card has, and the cards that have it."""


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("name", sweep_names())
def test_no_run_of_any_is_another_again(name: str, card: str) -> None:
    """Variants and values that a card makes alike would only cost time."""
    if card not in RECIPES.get(name, ("", CARDS))[1]:
        assert RECIPES[name][0] not in load_card(card).recipes
        return
    found = list(first_recipes(name, card).values())
    seen = [each.changed(channel="V") if card in ONE_CHANNEL else each for each in found]
    assert len(seen) == len({repr(each) for each in seen})


# one part at a time

PARTS = {
    "event-only": ["method"],
    "blue": ["channel"],
    "hard-switch": ["replacement"],
    "hard-switch-no-domain": ["domain_weight", "replacement"],
    "baseline": ["domain_weight", "regularization"],
    "no-regularization": ["regularization"],
    "fixed-coefficient": ["fixed_coefficient"],
}


@pytest.mark.parametrize("card", ["n-caltech101", "cep-dvs", "n-mnist", "simulated-digits"])
def test_the_parts_are_changed_one_at_a_time(card: str) -> None:
    recipes = variants(card)
    full = recipes.pop("full")
    whole = full.settings()
    shown = {key: whole[key] for key in ("method", "channel", "replacement", "domain_weight")}
    assert shown == {
        "method": "sliding",
        "channel": "V",
        "replacement": "power",
        "domain_weight": 0.5,
    }
    assert (whole["regularization"], whole["fixed_coefficient"]) == (True, None)
    expected = {key: names for key, names in PARTS.items() if key != "blue"}
    expected = expected if card in ONE_CHANNEL else PARTS
    assert {name: differing(full, each) for name, each in recipes.items()} == expected


@pytest.mark.parametrize("base", ["default", "paper"])
def test_the_parts_on_n_omniglot_keep_its_recipe(base: str) -> None:
    """Published without coefficients and without a loss at every step, as its recipes have it."""
    recipes = variants("n-omniglot", base)
    whole = recipes.pop("no-regularization")
    assert whole == load_recipe(load_card("n-omniglot"), base)
    assert {name: differing(whole, each) for name, each in recipes.items()} == {
        "event-only": ["method"],
        "hard-switch-no-regularization": ["replacement"],
        "hard-switch-no-domain-no-regularization": ["domain_weight", "replacement"],
        "baseline": ["domain_weight"],
    }


@pytest.mark.parametrize("card", ["n-caltech101", "cep-dvs", "n-omniglot"])
def test_a_name_means_the_same_in_both_tables(card: str) -> None:
    """Of the published runs and of the parts, by the published recipe."""
    beside = parts(card, "paper")
    published = {(e.variant, e.recipe.run.seed): e.recipe for e in runs_of("paper-ablation", card)}
    both = published.keys() & beside.keys()
    assert len(both) >= 3
    for each in both:
        assert published[each] == beside[each]


def test_a_card_without_published_runs_gets_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    notes: list[str] = []
    card = load_card("simulated-digits")
    runs = expand(load_sweep("paper-ablation"), card, "paper-ablation", on_note=notes.append)
    assert runs == expand(load_sweep("paper-parts"), card, "paper-parts")
    said = "paper-ablation names no runs for card simulated-digits; its place is taken by paper-pa"
    assert len(notes) == 1
    assert notes[0].startswith(said)
    words = ["sweep", "paper-ablation", "simulated-digits", "--dry-run", "--seeds", "7"]
    assert run([*words, "--recipe", "baseline", "--set", "method=sliding"]) == 2
    assert "the sweep itself varies method" in capsys.readouterr().err
    assert run([*words, "--recipe", "baseline"]) == 0
    shown = capsys.readouterr()
    assert said in shown.err
    assert "baseline-full-seed7" in shown.out
    assert shown.out.rstrip().endswith("7 runs: 7 to start")


def test_given_seeds_are_those_of_every_variant(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "paper-ablation", "cep-dvs", "--dry-run", "--seeds", "1,2"]
    assert run(words) == 0
    assert capsys.readouterr().out.rstrip().endswith("10 runs: 10 to start")


# one number at a time


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    ("name", "setting", "published"),
    [
        ("domain-weight", "domain_weight", 0.5),
        ("sliding-power", "sliding_power", 3.0),
        ("fixed-coefficient", "fixed_coefficient", None),
    ],
)
def test_one_number_of_the_method_varies(
    name: str, setting: str, published: float | None, card: str
) -> None:
    recipes = list(first_recipes(name, card).values())
    values = [each.settings()[setting] for each in recipes]
    assert len(values) >= 5
    assert values == sorted(values)
    assert published is None or published in values
    for each in recipes:
        assert each.method.name == "sliding"
        assert differing(recipes[0], each) in ([], [setting])
        assert each.changed(**{setting: published}).settings()["replacement"] == "power"


def test_no_weight_leaves_coefficients_without_a_hold() -> None:
    """Learnt coefficients with a domain loss of no weight weigh the events down to nothing."""
    for name in sweep_names():
        for card in CARDS:
            if card not in RECIPES.get(name, ("", CARDS))[1]:
                continue
            for run_name, recipe in first_recipes(name, card).items():
                chosen = recipe.settings()
                if chosen.get("domain_weight") == 0.0 and chosen["regularization"]:
                    assert chosen["replacement"] == "hard-switch", run_name  # as it was published


@pytest.mark.parametrize("card", CARDS)
def test_noise_takes_the_place_of_crop_flip_and_rotation(card: str) -> None:
    recipes = list(first_recipes("snr", card).values())
    assert {each.method.name for each in recipes} == {"event-only", "sliding"}
    for each in recipes:
        assert each.augment.snr_db is not None
        augment = each.augment
        assert (augment.crop_padding, augment.flip, augment.rotation) == (0, False, 0.0)
    levels = [each.augment.snr_db or 0.0 for each in recipes]
    assert levels == 2 * sorted(set(levels))


def test_static_fractions_go_from_none_to_all() -> None:
    first = list(first_recipes("static-fraction", "n-mnist").values())
    assert [recipe.data.static_fraction for recipe in first] == [i / 10 for i in range(11)]
    assert [recipe.transfer for recipe in first] == [False] + [True] * 10


def test_event_fractions_of_every_method() -> None:
    runs = runs_of("event-fraction", "n-mnist")
    kinds = {(r.recipe.transfer, r.recipe.method.name) for r in runs}
    assert kinds == {(False, "event-only"), (True, "sliding"), (True, "time-mixup")}
    shares = sorted({r.recipe.data.event_fraction for r in runs})
    assert shares == [i / 10 for i in range(1, 11)]
    assert len(runs) == 3 * 3 * 10


def test_every_variant_is_taken_by_a_card() -> None:
    for name in sweep_names():
        read = load_sweep(name)
        taken = {variant for each in read.cards.values() for variant in each.variants}
        assert not taken or taken == {variant.name for variant in read.variants}
