"""Files of strangers: damage ends in one line, and nothing that they ask for is executed."""

import argparse
import os
import pickle
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snntx.errors import SnntxError
from snntx.tests import published_files as files
from snntx.train.checkpoints.foreign import load_foreign

layouts = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def refuse(path: Path, *parts: str) -> str:
    """Loading fails with one line that names the file."""
    with pytest.raises(SnntxError) as caught:
        load_foreign(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


# damage


@layouts
def test_a_file_cut_off_anywhere(legacy: bool, tmp_path: Path) -> None:
    whole = files.write_small(tmp_path / "a.pth.tar", legacy=legacy).read_bytes()
    cut = tmp_path / "cut.pth.tar"
    for place in np.linspace(0, len(whole) - 1, 12).astype(int).tolist():
        cut.write_bytes(whole[:place])
        refuse(cut, "not a readable checkpoint: ")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and no more", bytes(4096)])
def test_what_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth.tar").write_bytes(content)
    refuse(tmp_path / "a.pth.tar", "not a readable checkpoint: ")


def test_a_changed_byte_of_a_tensor(tmp_path: Path) -> None:
    path = files.write_small(tmp_path / "a.pth.tar")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refuse(path, "does not match its checksum")


def test_an_archive_of_the_other_kinds(tmp_path: Path) -> None:
    inner = files.write_small(tmp_path / "inner.pth.tar")
    with tarfile.open(tmp_path / "a.pth.tar", "w") as archive:
        archive.add(inner)
    refuse(tmp_path / "a.pth.tar", "a tar archive")
    with zipfile.ZipFile(tmp_path / "b.pth.tar", "w") as archive2:
        archive2.writestr("a/data.pkl", b"\x80\x02N.")
        archive2.writestr("b/data.pkl", b"\x80\x02N.")
    refuse(tmp_path / "b.pth.tar", "a zip, but not one of torch.save")


# malice


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def evil(sprung: Path) -> Call:
    return Call(os.system, f"touch {sprung}")


@layouts
@pytest.mark.parametrize("protocol", [2, 4])
def test_malice_is_refused_and_does_not_execute(
    legacy: bool, protocol: int, tmp_path: Path
) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    args = argparse.Namespace(model="Transfer_SCNN", extra=evil(sprung))
    torch.save(
        {"state_dict": files.state_of(files.small()), "args": args},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not legacy,
    )
    refuse(path, "it asks for the global posix.system", "nothing of it was executed")
    assert not sprung.exists()
    torch.load(path, weights_only=False)  # the trap works where files are trusted
    assert sprung.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_is_refused(protocol: int, tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    path.write_bytes(pickle.dumps({"args": evil(sprung)}, protocol))
    refuse(path, "the global posix.system")
    assert not sprung.exists()


def test_malice_behind_the_content_of_a_legacy_file(tmp_path: Path) -> None:
    """The pickles before and after the content are programs too."""
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    for place in range(5):
        parts: list[Any] = [1, 2, {}, {}, []]
        parts[place] = evil(sprung)
        path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
        refuse(path, "the global posix.system")
    assert not sprung.exists()


def test_a_zip_behind_a_pickle_does_not_hide_it(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    path.write_bytes(pickle.dumps(evil(sprung), 2) + files.write_small(path).read_bytes())
    assert zipfile.is_zipfile(path)
    refuse(path, "the global posix.system")
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"(S'touch x'\nios\nsystem\n.", "the pickle instruction INST"),
        (b"(cargparse\nNamespace\no.", "the pickle instruction OBJ"),
        (b"\x82\x01.", "the pickle instruction EXT1"),
        (b"cbuiltins\neval\n.", "the global builtins.eval"),
        (b"ctorch\nload\n.", "the global torch.load"),
        (b"ctorch.hub\nload\n.", "the global torch.hub.load"),
        (b"cargparse\nFileType\n.", "the global argparse.FileType"),
        (b"cargparse\nNamespace.__init__.__globals__\n.", "the global argparse.Namespace.__init__"),
    ],
)
def test_names_that_tensors_do_not_need(program: bytes, message: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth.tar", "w") as archive:
        archive.writestr("archive/data.pkl", program)
    refuse(tmp_path / "a.pth.tar", message)


def test_the_reader_for_weights_stands_behind_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a name allowed by mistake, torch would still refuse it."""
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    torch.save({"args": evil(sprung)}, path)
    monkeypatch.setattr("snntx.train.checkpoints.foreign.ALLOWED", {"posix.system"})
    refuse(path, "not a readable checkpoint: ")
    assert not sprung.exists()


def test_a_namespace_is_filled_not_constructed(tmp_path: Path) -> None:
    """Attributes cannot turn it into anything else, and reading leaves torch as it was."""
    before = set(torch.serialization.get_safe_globals())
    path, inner = tmp_path / "a.pth.tar", argparse.Namespace(plain=1)
    vars(inner).update({"__class__": "x", "__setstate__": 3, "__init__": 4})
    torch.save({"args": inner}, path)
    found = load_foreign(path)["args"]
    assert type(found) is argparse.Namespace
    assert vars(found) == vars(inner)
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_namespace_cannot_change_its_class(tmp_path: Path) -> None:
    path = tmp_path / "a.pth.tar"
    slots = b"N}X\x09\x00\x00\x00__class__ccollections\nOrderedDict\ns\x86"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02cargparse\nNamespace\n)\x81" + slots + b"b.")
        archive.writestr("a/version", b"3\n")
        archive.writestr("a/byteorder", b"little")
    refuse(path, "not a readable checkpoint: __class__ assignment")


# what torch would say or read


def zipped(path: Path, program: bytes, **options: Any) -> Path:
    """A file of torch.save with this pickle in it."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("a/data.pkl", program)
        archive.writestr("a/byteorder", "little")
        archive.writestr("a/version", "3\n")
    return path


@pytest.mark.parametrize(
    "program",
    [
        pickle.dumps({"a": frozenset({1})}, 4),
        pickle.dumps({"a": bytearray(b"x")}, 5),
        b"\x80\x02}q\x00}b.",  # a state for a dictionary
        b"\x80\x02(X\x01\x00\x00\x00atQ.",  # a tensor without a storage
    ],
)
def test_nobody_is_advised_to_read_unsafely(program: bytes, tmp_path: Path) -> None:
    message = refuse(
        zipped(tmp_path / "a.pt", program), "its pickle holds more than tensors, numbers and text"
    )
    for advice in ("weights_only", "trusted", "False", "\x1b", "torch.load"):
        assert advice not in message


def test_records_that_inflate_are_not_unpacked(tmp_path: Path) -> None:
    program = pickle.dumps({"a": "x" * 3_000_000}, 2)
    path = zipped(tmp_path / "a.pt", program, compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    refuse(path, "its records claim 3,000,0", f"the file has {path.stat().st_size:,}; no torch.sa")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert load_foreign(zipped(tmp_path / "b.pt", program)) == {"a": "x" * 3_000_000}


@pytest.mark.parametrize(
    ("old", "new"), [(b"K\x04\x85", b"K\x40\x85"), (b"K\0K\x04", b"K\x09K\x04")]
)
def test_a_tensor_beyond_its_storage(old: bytes, new: bytes, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(4)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as whole, zipfile.ZipFile(tmp_path / "b.pt", "w") as b:
        for record in whole.infolist():
            content = whole.read(record)
            assert (old in content) == record.filename.endswith("data.pkl")
            b.writestr(record.filename, content.replace(old, new))
    refuse(tmp_path / "b.pt", "a tensor claims more values than the file holds")
