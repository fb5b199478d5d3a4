"""The seal: every byte of a cache is vouched for, and nothing outside of it is ever opened."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snntx.errors import SnntxError
from snntx.preprocess.cache.files import open_own
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.seal import Seal, SealedFile, SealError, parse_seal, read_seal, seal
from snntx.preprocess.disk.digests import digest
from snntx.preprocess.upkeep.verify import verify

OLD = Path(__file__).parents[2] / "fixtures/release-0.1/cache/simulated-digits/23eae219f7338201"


@pytest.fixture
def cache(small_cache: Path, tmp_path: Path) -> Path:
    (found,) = (small_cache / "cache").glob("*/*/SEALED")
    copy = tmp_path / found.parent.name
    shutil.copytree(found.parent, copy)
    for path in copy.iterdir():
        path.chmod(0o644)
    return copy


def flip(path: Path, at: int, bit: int = 2) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_it_holds_size_and_digest_of_every_file(cache: Path) -> None:
    found = read_seal(cache)
    files = {path.name: path.read_bytes() for path in cache.glob("*.h5")}
    assert sorted(files) == ["frames-00000.h5", "index.h5", "static.h5"]
    assert found.files == {n: SealedFile(len(data), digest(data)) for n, data in files.items()}
    assert found.version == 2
    assert found.key == cache.name
    text = json.loads((cache / "SEALED").read_text())
    own = text.pop("digest")
    assert own == digest(json.dumps(text, indent=1).encode())


def test_every_flipped_bit_of_the_seal_is_noticed_when_it_is_opened(cache: Path) -> None:
    path = cache / "SEALED"
    for at in range(path.stat().st_size):
        flip(path, at, at % 8)
        with pytest.raises(SnntxError):
            read_seal(cache)
        flip(path, at, at % 8)
    flip(path, at)
    assert verify(cache).problems != ()
    with pytest.raises(SnntxError):
        FrameCache(cache)


@pytest.mark.parametrize("name", ["frames-00000.h5", "static.h5", "index.h5"])
def test_every_flipped_bit_of_a_file_is_noticed_by_verify(cache: Path, name: str) -> None:
    path = cache / name
    places = np.random.default_rng(0).choice(path.stat().st_size, 40, replace=False)
    for at in places.tolist():
        flip(path, at, at % 8)
        problems = verify(cache).problems
        assert problems, at
        assert {problem.file.name for problem in problems} == {name}
        flip(path, at, at % 8)
    assert verify(cache).problems == ()


def test_what_lies_between_the_chunks_is_checked_too(cache: Path) -> None:
    """A name of a column, which no checksum of a recording covers."""
    path = cache / "frames-00000.h5"
    at = path.read_bytes().index(b"time from the first to the last event")
    flip(path, at)
    (problem,) = verify(cache).problems
    assert problem.place == "digest"
    assert problem.expected == read_seal(cache).files[path.name].digest


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda c: c.pop("files"), "incomplete"),
        (lambda c: c.update(files=[]), "incomplete"),
        (lambda c: c.update(key=5), "incomplete"),
        (lambda c: c["files"].update({"index.h5": 5}), "incomplete"),
        (lambda c: c["files"]["index.h5"].update(bytes="12"), "incomplete"),
        (lambda c: c["files"]["index.h5"].update(bytes=-1), "incomplete"),
        (lambda c: c["files"]["index.h5"].update(digest="zz"), "incomplete"),
        (lambda c: c["files"].pop("index.h5"), "files frames-00000.h5, static.h5"),
        (
            lambda c: c["files"].update({"../other/index.h5": c["files"]["index.h5"]}),
            "files .*other",
        ),
        (lambda c: c.update(draft="other"), "does not match its checksum"),
        (lambda c: c.update(digest=0), "does not match its checksum"),
        (lambda c: c.update(version=True), "cache format True"),
        (lambda c: c.update(version=1.0), "cache format 1.0"),
        (lambda c: c.update(version=1), "incomplete"),
    ],
)
def test_seals_of_the_wrong_shape(cache: Path, change: Callable[[Any], Any], found: str) -> None:
    content = json.loads((cache / "SEALED").read_text())
    change(content)
    with pytest.raises(SealError, match=found):
        parse_seal(json.dumps(content, indent=1).encode())


def test_a_seal_written_in_another_way_is_none(cache: Path) -> None:
    text = (cache / "SEALED").read_bytes()
    assert isinstance(parse_seal(text), Seal)
    with pytest.raises(SealError, match="does not match its checksum"):
        parse_seal(text.replace(b"\n", b" "))
    with pytest.raises(SealError, match="damaged"):
        parse_seal(b"[" * 100_000)


# release 0.1


def test_a_seal_of_release_0_1_has_the_digest_of_its_index_alone() -> None:
    found = read_seal(OLD)
    assert (found.version, found.key) == (1, OLD.name)
    assert [name for name, (_, each) in found.files.items() if each] == ["index.h5"]
    assert verify(OLD).problems == ()
    assert len(FrameCache(OLD)) == 50


def test_a_damaged_cache_of_release_0_1(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / OLD.name, copy_function=shutil.copy)
    for path in (tmp_path / OLD.name).iterdir():
        path.chmod(0o644)
    flip(tmp_path / OLD.name / "index.h5", 5000)
    with pytest.raises(SnntxError, match=r"index\.h5: does not match its checksum"):
        FrameCache(tmp_path / OLD.name)
    assert [problem.place for problem in verify(tmp_path / OLD.name).problems] == ["digest"]


# nothing outside


def external_link(file: h5py.File, other: Path) -> None:
    del file["recordings/label"]
    file["recordings/label"] = h5py.ExternalLink(str(other), "secret")


def soft_link(file: h5py.File, other: Path) -> None:
    file["recordings/more"] = h5py.SoftLink("/recordings/label")


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("more", (4,), "<u1", external=[(str(other), 0, 4)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((4,), "<i8")
    layout[:] = h5py.VirtualSource(str(other), "secret", (4,))
    file.create_virtual_dataset("more", layout)


def loop(file: h5py.File, other: Path) -> None:
    file["recordings/again"] = file["recordings"]


@pytest.mark.parametrize(
    "change", [external_link, soft_link, external_storage, virtual, loop], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("name", ["frames-00000.h5", "index.h5", "static.h5"])
def test_what_lies_in_another_file_is_never_opened(
    cache: Path, tmp_path: Path, name: str, change: Callable[[h5py.File, Path], None]
) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.zeros(4, np.int64)
    with h5py.File(cache / name, "r+") as file:
        if "recordings" not in file:
            file["recordings/label"] = 5
        change(file, other)
    sealed = read_or_none(cache)
    assert sealed is None or name != "index.h5"
    seal(cache, cache.name, "0123456789abcdef")  # as somebody who knows the format would
    with pytest.raises(SnntxError, match=rf"{name}: /.* is (a|an) .*, expected data of this file"):
        open_own(cache / name)
    problems = [str(problem) for problem in verify(cache).problems]
    assert any(name in line and "expected data of this file" in line for line in problems)
    if name == "index.h5":
        with pytest.raises(SnntxError, match="expected data of this file"):
            FrameCache(cache)
        return
    opened = FrameCache(cache)
    with pytest.raises(SnntxError):
        opened.frames(0) if name.startswith("frames") else opened.static_images()


def read_or_none(directory: Path) -> Seal | None:
    try:
        return read_seal(directory)
    except SnntxError:
        return None
