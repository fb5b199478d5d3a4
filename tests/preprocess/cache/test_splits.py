"""Protocols: exact shares, names alone decide, and no held-out twin is ever a partner."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from snntx.data_cards.schema import SplitRule
from snntx.errors import UsageError
from snntx.preprocess.cache.splits import (
    TEST,
    TRAIN,
    UNUSED,
    VALIDATION,
    split_recordings,
    split_statics,
)

HOLDOUT = SplitRule("hash", validation=0.1, test=0.1)
LEADING = SplitRule("leading", train=0.9)


def named(*sizes: int) -> tuple[list[str], NDArray[np.int64]]:
    """Sorted identities and labels of classes of some sizes."""
    names = [f"c{c:03d}/image_{i:04d}" for c, size in enumerate(sizes) for i in range(1, size + 1)]
    return names, np.repeat(np.arange(len(sizes)), sizes)


def split(rule: SplitRule, names: list[str], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    return split_recordings(rule, names, labels, [{} for _ in names])


def counts(parts: NDArray[np.uint8]) -> list[int]:
    return [int((parts == part).sum()) for part in range(4)]


@pytest.mark.parametrize(
    ("size", "validation", "test"),
    [(1, 0, 0), (2, 0, 0), (5, 0, 0), (6, 1, 1), (15, 2, 2), (25, 2, 2), (31, 3, 3), (800, 80, 80)],
)
def test_holdout_shares_round_half_to_even(size: int, validation: int, test: int) -> None:
    parts = split(HOLDOUT, *named(size))
    assert counts(parts) == [size - validation - test, validation, test, 0]


def test_holdout_is_stratified() -> None:
    names, labels = named(20, 50, 10)
    parts = split(HOLDOUT, names, labels)
    assert [counts(parts[labels == c])[:3] for c in range(3)] == [
        [16, 2, 2],
        [40, 5, 5],
        [8, 1, 1],
    ]


def test_holdout_keeps_one_to_train_on() -> None:
    parts = split(SplitRule("hash", validation=0.5, test=0.49), *named(1, 2, 3))
    assert [counts(p)[0] for p in np.split(parts, [1, 3])] == [1, 1, 1]


def test_holdout_by_hand() -> None:
    # ranks are SHA-256 of the identity: 'b' 3e23…, 'd' 18ac…, 'a' ca97…, 'c' 2e7d…
    parts = split(SplitRule("hash", validation=0.25, test=0.25), list("abcd"), np.zeros(4, int))
    assert parts.tolist() == [TRAIN, TRAIN, VALIDATION, TEST]


@given(st.permutations(range(40)))
def test_holdout_depends_on_names_not_on_order(order: list[int]) -> None:
    names, labels = named(25, 15)
    parts = split(HOLDOUT, names, labels)
    shuffled = split(HOLDOUT, [names[i] for i in order], labels[order])
    assert shuffled.tolist() == parts[order].tolist()


def test_other_classes_do_not_change_a_class() -> None:
    names, labels = named(30, 20)
    alone = split(HOLDOUT, names[:30], labels[:30])
    assert split(HOLDOUT, names, labels)[:30].tolist() == alone.tolist()


def test_leading_is_the_first_rounded_share_of_each_class() -> None:
    sizes = [467, 435, 200, 798, 55, 800, 31, 5]
    trains = [420, 392, 180, 718, 50, 720, 28, 4]  # 49.5 rounds to 50, 391.5 to 392, 4.5 to 4
    names, labels = named(*sizes)
    parts = split(LEADING, names, labels)
    for label, (size, train) in enumerate(zip(sizes, trains, strict=True)):
        own = parts[labels == label]
        assert own.tolist() == [TRAIN] * train + [TEST] * (size - train)
    assert counts(parts) == [sum(trains), 0, sum(sizes) - sum(trains), 0]


def test_field_rule() -> None:
    rule = SplitRule("field", field="split", train_value="Train", test_value="Test")
    fields = [{"split": "Test"}, {"split": "Train"}, {"split": "Train"}]
    parts = split_recordings(rule, ["x", "y", "z"], np.zeros(3, int), fields)
    assert parts.tolist() == [TEST, TRAIN, TRAIN]


def test_field_rule_names_the_value_it_does_not_know() -> None:
    rule = SplitRule("field", field="split", train_value="Train", test_value="Test")
    with pytest.raises(UsageError, match=r"recording y: split = 'Val', expected 'Train' or 'Test'"):
        split_recordings(rule, ["y"], np.zeros(1, int), [{"split": "Val"}])


def test_statics_take_the_part_of_the_recording_they_are_twin_of() -> None:
    twins = np.array([0, 2, 3, -1, -1, 5])
    parts = np.array([TRAIN, VALIDATION, TEST, TEST, TRAIN, UNUSED], np.uint8)
    assert split_statics(6, twins, parts).tolist() == [
        TRAIN,
        TRAIN,
        VALIDATION,
        TEST,
        TRAIN,
        UNUSED,
    ]


def test_a_shared_twin_is_held_out_if_any_of_its_recordings_is() -> None:
    for parts in ([TRAIN, TEST], [TEST, TRAIN], [VALIDATION, TEST], [UNUSED, TEST]):
        assert split_statics(1, np.array([0, 0]), np.array(parts, np.uint8)).tolist() == [TEST]


@given(st.data())
def test_no_twin_of_a_held_out_recording_is_a_partner(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    m = data.draw(st.integers(0, 40))
    twins = np.array(data.draw(st.lists(st.integers(-1, m - 1), min_size=n, max_size=n)))
    names, labels = named(n)
    for rule in (HOLDOUT, LEADING):
        parts = split(rule, names, labels)
        partners = set(np.flatnonzero(split_statics(m, twins, parts) == TRAIN).tolist())
        assert partners.isdisjoint(twins[parts != TRAIN].tolist())
        assert partners >= set(range(m)) - set(twins.tolist())  # with no twin: may be used


def test_a_field_may_name_validation_recordings_too() -> None:
    rule = SplitRule(
        "field",
        field="set",
        train_values=("train",),
        validation_values=("val",),
        test_values=("test",),
    )
    names, labels = named(3)
    fields = [{"set": name} for name in ("val", "test", "train")]
    assert split_recordings(rule, names, labels, fields).tolist() == [VALIDATION, TEST, TRAIN]
    with pytest.raises(UsageError, match=r"set = 'other', expected 'train' or 'test' or 'val'"):
        split_recordings(rule, names, labels, [{"set": "other"}, *fields[1:]])
