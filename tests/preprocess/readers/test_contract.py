"""What every reader keeps: bad files are refused in one line, and any reader frames a data set."""

import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from snntx.data_cards import parse_card
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.build import stages
from snntx.preprocess.build.builder import Summary, preprocess
from snntx.preprocess.cache import format as cache_format
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.base import READERS, Reader, place_of, reader_of
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.reading import checked, read_events, read_recordings
from snntx.tests import jaer_files, plain_files

COUNT = 40
X, Y, T, P = (
    np.arange(COUNT) % 30,
    np.arange(COUNT) % 20,
    7 * np.arange(COUNT),
    np.arange(COUNT) % 2,
)
HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>gone</body></html>\n"
PARTS: dict[str, tuple[int, ...]] = {"tonic": (0, 0, 2)}
"""The part that a whole file is, where that is not ``()``."""


def columns() -> Events:
    return Events(X.astype(np.int16), Y.astype(np.int16), T.astype(np.int64), P.astype(np.int8))


def write_tonic(folder: Path, aedat4_files: ModuleType) -> Path:
    path = folder / "NMNIST/Train/5/00001.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(columns()))
    return path


def write_atis(folder: Path, aedat4_files: ModuleType) -> Path:
    path = folder / "één file.bin"
    path.write_bytes(encode(columns()))
    return path


def write_mat(folder: Path, aedat4_files: ModuleType) -> Path:
    path = folder / "één file.mat"
    savemat(path, {"x": X, "y": Y, "ts": T, "p": P})
    return path


def write_aedat4(folder: Path, aedat4_files: ModuleType) -> Path:
    path = folder / "één file.aedat4"
    rows = aedat4_files.events(*zip(X.tolist(), Y.tolist(), T.tolist(), P.tolist(), strict=True))
    aedat4_files.write_plain(path, np.array_split(rows, 4))
    return path


def write_aedat3(folder: Path, aedat4_files: ModuleType) -> Path:
    halves = np.array_split(jaer_files.polarity(X, Y, T, P), 2)
    return jaer_files.write_3(folder / "één file.aedat", *map(jaer_files.packet, halves))


def write_davis(folder: Path, aedat4_files: ModuleType) -> Path:
    return jaer_files.write_2(folder / "één file.aedat", jaer_files.davis(X, Y, P), T)


def write_dvs128(folder: Path, aedat4_files: ModuleType) -> Path:
    return jaer_files.write_2(folder / "één file.aedat", jaer_files.dvs128(X, Y, P), T)


def write_published(folder: Path, aedat4_files: ModuleType) -> Path:
    """A file that the published reader mirrors, inverts and shortens to the columns."""
    address = [*jaer_files.davis(127 - X, Y, 1 - P), *jaer_files.davis([5], [5], [1])]
    return jaer_files.write_2(folder / "één file.aedat", address, [*T, 1000])


def write_turned(folder: Path, aedat4_files: ModuleType) -> Path:
    address = jaer_files.dvs128(127 - Y, 127 - X, 1 - P)
    return jaer_files.write_2(folder / "één file.aedat", address, T)


def write_gesture(folder: Path, aedat4_files: ModuleType) -> Path:
    return jaer_files.write_gesture(folder / "één file.hdf5", (X, Y, T, P))


NAMED = {"t": T, "x": X, "y": Y, "p": P}


def write_csv(folder: Path, aedat4_files: ModuleType) -> Path:
    return plain_files.write_csv(folder / "één file.csv", NAMED)


def write_gait(folder: Path, aedat4_files: ModuleType) -> Path:
    return plain_files.write_arrays(folder / "één file.npy", [plain_files.table(NAMED)])


def write_hdf5(folder: Path, aedat4_files: ModuleType) -> Path:
    return plain_files.write_hdf5(folder / "één file.h5", NAMED)


def write_npy(folder: Path, aedat4_files: ModuleType) -> Path:
    return plain_files.write_npy(folder / "één file.npy", NAMED)


def write_npz(folder: Path, aedat4_files: ModuleType) -> Path:
    return plain_files.write_npz(folder / "één file.npz", NAMED)


WRITERS: dict[str, Callable[[Path, ModuleType], Path]] = {
    "aedat2-davis": write_davis,
    "aedat2-dvs128": write_dvs128,
    "aedat3": write_aedat3,
    "aedat4": write_aedat4,
    "atis": write_atis,
    "cifar10-dvs-spikingjelly": write_turned,
    "csv": write_csv,
    "daily-action-published": write_published,
    "gait": write_gait,
    "gesture-hdf5": write_gesture,
    "hdf5": write_hdf5,
    "mat": write_mat,
    "npy": write_npy,
    "npz": write_npz,
    "tonic": write_tonic,
}
"""A shipped format → what writes a whole file of :func:`columns`."""


def read(format: str, path: Path) -> Events:
    """Read a file's one recording as a build does."""
    _, recordings = read_recordings(path, format, [PARTS.get(format, ())])
    (found,) = recordings
    if isinstance(found, BadFileError):
        raise found
    return checked(found if isinstance(found, Events) else found.events(), path)


def refused(format: str, path: Path) -> str:
    with pytest.raises(BadFileError) as caught:
        read(format, path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


shipped = pytest.mark.parametrize("format", READERS.shipped())


def test_every_shipped_reader_is_tested_here() -> None:
    assert READERS.shipped() == sorted(WRITERS)
    assert set(READERS.shipped()) <= set(READERS.names())


@shipped
def test_a_whole_file_is_read(format: str, tmp_path: Path, aedat4_files: ModuleType) -> None:
    path = WRITERS[format](tmp_path, aedat4_files)
    reader = reader_of(format)
    assert 1 <= reader.record_bytes <= path.stat().st_size / COUNT
    for column, known in zip(read(format, path), columns(), strict=True):
        np.testing.assert_array_equal(column, known)
        assert np.asarray(column).dtype == np.asarray(known).dtype


@shipped
def test_an_empty_and_a_missing_file(format: str, tmp_path: Path, aedat4_files: ModuleType) -> None:
    path = WRITERS[format](tmp_path, aedat4_files)
    path.write_bytes(b"")
    assert "empty" in refused(format, path)
    path.unlink()
    assert "No such file" in refused(format, path)
    path.mkdir()
    assert "directory" in refused(format, path)


@shipped
@pytest.mark.parametrize(
    "data",
    [
        HTML,
        HTML[: len(HTML) // 5 * 5],
        b"x,y,t,p\n" + b"1,2,3,1\n" * 500,
        random.Random(1).randbytes(5000),
        random.Random(2).randbytes(5001),
        b"\0" * 4999,
    ],
    ids=["html", "html-of-whole-records", "table", "random", "random-cut", "zeros"],
)
def test_other_files(format: str, tmp_path: Path, aedat4_files: ModuleType, data: bytes) -> None:
    path = WRITERS[format](tmp_path, aedat4_files)
    path.write_bytes(data)
    if format == "csv" and data.startswith(b"x,y"):  # which is one of its files
        assert read(format, path).t.tolist() == [3] * 500
    else:
        refused(format, path)


@shipped
@pytest.mark.parametrize("lost", [1, 3, 7, 101])
def test_a_truncated_file(format: str, tmp_path: Path, aedat4_files: ModuleType, lost: int) -> None:
    path = WRITERS[format](tmp_path, aedat4_files)
    path.write_bytes(path.read_bytes()[:-lost])
    refused(format, path)


# readers of one's own


OWN = '''
"""Events as lines of text: x y t p."""

import numpy as np

from snntx.errors import BadFileError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.base import Reader


class Lines(Reader):
    """Reads lines of four numbers."""

    record_bytes = 8

    def decode(self, data, path):
        try:
            x, y, t, p = np.loadtxt(data.decode("ascii").splitlines(), np.int64, ndmin=2).T
        except ValueError as error:
            raise BadFileError(f"{path}: not four numbers a line") from error
        return Events(x.astype("i2"), y.astype("i2"), t, p.astype("i1"))
'''

CARD = """
name = "own"
[about]
title = "Own"
summary = "Two classes."
homepage = "https://example.org"
licence = "mine"
citation = "none"
obtain = "ask me"
[events]
format = "FORMAT"
pattern = "{class}/{stem}.txt"
sensor = [20, 30]
[framing]
steps = 4
[splits.holdout]
rule = "hash"
[recipes.default]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of six recordings beside an importable module; the door forgets what it learns."""
    monkeypatch.setattr(READERS, "_known", dict(READERS._known))
    (tmp_path / "own_lines.py").write_text(OWN, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for i in range(6):
        path = tmp_path / f"raw/{'ab'[i % 2]}/{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.stack([X, Y, T * (i + 1), P], axis=1)
        path.write_text("".join(f"{x} {y} {t} {p}\n" for x, y, t, p in rows))
    return tmp_path


def build(folder: Path, format: str, **options: Any) -> Summary:
    card = parse_card(CARD.replace("FORMAT", format).encode(), "own.toml")
    request = make_request(card, raw=folder / "raw", static=None, cache=folder / "cache")
    return preprocess(request, **options)


def frames_of(summary: Summary) -> Any:
    cache = FrameCache(summary.directory)
    return cache.frames(np.arange(len(cache)))


def test_a_reader_named_by_its_place_frames(own: Path) -> None:
    summary = build(own, "own_lines:Lines")
    assert (summary.recordings, summary.classes, summary.events) == (6, 2, 6 * COUNT)
    assert frames_of(summary).shape == (6, 4, 2, 20, 30)
    assert read_events(own / "raw/a/0.txt", "own_lines:Lines").t.tolist() == T.tolist()


def test_a_registered_reader_frames_the_same(own: Path) -> None:
    import own_lines  # type: ignore[import-not-found]

    by_place = build(own, "own_lines:Lines")
    READERS.register("own-lines")(own_lines.Lines)
    summary = build(own, "own-lines")
    assert summary.key != by_place.key
    np.testing.assert_array_equal(frames_of(summary), frames_of(by_place))


def test_worker_processes_find_a_registered_reader(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import own_lines

    READERS.register("own-lines")(own_lines.Lines)
    assert place_of("own-lines") == "own_lines:Lines"
    assert [place_of(name) for name in ("atis", "a.b:C")] == ["atis", "a.b:C"]
    monkeypatch.setattr(stages, "WORTHWHILE_SHARDS", 2)
    monkeypatch.setattr(cache_format, "SHARD_RECORDINGS", 3)
    assert build(own, "own-lines", jobs=2).events == 6 * COUNT


def test_a_bad_file_of_ones_own_format(own: Path) -> None:
    (own / "raw/a/0.txt").write_text("<html>")
    with pytest.raises(BadFileError, match=r"raw/a/0\.txt: not four numbers a line$"):
        build(own, "own_lines:Lines")


def test_another_version_of_a_reader_makes_another_cache(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import own_lines

    first = build(own, "own_lines:Lines")
    monkeypatch.setattr(own_lines.Lines, "version", "lines 2")
    second = build(own, "own_lines:Lines")
    assert (first.reused, second.reused) == (False, False)
    assert first.key != second.key


@pytest.mark.parametrize(
    ("format", "message"),
    [
        (
            "atsi",
            r"card own: \[events\] unknown event format 'atsi'; did you mean 'atis'\? \(known",
        ),
        ("own_lines:Line", "event format 'own_lines:Line' cannot be imported: AttributeError"),
        ("no_such_module:Reader", "'no_such_module:Reader' cannot be imported: ModuleNotFound"),
        ("own_lines:Events", "own_lines:Events.*is no subclass of snntx.preprocess.readers.base"),
    ],
)
def test_formats_that_nothing_reads(own: Path, format: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build(own, format)
    assert "\n" not in str(caught.value)


def test_readers_that_are_none(own: Path) -> None:
    class Nothing(Reader):
        record_bytes = 1

    class Weightless(Reader):
        record_bytes = 0

        def decode(self, data: bytes, path: Path | str) -> Events:
            return columns()

    for part, message in (
        (Nothing, "has neither decode nor recordings"),
        (Weightless, "record_bytes is 0, expected a whole number of at least 1"),
        (columns, "is no subclass"),
    ):
        with pytest.raises(UsageError, match=f"event format 'none' .*: {message}"):
            READERS.register("none")(part)
    with pytest.raises(UsageError, match="holds one recording, no parts"):
        reader_of("atis").recordings(Path("a.bin"), [(1, 2)])
    with pytest.raises(UsageError, match=r"^a.bin: such files are read as a whole data set"):
        reader_of("aedat4").decode(b"", "a.bin")
