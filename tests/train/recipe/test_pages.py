"""The JSON Schema of a recipe agrees with what a recipe takes; settings are found by name."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from snntx.data_cards import load_card
from snntx.declared.fields import declared_fields, fitted, problem_of
from snntx.errors import UsageError
from snntx.train.recipe.doors import METHODS
from snntx.train.recipe.groups import GROUPS
from snntx.train.recipe.pages import all_rows, page, rows_named, schema
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe

CARDS = ("cep-dvs", "n-caltech101", "n-mnist", "n-omniglot", "simulated-digits")
NUMBERS = (-(2**70), -1.5, -1, 0, 0.5, 1, 1.5, 2, 90, 180, 180.5, 181, 10**9)
"""No 1.0: to JSON Schema that is a whole number, to TOML it is none."""
OTHERS: tuple[Any, ...] = (
    True,
    False,
    "auto",
    "none",
    "V",
    "float32",
    "",
    [],
    ["mixup"],
    [1],
    {},
    None,
)


def validator(method: str) -> Any:
    return Draft202012Validator(json.loads(json.dumps(schema(method))))


@pytest.mark.parametrize("method", METHODS.shipped())
def test_the_schema_is_one(method: str) -> None:
    Draft202012Validator.check_schema(json.loads(json.dumps(schema(method))))


@pytest.mark.parametrize("name", CARDS)
def test_the_schema_takes_every_recipe_of_the_shipped_cards(name: str) -> None:
    card = load_card(name)
    for each in card.recipes:
        recipe = load_recipe(card, each)
        assert not list(validator(recipe.method.name).iter_errors(recipe.to_table()))


@pytest.mark.parametrize("method", METHODS.shipped())
def test_the_schema_takes_a_value_just_where_its_field_does(method: str) -> None:
    whole = Recipe.of(model="vgg", epochs=3, method=method).to_table()
    check = validator(method)
    assert check.is_valid(whole)
    tables = {**GROUPS, "method": METHODS.get(method).Settings}
    refused = 0
    for group, table in tables.items():
        for field in declared_fields(table):
            for value in (*NUMBERS, *OTHERS):
                changed = copy.deepcopy(whole)
                changed[group][field.key] = value
                fits, taken = fitted(value, field.kind)
                good = value is not None and fits and problem_of(field, taken) is None
                assert check.is_valid(changed) == good, (group, field.key, value)
                refused += not good
    assert refused > 500


def test_the_schema_refuses_unknown_names() -> None:
    whole = Recipe.of(model="vgg", epochs=3).to_table()
    check = validator("sliding")
    assert not check.is_valid({**whole, "optin": {}})
    assert not check.is_valid({**whole, "optim": {**whole["optim"], "lrr": 1.0}})
    assert not check.is_valid({**whole, "network": {}})


def test_settings_are_found_by_group_method_and_name() -> None:
    assert {row.group for row in rows_named("optim")} == {"optim"}
    assert {row.name for row in rows_named("time-mixup")} >= {"ratio_weight", "replacement"}
    assert [row.name for row in rows_named("optim.lr")] == ["lr"]
    assert {row.group for row in rows_named("tet")} == {
        f"method {name}" for name in METHODS.shipped()
    }
    with pytest.raises(UsageError, match=r"is called 'optmi'; did you mean 'optim'\?"):
        rows_named("optmi")


def test_the_page_has_every_setting() -> None:
    text = page()
    for row in all_rows():
        assert f"| `{row.name}` |" in text
    for name in (*GROUPS, *METHODS.shipped()):
        assert name in text
