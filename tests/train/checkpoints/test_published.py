"""Published checkpoints: read without executing anything, recognised, measured on a cache."""

import argparse
import importlib.util
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.checkpoints.foreign import load_foreign
from snntx.train.checkpoints.published import Published
from snntx.train.checkpoints.reference import reference_view
from snntx.train.checkpoints.weights import open_weights
from snntx.train.measure.metrics import event_logits, measure
from snntx.train.network.create import TransferModel, create_model

CARD = "simulated-digits"
CPU = torch.device("cpu")
KEPT = Path(__file__).parents[2] / "fixtures" / "release-0.1"


def _files() -> ModuleType:
    path = Path(__file__).parents[2] / "published_files.py"
    spec = importlib.util.spec_from_file_location("published_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = _files()
layouts = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def small(classes: int = 10) -> TransferModel:
    """The smallest published network, for the frames of the small cache."""
    torch.manual_seed(3)
    return create_model("scnn", num_classes=classes, steps=3, size=(34, 34))


def write_small(path: Path, state: dict[str, Tensor] | None = None, **more: Any) -> Path:
    state = files.state_of(small()) if state is None else state
    written: Path = files.write(path, state, files.arguments("scnn", steps=3, classes=10), **more)
    return written


def load_published(path: Path) -> Published:
    return open_weights(path).published()


def refuse(path: Path, *parts: str) -> str:
    """Loading fails with one line that names the file."""
    with pytest.raises(SnntxError) as caught:
        load_published(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


# what a file holds


@layouts
@pytest.mark.parametrize("name", ["scnn", "resnet18", "vgg"])
def test_golden_names_are_recognised(name: str, legacy: bool, tmp_path: Path) -> None:
    state, meta = files.golden_state(name)
    args = files.arguments(name, steps=meta["T"], classes=meta["num_classes"])
    path = files.write(tmp_path / "model_best.pth.tar", state, args, legacy=legacy)
    found = load_published(path)
    assert (found.model, found.steps, found.classes) == (name, meta["T"], meta["num_classes"])
    assert (found.threshold, found.alpha, found.tau) == (0.5, 2.0, 2.0)
    assert (found.seed, found.epoch, found.metric) == (1024, 7, 92.64)
    assert found.size == (None if name == "scnn" else 48)
    model = found.build_model(CPU)
    assert not model.training
    assert model.size == (meta["H"], meta["H"])
    assert model.neuron.surrogate.name == ("backeigate" if name == "scnn" else "qgate")
    for theirs, tensor in reference_view(model, model.state_dict()).items():
        assert torch.equal(tensor, state[theirs]), theirs


def test_steps_classes_and_constants_are_read_off_the_state(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=4, steps=2, threshold=0.25, alpha=3.0)
    state = files.state_of(model)
    found = load_published(files.write(tmp_path / "a.pth.tar", state, argparse.Namespace()))
    assert (found.model, found.steps, found.classes) == ("resnet18", 2, 4)
    assert (found.threshold, found.alpha) == (0.25, 3.0)
    assert (found.size, found.seed, found.surrogate) == (None, None, None)
    frames = torch.rand(1, 2, 2, 48, 48)
    with torch.no_grad():
        expected = model.eval().forward_event(frames)
        assert torch.equal(found.build_model(CPU).forward_event(frames), expected)


def test_names_of_a_parallel_model(tmp_path: Path) -> None:
    state = files.state_of(small())
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    found = load_published(write_small(tmp_path / "a.pth.tar", prefixed))
    assert found.state.keys() == state.keys()


def test_a_bare_state_needs_no_command_line(tmp_path: Path) -> None:
    torch.save(files.state_of(small()), tmp_path / "a.pth")
    found = load_published(tmp_path / "a.pth")
    assert (found.model, found.epoch, found.metric) == ("scnn", None, None)


def test_averaged_weights_are_left_aside(tmp_path: Path) -> None:
    average = {name: tensor + 1 for name, tensor in files.state_of(small()).items()}
    found = load_published(write_small(tmp_path / "a.pth.tar", state_dict_ema=average))
    assert torch.equal(found.state["fc2.bias"], small().get_parameter("shared_head.bias"))


# what does not fit


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", "Transfer_VGG_SNN", "model 'Transfer_VGG_SNN' instead of 'Transfer_SCNN'"),
        ("step", 4, "step 4 instead of 3"),
        ("threshold", 0.4, "threshold 0.4 instead of 0.5"),
        ("node_type", "PLIFNode", "node_type 'PLIFNode' instead of 'LIFNode'"),
        ("step", True, "step True instead of 3"),
    ],
)
def test_a_command_line_that_contradicts_the_weights(
    name: str, value: Any, message: str, tmp_path: Path
) -> None:
    args = files.arguments("scnn", steps=3, classes=10, **{name: value})
    path = files.write(tmp_path / "a.pth.tar", files.state_of(small()), args)
    refuse(path, "its command line (args) does not fit its weights: ", message)


def test_classes_count_except_where_the_network_ignores_them(tmp_path: Path) -> None:
    args = files.arguments("scnn", steps=3, classes=1623)
    path = files.write(tmp_path / "a.pth.tar", files.state_of(small()), args)
    assert load_published(path).classes == 10
    torch.manual_seed(0)
    state = files.state_of(create_model("resnet18", num_classes=4, steps=2))
    args = files.arguments("resnet18", steps=2, classes=5)
    refuse(files.write(path, state, args), "num_classes 5 instead of 4")


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """The small state with tensors replaced (dots are written __) or dropped."""
    state = files.state_of(small())
    for name, value in changes.items():
        state.pop(name.replace("__", "."), None)
        if value is not None:
            state[name.replace("__", ".")] = value
    return dict(state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fc1__bias": None}, "names differ: missing fc1.bias"),
        ({"fc3__bias": torch.ones(2)}, "names differ: unexpected fc3.bias"),
        ({"fc1__weight": torch.ones(300, 640)}, "shapes differ: fc1.weight (300, 640) instead of"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    found = load_published(write_small(tmp_path / "a.pth.tar", changed(**changes)))
    with pytest.raises(SnntxError) as caught:
        found.build_model(CPU, (34, 34))
    assert str(caught.value).startswith(f"{found.path}: ")
    assert message in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefficient__1": None}, "coefficients should be numbered from 0, found 0, 2"),
        ({"fc2__weight": None}, "fc2.weight should be (classes, inputs), found None"),
        ({"fc2__weight": torch.ones(3)}, "fc2.weight should be (classes, inputs), found (3,)"),
        ({"node1__threshold": torch.tensor(0.75)}, "same threshold, found 0.5 to 0.75"),
        ({"fc1__bias": torch.full((300,), torch.nan)}, "fc1.bias holds a value that is not finite"),
        ({"fc1__bias": torch.ones(1).expand(300)}, "fc1.bias claims more values than the file"),
    ],
)
def test_a_state_that_cannot_be_read(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    refuse(write_small(tmp_path / "a.pth.tar", changed(**changes)), message)


def test_another_network(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "a.pth.tar")
    refuse(tmp_path / "a.pth.tar", "not the weights of Transfer_VGG_SNN", "begin with bias, weight")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, expected a checkpoint"),
        ({}, "holds no weights: expected tensors by name"),
        ({"state_dict": 3}, "holds no weights: expected tensors by name"),
        ({"state_dict": {"a": 3}}, "holds no weights: 'a' is a int, expected tensors by name"),
    ],
)
def test_something_else(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth.tar")
    refuse(tmp_path / "a.pth.tar", message)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such run directory or checkpoint"):
        load_published(tmp_path / "none.pth.tar")


# damage


@layouts
def test_a_file_cut_off_anywhere(legacy: bool, tmp_path: Path) -> None:
    whole = write_small(tmp_path / "a.pth.tar", legacy=legacy).read_bytes()
    cut = tmp_path / "cut.pth.tar"
    for place in np.linspace(0, len(whole) - 1, 12).astype(int).tolist():
        cut.write_bytes(whole[:place])
        refuse(cut, "not a readable checkpoint: ")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and no more", bytes(4096)])
def test_what_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth.tar").write_bytes(content)
    refuse(tmp_path / "a.pth.tar", "not a readable checkpoint: ")


def test_a_changed_byte_of_a_tensor(tmp_path: Path) -> None:
    path = write_small(tmp_path / "a.pth.tar")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refuse(path, "does not match its checksum")


def test_an_archive_of_the_other_kinds(tmp_path: Path) -> None:
    inner = write_small(tmp_path / "inner.pth.tar")
    with tarfile.open(tmp_path / "a.pth.tar", "w") as archive:
        archive.add(inner)
    refuse(tmp_path / "a.pth.tar", "a tar archive")
    with zipfile.ZipFile(tmp_path / "b.pth.tar", "w") as archive2:
        archive2.writestr("a/data.pkl", b"\x80\x02N.")
        archive2.writestr("b/data.pkl", b"\x80\x02N.")
    refuse(tmp_path / "b.pth.tar", "a zip, but not one of torch.save")


# malice


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def evil(sprung: Path) -> Call:
    return Call(os.system, f"touch {sprung}")


@layouts
@pytest.mark.parametrize("protocol", [2, 4])
def test_malice_is_refused_and_does_not_execute(
    legacy: bool, protocol: int, tmp_path: Path
) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    args = argparse.Namespace(model="Transfer_SCNN", extra=evil(sprung))
    torch.save(
        {"state_dict": files.state_of(small()), "args": args},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not legacy,
    )
    refuse(path, "it asks for the global posix.system", "nothing of it was executed")
    assert not sprung.exists()
    torch.load(path, weights_only=False)  # the trap works where files are trusted
    assert sprung.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_is_refused(protocol: int, tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    path.write_bytes(pickle.dumps({"args": evil(sprung)}, protocol))
    refuse(path, "the global posix.system")
    assert not sprung.exists()


def test_malice_behind_the_content_of_a_legacy_file(tmp_path: Path) -> None:
    """The pickles before and after the content are programs too."""
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    for place in range(5):
        parts: list[Any] = [1, 2, {}, {}, []]
        parts[place] = evil(sprung)
        path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
        refuse(path, "the global posix.system")
    assert not sprung.exists()


def test_a_zip_behind_a_pickle_does_not_hide_it(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    path.write_bytes(pickle.dumps(evil(sprung), 2) + write_small(path).read_bytes())
    assert zipfile.is_zipfile(path)
    refuse(path, "the global posix.system")
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"(S'touch x'\nios\nsystem\n.", "the pickle instruction INST"),
        (b"(cargparse\nNamespace\no.", "the pickle instruction OBJ"),
        (b"\x82\x01.", "the pickle instruction EXT1"),
        (b"cbuiltins\neval\n.", "the global builtins.eval"),
        (b"ctorch\nload\n.", "the global torch.load"),
        (b"ctorch.hub\nload\n.", "the global torch.hub.load"),
        (b"cargparse\nFileType\n.", "the global argparse.FileType"),
        (b"cargparse\nNamespace.__init__.__globals__\n.", "the global argparse.Namespace.__init__"),
    ],
)
def test_names_that_tensors_do_not_need(program: bytes, message: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth.tar", "w") as archive:
        archive.writestr("archive/data.pkl", program)
    refuse(tmp_path / "a.pth.tar", message)


def test_the_reader_for_weights_stands_behind_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a name allowed by mistake, torch would still refuse it."""
    sprung, path = tmp_path / "sprung", tmp_path / "a.pth.tar"
    torch.save({"args": evil(sprung)}, path)
    monkeypatch.setattr("snntx.train.checkpoints.foreign.ALLOWED", {"posix.system"})
    refuse(path, "not a readable checkpoint: ")
    assert not sprung.exists()


def test_a_namespace_is_filled_not_constructed(tmp_path: Path) -> None:
    """Attributes cannot turn it into anything else, and reading leaves torch as it was."""
    before = set(torch.serialization.get_safe_globals())
    path, inner = tmp_path / "a.pth.tar", argparse.Namespace(plain=1)
    vars(inner).update({"__class__": "x", "__setstate__": 3, "__init__": 4})
    torch.save({"args": inner}, path)
    found = load_foreign(path)["args"]
    assert type(found) is argparse.Namespace
    assert vars(found) == vars(inner)
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_namespace_cannot_change_its_class(tmp_path: Path) -> None:
    path = tmp_path / "a.pth.tar"
    slots = b"N}X\x09\x00\x00\x00__class__ccollections\nOrderedDict\ns\x86"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02cargparse\nNamespace\n)\x81" + slots + b"b.")
        archive.writestr("a/version", b"3\n")
        archive.writestr("a/byteorder", b"little")
    refuse(path, "not a readable checkpoint: __class__ assignment")


# on a cache


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    return open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)


def evaluate(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["evaluate", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@layouts
@pytest.mark.parametrize("protocol", [None, "holdout"])
def test_evaluate_on_a_cache(
    legacy: bool,
    protocol: str | None,
    cache: FrameCache,
    small_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_small(tmp_path / "model_best.pth.tar", legacy=legacy)
    words = ["--card", CARD, "--cache", small_cache / "cache"]
    words += [] if protocol is None else ["--protocol", protocol, "--key", cache.key[:6]]
    code, out, err = evaluate(capsys, path, *words, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    test = cache.split(protocol or "paper", "test")
    logits = event_logits(small(), cache, test, CPU)
    expected = measure(logits, cache.labels[test], cache.classes)
    assert result["recordings"] == test.size > 0
    assert (result["top1"], result["top5"]) == (expected.top1, expected.top5)
    assert result["loss"] == pytest.approx(expected.loss)
    assert result["confusion"] == expected.confusion
    assert {name: result[name] for name in ("model", "card", "cache_key", "protocol", "part")} == {
        "model": "scnn",
        "card": CARD,
        "cache_key": cache.key,
        "protocol": protocol or "paper",
        "part": "test",
    }
    assert (result["seed"], result["epoch"], result["reference_top1"]) == (1024, 7, 92.64)
    code, out, err = evaluate(capsys, path, *words)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{path}: published scnn, epoch 8, seed 1024"
    assert lines[3].split() == ["top-1", f"{expected.top1:.4f}"]
    text = " ".join(out.split())
    assert "classes are numbered as in the cache (0, 1, 2, ...)" in text
    assert f"protocol {protocol or 'paper'} is the cache's, which goes by name" in text
    assert "the file notes 92.64 % on its own test part" in text
    assert [path.name for path in tmp_path.iterdir()] == ["model_best.pth.tar"]


def error(output: tuple[int, str, str], code: int, *parts: str) -> None:
    assert output[0] == code, output
    assert output[1] == ""
    assert output[2].startswith("snntx: error: ")
    assert output[2].count("\n") == 1
    for part in parts:
        assert part in output[2]


def test_evaluate_refuses_what_does_not_fit(
    cache: FrameCache,
    small_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, path = small_cache / "cache", tmp_path / "a.pth.tar"
    words = ["--card", CARD, "--cache", root]
    files.write(path, files.state_of(small(7)), argparse.Namespace())
    error(evaluate(capsys, path, *words), 2, "trained on 7 classes, the cache has 10")

    model = create_model("scnn", num_classes=10, steps=4, size=(34, 34))
    files.write(path, files.state_of(model), argparse.Namespace())
    error(evaluate(capsys, path, *words), 1, "no sealed cache with frames (4, 2, 34, 34)")
    keyed = [*words, "--key", cache.key]
    error(evaluate(capsys, path, *keyed), 2, "trained on 4 time steps, the cache has 3")

    model = create_model("resnet18", num_classes=10, steps=3)
    args = files.arguments("resnet18", steps=3, classes=10)
    files.write(path, files.state_of(model), args)
    error(evaluate(capsys, path, *keyed), 2, "trained on (48, 48) pixels a side")

    model = create_model("scnn", num_classes=10, steps=3)
    files.write(path, files.state_of(model), argparse.Namespace())
    error(evaluate(capsys, path, *words), 1, "fc1.weight (300, 640) instead of (300, 1000)")

    write_small(path)
    error(evaluate(capsys, path, *words, "--protocol", "papr"), 2, "did you mean 'paper'?")
    sprung = tmp_path / "sprung"
    torch.save({"args": evil(sprung)}, path)
    error(evaluate(capsys, path, *words), 1, "the global posix.system")
    assert not sprung.exists()


def test_a_published_checkpoint_needs_a_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_small(tmp_path / "a.pth.tar")
    error(evaluate(capsys, path), 2, "does not name its data; add --card CARD")
    for words in (["--key", "a"], ["--protocol", "paper"]):
        error(evaluate(capsys, tmp_path, *words), 2, "--key, --protocol need --card")


def test_a_checkpoint_of_ours_needs_none(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copy(KEPT / "runs" / "stopped" / "best.pt", tmp_path / "a.pth.tar"))
    words = ["--card", CARD, "--cache", small_cache / "cache"]
    error(evaluate(capsys, path, *words), 2, "leave out --card")


def test_what_is_read_is_plain(tmp_path: Path) -> None:
    found = load_published(write_small(tmp_path / "a.pth.tar"))
    assert isinstance(found, Published)
    assert all(type(tensor) is Tensor for tensor in found.state.values())
