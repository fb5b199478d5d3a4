"""What a training prints: lines of at most 80 columns, kept as text in the run directory."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from snntx.commands.terminal.training import epoch_line, recipe_lines
from snntx.commands.terminal.transcript import Transcript
from snntx.data_cards import load_card
from snntx.errors import SnntxError
from snntx.train.recipe.departures import departures
from snntx.train.recipe.sources import load_recipe

CARD = "n-mnist"


def record(epoch: int = 1, best: int = 1, **values: Any) -> dict[str, Any]:
    told = {"loss": 4.60123, "accuracy": 0.5, "top1": 0.25, "seconds": 12.34, **values}
    train = {"loss": told["loss"], "accuracy": told["accuracy"]}
    chosen = {"part": "validation", "top1": told["top1"]}
    return {"epoch": epoch, "best_epoch": best, "train": train, "selection": chosen,
            "seconds": told["seconds"]}  # fmt: skip


def test_an_epochs_line() -> None:
    line = "epoch   1/30  loss 4.6012  train 0.500  validation top-1 0.2500  12.3 s"
    assert epoch_line(record(), 30) == f"{line} *"
    assert epoch_line(record(best=0), 30) == line
    assert epoch_line(record(seconds=123.4), 30).endswith("  123 s *")


@pytest.mark.parametrize("loss", [0.0, 9.99999, 12345.678, 3e38, float("inf")])
@pytest.mark.parametrize("seconds", [0.04, 99.96, 86400.0])
def test_the_widest_line_of_an_epoch_fits(loss: float, seconds: float) -> None:
    line = epoch_line(record(999, 999, loss=loss, accuracy=1.0, top1=1.0, seconds=seconds), 999)
    assert len(line) <= 80


@pytest.mark.parametrize(
    ("recipe", "settings", "lines"),
    [
        ("default", [], [f"recipe default of card {CARD}, nothing changed"]),
        ("default", ["epochs=3", "size=28"],
         [f"recipe default of card {CARD}, changed:",
          "  epochs = 3 (not 30), size = 28 (not none)"]),
        ("baseline", ["seed=7"],
         [f"recipe baseline of card {CARD}, changed:", "  seed = 7 (not 42)"]),
    ],
)  # fmt: skip
def test_the_recipe_is_told_by_what_departs(
    recipe: str, settings: list[str], lines: list[str]
) -> None:
    card = load_card(CARD)
    found = departures(card, recipe, load_recipe(card, recipe, settings))
    assert recipe_lines(f"{recipe} of card {CARD}", "", found) == lines


def test_many_settings_are_broken_between_them() -> None:
    card = load_card(CARD)
    settings = ["epochs=3", "lr=0.01", "method=time-mixup", "modality_weight=0.5", "model=scnn",
                "batch_size=8", "snr_db=30", "seed=7", "clip_norm=1.0", "width=0.25"]  # fmt: skip
    found = departures(card, "default", load_recipe(card, settings=settings))
    assert list(found) == ["model", "width", "epochs", "batch_size", "lr", "clip_norm", "method",
                           "modality_weight", "snr_db", "seed"]  # fmt: skip
    first, *rest = recipe_lines("default", "mine.toml", found)
    assert first == "recipe mine.toml, over default, changed:"
    assert max(map(len, rest)) <= 80 - len("snntx: ")
    told = " ".join(line.strip() for line in rest).split("), ")
    assert [each.split(" = ")[0] for each in told] == list(found)


def test_a_recipe_that_is_whole_with_settings_alone() -> None:
    assert recipe_lines("default of card x", "", None) == [
        "recipe default of card x, which is whole with settings of the run alone"
    ]


# the terminal, kept


def test_lines_are_held_back_until_the_directory_is_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, transcript = tmp_path / "terminal.txt", Transcript()
    transcript.say("one")
    assert not path.exists()
    transcript.begin(path, fresh=True)
    assert path.read_text() == "snntx: one\n"
    transcript.add("epoch 1")
    assert path.read_text() == "snntx: one\nepoch 1\n"  # at once
    transcript.close()
    assert capsys.readouterr().err == "snntx: one\n"


def test_what_goes_on_comes_after_and_a_torn_line_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "terminal.txt"
    path.write_bytes(b"one\ntwo, to")
    transcript = Transcript()
    transcript.add("three")
    transcript.begin(path, fresh=False)
    transcript.close()
    assert path.read_text() == "one\ntwo, to\nthree\n"
    other = Transcript()
    other.begin(path, fresh=False)
    other.add("four")
    other.close()
    assert path.read_text() == "one\ntwo, to\nthree\nfour\n"
    again = Transcript()
    again.begin(path, fresh=True)
    again.close()
    assert path.read_bytes() == b""


def test_escapes_of_foreign_names_are_plain_in_it(tmp_path: Path) -> None:
    transcript = Transcript()
    transcript.begin(tmp_path / "terminal.txt", fresh=True)
    transcript.add("run \x1b[31mred\udcff")
    transcript.close()
    assert (tmp_path / "terminal.txt").read_bytes() == b"run \\x1b[31mred\\xff\n"


def test_what_ended_it_is_its_last_line(tmp_path: Path) -> None:
    for error, last in (
        (SnntxError("bad: lower lr"), "snntx: error: bad: lower lr"),
        (OSError(28, "No space left"), "snntx: error: [Errno 28] No space left"),
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
    ):
        transcript = Transcript()
        transcript.begin(tmp_path / "terminal.txt", fresh=True)
        transcript.failed(error)
        transcript.close()
        assert (tmp_path / "terminal.txt").read_text().splitlines()[-1] == last


def test_a_process_that_does_not_report_says_and_keeps_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Transcript(shown=False).say("one")
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_one_line_and_hides_no_other(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    transcript = Transcript()
    transcript.begin(tmp_path / "terminal.txt", fresh=True)
    transcript._file = Full()
    with pytest.raises(SnntxError, match=r"terminal\.txt: cannot be written: No space left on dev"):
        transcript.add("one")
    transcript.failed(SnntxError("the other"))
    with pytest.raises(SnntxError, match="cannot be written"):
        transcript.begin(tmp_path / "nowhere" / "terminal.txt", fresh=True)
