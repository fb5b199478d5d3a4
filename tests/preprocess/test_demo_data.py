"""The demonstration's data: official layout, real content, and what an interruption leaves."""

import json
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import shift

from snntx.errors import SnntxError, UsageError
from snntx.preprocess import digits as demo
from snntx.preprocess.digits import MARKER, load_drawings, write_simulated_digits
from snntx.preprocess.readers.reading import read_events
from snntx.preprocess.simulate import simulate_events

COUNT = 30
IMAGES, LABELS = "static/train-images-idx3-ubyte", "static/train-labels-idx1-ubyte"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    assert write_simulated_digits(folder, seed=1, recordings=COUNT) == COUNT
    return folder


def read_images(folder: Path) -> NDArray[np.uint8]:
    """Read the twins by MNIST's own description of the format."""
    data = (folder / IMAGES).read_bytes()
    magic, count, height, width = struct.unpack(">IIII", data[:16])
    assert (magic, height, width) == (2051, 28, 28)
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, 28, 28)


def read_labels(folder: Path) -> list[int]:
    data = (folder / LABELS).read_bytes()
    magic, count = struct.unpack(">II", data[:8])
    assert (magic, count) == (2049, len(data) - 8)
    return list(data[8:])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_layout_is_the_official_one(digits: Path) -> None:
    labels = read_labels(digits)
    assert labels[:10] == list(range(10))  # the order of scikit-learn's set
    assert read_images(digits).shape == (COUNT, 28, 28)
    found = sorted(path.relative_to(digits).as_posix() for path in digits.rglob("*.bin"))
    assert found == sorted(f"raw/Train/{label}/{i:05d}.bin" for i, label in enumerate(labels, 1))


def test_drawings_are_the_digits() -> None:
    from sklearn.datasets import load_digits

    images, labels = load_drawings(200)
    original = load_digits()
    assert labels.tolist() == original.target[:200].tolist()
    assert images.dtype == np.uint8
    # shrunk back to the frame of 10x10 the drawing must reappear, its border black
    for image, drawing in zip(images, original.images, strict=False):
        cells = np.repeat(np.repeat(image, 5, 0), 5, 1).reshape(10, 14, 10, 14).mean((1, 3))
        assert np.corrcoef(cells[1:-1, 1:-1].ravel(), drawing.ravel())[0, 1] > 0.95
        assert max(image[0].max(), image[-1].max(), image[:, 0].max(), image[:, -1].max()) < 32


def total_change(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Summed change of log intensity ``(34, 34)`` along the triangle of 6 px, by scipy."""
    corners = np.array([[0, 0], [6, 3], [0, 6], [0, 0]])  # down and right
    path = np.concatenate([np.linspace(start, stop, 13) for start, stop in pairwise(corners)])
    scene = np.pad(image, ((0, 6), (0, 6)))
    logs = [np.log(shift(scene, place, order=1) + 0.1) for place in path]
    change: NDArray[np.float64] = np.abs(np.diff(logs, axis=0)).sum(0)
    return change


def test_recording_shows_its_twin(digits: Path) -> None:
    """A pixel's events follow what its own twin does there, and no other digit as well."""
    expected = [total_change(image / 255.0) for image in read_images(digits)]
    counts = []
    for i, label in enumerate(read_labels(digits), 1):
        events = read_events(digits / f"raw/Train/{label}/{i:05d}.bin", "atis")
        assert 2_000 < events.size < 7_000
        assert 250_000 < events.duration_us <= 300_000
        count = np.zeros((34, 34))
        np.add.at(count, (events.y, events.x), 1)
        counts.append(count)
    stack = np.array([*counts, *expected]).reshape(2 * COUNT, -1)
    likeness = np.corrcoef(stack)[:COUNT, COUNT:]
    assert likeness.argmax(axis=1).tolist() == list(range(COUNT))
    assert likeness.diagonal().min() > 0.9


def test_same_seed_same_bytes(digits: Path, tmp_path: Path) -> None:
    write_simulated_digits(tmp_path, seed=1, recordings=COUNT)
    assert contents(tmp_path) == contents(digits)


def test_seed_changes_the_noise_alone(digits: Path, tmp_path: Path) -> None:
    write_simulated_digits(tmp_path, seed=2, recordings=COUNT)
    one, two = contents(digits), contents(tmp_path)
    assert one.keys() == two.keys()
    assert all((one[name] == two[name]) == (name in (IMAGES, LABELS)) for name in one
               if name.endswith((".bin", "-ubyte")))  # fmt: skip


def test_finished_set_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_simulated_digits(tmp_path, seed=1, recordings=3)
    monkeypatch.setattr(demo, "simulate_events", None)  # any recording would fail
    assert write_simulated_digits(tmp_path, seed=1, recordings=3) == 3


def test_interrupted_set_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    calls = 0

    def stop_at_the_third(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return simulate_events(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(demo, "simulate_events", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_simulated_digits(folder, seed=1, recordings=5)
    assert len(list(folder.rglob("*.bin"))) == 2
    assert json.loads((folder / MARKER).read_text())["finished"] is False
    torn = folder / "raw/Train/1/00002.bin"
    torn.write_bytes(torn.read_bytes()[:7])
    monkeypatch.undo()

    assert write_simulated_digits(folder, seed=1, recordings=5) == 5
    write_simulated_digits(tmp_path / "whole", seed=1, recordings=5)
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.parametrize("lost", [IMAGES, LABELS, "raw/Train/1/00002.bin", MARKER])
def test_lost_file_is_noticed(tmp_path: Path, lost: str) -> None:
    write_simulated_digits(tmp_path, seed=1, recordings=3)
    before = contents(tmp_path)
    (tmp_path / lost).unlink()
    if lost == MARKER:  # without it, nothing says that the files are ours to replace
        with pytest.raises(SnntxError, match="choose an empty directory"):
            write_simulated_digits(tmp_path, seed=1, recordings=3)
    else:
        write_simulated_digits(tmp_path, seed=1, recordings=3)
        assert contents(tmp_path) == before


def test_other_options_leave_nothing_behind(tmp_path: Path) -> None:
    write_simulated_digits(tmp_path, seed=1, recordings=6)
    assert write_simulated_digits(tmp_path, seed=1, recordings=2) == 2
    assert len(list(tmp_path.rglob("*.bin"))) == 2
    assert read_labels(tmp_path) == [0, 1]


def test_files_of_others_are_never_removed(tmp_path: Path) -> None:
    mine = tmp_path / "raw" / "thesis.bin"
    mine.parent.mkdir()
    mine.write_bytes(b"years of work")
    with pytest.raises(SnntxError, match=r"raw: exists, and no simulated-digits\.json"):
        write_simulated_digits(tmp_path, seed=1, recordings=2)
    assert mine.read_bytes() == b"years of work"
    assert not (tmp_path / "static").exists()


@pytest.mark.parametrize("recordings", [0, -1, 1798])
def test_number_of_recordings_is_checked(tmp_path: Path, recordings: int) -> None:
    folder = tmp_path / "set"
    with pytest.raises(UsageError, match=rf"must lie in \[1, 1797\], found {recordings}"):
        write_simulated_digits(folder, seed=1, recordings=recordings)
    assert not folder.exists()
