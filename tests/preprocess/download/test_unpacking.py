"""Archives unpacked whole or not at all, whatever a hostile one holds or claims."""

import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from snntx.errors import BadFileError, SnntxError
from snntx.preprocess.download import archives, unpacking
from snntx.preprocess.download.unpacking import still_packed, unpack


def zipped(**members: bytes) -> bytes:
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return image.getvalue()


def tarred(**members: bytes) -> bytes:
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return image.getvalue()


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(("name", "make"), [("a.zip", zipped), ("a.tar.gz", tarred)])
def test_unpack(tmp_path: Path, name: str, make: Any) -> None:
    archive = put(tmp_path, name, make(**{"x/y.bin": b"1" * 3000, "z": b""}))
    assert unpack(archive, tmp_path) == ["x", "z"]
    assert (tmp_path / "x/y.bin").read_bytes() == b"1" * 3000
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "x", "z"])


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize("name", ["/abs", "../out", "a/../../out", "a\\..\\out", "C:/x"])
def test_names_that_lead_out(tmp_path: Path, make: Any, name: str) -> None:
    archive = put(tmp_path / "to", "a.zip", b"")
    archive = archive.with_suffix(".zip" if make is zipped else ".tar")
    archive.write_bytes(make(**{"good": b"1", name: b"2"}))
    with pytest.raises(BadFileError, match="leads out of the folder; nothing of it is") as raised:
        unpack(archive, tmp_path / "to")
    assert f"unpacked by hand into {tmp_path / 'to'}, where snntx preprocess" in str(raised.value)
    assert not (tmp_path / "to/good").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["to"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_tar(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(BadFileError, match="'link', a link or device"):
        unpack(tmp_path / "a.tar", tmp_path)


def test_links_in_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(BadFileError, match="'link', a link or device"):
        unpack(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize(("name", "make"), [("a.zip", zipped), ("a.tar.gz", tarred)])
def test_bombs(tmp_path: Path, name: str, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = put(tmp_path, name, make(bomb=bytes(3_000_000)))
    with pytest.raises(BadFileError, match="unpacks to more than 2,999,999 bytes"):
        unpack(archive, tmp_path, limit_bytes=2_999_999)
    monkeypatch.setattr(unpacking, "MIN_LIMIT", 1)
    with pytest.raises(BadFileError, match="unpacks to more than"):
        unpack(archive, tmp_path)  # some thousand times its size
    assert unpack(archive, tmp_path, limit_bytes=3_000_000) == ["bomb"]


def test_bombs_inside(tmp_path: Path) -> None:
    inner = zipped(bomb=bytes(900_000))
    archive = put(tmp_path, "a.zip", zipped(**{"1.zip": inner, "2.zip": inner}))
    with pytest.raises(BadFileError, match="unpacks to more than"):
        unpack(archive, tmp_path, limit_bytes=1_000_000)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    image = bytearray(zipped(a=bytes(5000)))
    at = image.rindex(b"PK\x01\x02") + 24  # uncompressed size in the central directory
    image[at : at + 4] = (10).to_bytes(4, "little")
    archive = put(tmp_path, "a.zip", bytes(image))
    with pytest.raises(BadFileError):
        unpack(archive, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar", "a.tar.xz", "a.tar.bz2"])
@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", zipped(a=b"1" * 999)[:-40]],
    ids=["empty", "text", "cut off"],  # a zip holds the time, which workers would not agree on
)
def test_no_archive(tmp_path: Path, name: str, content: bytes) -> None:
    archive = put(tmp_path, name, content)
    with pytest.raises(BadFileError, match="is not a whole archive") as error:
        unpack(archive, tmp_path)
    assert "\n" not in str(error.value)


def test_a_tar_that_is_cut_off(tmp_path: Path) -> None:
    content = tarred(a=os.urandom(9000), b=b"2")
    archive = put(tmp_path, "a.tar.gz", content[:6000])
    with pytest.raises(BadFileError):
        unpack(archive, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    archive = put(tmp_path, "a.zip", zipped(x=b"theirs", y=b"theirs"))
    (tmp_path / "y").write_bytes(b"mine")
    with pytest.raises(SnntxError, match="y is already there; move it away"):
        unpack(archive, tmp_path)
    assert (tmp_path / "y").read_bytes() == b"mine"
    assert not (tmp_path / "x").exists()
    (tmp_path / "y").unlink()
    assert unpack(archive, tmp_path) == ["x", "y"]


def test_killed_between_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = put(tmp_path, "a.zip", zipped(x=b"1", y=b"2"))
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.name == "y":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path)
    monkeypatch.undo()
    assert visible(tmp_path) == ["a.zip", "x"]
    assert unpack(archive, tmp_path) == ["x", "y"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "x", "y"]


# names


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def one_member(make: Any, name: str, content: bytes = b"1") -> bytes:
    return bytes(make(**{name: content}))


STRANGE = [
    "a\nb",
    "a\rb",
    "a\x85b",
    "a\u2028b",
    "a\x1b[2Jb",
    "\u202egnp.exe",
    " ",
    "...",
    ".hidden",
]


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize("name", STRANGE)
def test_no_name_is_lost(tmp_path: Path, make: Any, name: str) -> None:
    archive = put(tmp_path, "x.zip" if make is zipped else "x.tar.gz", one_member(make, name))
    assert unpack(archive, tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"1"


def test_a_zip_written_on_windows(tmp_path: Path) -> None:
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w") as file:
        for name in ("Set\\", "Set\\ant\\", "Set\\ant\\0001.bin", "Set\\bee\\0001.bin"):
            file.writestr(zipfile.ZipInfo(name), b"" if name.endswith("\\") else b"1")
    archive = put(tmp_path, "a.zip", image.getvalue())
    assert unpack(archive, tmp_path) == ["Set"]
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.bin"))
    assert found == ["Set/ant/0001.bin", "Set/bee/0001.bin"]


def test_an_empty_name_in_a_zip(tmp_path: Path) -> None:
    image = bytearray(zipped(a=b"1"))
    local, central = image.index(b"PK\x03\x04"), image.index(b"PK\x01\x02")
    struct.pack_into("<H", image, central + 28, 0)
    del image[central + 46]
    end = image.index(b"PK\x05\x06")
    struct.pack_into("<I", image, end + 12, end - central)
    assert local == 0
    archive = put(tmp_path, "a.zip", bytes(image))
    assert zipfile.ZipFile(archive).infolist()[0].filename == ""
    with pytest.raises(BadFileError, match="holds an entry without a name"):
        unpack(archive, tmp_path)
    assert visible(tmp_path) == ["a.zip"]


def test_an_empty_name_in_a_tar(tmp_path: Path) -> None:
    archive = put(tmp_path, "a.tar", gunzipped(one_member(tarred, "")))
    with pytest.raises(BadFileError, match="holds an entry without a name"):
        unpack(archive, tmp_path)


def gunzipped(data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data)


def test_the_folder_itself_is_no_entry(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for name in (".", "./x"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            file.addfile(info)
    assert unpack(tmp_path / "a.tar", tmp_path) == ["x"]


def test_a_latin_1_name_in_a_tar(tmp_path: Path) -> None:
    image = io.BytesIO()
    with tarfile.open(
        fileobj=image, mode="w", format=tarfile.USTAR_FORMAT, encoding="latin-1"
    ) as file:
        info = tarfile.TarInfo("caf\xe9/0001.bin")
        info.size = 1
        file.addfile(info, io.BytesIO(b"1"))
    archive = put(tmp_path, "a.tar", image.getvalue())
    assert unpack(archive, tmp_path) == ["caf\xe9"]
    assert (tmp_path / "caf\xe9/0001.bin").read_bytes() == b"1"


def test_a_latin_1_name_in_a_zip_is_one_line(tmp_path: Path) -> None:
    image = bytearray(one_member(zipped, "caf\xe9"))  # said to be UTF-8
    for at in (image.index(b"caf"), image.rindex(b"caf")):
        image[at + 3 : at + 5] = b"\xe9\xe9"
    archive = put(tmp_path, "a.zip", bytes(image))
    with pytest.raises(BadFileError, match="is not a whole archive") as error:
        unpack(archive, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize(
    "name",
    [".other.zip.done", ".other.zip.lock", ".other.zip.unpacked/entries.json", ".x.unpacking/a"],
)
def test_notes_of_downloads_cannot_be_forged(tmp_path: Path, make: Any, name: str) -> None:
    archive = put(tmp_path, "x.zip" if make is zipped else "x.tar", one_member(make, name))
    with pytest.raises(BadFileError, match="a name that downloads keep their own notes under"):
        unpack(archive, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


@pytest.mark.parametrize("name", [".entries", "entries.json", "content", "content/entries.json"])
def test_a_name_like_that_of_the_list_is_a_name_as_others(tmp_path: Path, name: str) -> None:
    forged = json.dumps(["/etc/passwd"]).encode()
    archive = put(tmp_path, "a.zip", zipped(**{name: forged, "real": b"1"}))
    top = name.partition("/")[0]
    assert unpack(archive, tmp_path) == sorted([top, "real"])
    assert (tmp_path / name).read_bytes() == forged
    assert (tmp_path / "real").read_bytes() == b"1"


# headers

HEADER = 3 << 30
PROGRAM = """
import resource, sys
from pathlib import Path
from snntx.errors import BadFileError
from snntx.preprocess.download.unpacking import unpack
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except BadFileError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def taken(archive: Path) -> tuple[str, int]:
    """Unpack in another process; returns what it said and the bytes of memory it took."""
    call = [sys.executable, "-c", PROGRAM, str(archive), str(archive.parent)]
    said = subprocess.run(call, capture_output=True, text=True, check=True, timeout=120).stdout
    line, memory = said.splitlines()
    return line, int(memory)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_tar_header_of_gigabytes_takes_none(tmp_path: Path, kind: bytes, suffix: str) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, HEADER
    start = info.tobuf(tarfile.GNU_FORMAT)
    archive = tmp_path / f"a{suffix}"
    if suffix == ".tar":
        with archive.open("wb") as file:
            file.write(start)
            file.truncate(HEADER)  # with a hole, so that it costs no disk
    else:
        import gzip

        with gzip.open(archive, "wb", compresslevel=1) as packed:
            packed.write(start)
            for _ in range(64):
                packed.write(bytes(1 << 20))
    line, memory = taken(archive)
    assert "is not a whole archive: a header claims" in line
    assert memory < 64 << 20


def test_many_headers_without_a_file_between_them(tmp_path: Path) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XGLTYPE, 1 << 20
    block = info.tobuf(tarfile.GNU_FORMAT) + b"20 comment=" + b"a" * 8 + b"\n"
    block += bytes(512 + (1 << 20) - len(block))
    archive = put(tmp_path, "a.tar", block * 12)
    with pytest.raises(BadFileError, match="is not a whole archive"):
        unpack(archive, tmp_path)


def test_a_zip_table_of_gigabytes_takes_none(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with archive.open("wb") as file:
        file.truncate(HEADER)
        file.seek(0, os.SEEK_END)
        file.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, HEADER, 0, 0))
    line, memory = taken(archive)
    assert "is not a whole archive: a header claims" in line
    assert memory < 64 << 20


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE])
def test_a_size_below_0_ends_in_one_line(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("a")
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024, in base 256
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    archive = put(tmp_path, "a.tar", bytes(block) * 3 + bytes(1024))
    with pytest.raises(BadFileError, match=r"size below 0|is not a whole archive"):
        unpack(archive, tmp_path)


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = put(tmp_path, "a.tar", tarred(**{f"f{i}": b"" for i in range(30)}))
    with archives.opened(archive) as members:
        assert len({member.name for member in members()}) == 30
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 29)
    with pytest.raises(BadFileError, match="too many files"):
        unpack(archive, tmp_path)


def test_archives_that_stay_packed_are_counted(tmp_path: Path) -> None:
    """By suffix, of a kind that is not unpacked here, or too deep for one level of nesting."""
    deep = zipped(**{"c.zip": zipped(d=b"1")})
    members = {f"x/part{i}.RAR": b"Rar!" for i in range(3)}
    archive = put(tmp_path, "a.zip", zipped(**members, **{"b.7z": b"7z", "e.zip": deep, "f": b""}))
    names = unpack(archive, tmp_path)
    assert still_packed(tmp_path, names) == (
        "5 archives inside left packed, .7z (1), .RAR (3), .zip (1), such as b.7z, c.zip, "
        "x/part0.RAR and 2 more; unpack them by hand"
    )
    (tmp_path / "b.7z").unlink()
    for path in [tmp_path / "c.zip", *(tmp_path / "x").iterdir()]:
        path.unlink()
    assert still_packed(tmp_path, names) == ""


@pytest.mark.parametrize("make", [zipped, tarred])
def test_nothing_else_stays_behind_for_its_suffix(tmp_path: Path, make: Any) -> None:
    names = {"a.bin": b"1", "b.jpeg": b"2", "c": b"3", "d.": b"4", "e.odd-suffix": b"5"}
    archive = put(tmp_path, "set.zip" if make is zipped else "set.tgz", make(**names))
    assert unpack(archive, tmp_path) == sorted(names)
    assert still_packed(tmp_path, names) == ""
