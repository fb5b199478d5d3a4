"""Recipes: what a card, a file and ``--set`` say together, and how mistakes are answered."""

import dataclasses
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from snntx.data_cards import load_card
from snntx.data_cards.schema import Card
from snntx.declared.fields import declared_fields, problem_of
from snntx.errors import UsageError
from snntx.train.recipe.doors import METHODS
from snntx.train.recipe.groups import GROUPS
from snntx.train.recipe.layout import known_settings, own_names
from snntx.train.recipe.sources import laid_over, load_recipe, recipe_from_table
from snntx.train.recipe.whole import Recipe
from snntx.train.run.schedule import scaled_lr


@pytest.fixture
def card() -> Card:
    """A shipped card with recipes of the test's own."""
    return dataclasses.replace(
        load_card("n-mnist"),
        recipes={
            "default": {"model": "nmnist", "epochs": 7, "lr": 0.05, "batch_size": 32},
            "baseline": {"transfer": False},
            "paper": {"protocol": "paper", "epochs": 9},
        },
    )


def test_the_published_settings_are_the_defaults() -> None:
    recipe = Recipe.of(model="vgg", epochs=300)
    assert (
        recipe.optim.batch_size,
        recipe.optim.lr,
        recipe.optim.min_lr,
        recipe.optim.warmup_lr,
    ) == (
        120,
        5e-3,
        1e-5,
        1e-6,
    )
    assert (recipe.optim.warmup_epochs, recipe.optim.schedule, recipe.optim.weight_decay) == (
        5,
        "cosine",
        0.01,
    )
    expected = {
        "method": "sliding",
        "replacement": "power",
        "sliding_power": 3.0,
        "tet": True,
        "tet_lambda": 1e-3,
        "tet_target": 0.5,
        "regularization": True,
        "domain_weight": 0.5,
        "channel": "V",
    }
    settings = recipe.settings()
    assert {name: settings[name] for name in expected} == expected
    assert (recipe.transfer, recipe.data.balanced, recipe.data.protocol) == (True, True, "holdout")


def test_the_card_comes_over_the_defaults(card: Card) -> None:
    assert load_recipe(card) == Recipe.of(
        model="nmnist", epochs=7, lr=0.05, batch_size=32, lr_scaling="linear-nominal"
    )


def test_a_named_recipe_comes_over_the_cards_default(card: Card) -> None:
    default = load_recipe(card)
    assert load_recipe(card, "baseline") == default.changed(transfer=False)
    assert load_recipe(card, "paper") == default.changed(protocol="paper", epochs=9)


def test_settings_come_last_and_the_last_of_them_wins(card: Card) -> None:
    recipe = load_recipe(card, "paper", ["epochs=3", "seed=1", "epochs=4"])
    assert (recipe.optim.epochs, recipe.run.seed, recipe.data.protocol) == (4, 1, "paper")


@pytest.mark.parametrize(
    "name", ["n-caltech101", "n-mnist", "simulated-digits", "cep-dvs", "n-omniglot"]
)
def test_every_recipe_of_the_shipped_cards_is_valid(name: str) -> None:
    shipped = load_card(name)
    for recipe in shipped.recipes:
        assert load_recipe(shipped, recipe).network.model
    assert load_recipe(shipped, "baseline").transfer is False


PAPER = {
    "protocol": "paper",
    "seed": 42,
    "method": "sliding",
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "warmup_epochs": 5,
    "warmup_lr": 1e-6,
    "label_smoothing": 0.0,
    "domain_weight": 0.5,
    "fixed_coefficient": None,
    "replacement": "power",
    "sliding_power": 3.0,
    "channel": "V",
    "pairing": "class",
    "event_fraction": 1.0,
    "static_fraction": 1.0,
    "recordings_per_class": 0,
    "draws_per_epoch": 0,
    "snr_db": None,
    "augment": "none",
    "norm": "per-step",
    "neuron": "lif",
    "tau": 2.0,
    "threshold": 0.5,
    "learn_threshold": False,
    "reset": "hard",
    "surrogate_alpha": 2.0,
    "width": 1.0,
    "precision": "float32",
    "clip_norm": 0.0,
    "ema_decay": 0.0,
    "patience": 0,
    "accumulate": 1,
    "lr_scaling": "linear",
}
"""What all runs of the paper have in common (He et al., AAAI 2024)."""

TET = {"tet": True, "tet_lambda": 1e-3, "tet_target": 0.5, "regularization": True}
COSINE = {"schedule": "cosine", "min_lr": 1e-5}
RUNS = {
    "n-caltech101": PAPER
    | TET
    | COSINE
    | {
        "model": "vgg",
        "surrogate": "qgate",
        "batch_size": 120,
        "epochs": 300,
        "lr": 5e-3,
        "balanced": True,
        "crop_padding": 4,
        "flip": False,
        "rotation": 0.0,
    },
    "cep-dvs": PAPER
    | TET
    | COSINE
    | {
        "model": "resnet18",
        "surrogate": "qgate",
        "batch_size": 120,
        "epochs": 200,
        "lr": 5e-3,
        "balanced": False,
        "crop_padding": 4,
        "flip": True,
        "rotation": 15.0,
    },
    "n-omniglot": PAPER
    | {
        "model": "scnn",
        "surrogate": "backeigate",
        "batch_size": 16,
        "epochs": 50,
        "lr": 1.2,
        "schedule": "step",
        "decay_epochs": 40,
        "decay_rate": 0.1,
        "tet": False,
        "regularization": False,
        "balanced": False,
        "crop_padding": 0,
        "flip": False,
        "rotation": 0.0,
    },
}
FRAMES = {"n-caltech101": (10, 48), "cep-dvs": (6, 48), "n-omniglot": (12, 28)}
"""Steps and side."""
SCALED = {"n-caltech101": 5.859375e-4, "cep-dvs": 5.859375e-4, "n-omniglot": 0.01875}
"""Learning rate after the warm-up."""


@pytest.mark.parametrize("name", RUNS)
def test_the_papers_runs_have_the_published_settings(name: str) -> None:
    shipped = load_card(name)
    recipe = load_recipe(shipped, "paper")
    settings = recipe.settings()
    assert {key: settings[key] for key in RUNS[name]} == RUNS[name]
    frames = (recipe.data.steps or shipped.framing.steps, recipe.data.size or shipped.framing.size)
    assert frames == FRAMES[name]
    assert scaled_lr(recipe.optim.lr, recipe.optim.batch_size) == pytest.approx(
        SCALED[name], rel=1e-12
    )


@pytest.mark.parametrize("name", RUNS)
def test_the_papers_runs_do_not_hang_on_the_cards_default(name: str) -> None:
    """Another default, made for few labels say, leaves the published run as it is."""
    shipped = load_card(name)
    other = {
        "model": "none",
        "epochs": 1,
        "lr": 9.0,
        "regularization": name == "n-omniglot",
        "balanced": name != "n-caltech101",
        "domain_weight": 0.1,
        "sliding": False,
        "flip": name != "cep-dvs",
    }
    changed = dataclasses.replace(shipped, recipes={**shipped.recipes, "default": other})
    recipe = load_recipe(changed, "paper")
    settings = recipe.settings()
    assert {key: settings[key] for key in RUNS[name]} == RUNS[name]


BATCH = {"n-caltech101": 120, "cep-dvs": 120, "n-omniglot": 16, "n-mnist": 32}


@pytest.mark.parametrize("name", BATCH)
def test_default_and_baseline_are_chosen_on_validation(name: str) -> None:
    shipped = load_card(name)
    default, baseline = load_recipe(shipped), load_recipe(shipped, "baseline")
    assert default.selection == baseline.selection == "validation"
    assert default.transfer
    assert baseline == default.changed(transfer=False)
    assert default.optim.batch_size == BATCH[name]


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("epochs=20", "epochs", 20),
        ("lr=0.25", "lr", 0.25),
        ("lr=2e-3", "lr", 0.002),
        ("lr=1", "lr", 1.0),
        ("flip=true", "flip", True),
        ("optim.lr=0.25", "lr", 0.25),
        ("method=event-only", "method", "event-only"),
        ("method.name=time-mixup", "method", "time-mixup"),
        ("method.domain_weight=2", "domain_weight", 2.0),
        ("tensorboard=false", "tensorboard", False),
        ("tensorboard=auto", "tensorboard", "auto"),
        ("protocol=paper", "protocol", "paper"),
        ('protocol="paper"', "protocol", "paper"),
        ("channel= grey ", "channel", "grey"),
        ("steps=3", "steps", 3),
        ("snr_db=-5", "snr_db", -5.0),
        ("augment=nda", "augment", "nda"),
        ('augment=["nda"]', "augment", "nda"),
        ("augment=[]", "augment", "none"),
        ('augment=["nda", "mixup"]', "augment", ("nda", "mixup")),
        ("pairing=instance", "pairing", "instance"),
    ],
)
def test_a_setting_is_a_toml_value_or_a_bare_word(
    card: Card, setting: str, key: str, value: object
) -> None:
    found = load_recipe(card, settings=[setting]).settings()[key]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("epochs", ["--set epochs: expected key=value"]),
        ("=3", ["--set =3: expected key=value"]),
        ("epoch=3", ["unknown key 'epoch'", "did you mean 'epochs'?"]),
        ("lamda=3", ["unknown key 'lamda'", "(snntx settings lists them all)"]),
        ("optim.lrr=3", ["unknown key 'optim.lrr'; did you mean 'lr'? (known: epochs,"]),
        ("optim.flip=true", ["unknown key 'optim.flip'"]),
        ("method.lam=3", ["unknown key 'method.lam'"]),
        ("method=3", ["method = 3 is not a string"]),
        ("epochs=2.5", ["epochs = 2.5 is not a whole number"]),
        ("epochs=true", ["epochs = True is not a whole number"]),
        ("epochs=many", ["epochs = 'many' is not a whole number"]),
        ("epochs=", ["epochs = '' is not a whole number"]),
        ("lr=fast", ["lr = 'fast' is not a number"]),
        ("flip=1", ["flip = 1 is not true or false"]),
        ("transfer=1", ["transfer = 1 is not true or false"]),
        ("branch=evnt", ["unknown branch 'evnt'; did you mean 'event'?"]),
        ("tensorboard=3", ["tensorboard = 3 is not a string or true or false"]),
        ("transfer=False", ["transfer = 'False' is not true or false"]),
        ("protocol=3", ["protocol = 3 is not a string"]),
        ("steps=[3]", ["steps = [3] is not a whole number"]),
        ("augment=[3]", ["augment = [3] is not a string"]),
    ],
)
def test_a_wrong_setting_is_named(card: Card, setting: str, parts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(card, settings=[setting])
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batch_size=1", "batch_size must be at least 2"),
        ("epochs=0", "epochs must be at least 1, found 0"),
        ("steps=0", "steps must be at least 1, found 0"),
        ("size=-4", "size must be at least 1, found -4"),
        ("decay_epochs=0", "decay_epochs must be at least 1, found 0"),
        ("seed=-1", "seed must not be negative, found -1"),
        (f"seed={2**63}", "seed must be below 2**63"),
        ("crop_padding=-1", "crop_padding must not be negative, found -1"),
        ("recordings_per_class=-1", "recordings_per_class must not be negative"),
        ("draws_per_epoch=-1", "draws_per_epoch must not be negative"),
        ("warmup_epochs=-1", "warmup_epochs must not be negative"),
        (
            "channel=gray",
            "unknown channel 'gray'; did you mean 'grey'? (known: V, grey, blue, mean)",
        ),
        ("schedule=cosin", "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("lr=-0.1", "lr must be a finite number from 0 to inf, found -0.1"),
        ("lr=nan", "lr must be a finite number"),
        ("lr=inf", "lr must be a finite number"),
        ("weight_decay=-1", "weight_decay must be a finite number from 0 to inf, found -1.0"),
        ("sliding_power=-1", "sliding_power must be a finite number from 0 to inf"),
        ("tet_lambda=1.5", "tet_lambda must be a finite number from 0 to 1, found 1.5"),
        ("tet_target=nan", "tet_target must be a finite number"),
        ("domain_weight=-0.5", "domain_weight must be a finite number from 0"),
        ("event_fraction=0", "event_fraction must be above 0"),
        ("event_fraction=-0.1", "event_fraction must be a finite number from 0 to 1"),
        ("event_fraction=1.1", "event_fraction must be a finite number from 0 to 1, found 1.1"),
        ("static_fraction=1.1", "static_fraction must be a finite number from 0 to 1, found 1.1"),
        ("static_fraction=-1", "static_fraction must be a finite number from 0 to 1"),
        ("rotation=181", "rotation must be a finite number from 0 to 180, found 181"),
        ("rotation=-15", "rotation must be a finite number from 0 to 180"),
        ("snr_db=inf", "snr_db must be a finite number"),
        ("mix_alpha=0", "mix_alpha must be above 0"),
        ("mix_probability=2", "mix_probability must be a finite number from 0 to 1"),
        ("randaugment_count=0", "randaugment_count must be at least 1, found 0"),
        ("randaugment_magnitude=1.5", "randaugment_magnitude must be a finite number from 0 to 1"),
        ("hard_switch=true", "hard_switch takes the place of sliding; set sliding = false"),
        (
            "model=vg",
            "unknown model 'vg'; did you mean 'vgg'? (known: asa3, asa5, nmnist, ",
        ),
        ("surrogate=qgat", "unknown surrogate 'qgat'; did you mean 'qgate'?"),
        ("method=slidin", "unknown method 'slidin'; did you mean 'sliding'? (known: event-only, "),
        ("replacement=power3", "unknown replacement 'power3'; did you mean 'power'?"),
        ("pairing=twin", "unknown pairing 'twin' (known: class, instance)"),
        ("augment=cutmx", "unknown augment 'cutmx'; did you mean 'cutmix'? (known: none, mixup,"),
        ('augment=["nda", "ndb"]', "unknown augment 'ndb'; did you mean 'nda'?"),
        (
            'augment=["mixup", "nda", "eventmix"]',
            "augment has mixup and eventmix, which all mix labels; choose one",
        ),
        ('augment=["nda", "nda"]', "augment names the same augmentation twice"),
        ('augment=["nda", "none"]', "augment has none and another beside it; leave out one"),
    ],
)
def test_an_impossible_value_is_refused(card: Card, setting: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(card, settings=[setting])
    assert str(caught.value).startswith(f"recipe: {message}")


def test_an_unknown_recipe_names_the_nearest(card: Card) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(card, "basline")
    assert "unknown recipe 'basline'; did you mean 'baseline'?" in str(caught.value)
    assert "card n-mnist has: default, baseline, paper" in str(caught.value)


def test_a_file_comes_over_the_cards_default(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('epochs = 3\nlr = 1\nchannel = "mean"\n')
    settings = {"lr": 1.0, "batch_size": 32, "lr_scaling": "linear-nominal"}
    expected = Recipe.of(model="nmnist", epochs=5, channel="mean", **settings)
    assert load_recipe(card, str(path), ["epochs=5"]) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "not valid TOML"),
        ("epocs = 3", "unknown key 'epocs'; did you mean 'epochs'?"),
        ("[recipes.default]\nepochs = 3", "unknown key 'recipes'"),
        ('lr = "fast"', "lr = 'fast' is not a number"),
    ],
)
def test_a_wrong_file_is_named(card: Card, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_recipe(card, str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_missing_file_and_one_of_other_bytes(card: Card, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read: No such file"):
        load_recipe(card, str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes('model = "\xe9"'.encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin\.toml: not valid TOML"):
        load_recipe(card, str(tmp_path / "latin.toml"))


def test_what_is_required_is_asked_for(card: Card) -> None:
    bare = dataclasses.replace(card, recipes={"default": {"model": "nmnist"}})
    with pytest.raises(UsageError, match="the key 'epochs' is missing"):
        load_recipe(bare)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe.of(model="vgg", epochs=300),
        Recipe.of(model="vgg", epochs=2, steps=3, size=48, transfer=False, lr=1 / 3, min_lr=1e-300),
        Recipe.of(model="vgg", epochs=2, augment=("nda", "mixup"), snr_db=-3.0, event_fraction=0.1),
        Recipe.of(model='a "quoted" \\ name\twith é', epochs=1, seed=2**63 - 1),
        Recipe.of(
            model="vgg", epochs=2, method="time-mixup", modality_weight=0.5, tensorboard=True
        ),
        Recipe.of(model="vgg", epochs=2, method="static-only", tet=False),
    ],
)
def test_toml_round_trip(recipe: Recipe) -> None:
    table = tomllib.loads(recipe.to_toml())
    assert table == recipe.to_table()
    assert recipe_from_table(table, "here") == recipe


def test_what_is_absent_stays_out_of_the_toml() -> None:
    assert "steps" not in Recipe.of(model="vgg", epochs=1).to_toml()
    assert "steps = 3\n" in Recipe.of(model="vgg", epochs=1, steps=3).to_toml()


def test_the_best_epoch_is_chosen_on_validation_but_for_the_paper() -> None:
    assert Recipe.of(model="vgg", epochs=1).selection == "validation"
    assert Recipe.of(model="vgg", epochs=1, protocol="paper").selection == "test"


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe.of(model="vgg", epochs=1).optim.epochs = 2  # type: ignore[misc]


def test_augmentations_are_named_in_one_form() -> None:
    def names(*given: str) -> tuple[str, ...]:
        return Recipe.of(model="vgg", epochs=1, augment=list(given)).augment.names

    assert names() == names("none") == Recipe.of(model="vgg", epochs=1).augment.names == ()
    assert names("nda") == Recipe.of(model="vgg", epochs=1, augment="nda").augment.names == ("nda",)
    assert names("nda", "mixup") == ("nda", "mixup")
    assert Recipe.of(model="vgg", epochs=1, augment=["nda"]).augment.augment == "nda"


def test_no_static_image_means_no_transfer() -> None:
    assert Recipe.of(model="vgg", epochs=1, static_fraction=0.0).transfer is False
    assert Recipe.of(model="vgg", epochs=1, static_fraction=0.01).transfer is True
    with pytest.raises(UsageError, match="method static-only needs static images"):
        Recipe.of(model="vgg", epochs=1, method="static-only", static_fraction=0.0)


def test_every_setting_has_one_name_a_meaning_and_a_default_that_is_allowed() -> None:
    for method in METHODS.names():
        names = known_settings(method)
        assert len(set(names)) == len(names)
    for schema in (*GROUPS.values(), *(METHODS.get(name).Settings for name in METHODS.names())):
        for field in declared_fields(schema):
            assert field.key == "name" or field.setting.meaning, field.key
            if field.default is not dataclasses.MISSING:
                assert problem_of(field, field.default) is None, field.key


OLD = [
    ({}, "sliding", "power"),
    ({"transfer": True}, "sliding", "power"),
    ({"transfer": False}, "event-only", None),
    ({"branch": "event"}, "event-only", None),
    ({"branch": "both"}, "sliding", "power"),
    ({"branch": "static"}, "static-only", None),
    ({"strategy": "time-mixup"}, "time-mixup", "power"),
    ({"strategy": "time-mixup", "transfer": False}, "event-only", None),
    ({"strategy": "time-mixup", "sliding": False}, "time-mixup", "none"),
    ({"sliding": False}, "sliding", "none"),
    ({"sliding": False, "hard_switch": True}, "sliding", "hard-switch"),
    (
        {"strategy": "time-mixup", "sliding": False, "hard_switch": True},
        "time-mixup",
        "hard-switch",
    ),
    ({"transfer": False, "static_fraction": 0.0}, "sliding", "power"),
    ({"transfer": False, "static_fraction": 0.0, "strategy": "time-mixup"}, "time-mixup", "power"),
    ({"transfer": False, "branch": "event", "static_fraction": 0.0}, "event-only", None),
]
"""Settings of release 0.1, and the method and replacement that they mean."""


@pytest.mark.parametrize(("old", "name", "replacement"), OLD)
def test_what_release_0_1_called_a_method(
    old: dict[str, object], name: str, replacement: str | None
) -> None:
    recipe = Recipe.of(model="vgg", epochs=1, **old)
    assert recipe.method.name == name
    assert getattr(recipe.method, "replacement", None) == replacement
    assert recipe_from_table(recipe.to_table(), "here") == recipe


def test_a_whole_recipe_of_release_0_1_drops_what_its_method_never_used() -> None:
    old = {
        "model": "vgg",
        "epochs": 1,
        "transfer": False,
        "domain_weight": 5.0,
        "hard_switch": False,
    }
    recipe = recipe_from_table({**old, "sliding": True, "tensorboard": True}, "here")
    expected = Recipe.of(model="vgg", epochs=1, method="event-only", lr_scaling="linear-nominal")
    assert recipe == expected


def test_old_and_new_names_come_over_one_another(card: Card) -> None:
    def method(*settings: str) -> str:
        return load_recipe(card, "baseline", settings).method.name

    assert method() == "event-only"
    assert method("transfer=true") == method("method=sliding") == "sliding"
    assert method("strategy=time-mixup") == "event-only"  # as release 0.1: transfer is still false
    assert method("transfer=true", "strategy=time-mixup") == "time-mixup"
    recipe = load_recipe(card, settings=["replacement=hard-switch", "transfer=true"])
    assert recipe.settings()["replacement"] == "hard-switch"


def test_a_method_refuses_what_it_does_not_take_where_it_is_set(card: Card) -> None:
    few = dataclasses.replace(
        card, recipes={**card.recipes, "few": {"domain_weight": 5.0, "sliding_power": 1.0}}
    )
    taken = load_recipe(few, "few", ["method=event-only", "domain_weight=0.5"])
    assert taken == load_recipe(card, settings=["method=event-only"])
    with pytest.raises(UsageError) as caught:
        load_recipe(few, "few", ["method=event-only", "domain_weight=5"])
    assert str(caught.value) == (
        "recipe few of card n-mnist: method event-only takes no domain_weight; leave it out, or "
        "set method to one of sliding, time-mixup"
    )


def test_groups_and_flat_names_say_the_same(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[optim]\nlr = 1\n[data]\nchannel = "mean"\n[method]\nname = "time-mixup"\ntet = false\n'
    )
    flat = ["lr=1.0", "channel=mean", "method=time-mixup", "tet=false"]
    assert load_recipe(card, str(path)) == load_recipe(card, settings=flat)
    assert own_names(tomllib.loads(path.read_text())) == {
        "lr": 1,
        "channel": "mean",
        "method": "time-mixup",
        "tet": False,
    }


def test_a_recipe_is_read_without_torch() -> None:
    program = (
        "import sys; from snntx.data_cards import load_card; "
        "from snntx.train.recipe.sources import load_recipe; "
        "load_recipe(load_card('n-mnist'), 'few', ['method=time-mixup', 'augment=nda']); "
        "assert not {'torch', 'numba', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("method", ["event-only", "static-only", "sliding", "time-mixup"])
@pytest.mark.parametrize("repeated", [True, False], ids=["all words again", "recipe alone"])
def test_a_run_of_another_method_than_its_recipe_is_written_for_goes_on(
    method: str, repeated: bool
) -> None:
    card, settings = load_card("n-mnist"), [f"method={method}", "seed=7"]
    held = load_recipe(card, "few", settings)
    assert laid_over(held, card, "few", settings if repeated else []) == held
