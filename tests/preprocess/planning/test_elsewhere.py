"""A folder a level too high or too low, or raw and static swapped: where the files were found."""

from __future__ import annotations

import dataclasses
import os
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card, parse_card
from snntx.errors import ElsewhereError, UsageError
from snntx.preprocess.disk.listing import NothingFoundError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning import nearby
from snntx.preprocess.planning.plan import Request, make_plan, make_request
from snntx.preprocess.raw.tonic_cards import card_text
from snntx.preprocess.readers.formats.atis import encode


def put(path: Path, data: bytes = b"\1\2\1\0\5") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def idx(values: np.ndarray) -> bytes:
    head = np.array([0x800 + values.ndim, *values.shape], ">u4").tobytes()
    return head + values.astype(np.uint8).tobytes()


def nmnist(data: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for i in range(1, 5):
        x, y = rng.integers(0, 34, (2, 50))
        t, p = np.sort(rng.integers(0, 9000, 50)), rng.integers(0, 2, 50)
        put(data / f"nmnist/Train/{i % 2}/{i:05d}.bin", encode(Events(x, y, t, p)))  # type: ignore[arg-type]
    put(data / "mnist/train-images-idx3-ubyte", idx(np.zeros((4, 28, 28))))
    put(data / "mnist/train-labels-idx1-ubyte", idx(np.array([1, 0, 1, 0])))
    return data / "nmnist", data / "mnist"


def caltech(data: Path) -> tuple[Path, Path]:
    for i in range(3):
        put(data / f"events/Caltech101/ant/image_{i:04d}.bin")
        put(data / f"photos/101_ObjectCategories/ant/image_{i:04d}.jpg")
    return data / "events", data / "photos"


def cep_dvs(data: Path) -> tuple[Path, Path]:
    names = load_card("cep-dvs").classes
    for i in range(3):
        put(data / f"recorded/data/MAT/img/{i}.mat")
        put(data / f"seen/data/img/{i}.jpg")
    rows = [f"a b c d {names[i]}" for i in range(3)]
    put(data / "recorded/pathFile.csv", "\n".join(["head", *rows]).encode())
    return data / "recorded", data / "seen"


def omniglot(data: Path) -> tuple[Path, Path]:
    rows = [f"{i},{100 * i},{100 * i + 50}" for i in range(20)]
    put(data / "events/dvs_background/Greek/character01/0001.aedat4")
    put(data / "events/dvs_background/Greek/character01/0001.csv", "\n".join(["h", *rows]).encode())
    (data / "drawn").mkdir()
    with zipfile.ZipFile(data / "drawn/images_background.zip", "w") as archive:
        for i in range(1, 21):
            archive.writestr(f"images_background/Greek/character01/0001_{i:02d}.png", b"png")
    (data / "drawn/images_background").mkdir()
    return data / "events", data / "drawn"


def unpacked(data: Path) -> tuple[Path, Path]:
    raw, static = omniglot(data)
    with zipfile.ZipFile(static / "images_background.zip") as archive:
        archive.extractall(static)
    (static / "images_background.zip").unlink()
    return raw, static


CARDS = {
    "n-mnist": nmnist,
    "n-caltech101": caltech,
    "cep-dvs": cep_dvs,
    "n-omniglot": omniglot,
    "n-omniglot unpacked": unpacked,
}


def folders_in(top: Path) -> list[Path]:
    return sorted(path for path in top.rglob("*") if path.is_dir())


def followed(request: Request) -> Request:
    """The request that an error says to make."""
    with pytest.raises(ElsewhereError) as caught:
        make_plan(request)
    given = {option: Path(str(folder)) for option, folder in caught.value.given.items()}
    assert str(caught.value).count("\n") == 0
    for option, folder in given.items():
        assert f"{option} {shlex.quote(str(folder))}" in str(caught.value)
        assert f" matches below {folder}" in str(caught.value)
    return dataclasses.replace(
        request, raw=given.get("--raw", request.raw), static=given.get("--static", request.static)
    )


def names(request: Request) -> tuple[list[str], list[str]]:
    plan = make_plan(request)
    return [r.identity for r in plan.recordings], [s.identity for s in plan.statics]


@pytest.mark.parametrize("card", CARDS)
def test_each_folder_off_by_levels_and_swapped(card: str, tmp_path: Path) -> None:
    raw, static = CARDS[card](tmp_path / "my data")
    loaded = load_card(card.split()[0])

    def asked(raw: Path, static: Path | None) -> Request:
        return make_request(loaded, raw=raw, static=static, cache=tmp_path / "cache")

    right = names(asked(raw, static))
    assert right[0]
    assert right[1]
    high = [tmp_path / "my data", tmp_path]
    wrong = [(each, static) for each in high] + [(raw, each) for each in high]
    wrong += [(static, raw), (high[0], high[0]), (high[0], raw)]
    wrong += [(each, static) for each in folders_in(raw) if each.name != "MAT"]
    for one, other in wrong:
        try:
            found = names(asked(one, other))
        except UsageError:
            found = names(followed(asked(one, other)))
        assert found == right, (one, other)
    for each in folders_in(static):
        try:
            found = names(asked(raw, each))
        except UsageError:
            found = names(followed(asked(raw, each)))
        assert found == right, each
    file = next(path for path in raw.rglob("*.*") if path.is_file() and path.suffix != ".csv")
    assert names(followed(asked(file, static))) == right


def test_relative_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nmnist(tmp_path / "data")
    for place, given, wanted in (
        (".", "data", "data/nmnist"),
        (".", "data/nmnist/Train", "data/nmnist"),
        ("data/nmnist/Train", ".", str(tmp_path / "data/nmnist")),
        ("data/nmnist/Train/0", "../../Train", str(tmp_path / "data/nmnist")),
    ):
        monkeypatch.chdir(tmp_path / place)
        request = make_request(
            load_card("n-mnist"), raw=Path(given), static=None, cache=tmp_path / "cache"
        )
        assert str(followed(request).raw) == wanted
        assert len(make_plan(followed(request)).recordings) == 4


def test_the_message_is_the_command_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nmnist(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    words = ["preprocess", "n-mnist", "--raw", "data/mnist", "--static=data/nmnist"]
    words += ["--cache", "my cache", "--jobs", "1", "--steps", "2"]
    assert run(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no file matches {split}/{class}/{number}.bin" in line
    assert "data/nmnist/Train/0/00002.bin matches below data/nmnist" in line
    assert "; the two are swapped; give --raw data/nmnist --static data/mnist: snntx" in line
    command = shlex.split(line.partition(": snntx ")[2])
    assert command == [
        *("preprocess", "n-mnist", "--raw", "data/nmnist", "--static=data/mnist"),
        *words[5:],
    ]
    assert run(command) == 0
    assert "4 recordings with a twin" in capsys.readouterr().out


def test_classes_that_the_card_does_not_name_are_no_match(tmp_path: Path) -> None:
    nmnist(tmp_path / "data")
    put(tmp_path / "data/aaa/Train/zero/00001.bin")
    card = load_card("n-mnist")
    request = make_request(card, raw=tmp_path / "data/aaa", static=None, cache=tmp_path / "cache")
    with pytest.raises(UsageError, match="none is of a class") as caught:
        make_plan(request)
    assert not isinstance(caught.value, ElsewhereError)
    high = dataclasses.replace(request, raw=tmp_path / "data")
    assert followed(high).raw == tmp_path / "data/nmnist"


def test_two_folders_that_match_are_both_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        nmnist(tmp_path / "data" / name)
    request = make_request(
        load_card("n-mnist"), raw=tmp_path / "data", static=None, cache=tmp_path / "cache"
    )
    with pytest.raises(ElsewhereError, match=r"one/nmnist, as does .* below .*two/nmnist"):
        make_plan(request)


def test_what_the_folder_holds_instead(tmp_path: Path) -> None:
    raw, static = nmnist(tmp_path / "data")
    card = load_card("n-mnist")
    request = make_request(card, raw=static, static=None, cache=tmp_path / "cache")
    with pytest.raises(NothingFoundError, match=r"idx3-ubyte is a static image, .* --static takes"):
        make_plan(request)
    for path in static.iterdir():
        path.unlink()
    static.rmdir()
    with pytest.raises(NothingFoundError, match="nmnist holds recordings"):
        make_plan(make_request(card, raw=raw, static=raw, cache=tmp_path / "cache"))
    put(tmp_path / "packed/Train.zip")
    with pytest.raises(NothingFoundError, match=r"Train\.zip is packed, so unpack it there; nor"):
        make_plan(make_request(card, raw=tmp_path / "packed", static=None, cache=tmp_path / "c"))


def test_no_disk_is_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "a/b/c/d"
    nmnist(deep)
    put(tmp_path / "beside/Train/0/00001.bin")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    listed: list[Path] = []
    scandir = os.scandir

    def counted(path: Path) -> object:
        listed.append(Path(path))
        return scandir(path)

    def asked(raw: Path) -> Request:
        return make_request(load_card("n-mnist"), raw=raw, static=None, cache=tmp_path / "cache")

    monkeypatch.setattr(os, "scandir", counted)
    assert followed(asked(tmp_path / "a/b")).raw == deep / "nmnist"
    with pytest.raises(NothingFoundError, match=r"elsewhere within 3 levels and 20,000 entries"):
        make_plan(asked(tmp_path / "a/b/c/d/mnist"))
    assert tmp_path / "beside" not in listed
    for i in range(40):
        put(tmp_path / f"wide/{i:02d}/x/y/z.txt")
    monkeypatch.setattr(nearby, "IN_ALL", 30)
    listed.clear()
    with pytest.raises(NothingFoundError):
        make_plan(asked(tmp_path / "wide"))
    assert len(listed) < 200


def test_tonic_wants_the_folder_above_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tonic")
    nmnist(tmp_path / "data")
    (tmp_path / "data/nmnist").rename(tmp_path / "data/NMNIST")
    card = parse_card(card_text("NMNIST").encode(), "tonic:NMNIST")
    for raw in ("data/NMNIST", "data/NMNIST/Train", "data/NMNIST/Train/0", "."):
        request = make_request(card, raw=tmp_path / raw, static=None, cache=tmp_path / "cache")
        assert len(make_plan(followed(request)).recordings) == 4
    words = ["preprocess", "tonic:NMNIST", "--raw", str(tmp_path / "data/NMNIST"), "--jobs", "1"]
    assert run([*words, "--cache", str(tmp_path / "cache")]) == 2
    line = capsys.readouterr().err
    assert run(shlex.split(line.partition("data: snntx ")[2])) == 0
