"""The demonstration from its first command to its last line, on fewer digits and seeds."""

from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from snntx.cli import run
from snntx.commands import demo
from snntx.preprocess import digits


def test_the_demonstration_runs_to_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = partial(digits.write_simulated_digits, recordings=200)
    monkeypatch.setattr(digits, "write_simulated_digits", few)
    monkeypatch.setattr(demo, "TRAINING_SEEDS", (1,))
    out = tmp_path / "shown"
    assert run(["demo", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "5 labelled recordings a class,\nprotocol holdout, epoch chosen on validation" in told
    assert "\nknowledge transfer minus event-only baseline: " in told
    assert told.splitlines()[-1].endswith(str(out / "recordings.png"))
    assert min(Image.open(out / "recordings.png").size) > 100
    again = run(["demo", "--out", str(out)])  # what is finished is kept
    assert again == 0
    assert "reusing the sealed cache" in capsys.readouterr().out
