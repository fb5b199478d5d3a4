"""Values of the wrong type: what is said to write is what was meant, and is allowed."""

from __future__ import annotations

import pytest

from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.train.recipe.sources import load_recipe


def refused(setting: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_recipe(load_card("n-mnist"), settings=[setting])
    return str(caught.value)


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ("transfer=False", "transfer=false"),
        ("transfer=True", "transfer=true"),
        ("flip=True", "flip=true"),
        ("flip=False", "flip=false"),
        ("flip=yes", "flip=true"),
        ("flip=No", "flip=false"),
        ("flip=off", "flip=false"),
        ("flip=1", "flip=true"),
        ("flip=0", "flip=false"),
        ("flip='\"true\"'", "flip=true"),
        ("tensorboard=False", "tensorboard=false"),
        ("size=48px", "size=48"),
        ("rotation=15°", "rotation=15.0"),
        ("rotation=15 deg", "rotation=15.0"),
        ("snr_db=-3dB", "snr_db=-3.0"),
        ("event_fraction=10%", "event_fraction=0.1"),
        ("lr=.1", "lr=0.1"),
        ("lr=1.", "lr=1.0"),
        ("lr=0,5", "lr=0.5"),
        ("epochs='5'", "epochs=5"),
        ('epochs="5"', "epochs=5"),
        ("epochs=“5”", "epochs=5"),
        ("epochs=5.0", "epochs=5"),
        ("epochs=1e2", "epochs=100"),
        ("epochs=010", "epochs=10"),
        ("draws_per_epoch=10,000", "draws_per_epoch=10000"),
        ("steps=[3]", "steps=3"),
    ],
)
def test_what_was_meant_is_said_and_goes_through(setting: str, advice: str) -> None:
    name = setting.partition("=")[0]
    line = refused(setting)
    assert f"{name} = " in line or f"unknown {name} " in line
    assert (
        line.endswith(f"; write {advice}") or f"; did you mean '{advice.partition('=')[2]}'" in line
    )
    load_recipe(load_card("n-mnist"), settings=[advice])


@pytest.mark.parametrize("setting", ["snr_db=None", "snr_db=null", "size=none"])
def test_nothing_is_left_out(setting: str) -> None:
    name = setting.partition("=")[0]
    assert refused(setting).endswith(f"; leave out {name} for none")
    assert load_recipe(load_card("n-mnist")).settings()[name] is None


@pytest.mark.parametrize(
    "setting",
    ["flip=perhaps", "flip=None", "flip=2", "epochs=many", "epochs=2.5", "epochs=true", "epochs=0x",
     "epochs=0px", "lr=1/1024", "lr=fast", "event_fraction=200%"],
)  # fmt: skip
def test_where_it_is_not_plain_nothing_is_made_up(setting: str) -> None:
    assert "; write " not in refused(setting)
