"""Omniglot's drawings in folders and zips, and zips that are not to be trusted."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snntx.data_cards import load_card
from snntx.data_cards.found import StaticFiles
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.statics import zips as zip_pictures
from snntx.preprocess.statics.decoding import decode_picture
from snntx.preprocess.statics.images import list_statics, planes_of
from snntx.preprocess.statics.zips import Archives, archive_members


@pytest.fixture(scope="module")
def spec() -> StaticFiles:
    static = load_card("n-omniglot").static
    assert static is not None
    return static


def drawing() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).random((105, 105)) > 0.08).save(file, "PNG")
    return file.getvalue()


def write_pictures(static: Path, names: Mapping[str, bytes]) -> None:
    for name, data in names.items():
        (static / name).parent.mkdir(parents=True, exist_ok=True)
        (static / name).write_bytes(data)


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_small_archives_fill_in_and_folders_come_first(spec: StaticFiles, tmp_path: Path) -> None:
    names = [f"images_background_small1/A/character01/0001_{d:02d}.png" for d in (1, 2)]
    write_zip(tmp_path / "images_background_small1.zip", dict.fromkeys(names, b"small"))
    whole = {"images_background/A/character01/0001_01.png": b"whole", "images_background/": b""}
    write_zip(tmp_path / "images_background.zip", whole)
    write_pictures(tmp_path, {"images_evaluation/B/character01/0965_01.png": b"alone"})
    listed = list_statics(spec, tmp_path)
    assert [(i.identity, i.class_name, i.path.name) for i in listed.images] == [
        ("A/character01/01", "A/character01", "images_background.zip"),
        ("A/character01/02", "A/character01", "images_background_small1.zip"),
        ("B/character01/01", "B/character01", "0965_01.png"),
    ]
    assert listed.planes == ("L",)
    assert set(listed.files) == {
        "images_background.zip",
        "images_background_small1.zip",
        "images_evaluation/B/character01/0965_01.png",
    }


def test_two_pictures_of_one_drawer(spec: StaticFiles, tmp_path: Path) -> None:
    names = [f"images_background/A/character01/{prefix}_01.png" for prefix in ("0001", "0002")]
    write_pictures(tmp_path / "folder", dict.fromkeys(names, b"x"))
    with pytest.raises(UsageError, match=r"0001_01\.png and .*0002_01\.png are both A/character01"):
        list_statics(spec, tmp_path / "folder")
    (tmp_path / "zip").mkdir()
    write_zip(tmp_path / "zip" / "images_background.zip", dict.fromkeys(names, b"x"))
    with pytest.raises(UsageError, match=r"background\.zip: .* are both A/character01/01"):
        list_statics(spec, tmp_path / "zip")


def test_neither_folders_nor_archives(spec: StaticFiles, tmp_path: Path) -> None:
    (tmp_path / "readme.txt").touch()
    with pytest.raises(
        UsageError, match=r"no file matches .*, nor is there images_background\.zip"
    ):
        list_statics(spec, tmp_path)
    write_zip(tmp_path / "images_evaluation.zip", {"a.txt": b""})
    with pytest.raises(UsageError, match=r"images_evaluation\.zip: no member matches"):
        list_statics(spec, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/passwd", "leaves the archive"),
        ("../../x.png", "leaves the archive"),
        ("a/../../x.png", "leaves the archive"),
        ("C:/x.png", "leaves the archive"),
        ("a\\..\\x.png", "leaves the archive"),
    ],
)
def test_members_that_leave_the_archive(tmp_path: Path, name: str, message: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("fine.png", b"")
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        archive.writestr(info, b"x")
    with pytest.raises(BadFileError, match=rf"a\.zip: member .* {message}"):
        archive_members(tmp_path / "a.zip")


def test_an_archive_that_was_written_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("b\\0.png", "b\\10:30.png", "b\\"):
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            archive.writestr(info, name.encode())
    assert archive_members(path) == ["b/0.png", "b/10:30.png"]
    with Archives() as archives:
        assert archives.read(path, "b/0.png") == b"b\\0.png"


def test_encrypted_doubled_and_absurd_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"a.png": b"x" * 100})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BadFileError, match=r"a\.zip: member 'a\.png' is encrypted"):
        archive_members(path)
    write_zip(path, {"a.png": b"x" * 100})
    monkeypatch.setattr(zip_pictures, "MAX_MEMBER_BYTES", 99)
    with pytest.raises(BadFileError, match=r"member 'a\.png' of 100 bytes, expected .* at most 99"):
        archive_members(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", b"")
    with pytest.raises(BadFileError, match=r"member 'a\.png' occurs twice"):
        archive_members(path)


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"a.png": drawing()})
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadFileError, match=r"a\.zip: not a whole zip file"):
            archive_members(path)
    path.write_bytes(whole[:60] + bytes([whole[60] ^ 0x55]) + whole[61:])
    assert archive_members(path) == ["a.png"]
    with Archives() as archives, pytest.raises(BadFileError, match=r"a\.zip: member 'a\.png' cann"):
        archives.read(path, "a.png")
    with pytest.raises(BadFileError, match=r"none\.zip: cannot be read: No such file"):
        archive_members(tmp_path / "none.zip")


@pytest.mark.real
def test_real_drawings(real: Path, spec: StaticFiles) -> None:
    listed = list_statics(spec, real / "omniglot")
    assert len(listed.images) == 2720
    classes = {image.class_name for image in listed.images}
    assert len(classes) == 136
    assert all(image.identity.startswith(image.class_name + "/") for image in listed.images)
    assert {image.identity[-2:] for image in listed.images} == {f"{d:02d}" for d in range(1, 21)}
    with Archives() as archives:
        for image in listed.images[::199]:
            data = archives.read(image.path, image.member)
            with Image.open(io.BytesIO(data)) as picture:
                assert (picture.mode, picture.size) == ("1", (105, 105))
            grey = decode_picture(data, image.path).convert("L")
            planes = planes_of(grey, (28, 28), "stretch", image)
            assert planes.shape == (1, 28, 28)
            assert 200 < planes.mean() < 255
            assert planes.min() < 200 < planes.max() == 255
