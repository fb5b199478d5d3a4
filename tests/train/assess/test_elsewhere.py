"""A run on other recordings than its own test part: another cache of its card, or another part."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from snntx.cli import run
from snntx.preprocess.cache.opening import opened
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode
from snntx.tests.own_card import own_card

CARD = "simulated-digits"
TINY = ("steps=3", "epochs=1", "batch_size=16", "width=0.25", "recordings_per_class=0",
        "draws_per_epoch=0")  # fmt: skip


class Output(NamedTuple):
    code: int
    out: str
    err: str


class Snntx:
    """Calls the command line in this process, on one root of caches."""

    def __init__(self, capsys: pytest.CaptureFixture[str], root: Path) -> None:
        self.capsys, self.root = capsys, root

    def __call__(self, command: str, *words: object) -> Output:
        self.capsys.readouterr()
        code = run([command, *map(str, words), "--cache", str(self.root)])
        return Output(code, *self.capsys.readouterr())

    def preprocess(self, card: str, raw: Path, *words: object) -> str:
        """Return the key of the cache that it makes."""
        before = set(self.root.glob("*/*/SEALED"))
        done = self("preprocess", card, "--raw", raw, "--jobs", 1, *words)
        assert done.code == 0, done.err
        (seal,) = set(self.root.glob("*/*/SEALED")) - before
        return seal.parent.name

    def json(self, *words: object) -> dict[str, Any]:
        done = self("evaluate", *words, "--json")
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of caches with the small one in it, and a run on that."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(small_cache / "cache", folder / "cache")
    settings = [word for each in TINY for word in ("--set", each)]
    words = ["train", CARD, "--cache", str(folder / "cache"), "--out", str(folder / "run")]
    assert run([*words, *settings]) == 0
    return folder


@pytest.fixture
def snntx(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Snntx:
    shutil.copytree(trained / "cache", tmp_path / "cache")
    return Snntx(capsys, tmp_path / "cache")


@pytest.fixture
def new(small_cache: Path, tmp_path: Path) -> Path:
    """New recordings of three of the ten classes: the old ones without their first event."""
    for kind in "258":
        for path in sorted((small_cache / "data/raw/Train" / kind).glob("*.bin")):
            copy = tmp_path / "new/Train" / kind / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes()[5:])
    return tmp_path / "new"


def test_new_recordings_of_some_classes(snntx: Snntx, trained: Path, new: Path) -> None:
    assert snntx("evaluate", trained / "run").code == 0
    kept = (trained / "run/metrics.json").read_bytes()
    key = snntx.preprocess(CARD, new, "--steps", 3)
    result = snntx.json(trained / "run", "--key", key[:6], "--part", "all")
    assert (result["cache_key"], result["part"], result["recordings"]) == (
        key,
        "all",
        len(list(new.rglob("*.bin"))),
    )
    assert run(["predict", str(trained / "run"), str(new), "--json"]) == 0
    told = json.loads(snntx.capsys.readouterr().out)
    predicted = {each["file"]: each["predicted"] for each in told}
    right = [Path(file).parent.name == name for file, name in predicted.items()]
    assert result["top1"] == pytest.approx(np.mean(right))
    assert list(result["per_class"]) == ["2", "5", "8"]
    assert (trained / "run/metrics.json").read_bytes() == kept
    printed = " ".join(
        snntx("evaluate", trained / "run", "--key", key, "--part", "all").out.split()
    )
    assert "metrics.json keeps the result on the run's own test part" in printed
    assert "it was trained on" not in printed


def test_recordings_that_it_knows_are_counted(snntx: Snntx, trained: Path) -> None:
    cache = opened(next(snntx.root.glob(f"{CARD}/*/SEALED")).parent)
    counts = [cache.split("holdout", part).size for part in ("train", "validation")]
    printed = " ".join(snntx("evaluate", trained / "run", "--part", "all").out.split())
    assert f"{counts[0]} of these 80 recordings it was trained on" in printed
    assert f"{counts[1]} of these 80 recordings it was chosen on" in printed
    result = snntx.json(trained / "run", "--part", "validation")
    assert (result["part"], result["recordings"]) == ("validation", counts[1])
    log = [json.loads(line) for line in (trained / "run/log.jsonl").read_text().splitlines()]
    assert result["top1"] == pytest.approx(log[-1]["selection"]["top1"])


def test_the_runs_own_cache_by_its_key(snntx: Snntx, trained: Path) -> None:
    own = snntx.json(trained / "run")
    assert snntx.json(trained / "run", "--key", own["cache_key"][:4]) == own


def test_its_own_cache_is_not_there(snntx: Snntx, trained: Path, new: Path) -> None:
    old = next(snntx.root.glob(f"{CARD}/*/SEALED")).parent
    key = snntx.preprocess(CARD, new, "--steps", 3)
    for path in (old, *old.iterdir()):
        path.chmod(0o755)
    shutil.rmtree(old)
    printed = snntx("evaluate", trained / "run", "--key", key, "--part", "all").out
    assert "nobody can tell whether it was trained on some" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--key", "zz"], "no cache has key 'zz' (sealed: "),
        (["--protocol", "paper"], "--protocol is of published ones alone"),
        (["--part", "tset"], "'tset' is not one of 'test', 'validation'"),
    ],
)
def test_wrong_words(snntx: Snntx, trained: Path, words: list[str], says: str) -> None:
    done = snntx("evaluate", trained / "run", *words)
    assert done.code == 2
    assert done.out == ""
    assert says in done.err
    assert done.err.count("\n") == 1


def test_another_card_of_the_same_classes(
    snntx: Snntx, trained: Path, new: Path, small_cache: Path, tmp_path: Path
) -> None:
    """Classes go by name, whatever their order; other classes are refused."""
    text = own_card("atis").replace("{class}/", "Train/{class}/").replace("size = 12", "size = 34")
    text = text.replace("steps = 2", "steps = 3").replace('["a"]', '["8", "5", "2"]')
    card = tmp_path / "mine.toml"
    card.write_text(text)
    snntx.preprocess(str(card), new)
    told = snntx.json(trained / "run", "--card", "mine", "--part", "all")
    key = snntx.preprocess(CARD, new, "--steps", 3)
    same = snntx.json(trained / "run", "--key", key, "--part", "all")
    assert told["card"] == "mine"
    assert list(told["per_class"]) == list(same["per_class"]) == ["2", "5", "8"]
    assert told["recordings"] == same["recordings"]
    printed = snntx("evaluate", trained / "run", "--card", "mine", "--part", "all").out
    assert "classes stand in another order there, and are matched by name" in " ".join(
        printed.split()
    )
    shutil.move(new / "Train/8", new / "Train/eight")
    card.write_text(text.replace('"8", ', '"eight", '))
    snntx.preprocess(str(card), new)
    key = max(
        snntx.root.glob("mine/*/SEALED"), key=lambda seal: seal.stat().st_mtime_ns
    ).parent.name
    done = snntx("evaluate", trained / "run", "--card", "mine", "--part", "all", "--key", key)
    assert done.code == 2
    assert "has the class eight, which" in done.err


def test_frames_of_other_steps(snntx: Snntx, trained: Path, new: Path) -> None:
    key = snntx.preprocess(CARD, new, "--steps", 4)
    done = snntx("evaluate", trained / "run", "--key", key, "--part", "all")
    assert done.code == 2
    assert "has frames of 4 x 2 x 34 x 34, but" in done.err
    assert "was trained on 3 x 2 x 34 x 34; give the key of a cache that has them" in done.err


def write(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 34, (2, 120)).astype(np.int16)
    t, p = np.sort(rng.integers(0, 90_000, 120)), rng.integers(0, 2, 120).astype(np.int8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Events(x, y, t, p)))


def test_a_class_that_it_does_not_know(snntx: Snntx, tmp_path: Path) -> None:
    for folder, kinds in (("old", "ab"), ("new", "bc")):
        for i in range(24):
            write(tmp_path / folder / kinds[i % 2] / f"{i}.bin", seed=i + 100 * (folder == "new"))
    card, out = tmp_path / "mine.toml", tmp_path / "run"
    text = own_card("atis").replace('classes = ["a"]\n', "")
    card.write_text(text)
    snntx.preprocess(str(card), tmp_path / "old")
    words = ["mine", "--out", out, "--set", "epochs=1", "--set", "width=0.25",
             "--set", "model=nmnist", "--set", "method=event-only"]  # fmt: skip
    told = snntx("train", *words).err
    assert "write validation = 0.1 below [splits.holdout] of the card, with rule = 'hash'" in told
    card.write_text(text.replace("rule =", "validation = 0.1\nrule ="))
    snntx.preprocess(str(card), tmp_path / "old")
    done = snntx("train", *words)
    assert done.code == 0, done.err
    key = snntx.preprocess(str(card), tmp_path / "new")
    done = snntx("evaluate", out, "--key", key, "--part", "all")
    assert done.code == 2
    assert f"has the class c, which {out / 'best.pt'} was not trained on; preprocess" in done.err
    shutil.rmtree(tmp_path / "new" / "c")
    key = snntx.preprocess(str(card), tmp_path / "new")
    assert list(snntx.json(out, "--key", key, "--part", "all")["per_class"]) == ["b"]


def test_new_recordings_of_tonics_data_sets(snntx: Snntx, tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    for folder, first in (("old", 0), ("new", 100)):
        for i in range(first, first + 24):
            write(tmp_path / folder / f"NMNIST/Train/{i % 2}/{i:05d}.bin", seed=i)
    card, out = "tonic:NMNIST", tmp_path / "run"
    snntx.preprocess(card, tmp_path / "old", "--steps", 2)
    settings = ["--set", "epochs=1", "--set", "batch_size=4", "--set", "width=0.25"]
    done = snntx("train", card, "--out", out, *settings)
    assert done.code == 0, done.err
    key = snntx.preprocess(card, tmp_path / "new", "--steps", 2)
    result = snntx.json(out, "--key", key, "--part", "all")
    assert (result["cache_key"], result["recordings"]) == (key, 24)
