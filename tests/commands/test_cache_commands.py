"""``snntx cache ls`` and ``rm``, ``snntx cards``: what they list, and refuse to remove."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from filelock import FileLock

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.upkeep.stored import stored_in

CARD = "simulated-digits"
DRAFT = "0123456789abcdef"
Output = namedtuple("Output", "code out err")


@pytest.fixture
def here(small_cache: Path, tmp_path: Path) -> Path:
    """A copy of the small data set and its sealed cache."""
    shutil.copytree(small_cache, tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str], here: Path) -> Callable[..., Output]:
    def call(*arguments: Any) -> Output:
        code = run([*map(str, arguments), "--cache", str(here / "cache")])
        captured = capsys.readouterr()
        return Output(code, captured.out, captured.err)

    return call


def sealed(here: Path) -> Path:
    """The first sealed cache."""
    return min(seal.parent for seal in (here / "cache").glob("*/*/SEALED"))


def second(here: Path) -> Path:
    """Another cache of the same recordings, with other options and no static images."""
    request = make_request(
        load_card(CARD), raw=here / "data/raw", static=None, cache=here / "cache", steps=2, size=17
    )
    return preprocess(request).directory


def unfinished(here: Path) -> Path:
    """A build that was interrupted after its first shard."""
    folder = here / f"cache/{CARD}/.building-{DRAFT}"
    folder.mkdir()
    shutil.copy(sealed(here) / "frames-00000.h5", folder)
    notes = folder.with_name(f"{folder.name}.notes")
    notes.mkdir()
    (notes / "frames-00000.h5.json").write_text("{}")
    return folder


# ls and cards


def test_ls_names_each_cache_and_what_differs(snntx: Callable[..., Output], here: Path) -> None:
    first, other = sealed(here), second(here)
    output = snntx("cache", "ls")
    assert output.code == 0
    lines = output.out.splitlines()
    assert lines[0].split() == [
        "card",
        "key",
        "state",
        "kind",
        "recordings",
        *("frames", "size", "age"),
    ]
    rows = {line.split()[1]: line for line in lines[1:3]}
    assert rows.keys() == {first.name, other.name}
    assert "sealed" in rows[first.name]
    assert " 80 " in rows[first.name]
    assert "3 x 2 x 34 x 34" in rows[first.name]
    assert "2 x 2 x 17 x 17" in rows[other.name]
    text = " ".join(output.out.split())
    assert f"{first.name[:8]} steps 3 (card: 10)" in text
    assert f"{other.name[:8]} no static images, size 17 x 17 (card: native), steps 2" in text
    assert snntx("cache", "ls", CARD).out == output.out


def test_ls_shows_the_unfinished_and_the_damaged(snntx: Callable[..., Output], here: Path) -> None:
    unfinished(here)
    (sealed(here) / "static.h5").unlink()
    output = snntx("cache", "ls")
    rows = [line.split()[1:5] for line in output.out.splitlines()[1:3]]
    assert rows[0][1:] == ["damaged", "frames", "1"]
    assert rows[1] == [DRAFT, "unfinished", "frames", "1"]
    text = " ".join(output.out.split())
    assert "damaged: static.h5: is missing, sealed with" in text
    assert f"snntx cache rm {CARD} --unfinished removes it" in text


def test_ls_shows_a_build_that_is_going_on(snntx: Callable[..., Output], here: Path) -> None:
    folder = unfinished(here)
    with FileLock(f"{folder}.lock"):
        output = snntx("cache", "ls")
    assert "building" in output.out.splitlines()[2]
    assert "is being built now" in output.out


def test_ls_leaves_out_what_is_not_ours(snntx: Callable[..., Output], here: Path) -> None:
    before = snntx("cache", "ls").out
    home = here / "cache" / CARD
    for name in ("photographs", "0123", "f" * 16, ".hidden"):
        (home / name).mkdir()
        (home / name / "notes.txt").write_text("mine")
    (home / ("a" * 16)).write_text("a file")
    (home / ("b" * 16)).symlink_to(sealed(here))
    assert snntx("cache", "ls").out == before


def test_ls_as_json(snntx: Callable[..., Output], here: Path) -> None:
    (entry,) = json.loads(snntx("cache", "ls", CARD, "--json").out)
    assert entry["name"] == sealed(here).name
    assert (entry["state"], entry["recordings"], entry["shards"]) == ("sealed", 80, 1)
    assert entry["frame_shape"] == [3, 2, 34, 34]
    assert entry["differs"] == ["steps 3 (card: 10)"]
    assert entry["size_bytes"] == sum(f.stat().st_size for f in sealed(here).iterdir())


def test_ls_of_nothing_and_of_an_unknown_card(snntx: Callable[..., Output], here: Path) -> None:
    output = snntx("cache", "ls", "simulated-digit")
    assert output.code == 2
    assert "did you mean 'simulated-digits'?" in output.err
    assert snntx("cache", "ls", "n-mnist").out.startswith("no caches in ")
    shutil.rmtree(here / "cache")
    assert snntx("cache", "ls").out.startswith("no caches in ")
    (here / "cache").write_text("a file, where the caches should lie")
    output = snntx("cache", "ls")
    assert output.code == 2
    assert output.err.endswith("cache: is a file, expected a folder\n")


def test_a_card_that_is_only_a_folder(snntx: Callable[..., Output], here: Path) -> None:
    (here / "cache" / CARD).rename(here / "cache" / "my-digits")
    (entry,) = json.loads(snntx("cache", "ls", "--json").out)
    assert (entry["card"], entry["differs"]) == ("my-digits", None)
    assert snntx("cache", "verify", "my-digits").code == 0
    output = snntx("cache", "verify", "my-digits", "--raw", here / "data/raw")
    assert output.code == 2
    assert "give the path of its .toml file" in output.err


def test_cards_say_what_is_on_disk(snntx: Callable[..., Output], here: Path) -> None:
    unfinished(here)
    lines = {line.split()[0]: line for line in snntx("cards").out.splitlines() if line}
    assert "1 sealed (80), 1 unfinished" in lines[CARD]
    assert " none " in lines["n-mnist"]
    one = snntx("cards", CARD).out
    assert "get it" in one
    assert sealed(here).name in one
    assert json.loads(snntx("cards", CARD, "--json").out)["caches"][0]["recordings"] == 80


# rm


def test_rm_asks_and_then_removes_one(
    snntx: Callable[..., Output], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = sealed(here), second(here)
    asked: list[str] = []

    def answer(question: str, **_: Any) -> bool:
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr(click, "confirm", answer)
    assert "kept" in snntx("cache", "rm", CARD, other.name).err
    assert other.is_dir()
    assert f"{other} (sealed, 80 recordings, " in asked[0]
    output = snntx("cache", "rm", CARD, other.name[:7])
    assert (output.code, output.out) == (0, f"removed {other}\n")
    assert not other.exists()
    assert first.is_dir()


def test_rm_without_an_answer(
    snntx: Callable[..., Output], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: Any, **__: Any) -> bool:
        raise click.Abort

    monkeypatch.setattr(click, "confirm", leave)
    output = snntx("cache", "rm", CARD, sealed(here).name)
    assert output.code == 2
    assert "nothing removed; --yes removes without asking" in output.err
    assert sealed(here).is_dir()


def test_rm_refuses_what_is_unclear(snntx: Callable[..., Output], here: Path) -> None:
    first, other = sealed(here), second(here)
    shutil.copytree(
        first, first.with_name(f"{first.name[:15]}{'0' if first.name[15] != '0' else '1'}")
    )
    for keys, message in (
        ([], "nothing to remove: give the KEY of a cache, or --unfinished"),
        ([""], "none has key ''"),
        (["nope"], "none has key 'nope'"),
        ([first.name[:15]], "several have key"),
        ([other.name, "nope"], "none has key 'nope'"),
        (["../.."], "none has key '../..'"),
    ):
        output = snntx("cache", "rm", CARD, "--yes", *keys)
        assert output.code == 2
        assert message in output.err
    assert len(stored_in(here / "cache", CARD)) == 3


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_rm_leaves_foreign_files_alone(snntx: Callable[..., Output], here: Path, kind: str) -> None:
    directory = sealed(here)
    before = {p.name for p in directory.iterdir()}
    foreign = directory / ("thesis.tex" if kind == "file" else "frames-00009.h5")
    if kind == "file":
        foreign.write_text("mine")
    elif kind == "folder":
        foreign.mkdir()
    else:
        foreign.symlink_to(directory / "index.h5")
    output = snntx("cache", "rm", CARD, directory.name, "--yes")
    assert output.code == 2
    assert f"{foreign}: is no file of a cache" in output.err
    assert {p.name for p in directory.iterdir()} == before | {foreign.name}


def test_rm_never_follows_a_link(snntx: Callable[..., Output], here: Path) -> None:
    directory = sealed(here)
    link = directory.with_name("b" * 16)
    link.symlink_to(directory)
    assert snntx("cache", "rm", CARD, link.name, "--yes").code == 2
    assert (directory / "SEALED").is_file()


def test_rm_unfinished_builds(snntx: Callable[..., Output], here: Path) -> None:
    folder = unfinished(here)
    (folder / ".index.h5.12345678.part").write_bytes(b"half")
    with FileLock(f"{folder}.lock"):
        output = snntx("cache", "rm", CARD, "--unfinished", "--yes")
        assert output.code == 1
        assert "is being built by another process; wait for its end or stop it first" in output.err
        assert folder.is_dir()
    output = snntx("cache", "rm", CARD, "--unfinished", "--yes")
    assert (output.code, output.out) == (0, f"removed {folder}\n")
    assert not folder.exists()
    assert not folder.with_name(f"{folder.name}.notes").exists()
    assert sealed(here).is_dir()
    again = snntx("cache", "rm", CARD, "--unfinished", "--yes")
    assert (again.code, again.out) == (0, f"no unfinished build of {CARD}\n")


def test_rm_a_damaged_cache_and_one_whose_builder_runs(
    snntx: Callable[..., Output], here: Path
) -> None:
    directory = sealed(here)
    draft = json.loads((directory / "SEALED").read_text())["draft"]
    with FileLock(directory.parent / f".building-{draft}.lock"):
        assert snntx("cache", "rm", CARD, directory.name, "--yes").code == 1
    (directory / "SEALED").chmod(0o644)
    (directory / "SEALED").write_text("{")
    assert snntx("cache", "rm", CARD, directory.name, "--yes").code == 0
    assert not directory.exists()
