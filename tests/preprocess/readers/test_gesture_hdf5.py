"""HDF5 files of one gesture: columns, classes, and what a stranger's file may not do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snntx.errors import BadFileError, UsageError
from snntx.preprocess.framing.events import NOWHERE
from snntx.preprocess.readers.arrays.numbers import MOST_BYTES
from snntx.preprocess.readers.base import reader_of
from snntx.preprocess.readers.reading import read_events
from snntx.tests.jaer_files import write_gesture

COLUMNS = [3, 127, 0], [5, 0, 127], [0, 4_000_000_000, 4_000_000_001], [1, 0, 1]


def refused(path: Path) -> str:
    with pytest.raises(BadFileError) as caught:
        read_events(path, "gesture-hdf5")
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": True}])
def test_columns_and_class(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_gesture(tmp_path / "0.hdf5", COLUMNS, 10, **options)
    events = read_events(path, "gesture-hdf5")
    assert [np.asarray(column).tolist() for column in events] == list(COLUMNS)
    reader = reader_of("gesture-hdf5")
    assert reader.class_number(path) == 10
    assert reader.tells_class
    with pytest.raises(UsageError, match="does not tell its class"):
        reader_of("atis").class_number(path)


def test_a_class_that_is_none(tmp_path: Path) -> None:
    for label, message in (
        ([1, 2], "labels is 2, expected a single"),
        (-1, r"labels\[0\] is -1"),
        (1.5, r"labels\[0\] is 1.5"),
        (b"wave", "dataset 'labels' is of type"),
    ):
        path = write_gesture(tmp_path / "0.hdf5", COLUMNS)
        with h5py.File(path, "a") as file:
            del file["labels"]
            file["labels"] = label
        with pytest.raises(BadFileError, match=f"0.hdf5: {message}"):
            reader_of("gesture-hdf5").class_number(path)


def changed(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        if value is not None:
            file[name] = value

    return change


def outside(file: h5py.File) -> None:
    del file["times"]
    file.create_dataset("times", (3,), "u4", external=[("/etc/hostname", 0, 12)])


def linked(file: h5py.File) -> None:
    changed("times", h5py.ExternalLink("other.hdf5", "times"))(file)


def virtual(file: h5py.File) -> None:
    del file["times"]
    layout = h5py.VirtualLayout((3,), "u4")
    layout[:] = h5py.VirtualSource("other.hdf5", "times", (3,))
    file.create_virtual_dataset("times", layout)


def huge(file: h5py.File) -> None:
    del file["times"]
    file.create_dataset("times", (1 << 40,), "u4", chunks=(1024,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            changed("times", None),
            "no dataset times (found addrs, labels), expected times, addrs, labels",
        ),
        (changed("times", [[0, 1, 2]]), "times is 1 x 3 and addrs 3 x 3, expected n and n x 3"),
        (changed("times", [0, 1]), "times is 2 and addrs 3 x 3"),
        (changed("addrs", np.zeros((3, 4))), "times is 3 and addrs 3 x 4"),
        (changed("times", [0.0, 0.5, 1]), "times[1] is 0.5 (1 such values), expected whole"),
        (changed("times", [-1, 0, 1]), "times[0] is -1"),
        (changed("addrs", np.full((3, 3), 2)), "addrs p[0] is 2 (3 such values)"),
        (changed("addrs", [[-1, 0, 1]] * 3), "addrs x[0] is -1"),
        (changed("times", [b"a", b"b", b"c"]), "dataset 'times' is of type object, expected real"),
        (changed("times", h5py.Empty("u4")), "dataset 'times' is of type uint32, expected real"),
        (changed("times", [True, False, True]), "times is of type bool, expected numbers"),
        (outside, "dataset 'times' keeps its values in another file; copy them into this one"),
        (virtual, "dataset 'times' keeps its values in another file; copy them into this one"),
        (linked, "'times' of 'times' is a link to 'times' of other.hdf5, expected a dataset of"),
        (huge, f"dataset 'times': {4 << 40} bytes, {MOST_BYTES} of {MOST_BYTES} are left for a"),
    ],
)
def test_files_that_are_refused(
    tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    write_gesture(tmp_path / "other.hdf5", COLUMNS)
    path = write_gesture(tmp_path / "0.hdf5", COLUMNS)
    with h5py.File(path, "a") as file:
        change(file)
    assert refused(path).startswith(message)


def test_events_outside_can_be_dropped(tmp_path: Path) -> None:
    path = write_gesture(tmp_path / "0.hdf5", COLUMNS)
    with h5py.File(path, "a") as file:
        changed("addrs", [[-1, 0, 1], [3, 4, 0], [7, 2.5, 1]])(file)
    events = read_events(path, "gesture-hdf5", drops=True)
    assert (events.x.tolist(), events.y.tolist()) == ([NOWHERE, 3, 7], [0, 4, NOWHERE])
