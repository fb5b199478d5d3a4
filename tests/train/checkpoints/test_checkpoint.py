"""Checkpoints: what is saved is what is loaded, whole or not at all, and nothing executes."""

import dataclasses
import errno
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from snntx.errors import SnntxError, UsageError
from snntx.preprocess.framing.options import FrameOptions
from snntx.train.checkpoints import state
from snntx.train.checkpoints.origin import read_origin
from snntx.train.checkpoints.state import (
    FORMAT,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from snntx.train.checkpoints.way_on import checkpoint_path
from snntx.train.network.create import create_model
from snntx.train.recipe.whole import Recipe


def make(**changes: Any) -> Checkpoint:
    """A checkpoint of one trained step of a small network that is no model of ours."""
    torch.manual_seed(1)
    network = nn.Linear(40, 3)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.ones(2, 40)).sum().backward()
    optimizer.step()
    checkpoint = Checkpoint(
        recipe=Recipe.of(model="nmnist", epochs=2, steps=3, lr=1 / 3),
        card="n-mnist",
        cache_key="0123456789abcdef",
        classes=["a", "b", "ç"],
        event_format="atis",
        sort=False,
        frames=FrameOptions(steps=3, size=(34, 30), sensor=(34, 34), tail="keep"),
        epoch=1,
        validation={"part": "validation", "top1": 0.5, "top5": 1.0, "loss": 1.25},
        best={"epoch": 1, "part": "validation", "top1": 0.5, "top5": 1.0, "loss": 1.25},
        model=network.state_dict(),
        optimizer=optimizer.state_dict(),
        scaler={},
        auxiliary={},
        average={},
        batch=2,
        sums={"loss": 1.5},
        rng=torch.get_rng_state(),
    )
    return dataclasses.replace(checkpoint, **changes)


def assert_same(a: Any, b: Any) -> None:
    """Equal to the bit, in type too."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


def refuse(path: Path, *parts: str) -> None:
    """Loading fails with one line that names the file."""
    with pytest.raises(SnntxError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert caught.value.exit_code == 1
    for part in parts:
        assert part in message


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "last.pt"
    path.parent.mkdir()
    save_checkpoint(path, make())
    return path


def test_round_trip(saved: Path) -> None:
    expected, found = make(), load_checkpoint(saved)
    for field in dataclasses.fields(Checkpoint):
        assert_same(getattr(found, field.name), getattr(expected, field.name))
    assert os.listdir(saved.parent) == ["last.pt"]


def test_absent_settings_stay_absent(saved: Path) -> None:
    recipe = Recipe.of(model="nmnist", epochs=2)
    frames = FrameOptions(steps=3, size=None, sensor=(4, 5), zero_origin=True)
    save_checkpoint(saved, make(recipe=recipe, frames=frames))
    assert load_checkpoint(saved).recipe == recipe
    assert load_checkpoint(saved).frames == frames


def test_holds_plain_values_alone(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    assert content["snntx_checkpoint"] == FORMAT

    def check(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                check(key)
                check(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                check(inner)
        else:
            assert isinstance(value, str | int | float | bool | torch.Tensor | type(None))

    check(content)


def test_the_model_is_rebuilt_in_evaluation_mode() -> None:
    torch.manual_seed(5)
    model = create_model("nmnist", num_classes=3, steps=3)
    frames = FrameOptions(steps=3, size=None, sensor=(34, 34))
    checkpoint = make(model=model.state_dict(), frames=frames)
    rebuilt = checkpoint.build_model(torch.device("cpu"))
    assert not rebuilt.training
    assert_same(dict(rebuilt.state_dict()), dict(model.state_dict()))


# written whole or not at all


@pytest.mark.parametrize(
    ("failure", "raised", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), SnntxError, "the disk is full; mend"),
        (RuntimeError("unexpected pos 64 vs 0"), SnntxError, "unexpected pos"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
    ],
)
def test_a_failed_save_leaves_the_old_file(
    saved: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
    message: str,
) -> None:
    def fail(content: Any, file: io.BufferedWriter) -> None:
        file.write(b"half a checkpoint")
        raise failure

    before = saved.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail)
        with pytest.raises(raised) as caught:
            save_checkpoint(saved, make(epoch=2))
    if raised is SnntxError:
        assert str(caught.value).startswith(f"{saved}: cannot be written: ")
        assert message in str(caught.value)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == ["last.pt"]
    save_checkpoint(saved, make(epoch=2))
    assert load_checkpoint(saved).epoch == 2


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_save_is_synced_and_put_in_place_last(
    saved: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(SnntxError, match=r"cannot be written: .*Input/output error"):
        save_checkpoint(saved, make(epoch=2))
    with pytest.raises(SnntxError, match="cannot be written"):
        save_checkpoint(saved.with_name("best.pt"), make())
    assert load_checkpoint(saved).epoch == 1
    assert os.listdir(saved.parent) == ["last.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_called_full_however_torch_takes_it(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "placing", lambda path: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(SnntxError) as caught:
        save_checkpoint(saved, make(epoch=2))
    assert str(caught.value) == (
        f"{saved}: cannot be written: the disk is full; mend that and go on with --resume"
    )


# damage


def test_every_flipped_byte_is_noticed_or_harmless(saved: Path, tmp_path: Path) -> None:
    """A byte of a tensor, a name or a number never changes what is loaded."""
    content, expected = saved.read_bytes(), make()
    damaged, messages = tmp_path / "damaged.pt", list[str]()
    for place in range(0, len(content), 61):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        damaged.write_bytes(changed)
        try:
            found = load_checkpoint(damaged)
        except SnntxError as error:
            messages.append(str(error))
            continue
        for field in dataclasses.fields(Checkpoint):  # padding between the stored parts
            assert_same(getattr(found, field.name), getattr(expected, field.name))
    assert len(messages) > 30
    assert all(m.startswith(f"{damaged}: ") and "\n" not in m for m in messages)


def test_a_flipped_bit_of_a_weight_is_noticed(saved: Path) -> None:
    weight = make().model["weight"].numpy().tobytes()
    content = bytearray(saved.read_bytes())
    place = content.index(weight)
    content[place] ^= 1
    saved.write_bytes(content)
    refuse(saved, "not a readable checkpoint", "checksum")


def test_a_record_that_is_marked_as_a_folder_is_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    entry = content.rindex(b"data/0") - len("archive/") - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    content[entry + 38] ^= 0x10
    saved.write_bytes(content)
    refuse(saved, "not a readable checkpoint", "archive/data/0 is marked as a folder")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    refuse(saved, "not a readable checkpoint")


def test_text_and_noise(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    for content in (b"weights\nfor you\n", bytes(range(256)) * 9, b"PK\x03\x04" + bytes(99)):
        path.write_bytes(content)
        refuse(path, "not a readable checkpoint")


def test_another_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "last.pt", "w") as archive:
        archive.writestr("readme.txt", "no weights here")
    refuse(tmp_path / "last.pt", "not a readable checkpoint")


# not ours


def test_a_plain_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(nn.Linear(2, 3).state_dict(), path)
    refuse(path, "checkpoint format None, this release reads 2", "of snntx train?")


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], 7, {}, None])
def test_other_content(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "model.pt"
    torch.save(content, path)
    refuse(path, "checkpoint format None")


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "legacy", "pickle"])
def test_code_in_a_pickle_does_not_run(tmp_path: Path, how: str) -> None:
    path, sprung = tmp_path / "model.pt", tmp_path / "sprung"
    content = {"snntx_checkpoint": FORMAT, "recipe": Trap(sprung)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    refuse(path, "refused: it asks for the global posix.mkdir", "nothing of it was executed")
    assert not sprung.exists()
    if how == "torch":  # the trap works where files are trusted
        torch.load(path, weights_only=False)
        assert sprung.exists()


def test_a_whole_module(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "model.pt")
    refuse(tmp_path / "model.pt", "refused: it asks for the global torch.nn.modules.linear.Linear")


def rewrite(path: Path, **changes: Any) -> None:
    """Change the content of a checkpoint; None drops an entry."""
    content = torch.load(path, weights_only=True) | changes
    torch.save({k: v for k, v in content.items() if v is not None}, path)


@pytest.mark.parametrize("version", [0, 1, 3, "2.0"])
def test_another_version(saved: Path, version: Any) -> None:
    rewrite(saved, snntx_checkpoint=version)
    refuse(saved, f"checkpoint format {version}, this release reads 2")


def test_missing_entries_are_named(saved: Path) -> None:
    rewrite(saved, optimizer=None, best=None)
    refuse(saved, "not a whole checkpoint: it has no best, optimizer")


def test_a_recipe_of_another_release_is_named(saved: Path) -> None:
    recipe = make().recipe.to_table()
    rewrite(saved, recipe=recipe | {"unheard_of": 3})
    with pytest.raises(SnntxError) as caught:
        load_checkpoint(saved)
    assert str(caught.value).startswith(f"{saved}: unknown key 'unheard_of'")


@pytest.mark.parametrize("changes", [{"recipe": 3}, {"frames": 3}, {"frames": {"fps": 3}}])
def test_entries_of_another_kind(saved: Path, changes: dict[str, Any]) -> None:
    rewrite(saved, **changes)
    refuse(saved, "its recipe or framing options cannot be read")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"card": 3}, "card is a int, expected a str"),
        ({"classes": {"a": 1}}, "classes is a dict, expected a list"),
        ({"classes": ["a", 1]}, "classes is a int, expected names"),
        ({"epoch": True}, "epoch is a bool, expected a int"),
        ({"best": []}, "best is a list, expected a dict"),
        ({"model": {"a": 1}}, "model a is a int, expected a Tensor"),
        ({"rng": 3}, "rng is a int, expected a Tensor"),
        ({"model": {"a": torch.ones(1).expand(99)}}, "model a claims more values than the file"),
        (
            {"optimizer": {"state": {0: {"m": torch.ones(1).expand(99)}}}},
            "optimizer state 0 m claims more values than the file",
        ),
    ],
)
def test_entries_that_are_something_else(
    saved: Path, changes: dict[str, Any], message: str
) -> None:
    rewrite(saved, **changes)
    refuse(saved, message)


def test_weights_of_another_network_than_the_recipes() -> None:
    model = create_model("nmnist", num_classes=3, steps=4).state_dict()
    frames = FrameOptions(steps=3, size=None, sensor=(34, 34))
    with pytest.raises(SnntxError, match="its weights are not of the network that its") as caught:
        make(model=model, frames=frames).build_model(torch.device("cpu"))
    assert "coefficient" in str(caught.value)
    assert "\n" not in str(caught.value)


# which file a user means


def test_a_run_directory_means_its_best(saved: Path) -> None:
    best = saved.with_name("best.pt")
    best.write_bytes(saved.read_bytes())
    assert checkpoint_path(saved.parent) == best
    assert checkpoint_path(saved) == saved


def test_a_directory_without_a_best(saved: Path) -> None:
    with pytest.raises(UsageError, match=r"run: no best\.pt in this directory; is it a run"):
        checkpoint_path(saved.parent)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none: no such run directory or checkpoint"):
        checkpoint_path(tmp_path / "none")
    with pytest.raises(UsageError, match="none: no such checkpoint"):
        load_checkpoint(tmp_path / "none")
    with pytest.raises(UsageError, match="no such checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(("best", "read"), [(-1, 0), (0, 1), (6, 7)])
def test_the_best_epoch_of_release_0_1_is_counted_from_1(saved: Path, best: int, read: int) -> None:
    content = torch.load(saved, weights_only=True)
    assert content.pop("epochs_from") == 1
    content["best"] = {**content["best"], "epoch": best}
    torch.save(content, saved)
    assert load_checkpoint(saved).best == {**content["best"], "epoch": read}
    assert read_origin(saved).best == load_checkpoint(saved).best


@pytest.mark.parametrize("best", [3, {}, {"epoch": "x"}])
def test_a_damaged_best_epoch_of_release_0_1(saved: Path, best: object) -> None:
    content = torch.load(saved, weights_only=True)
    del content["epochs_from"]
    torch.save({**content, "best": best}, saved)
    with pytest.raises(SnntxError, match="its best epoch cannot be read"):
        load_checkpoint(saved)
