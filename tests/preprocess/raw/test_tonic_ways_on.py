"""tonic's data sets are no dead end: single files are read, and static images found a way in."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from snntx.cli import run
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.without_static import shipped_card_of
from snntx.preprocess.raw.tonic_listing import list_tonic_recordings
from snntx.preprocess.readers import tonic_sets
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.reading import read_events, read_recordings

pytest.importorskip("tonic")

SIDES = {"NMNIST": 34, "ASLDVS": 180}


def events(seed: int, side: int, count: int = 120) -> Events:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, side, (2, count))
    t, p = np.sort(rng.integers(0, 90_000, count)), rng.integers(0, 2, count)
    return Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))


def write(name: str, path: Path, seed: int, files: ModuleType) -> None:
    """Write one recording as the data set ``name`` has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    each = events(seed, SIDES.get(name, 128))
    if path.suffix == ".bin":
        path.write_bytes(encode(each))
    elif path.suffix == ".mat":
        from scipy.io import savemat

        savemat(path, {k: getattr(each, v)[:, None] for k, v in
                       {"x": "x", "y": "y", "ts": "t", "pol": "p"}.items()})  # fmt: skip
    elif path.suffix == ".aedat4":
        rows = files.events(*zip(each.x, each.y, each.t, each.p, strict=True))
        files.write_dv(path, [rows], sensor=(128, 128))
    elif name == "DVSGesture":
        np.save(path, np.stack([each.x, each.y, each.p, each.t / 1000], 1).astype(float))
    else:
        dtype = np.dtype([("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)])
        rows = np.zeros(each.t.size, dtype)
        for column in dtype.names or ():
            rows[column] = getattr(each, column)
        np.save(path, rows)


PLACES = {
    "NMNIST": "Train/{i}/0000{i}.bin",
    "NCALTECH101": "Caltech101/ant/image_000{i}.bin",
    "CIFAR10DVS": "cat/cifar10_cat_{i}.aedat4",
    "ASLDVS": "Yin_a/a/a_000{i}.mat",
    "DVSGesture": "ibmGestureTrain/user0{i}_led/{i}.npy",
    "DVSLip": "DVS-Lip/train/action/{i}.npy",
}


@pytest.mark.parametrize("name", PLACES)
def test_one_file_anywhere_is_what_the_data_set_has(
    name: str, tmp_path: Path, aedat4_files: ModuleType
) -> None:
    for i in range(3):
        write(name, tmp_path / "data" / name / PLACES[name].format(i=i), i, aedat4_files)
    (tmp_path / "new").mkdir()
    listed = list_tonic_recordings(name, tmp_path / "data").recordings
    assert len(listed) == 3
    for recording in listed:
        _, (own,) = read_recordings(recording.path, "tonic", [recording.part])
        assert isinstance(own, Events)
        alone = tmp_path / "new" / f"one{recording.path.suffix}"
        shutil.copy(recording.path, alone)
        found = read_events(alone, f"tonic:{name}")
        for column, expected in zip(found, own, strict=True):
            np.testing.assert_array_equal(column, expected)


def test_single_files_that_are_bad(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"none\.bin: cannot be read: No such file"):
        read_events(tmp_path / "none.bin", "tonic:NMNIST")
    (tmp_path / "cut.bin").write_bytes(b"1234567")
    with pytest.raises(BadFileError, match="7 bytes is not a whole number"):
        read_events(tmp_path / "cut.bin", "tonic:NMNIST")
    (tmp_path / "page.npy").write_bytes(b"<html>")
    with pytest.raises(BadFileError, match="starts with '<html>'"):
        read_events(tmp_path / "page.npy", "tonic:DVSGesture")
    (tmp_path / "odd.npy").write_bytes(b"12345")
    with pytest.raises(BadFileError, match="tonic cannot read it"):
        read_events(tmp_path / "odd.npy", "tonic:DVSGesture")


@pytest.mark.parametrize("name", ["VPR", "EBSSA", "ThreeET_Eyetracking", "NMNST", "SHD"])
def test_data_sets_without_single_files(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"12345")
    with pytest.raises(UsageError) as caught:
        read_events(tmp_path / "a.npy", f"tonic:{name}")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    if name not in ("NMNST", "SHD"):
        assert "reads this data set as a whole, no single file of it" in str(caught.value)


def test_the_data_set_of_a_card_of_its_name() -> None:
    assert tonic_sets.data_set_of("tonic-cifar10dvs") == "CIFAR10DVS"
    assert tonic_sets.data_set_of("tonic-none") == ""
    assert tonic_sets.data_set_of("mine") == ""


def test_which_shipped_card_reads_the_same_files() -> None:
    assert shipped_card_of("NMNIST") == "n-mnist"
    assert shipped_card_of("NCALTECH101") == "n-caltech101"
    assert shipped_card_of("DVSGesture") is None


@pytest.fixture
def nmnist(tmp_path: Path) -> Path:
    """Recordings as tonic lays them out, and the digits that they are said to be made from."""
    for i in range(1, 25):
        path = tmp_path / f"data/NMNIST/Train/{i % 2}/{i:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(events(i, 34)))
    rows = [",".join([str(i % 2), *["7"] * 784]) for i in range(1, 25)]
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/train_first_100.csv").write_text("\n".join(rows))
    return tmp_path


def test_static_images_by_the_shipped_card(
    nmnist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["preprocess", "tonic:NMNIST", "--raw", str(nmnist / "data"), "--jobs", "1"]
    words += ["--static", str(nmnist / "digits"), "--cache", str(nmnist / "cache")]
    assert run(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the shipped card n-mnist reads the same files and knows theirs" in line
    command = shlex.split(line.partition(": snntx ")[2])
    assert command[:4] == ["preprocess", "n-mnist", "--raw", str(nmnist / "data/NMNIST")]
    assert run(command) == 0
    assert "24 recordings with a twin" in capsys.readouterr().out


def test_static_images_by_a_copy_of_the_card(
    tmp_path: Path,
    aedat4_files: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        kind = ("cat", "truck")[i % 2]
        path = tmp_path / f"data/CIFAR10DVS/{kind}/cifar10_{kind}_{i}.aedat4"
        write("CIFAR10DVS", path, i, aedat4_files)
        picture = tmp_path / f"photos/{kind}/cifar10_{kind}_{i}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, i, i)).save(picture)
    words = ["preprocess", "tonic:CIFAR10DVS", "--raw", "data", "--static", "photos"]
    words += ["--cache", "my cache", "--jobs", "1", "--steps", "2"]
    assert run(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    copy = re.search(r"copy it, (cp .* my-cifar10dvs\.toml), change", line)
    assert copy is not None
    subprocess.run(shlex.split(copy[1]), check=True)
    card = tmp_path / "my-cifar10dvs.toml"
    first, _, rest = card.read_text(encoding="utf-8").partition("\n")
    assert first == 'name = "tonic-cifar10dvs"'
    table = [word[1] for word in re.finditer(r'((?:layout|pattern|twin) = "[^"]*")', line)]
    assert len(table) == 3
    text = "\n".join(['name = "my-cifar10dvs"', rest, "[static]", *table, ""])
    card.write_text(text, encoding="utf-8")
    assert "in place of tonic:CIFAR10DVS" in line
    words[1] = "my-cifar10dvs.toml"
    assert run(words) == 0
    assert "4 recordings with a twin" in capsys.readouterr().out


def test_a_copy_without_static_images_is_told_the_table(
    tmp_path: Path, aedat4_files: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    from snntx.preprocess.raw.tonic_cards import card_text

    write("CIFAR10DVS", tmp_path / "data/CIFAR10DVS/cat/cifar10_cat_0.aedat4", 0, aedat4_files)
    card = tmp_path / "mine.toml"
    card.write_text(card_text("CIFAR10DVS").replace("tonic-cifar10dvs", "mine"), encoding="utf-8")
    words = ["preprocess", str(card), "--raw", str(tmp_path / "data"), "--static", str(tmp_path)]
    assert run([*words, "--cache", str(tmp_path / "cache")]) == 2
    line = capsys.readouterr().err
    assert "leave out --static, or add a table [static] to it: layout" in line
    assert "cat/cifar10_cat_0" in line


def test_a_run_classifies_new_files_and_is_evaluated_without_tonic(
    nmnist: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ["--cache", str(nmnist / "cache")]
    words = ["preprocess", "tonic:NMNIST", "--raw", str(nmnist / "data"), "--jobs", "1"]
    assert run([*words, "--steps", "2", *cache]) == 0
    out, settings = nmnist / "run", ("epochs=1", "batch_size=4", "warmup_epochs=0")
    sets = [word for each in settings for word in ("--set", each)]
    train = ["train", "tonic:NMNIST", "--out", str(out), "--device", "cpu", *sets, *cache]
    assert run(train) == 0
    new = nmnist / "new.bin"
    new.write_bytes(encode(events(99, 34)))
    capsys.readouterr()
    assert run(["predict", str(out), str(new), "--json", "--device", "cpu"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["events"] == 120
    assert abs(sum(told["probabilities"].values()) - 1) < 1e-5

    assert run(["export", str(out), "--to", "safetensors", "--out", str(nmnist / "w.st")]) == 0
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tonic", None)
        assert run(["evaluate", str(out), "--device", "cpu", *cache]) == 0
        capsys.readouterr()
        assert run(["predict", str(nmnist / "w.st"), str(new), "--device", "cpu"]) == 2
        assert "needs the package tonic" in capsys.readouterr().err
    assert run(["predict", str(nmnist / "w.st"), str(new), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["probabilities"] == told["probabilities"]


@pytest.mark.parametrize("card", ["tonic-nmnist", "mine"])
def test_a_checkpoint_that_does_not_say_which_data_set(
    card: str, nmnist: Path, small_cache: Path
) -> None:
    import torch

    from snntx.preprocess.framing.options import FrameOptions
    from snntx.train.assess.predict import predict
    from snntx.train.checkpoints.state import Checkpoint
    from snntx.train.recipe.networks import build_model
    from snntx.train.recipe.whole import Recipe

    recipe = Recipe.of(model="nmnist", epochs=1)
    model = build_model(recipe, num_classes=2, steps=2, size=(34, 34))

    class Old(Checkpoint):
        def __init__(self) -> None:
            pass

        def build_model(self, device: torch.device) -> torch.nn.Module:  # type: ignore[override]
            return model.eval()

    old = Old()
    values = {"event_format": "tonic", "card": card, "classes": ["0", "1"], "sort": False,
              "wraps": False, "outside": "stop", "recipe": recipe,
              "frames": FrameOptions(steps=2, sensor=(34, 34))}  # fmt: skip
    for name, value in values.items():
        object.__setattr__(old, name, value)
    file = nmnist / "data/NMNIST/Train/1/00001.bin"
    if card == "mine":
        with pytest.raises(UsageError, match=r"card mine, whose files tonic reads, .* train it"):
            predict(old, [file], torch.device("cpu"))
        return
    (told,) = predict(old, [file], torch.device("cpu"))
    assert told.events == 120
