"""Exports: weights and everything about them, round trip, whole or not at all."""

import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from snntx import __version__
from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.assess.predict import predict
from snntx.train.checkpoints.export import default_out, export, is_export, read_export
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.checkpoints.weights import open_weights
from snntx.train.measure.metrics import event_logits

CARD = "simulated-digits"
CPU = torch.device("cpu")
TRAINING_ONLY = {
    "best", "optimizer", "scaler", "auxiliary", "average", "batch", "sums", "rng", "processes",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "run"
    words = [w for s in ("steps=3", "epochs=1", "draws_per_epoch=50") for w in ("--set", s)]
    root = str(small_cache / "cache")
    assert run(["train", CARD, "--cache", root, "--out", str(out), *words]) == 0
    return out


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run directory, to write into."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


def written(run: Path, kind: str) -> Path:
    """The export of a run's best checkpoint, where it goes unless told."""
    path = default_out(run / "best.pt", kind)
    export(load_checkpoint(run / "best.pt"), kind, path)
    return path


def test_round_trip(runs: Path) -> None:
    best = load_checkpoint(runs / "best.pt")
    path = written(runs, "safetensors")
    assert path == runs / "best.safetensors"
    found = read_export(path)
    for field in dataclasses.fields(best):
        if field.name == "model":
            assert found.model.keys() == best.model.keys()
            for name, tensor in best.model.items():
                assert found.model[name].dtype == tensor.dtype
                assert torch.equal(found.model[name], tensor), name
        elif field.name not in TRAINING_ONLY:
            assert getattr(found, field.name) == getattr(best, field.name), field.name
    assert found.optimizer == found.scaler == found.average == {}
    assert found.best == best.best


def test_it_classifies_as_the_checkpoint_does(
    runs: Path, cache: FrameCache, small_cache: Path
) -> None:
    best, found = load_checkpoint(runs / "best.pt"), read_export(written(runs, "safetensors"))
    indices = np.arange(5)
    expected = event_logits(best.build_model(CPU), cache, indices, CPU)
    assert torch.equal(event_logits(found.build_model(CPU), cache, indices, CPU), expected)
    raw = sorted((small_cache / "data/raw").glob("*/*/*.bin"))[:3]
    assert predict(found, raw, CPU) == predict(best, raw, CPU)


def test_the_command_line_takes_an_export_like_a_checkpoint(
    runs: Path, small_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = written(runs, "safetensors")
    cache = ["--cache", str(small_cache / "cache")]
    raw = str(sorted((small_cache / "data/raw").glob("*/*/*.bin"))[0])
    for words in (["evaluate", "{}", *cache], ["predict", "{}", raw]):
        printed = []
        for path in (runs / "best.pt", found):
            call = [word.replace("{}", str(path)) for word in words]
            assert run([*call, "--json"]) == 0
            printed.append(capsys.readouterr().out.replace(str(path), "PATH"))
        assert printed[0] == printed[1]
    assert not (runs / "metrics.json").exists()


def test_the_metadata_is_json_that_others_can_read(runs: Path, cache: FrameCache) -> None:
    best = load_checkpoint(runs / "best.pt")
    with safe_open(written(runs, "safetensors"), framework="numpy") as file:
        texts = file.metadata()
        shape = file.get_tensor("event_head.weight").shape
    assert shape == (10, 256)
    assert texts.pop("format") == "pt"
    content = {name: json.loads(text) for name, text in texts.items()}
    assert len(content.pop("checksum")) == 32
    assert content == {
        "snntx_export": 1,
        "snntx_version": __version__,
        "model": "nmnist",
        "steps": 3,
        "classes": cache.classes,
        "frames": json.loads(json.dumps(dataclasses.asdict(best.frames))),
        "recipe": best.recipe.to_table(),
        "card": CARD,
        "cache_key": cache.key,
        "event_format": "atis",
        "sort": False,
        "wraps": False,
        "outside": "stop",
        "epoch": 1,
        "validation": best.validation,
    }


def test_torch_holds_tensors_alone(runs: Path) -> None:
    path = written(runs, "torch")
    assert path == runs / "best.weights.pt"
    content = torch.load(path, weights_only=True)
    model = load_checkpoint(runs / "best.pt").build_model(CPU)
    for name, tensor in model.state_dict().items():
        assert torch.equal(content.pop(name), tensor), name
    assert content == {}


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_from_the_command_line(
    kind: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder" / "weights"
    words = ["export", str(trained / "last.pt"), "--to", kind, "--out", str(out)]
    assert run(words) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    assert os.listdir(out.parent) == ["weights"]
    assert out.stat().st_mode & 0o777 == 0o644
    before = out.read_bytes()
    assert run(words) == 2
    assert f"{out}: exists already; remove it, or choose another --out" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_the_checkpoint_itself_is_not_overwritten(runs: Path) -> None:
    before = (runs / "best.pt").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        export(load_checkpoint(runs / "best.pt"), "torch", runs / "best.pt")
    assert (runs / "best.pt").read_bytes() == before


def test_nothing_to_export(tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="cannot export to 'onnx', known: safetensors, torch"):
        export(load_checkpoint(runs / "best.pt"), "onnx", tmp_path / "a.onnx")
    (tmp_path / "best.pt").write_text("text")
    for name, code, message in (
        ("none", 2, "none: no such run directory or checkpoint"),
        ("best.pt", 1, "best.pt: not a readable checkpoint"),
    ):
        assert run(["export", str(tmp_path / name), "--to", "torch"]) == code
        printed = capsys.readouterr()
        assert message in printed.err
        assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert os.listdir(tmp_path / "run") == os.listdir(runs)
    assert sorted(os.listdir(tmp_path)) == ["best.pt", "run"]


def test_an_export_is_exported(runs: Path, tmp_path: Path) -> None:
    """All that an export holds goes through it unchanged."""
    first, again = written(runs, "safetensors"), tmp_path / "again"
    export(open_weights(first).trained(), "safetensors", again)
    assert is_export(again)
    found = []
    for path in (first, again):
        with safe_open(path, framework="pt") as file:
            found.append(file.metadata())
    assert found[0] == found[1]  # the checksum of the tensors among it


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_nothing_half_written(
    kind: str, call: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    names = sorted(os.listdir(runs))
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(SnntxError, match="cannot be written: the disk is full; mend that and"):
        written(runs, kind)
    assert sorted(os.listdir(runs)) == names


def test_every_flipped_byte_is_noticed(runs: Path) -> None:
    """The format has no checksum of its own: a changed weight would go unnoticed."""
    path = written(runs, "safetensors")
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    padding = len(content[8:header]) - len(content[8:header].rstrip())
    places = [
        *range(8),
        *range(8, header - padding, 17),
        *range(header, len(content), len(content) // 9),
    ]
    form = content.index(b'"format":"pt"')  # an entry for other readers
    places = [place for place in places if not form <= place < form + len(b'"format":"pt"')]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        with pytest.raises(SnntxError) as caught:
            read_export(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
    path.write_bytes(content[:-1])
    with pytest.raises(SnntxError, match="not a readable safetensors file"):
        read_export(path)


def test_a_tensor_under_another_name_is_noticed(runs: Path) -> None:
    path = written(runs, "safetensors")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path)
    tensors["static_head.bias"], tensors["event_head.bias"] = (
        tensors["event_head.bias"],
        tensors["static_head.bias"],
    )
    safetensors.torch.save_file(tensors, path, metadata)
    with pytest.raises(SnntxError, match="does not match its checksum"):
        read_export(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "export format None, this release reads 1"),
        ({"snntx_export": "2"}, "export format 2, this release reads 1"),
        ({"snntx_export": "1"}, "its metadata cannot be read: 'checksum'"),
        ({"snntx_export": "1", "recipe": "{"}, "its metadata cannot be read: "),
    ],
)
def test_safetensors_of_others(
    metadata: dict[str, str] | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": torch.ones(2)}, path, metadata)
    with pytest.raises(SnntxError) as caught:
        read_export(path)
    assert str(caught.value).startswith(f"{path}: {message}")
