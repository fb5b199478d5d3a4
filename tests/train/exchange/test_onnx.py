"""Models of ONNX: onnxruntime gives the same logits, and the weights are read back as they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.cli import run
from snntx.errors import SnntxError, UsageError
from snntx.train.checkpoints.export import is_onnx, read_onnx
from snntx.train.checkpoints.weights import open_weights
from snntx.train.exchange.onnx import OPSET, onnx_model
from snntx.train.network.create import create_model
from snntx.train.network.norm import StepNorm

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")
CARD = "simulated-digits"
TOLERANCE = 1e-5


def session(content: bytes) -> Any:
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def trained(name: str, size: tuple[int, int], **options: Any) -> Any:
    """A network whose running statistics have moved, so that its neurons fire."""
    torch.manual_seed(0)
    options = {"width": 0.25, **options}
    model = create_model(name, num_classes=4, steps=3, size=size, **options).train()
    for part in model.modules():
        if isinstance(part, StepNorm):
            part.momentum = 0.5
    for _ in range(3):
        frames = torch.poisson(torch.full((6, 3, 2, *size), 0.5))
        model(frames, frames)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("nmnist", (18, 22), {"norm": "per-step-own", "reset": "soft", "layout": "xy"}),
        ("scnn", (28, 28), {"kind": "plif", "tau": 1.5, "width": 1.0}),
        pytest.param("vgg", (32, 32), {"width": 0.1}, marks=pytest.mark.slow),
    ],
)
def test_onnxruntime_gives_the_same_logits_for_any_batch(
    name: str, size: tuple[int, int], options: dict[str, Any]
) -> None:
    model = trained(name, size, **options)
    proto = onnx_model(model)
    assert [each.version for each in proto.opset_import if not each.domain] == [OPSET]
    runs = session(proto.SerializeToString())
    for batch in (1, 5):
        frames = torch.poisson(torch.full((batch, 3, 2, *size), 0.5))
        (found,) = runs.run(None, {"frames": frames.numpy()})
        expected = model.forward_event(frames).detach().transpose(0, 1)
        assert batch == 1 or not torch.equal(expected[0], expected[1])  # it looks at its input
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=TOLERANCE)


def test_what_onnx_lacks_is_refused() -> None:
    model = create_model("asa3", num_classes=3, steps=2, width=0.1)
    with pytest.raises(UsageError, match="model asa3 cannot be exported to ONNX") as caught:
        onnx_model(model)
    assert "\n" not in str(caught.value)


def test_a_run_is_exported_and_read_back(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    cache = ["--cache", str(small_cache / "cache")]
    tiny = ("steps=3", "epochs=1", "batch_size=16", "width=0.25", "recordings_per_class=0",
            "draws_per_epoch=32")  # fmt: skip
    out = tmp_path / "run"
    words = [word for each in tiny for word in ("--set", each)]
    assert run(["train", CARD, *cache, *words, "--out", str(out)]) == 0
    assert run(["export", str(out), "--to", "onnx"]) == 0
    path = out / "best.onnx"
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {path}"
    best, found = open_weights(out).trained(), open_weights(path).trained()
    assert is_onnx(path)
    assert list(found.model) == list(best.model)
    for name, tensor in best.model.items():
        assert torch.equal(found.model[name], tensor), name
    assert (found.recipe, found.frames, found.classes) == (best.recipe, best.frames, best.classes)
    texts = {e.key: e.value for e in onnx.load_model(path).metadata_props}
    assert json.loads(texts["classes"]) == [str(digit) for digit in range(10)]
    assert json.loads(texts["opset"]) == OPSET
    assert json.loads(texts["cache_key"]) == best.cache_key
    raw = str(sorted((small_cache / "data/raw").glob("*/*/*.bin"))[0])
    for command in (["evaluate", "{}", *cache], ["predict", "{}", raw]):
        printed = []
        for file in (out / "best.pt", path):
            assert run([*(w.replace("{}", str(file)) for w in command), "--json"]) == 0
            printed.append(capsys.readouterr().out.replace(str(file), "PATH"))
        assert printed[0] == printed[1]
    assert run(["export", str(out), "--to", "onnx"]) == 2
    assert "exists already" in capsys.readouterr().err
    content = path.read_bytes()
    place = content.index(best.model["event_head.weight"].numpy().tobytes()[:64])
    changed = bytearray(content)
    changed[place + 5] ^= 1
    for bad in (bytes(changed), content[:-100], content[:20]):
        path.write_bytes(bad)
        with pytest.raises(SnntxError) as caught:
            read_onnx(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
    path.write_bytes(content)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run(["predict", str(path), raw]) == 2
    assert "pip install 'snntx[onnx]'" in capsys.readouterr().err
