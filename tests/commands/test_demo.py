"""The demonstration from its first command to its last line, on fewer digits and seeds."""

import re
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from snntx.cli import run
from snntx.commands import demo
from snntx.preprocess import digits


@pytest.mark.slow
def test_the_demonstration_runs_to_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = partial(digits.write_simulated_digits, recordings=200)
    monkeypatch.setattr(digits, "write_simulated_digits", few)
    monkeypatch.setattr(demo, "TRAINING_SEEDS", (1, 2))
    out = tmp_path / "shown"
    assert run(["demo", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "1 labelled recording a class;\nprotocol holdout, epoch chosen on validation" in told
    last = told.splitlines()[-4:]
    events, transfer = (float(line.split()[-1]) for line in last[:2])
    assert last[0].startswith("events alone ")
    assert last[1].startswith("transfer from images ")
    assert re.fullmatch(
        r"difference +[+-]0\.\d{3} \(95 % interval [+-]\d\.\d{3} to [+-]\d\.\d{3}, 2 seeds\)"
        r"|difference +[+-]0\.\d{3} \(no interval: the seeds do not differ\)",
        last[2],
    )
    assert float(last[2].split()[1]) == pytest.approx(transfer - events, abs=0.0011)
    assert last[3].endswith(str(out / "recordings.png"))
    assert min(Image.open(out / "recordings.png").size) > 100
    again = run(["demo", "--out", str(out)])  # what is finished is kept
    assert again == 0
    assert "reusing the sealed cache" in capsys.readouterr().out
