"""CIFAR-10's binary batches: planes as they lie, class partners alone, and damage named."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from snntx.data_cards.found import StaticFiles
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.statics.cifar10 import CLASSES, RECORD_BYTES, cifar10_file, read_batch
from snntx.preprocess.statics.images import list_statics

SPEC = StaticFiles(layout="cifar10", twin="{class}/{number}")


def records(count: int = 20, seed: int = 0) -> NDArray[np.uint8]:
    """Records ``(count, 3073)`` of labels 0, 1, … 9, 0, …"""
    found = np.random.default_rng(seed).integers(0, 256, (count, RECORD_BYTES)).astype(np.uint8)
    found[:, 0] = np.arange(count) % 10
    return found


def test_pixels_are_planes_row_by_row(tmp_path: Path) -> None:
    held = records()
    (tmp_path / "test_batch.bin").write_bytes(held.tobytes())
    classes, pixels = read_batch(tmp_path / "test_batch.bin")
    assert classes == [*CLASSES, *CLASSES]
    assert pixels.shape == (20, 32, 32, 3)
    for number, colour, row, column in ((0, 0, 0, 0), (3, 1, 5, 30), (19, 2, 31, 31)):
        byte = 1 + 1024 * colour + 32 * row + column
        assert pixels[number, row, column, colour] == held[number, byte]


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin"])
def test_every_batch_of_a_folder_is_listed(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(("data_batch_2", "test_batch", "data_batch_1")):
        (folder / f"{name}.bin").write_bytes(records(10, seed).tobytes())
    listed = list_statics(SPEC, tmp_path)
    assert len(listed.images) == 30
    assert listed.planes == ("R", "G", "B")
    identities = [image.identity for image in listed.images]
    assert identities[::10] == ["data_batch_1/00000", "data_batch_2/00000", "test_batch/00000"]
    assert identities == sorted(identities)
    assert not any(image.may_be_twin for image in listed.images)
    prefix = "" if place == "." else f"{place}/"
    assert sorted(listed.files) == [
        f"{prefix}{name}.bin" for name in ("data_batch_1", "data_batch_2", "test_batch")
    ]
    assert cifar10_file(tmp_path) == folder / "data_batch_1.bin"


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data_batch_3.bin"
    whole = records().tobytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(
        BadFileError, match=rf"data_batch_3.bin: {20 * 3073 - 5} bytes .* one at byte {19 * 3073} "
    ):
        list_statics(SPEC, tmp_path)
    held = records()
    held[7, 0] = 12
    path.write_bytes(held.tobytes())
    with pytest.raises(
        BadFileError, match=f"record at byte {7 * 3073} has label 12, expected 0 to"
    ):
        list_statics(SPEC, tmp_path)
    path.write_bytes(b"")
    with pytest.raises(BadFileError, match="the file is empty"):
        list_statics(SPEC, tmp_path)
    path.write_bytes(b"<!DOCTYPE html>" + b" " * 3058)
    with pytest.raises(BadFileError, match="is text that starts with"):
        list_statics(SPEC, tmp_path)


def test_the_python_version_is_not_read(tmp_path: Path) -> None:
    """Its pickles are never opened; the line says what to get instead."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(pickle.dumps({"data": [1]}))
    with pytest.raises(UsageError) as caught:
        list_statics(SPEC, tmp_path)
    assert str(caught.value) == (
        f"--static {tmp_path}: no batch of CIFAR-10's binary version found (looked for "
        f"data_batch_1.bin, …, test_batch.bin); {folder}/data_batch_1 is of the python version, "
        "whose pickles are not read; unpack cifar-10-binary.tar.gz there"
    )
    assert cifar10_file(tmp_path) is None
