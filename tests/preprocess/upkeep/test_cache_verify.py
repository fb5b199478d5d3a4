"""``snntx cache verify``: every kind of damage is found, named, and costs exit code 1."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snntx.cli import run
from snntx.preprocess.cache.format import Index
from snntx.preprocess.cache.seal import seal
from snntx.preprocess.upkeep.verify import verify

CARD = "simulated-digits"
Output = namedtuple("Output", "code out err")


@pytest.fixture
def here(small_cache: Path, tmp_path: Path) -> Path:
    """A copy of the small data set and its sealed cache, with writable files."""
    shutil.copytree(small_cache, tmp_path / "small")
    for path in cache_of(tmp_path / "small").iterdir():
        path.chmod(0o644)
    return tmp_path / "small"


def cache_of(here: Path) -> Path:
    (found,) = (here / "cache").glob("*/*/SEALED")
    return found.parent


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], here: Path) -> Callable[..., Output]:
    def call(*arguments: Any) -> Output:
        command = ["cache", "verify", CARD, "--cache", str(here / "cache"), *map(str, arguments)]
        code = run(command)
        captured = capsys.readouterr()
        return Output(code, captured.out, captured.err)

    return call


def wrong(output: Output, *parts: str) -> None:
    """One line on standard output, with these parts and what to do, and exit code 1."""
    assert output.code == 1, output
    assert output.out.count("\n") == 1, output.out
    for part in (*parts, "found ", ", expected ", "; "):
        assert part in output.out


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def reseal(directory: Path) -> None:
    """Seal again what was changed, as a faulty writer would."""
    sealed = json.loads((directory / "SEALED").read_text())
    seal(directory, sealed["key"], sealed["draft"])
    for path in directory.iterdir():
        path.chmod(0o644)


def test_a_whole_cache(check: Callable[..., Output], here: Path) -> None:
    output = check()
    assert output.code == 0
    assert output.out == (
        f"OK {cache_of(here)}: 80 recordings in 1 shard and 80 static images match their "
        "checksums\n"
    )
    found = json.loads(check("--json").out)
    assert found == {"directory": str(cache_of(here)), "ok": True, "problems": []}


def test_it_counts_as_it_goes(here: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify(cache_of(here), lambda done, total: seen.append((done, total)))
    assert seen == [(n, 160) for n in range(161)]


@pytest.mark.parametrize(
    ("name", "dataset", "number", "place"),
    [
        ("frames-00000.h5", "frames", (5, 0, 0, 0, 0), "recording Train/0/"),
        ("static.h5", "images", (0, 0, 0, 0), "image Train/"),
    ],
)
def test_flipped_bytes_in_a_chunk(
    check: Callable[..., Output],
    here: Path,
    name: str,
    dataset: str,
    number: tuple[int, ...],
    place: str,
) -> None:
    path = cache_of(here) / name
    with h5py.File(path) as file:
        chunk = file[dataset].id.get_chunk_info_by_coord(number)
    flip(path, chunk.byte_offset + chunk.size // 2)
    output = check()
    assert output.code == 1
    lines = output.out.splitlines()
    assert 1 <= len(lines) <= (1 if dataset == "frames" else 64)  # images share a chunk
    for line in lines:
        assert line.startswith(f"{path}: {place}")
        assert ", expected checksum " in line
        assert "remove the cache and build it again" in line


def test_every_flipped_byte_of_the_index_is_noticed(here: Path) -> None:
    path = cache_of(here) / "index.h5"
    for at in range(0, path.stat().st_size, 997):
        flip(path, at)
        assert [p.place for p in verify(cache_of(here)).problems] == ["digest"], at
        flip(path, at)
    assert verify(cache_of(here)).problems == ()


def test_flipped_bytes_anywhere_in_a_shard_never_crash(here: Path) -> None:
    path = cache_of(here) / "frames-00000.h5"
    for at in range(0, path.stat().st_size, 6007):
        flip(path, at)
        verify(cache_of(here))
        flip(path, at)
    assert verify(cache_of(here)).problems == ()


@pytest.mark.parametrize("name", ["frames-00000.h5", "static.h5", "index.h5"])
def test_missing_and_shortened_files(check: Callable[..., Output], here: Path, name: str) -> None:
    path = cache_of(here) / name
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    output = check()
    assert output.code == 1
    assert f"{path}: found {size // 2} bytes, expected {size} bytes; " in output.out
    path.unlink()
    wrong(check(), f"{path}: found no such file, expected {size} bytes")


def test_a_file_that_was_not_sealed(check: Callable[..., Output], here: Path) -> None:
    (cache_of(here) / "frames-00007.h5").write_bytes(b"foreign")
    wrong(check(), "frames-00007.h5: found a file, expected none that was not sealed")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 99}'])
def test_a_damaged_seal(check: Callable[..., Output], here: Path, text: str) -> None:
    (cache_of(here) / "SEALED").write_text(text)
    wrong(check(), "SEALED")


def test_no_seal(check: Callable[..., Output], here: Path) -> None:
    directory = cache_of(here)
    (directory / "SEALED").unlink()
    wrong(check(), "SEALED: found no such file, expected the seal of a finished cache")


def test_a_renamed_cache(check: Callable[..., Output], here: Path) -> None:
    cache_of(here).rename(cache_of(here).with_name("c" * 16))
    wrong(check(), "SEALED: key: ", f"expected {'c' * 16}; give the folder its own name back")


@pytest.mark.parametrize(
    ("dataset", "value", "place"),
    [
        ("recordings/label", 9, "/recordings/label of row 0"),
        ("recordings/events", 1, "/recordings/events of row 0"),
        ("recordings/checksum", 5, "/recordings/checksum of row 0"),
        ("recordings/row", 1, "shard and row"),
        ("recordings/twin", 10_000, "recordings/twin"),
        ("recordings/twin", 1, "twin of Train/0/"),
        ("statics/split/holdout", None, "statics/split/holdout"),
        ("manifest/bytes", 5, "key of its settings and manifest"),
    ],
)
def test_an_index_that_contradicts_itself_or_a_shard(
    check: Callable[..., Output], here: Path, dataset: str, value: int | None, place: str
) -> None:
    directory = cache_of(here)
    with h5py.File(directory / "index.h5", "r+") as file:
        column = file[dataset]
        if value is None:  # show the twins of test recordings in training
            column[...] = np.zeros(len(column), np.uint8)
        else:
            column[0] = value
    reseal(directory)
    output = check()
    assert output.code == 1
    assert place in output.out


def test_labels_beyond_the_classes(here: Path) -> None:
    directory = cache_of(here)
    with h5py.File(directory / "index.h5", "r+") as file:
        file["recordings/label"][3] = 77
    reseal(directory)
    problems = verify(directory).problems
    assert "recordings/label" in [problem.place for problem in problems]


def test_raw_files_that_are_the_same(check: Callable[..., Output], here: Path) -> None:
    raw, static = here / "data/raw", here / "data/static"
    output = check("--raw", raw, "--static", static)
    assert output.code == 0
    assert output.out.endswith("; 82 raw files match the manifest\n")
    output = check("--raw", raw)
    assert output.code == 0
    assert "80 raw files match the manifest (static files were not compared" in output.out


def test_changed_missing_and_new_raw_files(check: Callable[..., Output], here: Path) -> None:
    raw, static = here / "data/raw", here / "data/static"
    changed, gone, *_ = sorted(raw.rglob("*.bin"))
    size = gone.stat().st_size
    flip(changed, 0)
    shutil.move(gone, gone.with_name("99999.bin"))
    flip(static / "train-images-idx3-ubyte", 2000)
    output = check("--raw", raw, "--static", static)
    assert output.code == 1
    lines = output.out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{gone}: found no such file, expected {size} bytes of digest ")
    assert lines[1].startswith(f"{changed}: found {changed.stat().st_size} bytes of digest ")
    assert lines[2].startswith(f"{gone.with_name('99999.bin')}: found a new file, expected none")
    assert lines[3].startswith(f"{static / 'train-images-idx3-ubyte'}: found ")
    assert all("run snntx preprocess again" in line for line in lines)


def test_a_card_that_changed_since(
    check: Callable[..., Output], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from snntx.data_cards import load_card
    from snntx.preprocess.upkeep import stored

    card = load_card(CARD)
    rule = dataclasses.replace(card.splits["holdout"], test=0.5)
    other = dataclasses.replace(card, splits={**card.splits, "holdout": rule})
    monkeypatch.setattr(stored, "load_card", lambda *_: other)
    wrong(
        check("--raw", here / "data/raw", "--static", here / "data/static"),
        "index.h5: settings other than the card's",
        "splits.holdout.test 0.25 (card: 0.5)",
    )


def test_wrong_calls(check: Callable[..., Output], here: Path) -> None:
    output = check("--static", here / "data/static")
    assert output.code == 2
    assert "--static is compared together with --raw" in output.err
    output = check("--raw", here / "none")
    assert output.code == 2
    assert "no such folder" in output.err
    assert check("--key", "zz").code == 2


def test_a_cache_without_statics_or_manifest(here: Path) -> None:
    from snntx.data_cards import load_card
    from snntx.errors import UsageError
    from snntx.preprocess.build.builder import preprocess
    from snntx.preprocess.planning.plan import make_request
    from snntx.preprocess.upkeep.verify_raw import compare_raw

    card, raw = load_card(CARD), here / "data/raw"
    request = make_request(card, raw=raw, static=None, cache=here / "cache", steps=2)
    directory = preprocess(request).directory
    assert verify(directory).problems == ()
    index = Index.read(directory / "index.h5")
    assert compare_raw(directory, index, card, raw=raw, static=None).problems == ()
    with pytest.raises(UsageError, match="made without static images; leave out --static"):
        compare_raw(directory, index, card, raw=raw, static=here / "data/static")
    import dataclasses

    bare = dataclasses.replace(index, manifest={})
    with pytest.raises(UsageError, match="holds no manifest"):
        compare_raw(directory, bare, card, raw=raw, static=None)
