"""How the log and the metrics number epochs, in this release and in 0.1."""

from __future__ import annotations

from typing import Any

import pytest

from snntx.train.checkpoints.names import FORMAT, from_one


def test_lines_of_release_0_1_counted_from_0() -> None:
    old = {"epoch": 3, "lr": 0.5, "best_epoch": 0}
    assert from_one(old) == {"format": 2, "epoch": 4, "lr": 0.5, "best_epoch": 1}
    assert list(from_one(old)) == ["format", "epoch", "lr", "best_epoch"]
    assert from_one({"format": 1, **old}) == from_one(old)
    assert from_one({"epoch": 3}) == {"format": 2, "epoch": 4}
    assert old == {"epoch": 3, "lr": 0.5, "best_epoch": 0}


def test_lines_of_this_release_stay() -> None:
    new = {"format": FORMAT, "epoch": 3, "best_epoch": 1}
    assert from_one(new) == new
    assert from_one(from_one({"epoch": 0})) == from_one({"epoch": 0})


@pytest.mark.parametrize("later", [3, "2", None, [2]])
def test_another_format_is_refused(later: Any) -> None:
    with pytest.raises(ValueError, match="this release reads 1 and 2"):
        from_one({"format": later, "epoch": 1})
