"""A user's own card: known by name after its first use, and never taken for another."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.data_cards.load import kept_card_path
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.upkeep.stored import folders_in

CARDS = Path(__file__).parents[3] / "data_cards" / "shipped"
SHIPPED = (CARDS / "simulated-digits.toml").read_text("utf-8")
OWN = SHIPPED.replace('name = "simulated-digits"', '# mine\nname = "mine" # a name')


class Snntx:
    """Calls the command line; keeps caches and cards below one folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys, self.cache, self.folder = capsys, folder / "cache", folder

    def __call__(self, *words: object, code: int = 0) -> str:
        done = run([*map(str, words)])
        out, err = self.capsys.readouterr()
        assert done == code, out + err
        return str(out + err)

    def preprocess(self, card: object, *more: object, code: int = 0) -> str:
        places = ("--raw", self.folder / "raw", "--cache", self.cache, "--jobs", 1, "--steps", 2)
        return self("preprocess", card, *places, *more, code=code)

    def refused(self, card: object, *parts: str) -> str:
        line = self.preprocess(card, code=2)
        assert line.count("\n") == 1
        assert all(part in line for part in parts), line
        return line


@pytest.fixture
def snntx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Snntx:
    rng = np.random.default_rng(0)
    for i in range(24):
        x, y = rng.integers(0, 34, (2, 60))
        t, p = np.sort(rng.integers(0, 9000, 60)), rng.integers(0, 2, 60)
        path = tmp_path / f"raw/Train/{i % 2}/{i:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]
    return Snntx(capsys, tmp_path)


def own(folder: Path, text: str = OWN, name: str = "own.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_known_by_name_after_its_first_use(snntx: Snntx, tmp_path: Path) -> None:
    path = own(tmp_path)
    assert "card mine is kept" in snntx.preprocess(path)
    kept = kept_card_path("mine", snntx.cache)
    assert [each.name for each in (snntx.cache / "cards").iterdir()] == ["mine.toml"]
    assert kept.read_text(encoding="utf-8").endswith(f'own.toml"\n{OWN}')
    path.unlink()
    assert "reusing the sealed cache" in snntx.preprocess("mine")
    listed = snntx("cards", "--cache", snntx.cache)
    assert re.search(r"^mine +atis ", listed, re.MULTILINE)
    assert "mine: Simulated digits" in snntx("cards", "mine", "--cache", snntx.cache)
    assert "mine" in snntx("cache", "ls", "--cache", snntx.cache)
    assert "recordings" in snntx("cache", "show", "mine", "--cache", snntx.cache)
    assert folders_in(snntx.cache) == ["mine"]
    sets = [w for s in ("epochs=1", "batch_size=4", "warmup_epochs=0", "method=event-only",
            "recordings_per_class=4", "draws_per_epoch=8") for w in ("--set", s)]  # fmt: skip
    words = ("train", "mine", "--cache", snntx.cache, "--out", tmp_path / "run", *sets)
    assert "snntx evaluate" in snntx(*words, "--device", "cpu")


def test_a_name_that_is_nearly_a_kept_one(snntx: Snntx, tmp_path: Path) -> None:
    snntx.preprocess(own(tmp_path))
    line = snntx.preprocess("mien", code=2)
    assert "unknown card 'mien'; did you mean 'mine'?" in line
    assert "simulated-digits, mine;" in line
    assert "did you mean 'mine'?" in snntx("cards", "mien", "--cache", snntx.cache, code=2)


def test_a_changed_file_is_taken_up_and_the_same_one_from_anywhere(
    snntx: Snntx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own(tmp_path)
    snntx.preprocess(path)
    kept = kept_card_path("mine", snntx.cache)
    own(tmp_path, OWN.replace("optim.epochs = 10", "optim.epochs = 11"))
    monkeypatch.chdir(tmp_path)
    snntx("train", "own.toml", "--cache", snntx.cache, "--recipe", "none", code=2)
    assert "optim.epochs = 11" in kept.read_text(encoding="utf-8")
    own(tmp_path, OWN.replace("optim.epochs = 10", "optim.epochs = 12"))
    assert "reusing" in snntx.preprocess("own.toml")
    assert "optim.epochs = 12" in kept.read_text(encoding="utf-8")
    before = kept.read_bytes()
    snntx.preprocess(own(tmp_path, path.read_text(encoding="utf-8"), "moved/own.toml"))
    snntx.preprocess(kept)
    assert kept.read_bytes() == before


@pytest.mark.parametrize("way", ["name", "remove"])
def test_anothers_name_is_refused_until_the_line_is_changed(
    snntx: Snntx, tmp_path: Path, way: str
) -> None:
    snntx.preprocess(own(tmp_path))
    other = own(tmp_path, OWN.replace("epochs = 10", "epochs = 9"), "their.toml")
    line = snntx.refused(other, 'their.toml: line 2, name = "mine", is the name of another card')
    assert f"from {tmp_path / 'own.toml'}" in line
    asked = ("train", other, "--cache", snntx.cache)
    assert "line 2" in snntx(*asked, code=2)
    if way == "remove":
        command = shlex.split(line.partition("remove it: ")[2])
        subprocess.run(command, check=True)
    else:
        lines = other.read_text(encoding="utf-8").split("\n")
        lines[1] = 'name = "theirs"'
        other.write_text("\n".join(lines), encoding="utf-8")
    assert "is kept" in snntx.preprocess(other)


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("n-mnist", "is the name of a shipped card"),
        ("simulated-digits", "is the name of a shipped card"),
        ("cards", "is the name of the folder that cards are kept in"),
        ("tonic-nmnist", "is the name of the card "),
    ],
)
def test_names_that_are_taken(snntx: Snntx, tmp_path: Path, name: str, whose: str) -> None:
    if name.startswith("tonic"):
        own(snntx.cache / name, OWN.replace('"mine"', f'"{name}"'), "card.toml")
    text = OWN.replace('"mine"', f'"{name}"').replace("epochs = 10", "epochs = 9")
    path = own(tmp_path, text)
    line = snntx.refused(path, f'own.toml: line 2, name = "{name}", {whose}')
    advice = re.search(r'such as (name = ".*")', line)
    assert advice is not None
    lines = text.split("\n")
    lines[1] = advice[1]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert f"card my-{name} is kept" in snntx.preprocess(path)


def test_an_unchanged_copy_of_a_shipped_card_is_that_card(snntx: Snntx, tmp_path: Path) -> None:
    snntx.preprocess(own(tmp_path, SHIPPED))
    assert not (snntx.cache / "cards").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("optim.epochs = 10", "optim.epochz = 10", "did you mean 'epochs'?"),
        ("optim.epochs = 10", 'optim.epochs = "ten"', "epochs = 'ten' is not a whole number"),
        ('"nmnist"', '"nmnits"', "unknown model 'nmnits'; did you mean 'nmnist'?"),
        ('"event-only"', '"event-onyl"', "did you mean 'event-only'?"),
        ('method.name = "event-only"', "optim.lr = -1", "own.toml: [recipes.baseline] "),
    ],
)
def test_a_typo_in_a_recipe_is_found_by_preprocess(
    snntx: Snntx, tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert OWN.count(old) == 1
    path = own(tmp_path, OWN.replace(old, new))
    snntx.refused(path, "own.toml: ", message)
    assert not list(snntx.cache.rglob("SEALED"))
    own(tmp_path)
    snntx.preprocess(path)


def test_a_recipe_may_leave_out_what_settings_give(snntx: Snntx, tmp_path: Path) -> None:
    text = OWN.replace("optim.epochs = 10\n", "").replace('network.model = "nmnist"\n', "")
    snntx.preprocess(own(tmp_path, text))
    other = text.replace('"mine"', '"other"').replace('"event-only"', '"nowhere.at:All"')
    snntx.preprocess(own(tmp_path, other, "other.toml"))  # another package's to check


def test_recipes_are_checked_without_torch(snntx: Snntx, tmp_path: Path) -> None:
    program = """
import sys
for name in ("torch", "tonic"):
    sys.modules[name] = None
from snntx.cli import run
sys.exit(run(sys.argv[1:]))
"""
    path = own(tmp_path)
    words = ["preprocess", path, "--raw", tmp_path / "raw", "--cache", snntx.cache, "--jobs", "1"]
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    path.write_text(OWN.replace("optim.epochs", "optim.epochz"), encoding="utf-8")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "did you mean 'epochs'?" in done.stderr


def test_a_root_that_cannot_be_written_is_said(
    snntx: Snntx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, text: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("snntx.preprocess.planning.own_card.write_atomic", refuse)
    assert "mine.toml: the card cannot be kept: Read-only" in snntx.preprocess(own(tmp_path))


def test_a_damaged_copy_does_not_hide_the_others(snntx: Snntx, tmp_path: Path) -> None:
    snntx.preprocess(own(tmp_path))
    kept_card_path("mine", snntx.cache).write_text("name =")
    told = snntx("cards", "--cache", snntx.cache)
    assert "passed over" in told
    assert "n-mnist" in told
    assert "not valid TOML" in snntx("cards", "mine", "--cache", snntx.cache, code=2)
    with pytest.raises(Exception, match=r"mine\.toml: not valid TOML"):
        load_card("mine", snntx.cache)
