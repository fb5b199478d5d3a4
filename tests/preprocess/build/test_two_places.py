"""Every kind of cache, built in two places: the same key and bytes, and no path of either in it.

Each data set has something to pass over, to note and to skip, since their names and reasons are
what could tell of the place.
"""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from snntx.data_cards import load_card, parse_card
from snntx.data_cards.schema import Card
from snntx.preprocess.build.builder import Summary, preprocess
from snntx.preprocess.cache.format import Index
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.raw.tonic_cards import card_text
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.upkeep.verify import verify

Kind = tuple[Card, bool]
"""A card, and whether it has static images."""


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def recording(seed: int, side: int = 34) -> bytes:
    draw = np.random.default_rng(seed)
    x, y, p = draw.integers(0, side, 60), draw.integers(0, side, 60), draw.integers(0, 2, 60)
    return encode(Events(x, y, np.arange(60) * 100, p))  # type: ignore[arg-type]


def picture(path: Path, seed: int, mode: str = "RGB", **options: Any) -> None:
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (20, 30, len(mode)), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.squeeze(), mode).save(path, **options)


def digits(root: Path, files: ModuleType) -> Kind:
    for i in range(6):
        put(root / f"raw/Train/{i % 2}/{i + 1:05d}.bin", recording(i))
    put(root / "raw/Train/1/00002 (1).bin", recording(1))
    put(root / "raw/Train/0/00009.bin", b"1234567")
    put(root / "raw/Train/0/00011.bin", b"")
    put(root / "raw/Train/0/00012.dat", b"of another suffix")
    for name, magic, count, start in (("train-", 6, 6, 0), ("", 3, 3, 1)):
        del magic
        images = np.random.default_rng(start).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        header = struct.pack(">4I", 0x803, count, 28, 28)
        put(root / f"static/{name}images-idx3-ubyte", header + images.tobytes())
        labels = bytes(i % 2 for i in range(count))
        put(root / f"static/{name}labels-idx1-ubyte", struct.pack(">2I", 0x801, count) + labels)
    return load_card("n-mnist"), True


def photographs(root: Path, files: ModuleType) -> Kind:
    for i in range(1, 6):
        put(root / f"raw/Caltech101/ant/image_{i:04d}.bin", recording(i, 100))
        picture(root / f"static/ant/image_{i:04d}.jpg", i)
    put(root / "raw/Caltech101/Faces/image_0001.bin", recording(1, 100))
    put(root / "raw/Caltech101/ant/image_0006.bin", recording(9, 230))
    put(root / "static/ant/image_0002.jpg", b"no picture")
    picture(root / "static/ant/image_0003.jpg", 3, "RGBA", format="PNG")
    picture(root / "static/ant/image_0007.jpeg", 7)
    picture(root / "static/ant/image_0008.jpg", 8)
    return load_card("n-caltech101"), True


def numbers(root: Path, files: ModuleType) -> Kind:
    card = load_card("cep-dvs")
    draw = np.random.default_rng(0)
    rows = ["index path mat kind class x"]
    for i in range(6):
        columns: dict[str, Any] = {
            name: draw.integers(0, 200, 50).astype(np.float64) for name in "xy"
        }
        columns |= {"ts": np.arange(50) * 100.0, "p": draw.choice([-1.0, 1.0], 50)}
        (root / "raw/data/MAT/img").mkdir(parents=True, exist_ok=True)
        savemat(root / f"raw/data/MAT/img/{i}.mat", columns)
        rows.append(f"{i} a/b {i}.mat img {card.classes[i % 2]} tail")
        picture(root / f"static/data/img/{i}.{('jpg', 'png')[i % 2]}", i)
    put(root / "raw/data/MAT/img/4.mat", b"MATLAB 5.0" + b"\0" * 200)
    put(root / "static/data/img/3.png", b"no picture")
    picture(root / "static/data/img/77.png", 77)
    put(root / "raw/pathFile.csv", "\n".join([*rows, ""]).encode())
    return card, True


def characters(root: Path, files: Any) -> Kind:
    card = load_card("n-omniglot")
    assert card.events.slices is not None
    slices = replace(card.events.slices, recordings=None)
    members = {}
    for n, prefix in enumerate(("0001", "0002", "0003", "0004")):
        folder = root / f"raw/dvs_background/Greek/character0{n + 1}"
        folder.mkdir(parents=True)
        events = np.zeros(200, files.COLUMNS)
        events["t"] = 1_000_000 + np.arange(200)
        events["x"], events["y"] = 60 + np.arange(200) % 90, 10 + np.arange(200) % 70
        files.write_plain(folder / f"{prefix}.aedat4", np.array_split(events, 4))
        ends = [(1_000_000, 1_000_100), (1_000_100, 1_000_200)]
        if n == 1:  # a row that lies behind the file's end
            ends[1] = (5_000_000, 5_000_100)
        if n == 2:  # a row without an end
            ends[1] = (1_000_100, 0)
        lines = [",start,end", *(f"{i},{a},{b}" for i, (a, b) in enumerate(ends))]
        put(folder / f"{prefix}.csv", "\n".join([*lines, ""]).encode())
        if n == 3:
            whole = (folder / f"{prefix}.aedat4").read_bytes()
            put(folder / f"{prefix}.aedat4", whole[:-40])
        for drawer in (1, 2):
            path = root / "drawing.png"
            picture(path, 10 * n + drawer, "L")
            name = f"images_background/Greek/character0{n + 1}/{prefix}_{drawer:02d}.png"
            members[name] = path.read_bytes()
    members["images_background/Greek/character01/0001_02.png"] = b"no picture"
    (root / "drawing.png").unlink()
    (root / "static").mkdir()
    with zipfile.ZipFile(root / "static/images_background.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return replace(card, events=replace(card.events, slices=slices)), True


def tonics(root: Path, files: ModuleType) -> Kind:
    pytest.importorskip("tonic")
    for i in range(8):
        part = "Train" if i < 5 else "Test"
        put(root / f"raw/NMNIST/{part}/{i % 2}/{i + 1:05d}.bin", recording(i))
    put(root / "raw/NMNIST/Train/0/00020.bin", b"1234567")
    put(root / "raw/NMNIST/Test/0/00021.bin", b"")
    return parse_card(card_text("NMNIST").encode(), "tonic:NMNIST"), False


KINDS = (digits, photographs, numbers, characters, tonics)


def build(card: Card, root: Path, cache: Path, statics: bool, jobs: int) -> Summary:
    static = root / "static" if statics else None
    request = make_request(
        card, raw=root / "raw", static=static, cache=cache, unpaired="class", steps=3
    )
    return preprocess(request, skip=True, jobs=jobs)


@pytest.mark.parametrize("write", KINDS, ids=lambda kind: kind.__name__)
def test_the_same_bytes_in_two_places(
    write: Callable[[Path, ModuleType], Kind],
    tmp_path: Path,
    aedat4_files: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = tmp_path / "here", tmp_path / "another place é/deep er"
    here.mkdir()
    card, statics = write(here, aedat4_files)
    shutil.copytree(here, there)
    for path in there.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    first = build(card, here, tmp_path / "one", statics, jobs=1)
    (tmp_path / "link").symlink_to(there)
    monkeypatch.chdir(tmp_path)
    second = build(card, Path("link"), Path("two"), statics, jobs=2)
    assert first.skipped == second.skipped
    assert first.notes == second.notes
    assert len(first.skipped) >= 2
    assert first.key == second.key
    names = sorted(path.name for path in first.directory.iterdir())
    assert names == sorted(path.name for path in second.directory.iterdir())
    for name in names:
        content = (first.directory / name).read_bytes()
        assert content == (second.directory / name).read_bytes(), name
        for word in (str(tmp_path), "another place", "link/", os.uname().nodename + "/"):
            assert word.encode() not in content, (name, word)
    assert verify(first.directory).problems == ()
    index = Index.read(first.directory / "index.h5")
    texts = [reason for _, reason in index.rows.skipped] + [each.text for each in index.notes]
    assert not any("/tmp" in text or "here/" in text for text in texts), texts


def test_what_a_table_says_is_named_by_the_manifest(
    tmp_path: Path, aedat4_files: ModuleType
) -> None:
    card, _ = characters(tmp_path, aedat4_files)
    skipped = dict(build(card, tmp_path, tmp_path / "cache", True, 1).skipped)
    folder = "raw/dvs_background/Greek"
    reason = skipped[f"{folder}/character02/0002.aedat4 (Greek/character02/02)"]
    assert reason.startswith(f"{folder}/character02/0002.csv: row 2 starts at 5000000 us")
    assert skipped[f"{folder}/character03/0003.csv"].startswith("row 2 starts at 1000100 us")
