"""Columns of a run's log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snntx.train.insight.trajectories import trajectories
from snntx.train.study.results import read_records

RUNS = Path(__file__).resolve().parents[2] / "fixtures" / "release-0.1" / "runs"


def record(epoch: int, **values: Any) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "P": 0.25,
        "cka": [0.5, 0.75],
        "train": {"loss": 1.0, "replaced": 0.125},
        "coefficient": [0.5, 0.5],
    } | values


def test_columns_are_the_logs() -> None:
    found = trajectories([record(1), record(2, P=0.5, coefficient=[0.5, 0.625])])
    assert found is not None
    assert found.to_json() == {
        "epochs": (1, 2),
        "probability": (0.25, 0.5),
        "replaced": (0.125, 0.125),
        "coefficients": ((0.5, 0.5), (0.5, 0.625)),
        "cka": ((0.5, 0.75), (0.5, 0.75)),
        "moved": True,
    }


def test_coefficients_that_are_not_learnt_are_told() -> None:
    found = trajectories([record(1), record(2, train={"loss": 0.5})])
    assert found is not None
    assert not found.moved
    assert found.replaced == (0.125, None)


def test_no_epoch_has_no_trajectory() -> None:
    assert trajectories([]) is None


def test_runs_of_the_first_release_are_read() -> None:
    found = trajectories(read_records(RUNS / "sliding-seed42"))
    assert found is not None
    assert found.epochs[0] == 1
    assert len(found.coefficients[0]) == len(found.cka[0]) == 2
