"""One door for weights: each kind is told by its content, and what is none ends in one line."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from snntx.cli import run
from snntx.errors import SnntxError, UsageError
from snntx.tests import published_files as files
from snntx.train.checkpoints.published import Published
from snntx.train.checkpoints.state import Checkpoint
from snntx.train.checkpoints.weights import Kind, open_weights
from snntx.train.network.create import create_model
from snntx.train.network.doors import MODELS

KEPT = Path(__file__).parents[2] / "fixtures" / "release-0.1"
RUN = KEPT / "runs" / "sliding-seed42"
EXPORT = KEPT / "sliding-seed7.safetensors"
FILES = ("checkpoint", "export", "published", "state", "reference state")
NAMES = ("a.pt", "a.safetensors", "a.pth.tar", "a.pth", "a", "best.toml")


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    """Weights by the reference's names."""
    torch.manual_seed(3)
    state: dict[str, Tensor] = files.state_of(
        create_model("scnn", num_classes=10, steps=2, size=(34, 34))
    )
    return state


@pytest.fixture
def written(tmp_path: Path, reference: dict[str, Tensor]) -> Callable[[str, str], Path]:
    """Write a file of some kind under some name."""

    def write(what: str, name: str) -> Path:
        path = tmp_path / name
        if what == "checkpoint":
            shutil.copy(RUN / "last.pt", path)
        elif what == "export":
            shutil.copy(EXPORT, path)
        elif what == "published":
            files.write(path, reference, files.arguments("scnn", steps=2, classes=10))
        elif what == "state":
            assert run(["export", str(RUN), "--to", "torch", "--out", str(path)]) == 0
            with path.open("rb") as file:
                state = torch.load(file, weights_only=True)
            torch.save(dict(state), path)  # without its metadata
        else:
            torch.save(reference, path)
        return path

    return write


# each kind opens


def test_a_run_directory_is_its_best_checkpoint() -> None:
    found = open_weights(RUN)
    assert (found.kind, found.path) == ("run", RUN / "best.pt")
    checkpoint = found.trained()
    assert checkpoint.card == "simulated-digits"
    assert checkpoint.recipe.method.name == "sliding"
    expected = json.loads((RUN / "metrics.json").read_text())
    assert checkpoint.epoch - 1 == expected["epoch"]  # 0.1 counted from 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("what", "kind", "content"),
    [
        ("checkpoint", "checkpoint", Checkpoint),
        ("export", "export", Checkpoint),
        ("published", "published", Published),
        ("state", "state", dict),
        ("reference state", "state", Published),
    ],
)
def test_each_kind_is_told_by_its_content(
    what: str, kind: Kind, content: type, name: str, written: Callable[[str, str], Path]
) -> None:
    path = written(what, name)
    found = open_weights(path)
    assert (found.kind, found.path) == (kind, path)
    assert type(found.content) is content


@pytest.mark.parametrize("name", ["best.pt", "last.pt"])
@pytest.mark.parametrize("folder", ["sliding-seed42", "event-seed42", "stopped"])
def test_checkpoints_of_release_0_1_open(folder: str, name: str) -> None:
    found = open_weights(KEPT / "runs" / folder / name).trained()
    content = torch.load(KEPT / "runs" / folder / name, weights_only=True)
    assert found.recipe.network.width == content["recipe"]["width"]
    assert found.model.keys() == content["model"].keys()
    assert all(torch.equal(found.model[key], value) for key, value in content["model"].items())
    found.build_model(torch.device("cpu"))


def test_an_export_of_release_0_1_opens() -> None:
    found = open_weights(EXPORT).trained()
    expected = safetensors.torch.load_file(EXPORT)
    assert found.model.keys() == expected.keys()
    assert all(torch.equal(found.model[key], value) for key, value in expected.items())
    assert found.recipe.run.seed == 7
    assert found.optimizer == {}
    found.build_model(torch.device("cpu"))


@pytest.mark.parametrize("name", MODELS.shipped())
@pytest.mark.parametrize("wrapped", [False, True])
def test_our_own_names_are_not_the_references(name: str, wrapped: bool, tmp_path: Path) -> None:
    state = create_model(name, num_classes=4, steps=2).state_dict()
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "a")
    found = open_weights(tmp_path / "a")
    assert found.kind == "state"
    assert isinstance(found.content, dict)
    assert found.content.keys() == state.keys()


def test_the_prefix_of_parallel_models_is_dropped(tmp_path: Path) -> None:
    torch.save({f"module.{name}": torch.ones(2) for name in "ab"}, tmp_path / "a")
    assert isinstance(content := open_weights(tmp_path / "a").content, dict)
    assert list(content) == ["a", "b"]


# what a kind cannot do is said


def one_line(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(words) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("snntx: error: ")
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize(
    ("what", "messages"),
    [
        ("state", ("weights alone (", "neither their data nor their settings; give the run, ")),
        ("published", ("a published checkpoint of Transfer_SCNN does not name", "--card CARD")),
        ("reference state", ("a state by the names of Transfer_SCNN does not", "--card CARD")),
    ],
)
def test_weights_that_do_not_name_their_data(
    what: str,
    messages: tuple[str, ...],
    written: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = written(what, "a.pt")
    for words in (
        ["evaluate", str(path)],
        ["predict", str(path), "recording.bin"],
        ["export", str(path), "--to", "safetensors"],
    ):
        error = one_line(words, 2, capsys)
        assert f"{path}: " in error
        assert all(message in error for message in messages)


def test_an_export_to_torch_is_told_by_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    assert run(["export", str(RUN), "--to", "torch", "--out", str(path)]) == 0
    found, best = open_weights(path), open_weights(RUN).trained()
    assert found.kind == "export"
    assert found.trained().classes == best.classes
    assert found.trained().recipe == best.recipe
    state = torch.load(path, weights_only=True)
    next(iter(state.values())).add_(1)
    torch.save(state, path)
    with pytest.raises(SnntxError, match="does not match its checksum; export it again"):
        open_weights(path)


def test_weights_that_name_their_data_are_not_published(
    written: Callable[[str, str], Path],
) -> None:
    for path, what in ((RUN, "a checkpoint"), (EXPORT, "an export")):
        with pytest.raises(UsageError, match=f"{what} of snntx train, not a published one; leave"):
            open_weights(path).published()
    with pytest.raises(SnntxError, match=r"not the weights of Transfer_VGG_SNN, .* give the run"):
        open_weights(written("state", "a")).published()


def test_a_state_by_the_references_names_is_measured_on_a_card(
    written: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--card", "simulated-digits", "--cache", str(KEPT / "cache"), "--json"]
    results = []
    for what in ("published", "reference state"):
        capsys.readouterr()
        assert run(["evaluate", str(written(what, f"{what}.x")), *words]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0]["model"] == results[1]["model"] == "scnn"
    assert results[0]["confusion"] == results[1]["confusion"]
    assert (results[0]["seed"], results[1]["seed"]) == (1024, None)


# damage


def refused(path: Path) -> str:
    with pytest.raises(SnntxError) as caught:
        open_weights(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    return message


@pytest.mark.parametrize("what", FILES)
def test_a_file_cut_off_anywhere(what: str, written: Callable[[str, str], Path]) -> None:
    path = written(what, "whole")
    whole, cut = path.read_bytes(), path.with_name("cut.pt")
    for place in (1, 3, 8, 9, 40, *np.linspace(64, len(whole) - 1, 9).astype(int).tolist()):
        cut.write_bytes(whole[:place])
        assert "not a readable " in refused(cut)


@pytest.mark.parametrize("what", FILES)
def test_a_changed_byte_of_a_tensor(what: str, written: Callable[[str, str], Path]) -> None:
    path = written(what, "a")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "match its checksum" in refused(path)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert "the file is empty" in refused(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content",
    [
        b"weights\nfor you\n",
        b'{"model": {"a": 1}}',
        b"01234567{}",
        bytes(4096),
        bytes(range(256)) * 9,
        b"PK\x03\x04 and no more",
        b"\x80\x02",
        b"\x10\0\0\0\0\0\0\0{ no JSON",
        b"\xff\xff\xff\xff\xff\xff\xff\0{}",
        b"\x8e\0\0\0\0\0\0\0\x10 claims 2**60 bytes",
    ],
)
def test_text_and_noise(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert "not a readable " in refused(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, expected a checkpoint"),
        (torch.ones(2), "holds a Tensor, expected a checkpoint"),
        (None, "holds a NoneType, expected a checkpoint"),
        ({}, "holds no weights: expected tensors by name"),
        ({"state_dict": {}}, "holds no weights: expected tensors by name"),
        ({"event": torch.ones(2), "step": 3}, "holds no weights: 'step' is a int"),
        ({"a": torch.tensor(float("nan"))}, "a holds a value that is not finite"),
        ({"a": torch.ones(1).expand(300)}, "a claims more values than the file holds"),
        ({"snntx_checkpoint": 3}, "checkpoint format 3, this release reads 2"),
        ({"snntx_checkpoint": 2}, "not a whole checkpoint: it has no recipe, card"),
    ],
)
def test_other_content(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert message in refused(tmp_path / "a.pt")


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle"])
def test_nothing_in_a_file_is_executed(how: str, tmp_path: Path) -> None:
    path, sprung = tmp_path / "best.pt", tmp_path / "sprung"
    content = {"snntx_checkpoint": 2, "recipe": Trap(sprung)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    assert "the global posix.mkdir" in refused(path)
    assert not sprung.exists()
    if how == "zip":  # the trap works where files are trusted
        torch.load(path, weights_only=False)
        assert sprung.exists()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none: no such run directory or checkpoint"):
        open_weights(tmp_path / "none")
    with pytest.raises(UsageError, match=r"no best\.pt in this directory; is it a run"):
        open_weights(tmp_path)
