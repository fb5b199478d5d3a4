"""An interrupted build keeps its static images while everything they were made of is the same."""

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snntx.data_cards import load_card, parse_card
from snntx.data_cards.schema import Card
from snntx.errors import BadFileError
from snntx.preprocess.build import builder as build
from snntx.preprocess.build.pictures import Decoded, PictureTask
from snntx.preprocess.build.tasks import Done
from snntx.preprocess.cache import format as cache_format
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.planning.unpaired import Unpaired
from snntx.preprocess.readers.formats.atis import encode

OLD = 1_500_000_000
COUNT = 6


def settle(folder: Path, later: int = 0) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (OLD + later, OLD + later))


def write_events(path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    x, y, p = draw.integers(0, 34, 50), draw.integers(0, 34, 50), draw.integers(0, 2, 50)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Events(x, y, np.arange(50) * 100, p)))  # type: ignore[arg-type]


@pytest.fixture
def photographs(tmp_path: Path) -> tuple[Path, Card]:
    """Recordings of one class and their photographs, uncompressed: all of one size."""
    for i in range(1, COUNT + 1):
        write_events(tmp_path / f"raw/Caltech101/airplanes/image_{i:04d}.bin", i)
        path = tmp_path / f"static/airplanes/image_{i:04d}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        paint(path, i)
    settle(tmp_path)
    text = (Path(load_card.__code__.co_filename).parent / "shipped/n-caltech101.toml").read_text()
    return tmp_path, parse_card(text.replace(".jpg", ".bmp").encode(), "own.toml")


def paint(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def digits(tmp_path: Path) -> tuple[Path, Card]:
    """Recordings of digits and the IDX files of their twins."""
    for i in range(COUNT):
        write_events(tmp_path / f"raw/Train/{i % 3}/{i + 1:05d}.bin", i)
    static = tmp_path / "static"
    static.mkdir()
    write_digits(static, 0)
    labels = bytes(i % 3 for i in range(COUNT))
    (static / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, COUNT) + labels)
    settle(tmp_path)
    return tmp_path, load_card("n-mnist")


def write_digits(static: Path, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
    header = struct.pack(">4I", 0x803, COUNT, 28, 28)
    (static / "train-images-idx3-ubyte").write_bytes(header + images.tobytes())


def make(
    data: Path,
    card: Card,
    cache: str = "cache",
    *,
    skip: bool = False,
    unpaired: Unpaired = "stop",
) -> build.Summary:
    request = make_request(
        card,
        raw=data / "raw",
        static=data / "static",
        cache=data / cache,
        unpaired=unpaired,
        steps=3,
    )
    return build.preprocess(request, skip=skip)


def interrupted(data: Path, card: Card, *, skip: bool = False, unpaired: Unpaired = "stop") -> Path:
    """Build up to the index; returns the static images left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_format.Index, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(data, card, skip=skip, unpaired=unpaired)
    (left,) = (data / "cache").glob("*/.building-*/static.h5")
    return left


@contextmanager
def counting() -> Iterator[list[int]]:
    """Count the images that are decoded."""
    decoded: list[int] = []
    run = PictureTask.run

    def counted(task: PictureTask, done: Done) -> Decoded:
        decoded.append(len(task.images))
        return run(task, done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PictureTask, "run", counted)
        yield decoded


def resumed(data: Path, card: Card, *, skip: bool = False) -> tuple[int, build.Summary]:
    """Go on, and compare with a build of its own; returns how many images were decoded."""
    with counting() as decoded:
        summary = make(data, card, skip=skip)
    whole = make(data, card, f"whole-{os.urandom(4).hex()}", skip=skip)
    names = sorted(path.name for path in whole.directory.iterdir())
    assert names == sorted(path.name for path in summary.directory.iterdir())
    for name in names:
        assert (summary.directory / name).read_bytes() == (whole.directory / name).read_bytes()
    assert summary.key == whole.key
    assert summary.skipped == whole.skipped
    assert not list((data / "cache").glob("*/.building-*.notes"))
    return sum(decoded), summary


@pytest.mark.parametrize("kind", ["photographs", "digits"])
def test_nothing_is_decoded_again(kind: str, request: pytest.FixtureRequest) -> None:
    data, card = request.getfixturevalue(kind)
    left = interrupted(data, card)
    state = left.stat()
    seen: list[tuple[int, int]] = []
    with counting() as decoded:
        own = make_request(
            card, raw=data / "raw", static=data / "static", cache=data / "cache", steps=3
        )
        summary = build.preprocess(own, progress=lambda *count: seen.append(count))
    assert decoded == []
    assert (summary.directory / "static.h5").stat().st_ino == state.st_ino
    assert (summary.statics, summary.twins, summary.resumed_shards) == (COUNT, COUNT, 1)
    assert seen[-1] == (2 * COUNT, 2 * COUNT)
    whole = make(data, card, "whole").directory
    for path in whole.iterdir():
        assert (summary.directory / path.name).read_bytes() == path.read_bytes()


def test_no_static_images_at_all(photographs: tuple[Path, Card]) -> None:
    data, card = photographs
    request = make_request(card, raw=data / "raw", static=None, cache=data / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_format.Index, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build.preprocess(request)
    assert build.preprocess(request).statics == 0


def test_a_changed_photograph_of_the_same_size(photographs: tuple[Path, Card]) -> None:
    data, card = photographs
    interrupted(data, card)
    path = data / "static/airplanes/image_0003.bmp"
    size = path.stat().st_size
    paint(path, 99)
    assert path.stat().st_size == size
    assert resumed(data, card)[0] == COUNT


def test_photographs_changed_a_moment_ago_may_change_again(photographs: tuple[Path, Card]) -> None:
    data, card = photographs
    paint(data / "static/airplanes/image_0003.bmp", 3)  # the same bytes, but now
    interrupted(data, card)
    assert resumed(data, card)[0] == COUNT


def test_changed_digits_of_the_same_size_and_time(digits: tuple[Path, Card]) -> None:
    data, card = digits
    interrupted(data, card)
    write_digits(data / "static", 1)
    settle(data / "static")
    # their digest, remembered by size and time, stays the old one; the pixels do not
    with counting() as decoded:
        make(data, card)
    assert decoded == [COUNT]


def test_changed_labels(digits: tuple[Path, Card]) -> None:
    data, card = digits
    for path in (data / "raw").rglob("*.bin"):
        path.unlink()
    write_events(data / "raw/Test/0/00001.bin", 0)  # no twins, whose classes would differ
    settle(data)
    interrupted(data, card, unpaired="class")
    labels = bytes((i + 1) % 3 for i in range(COUNT))
    (data / "static/train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, COUNT) + labels)
    settle(data / "static")
    with counting() as decoded:  # by time and size, nothing has changed
        make(data, card, unpaired="class")
    assert decoded == [COUNT]


@pytest.mark.parametrize("damage", ["static.h5", "static.h5.json", "static.h5.rest.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"skipped": 1, "pixels": 2}'])
def test_damaged_leftovers(
    photographs: tuple[Path, Card], damage: str, content: bytes | None
) -> None:
    data, card = photographs
    interrupted(data, card)
    (path,) = (data / "cache").rglob(damage)
    path.unlink() if content is None else path.write_bytes(content)
    assert resumed(data, card)[0] == COUNT


def test_images_passed_over_stay_so(photographs: tuple[Path, Card]) -> None:
    data, card = photographs
    bad = data / "static/airplanes/image_0002.bmp"
    bad.write_bytes(b"no picture")
    settle(data)
    interrupted(data, card, skip=True)
    decoded, summary = resumed(data, card, skip=True)
    assert decoded == 0
    ((name, reason),) = summary.skipped
    assert name == "static/airplanes/image_0002.bmp"
    assert reason.startswith("not a readable picture")
    assert summary.statics == COUNT - 1


def test_stop_does_not_keep_what_skip_left(photographs: tuple[Path, Card]) -> None:
    data, card = photographs
    bad = data / "static/airplanes/image_0002.bmp"
    good = bad.read_bytes()
    bad.write_bytes(b"0" * len(good))  # of the same size, or it would be another build
    settle(data)
    interrupted(data, card, skip=True)
    with pytest.raises(BadFileError, match=r"image_0002\.bmp: is text .*, expected a picture"):
        make(data, card)
    bad.write_bytes(good)
    settle(data, later=1)
    decoded, summary = resumed(data, card)
    assert (decoded, summary.statics) == (COUNT, COUNT)


def test_pictures_in_an_archive(tmp_path: Path) -> None:
    """Recordings whose twins lie in a zip."""
    for i in range(1, COUNT + 1):
        write_events(tmp_path / f"raw/airplanes/{i:02d}.bin", i)
    (tmp_path / "static").mkdir()
    text = (Path(load_card.__code__.co_filename).parent / "shipped/n-caltech101.toml").read_text()
    table = text[text.index("[events]") : text.index("[framing]")]
    own = text.replace(
        table,
        '[events]\nformat = "atis"\npattern = "{class}/{stem}.bin"\n\n[static]\nlayout = "images"\n'
        'pattern = "{class}/{stem}.bmp"\ntwin = "{class}/{stem}"\narchives = ["birds.zip"]\n\n',
    )
    card = parse_card(own.encode(), "own.toml")
    archive = tmp_path / "static" / "birds.zip"

    def fill(first: int) -> None:
        with zipfile.ZipFile(archive, "w") as opened:
            for i in range(1, COUNT + 1):
                path = tmp_path / "one.bmp"
                paint(path, first + i)
                opened.writestr(zipfile.ZipInfo(f"airplanes/{i:02d}.bmp"), path.read_bytes())
        settle(tmp_path, later=first)

    fill(0)
    interrupted(tmp_path, card)
    decoded, summary = resumed(tmp_path, card)
    assert (decoded, summary.twins) == (0, COUNT)
    shutil.rmtree(tmp_path / "cache")
    interrupted(tmp_path, card)
    size = archive.stat().st_size
    fill(50)
    assert archive.stat().st_size == size
    assert resumed(tmp_path, card)[0] == COUNT


def test_the_notes_are_plain(digits: tuple[Path, Card]) -> None:
    data, card = digits
    interrupted(data, card)
    (notes,) = (data / "cache").glob("*/.building-*.notes")
    known = json.loads((notes / "static.h5.json").read_text())
    assert sorted(Path(name).name for name in known) == [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ]
    rest = json.loads((notes / "static.h5.rest.json").read_text())
    assert rest["skipped"] == []
    assert len(rest["pixels"]) == 32
