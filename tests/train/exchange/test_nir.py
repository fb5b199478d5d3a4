"""Graphs of NIR: read back by snnTorch they send the same spikes, and what NIR lacks is refused."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess.cache.opening import open_cache
from snntx.train.checkpoints.weights import open_weights
from snntx.train.exchange.nir import STEP_S, nir_graph
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.layers import SpikingLayer
from snntx.train.network.model import TransferModel
from snntx.train.network.norm import StepNorm
from snntx.train.network.synapses import Activity

nir = pytest.importorskip("nir")
CARD = "simulated-digits"
STEPS = 4


def trained(name: str, size: tuple[int, int], **options: Any) -> TransferModel:
    """A network whose running statistics have moved, in float64."""
    torch.manual_seed(0)
    options = {"width": 0.25, **options}
    model = create_model(name, num_classes=4, steps=STEPS, size=size, **options).double().train()
    for part in model.modules():
        if isinstance(part, StepNorm):
            part.momentum = 0.5  # near what the batches have in few of them
    for _ in range(4):
        frames = torch.poisson(torch.full((6, STEPS, 2, *size), 0.5)).double()
        model(frames, frames)
    return model.eval()


def read_back(graph: Any) -> Any:
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):
        return import_from_nir(graph)


def widened(net: Any, graph: Any) -> Any:
    """snnTorch's network with the graph's own numbers, which its importer rounds to float32."""
    for name, part in net.named_modules():
        node = graph.nodes.get(name)
        if hasattr(node, "weight"):
            part.weight.data = torch.from_numpy(node.weight)
            part.bias.data = torch.from_numpy(node.bias)
            part.register_forward_pre_hook(lambda _, given: (given[0].double(),))
        elif type(part).__name__ == "Leaky":
            part.double()
    return net


def spikes_of(net: Any, frames: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """What each population of snnTorch's network sends over the steps, and the output."""
    sent: dict[str, list[Tensor]] = {}
    for name, part in net.named_modules():
        if type(part).__name__ == "Leaky":
            sent[name] = []
            part.register_forward_hook(
                lambda _, __, out, kept=sent[name]: kept.append(
                    (out[0] if isinstance(out, tuple) else out).detach()
                )
            )
    state, logits = None, []
    for each in frames.unbind(1):
        out, state = net(each, state)
        logits.append(out.detach())
    return {name: torch.stack(each) for name, each in sent.items()}, torch.stack(logits)


def our_spikes(model: TransferModel, frames: Tensor) -> tuple[list[Tensor], Tensor]:
    """The same here, before any pool: by the equations on what drives each layer."""
    from snntx.train.network.neurons import run_neurons

    found: list[Tensor] = []

    def kept(layer: SpikingLayer, given: Any, out: Any) -> None:
        arrived = given[0] if isinstance(given[0], Activity) else Activity(given[0])
        currents = layer.currents(arrived, None)
        drive = currents if layer.norm is None else layer.norm(currents)
        trace = run_neurons(
            drive,
            leak=layer._leak(torch.float64),
            threshold=layer._firing(torch.float64),
            surrogate=layer.neuron.surrogate,
            dynamics=layer.neuron.dynamics,
        )
        found.append(trace.spikes)

    layers = [part for part in model.modules() if isinstance(part, SpikingLayer)]
    hooks = [part.register_forward_hook(kept) for part in layers]
    with torch.no_grad():
        logits = model.forward_event(frames)
    for hook in hooks:
        hook.remove()
    return found, logits


CASES = [
    ("nmnist", (34, 34), {"norm": "merged"}),
    ("nmnist", (18, 22), {"norm": "per-step", "tau": 3.0, "learn_threshold": True}),
    ("nmnist", (34, 34), {"norm": "per-step-pooled", "kind": "plif", "tau": 3.0}),
    ("nmnist", (34, 34), {"norm": "merged", "kind": "lif-undecayed", "threshold": 1.0}),
    ("scnn", (28, 28), {"kind": "lif", "width": 1.0}),
    ("vgg", (32, 32), {"norm": "per-step"}),
]


@pytest.mark.parametrize(("name", "size", "options"), CASES)
def test_snntorch_reads_the_same_spikes_back_in_float64(
    name: str, size: tuple[int, int], options: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("snntorch")
    model = trained(name, size, **options)
    nir.write(tmp_path / "a.nir", nir_graph(model))
    graph = nir.read(tmp_path / "a.nir")
    frames = torch.poisson(torch.full((3, STEPS, 2, *size), 0.5)).double()
    theirs, output = spikes_of(widened(read_back(graph), graph), frames)
    ours, logits = our_spikes(model, frames)
    assert len(theirs) == len(ours)
    for one, other in zip(ours, theirs.values(), strict=True):
        assert 0 < one.mean() < 1
        assert torch.equal(one, other.double())
    torch.testing.assert_close(output, logits, rtol=0, atol=1e-12)


def test_in_float32_few_spikes_differ() -> None:
    """As the importer leaves it: at most one of ten thousand (docs/export.md has the counts)."""
    pytest.importorskip("snntorch")
    model = trained("nmnist", (34, 34), norm="merged")
    frames = torch.poisson(torch.full((8, STEPS, 2, 34, 34), 0.5))
    theirs, _ = spikes_of(read_back(nir_graph(model)), frames)
    ours, _ = our_spikes(model, frames.double())
    differ = sum(int((a != b).sum()) for a, b in zip(ours, theirs.values(), strict=True))
    assert differ <= 1e-4 * sum(each.numel() for each in ours)


def test_an_if_is_nirs_own() -> None:
    """snnTorch reads an IF as a leaky neuron, so the graph is run by NIR's equations here."""
    model = trained("nmnist", (18, 18), norm="merged", kind="if", threshold=1.5)
    graph = nir_graph(model)
    frames = torch.poisson(torch.full((2, STEPS, 2, 18, 18), 0.5)).double()
    held: dict[str, Tensor] = {}
    outputs = []
    for value in frames.unbind(1):
        for name, node in graph.nodes.items():
            kind = type(node).__name__
            if kind == "Conv2d":
                value = nn.functional.conv2d(
                    value, torch.from_numpy(node.weight), torch.from_numpy(node.bias),
                    padding=tuple(node.padding),
                )  # fmt: skip
            elif kind == "Affine":
                value = value @ torch.from_numpy(node.weight).T + torch.from_numpy(node.bias)
            elif kind == "IF":
                charged = held.get(name, torch.zeros_like(value)) + torch.from_numpy(node.r) * value
                value = (charged > torch.from_numpy(node.v_threshold)).double()
                held[name] = charged * (1 - value)
            elif kind == "AvgPool2d":
                value = nn.functional.avg_pool2d(value, 2)
            elif kind == "Flatten":
                value = value.flatten(-3)
        outputs.append(value)
    torch.testing.assert_close(
        torch.stack(outputs), model.forward_event(frames).detach(), rtol=0, atol=1e-12
    )


def test_a_step_of_euler_is_ours() -> None:
    graph = nir_graph(trained("nmnist", (34, 34), norm="merged", tau=4.0))
    node = graph.nodes["0_lif"]
    assert np.unique(STEP_S / node.tau) == pytest.approx([0.25])
    assert np.unique(node.r).tolist() == [1.0]
    undecayed = nir_graph(trained("nmnist", (34, 34), kind="lif-undecayed", tau=4.0))
    node = undecayed.nodes["0_lif_undecayed"]
    assert np.unique(STEP_S / node.tau * node.r) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nmnist", {"reset": "soft"}, "layer first has a soft reset"),
        ("nmnist", {"fires": "at"}, "layer first has neurons that fire at the threshold"),
        ("nmnist", {"sends": "excess"}, "layer first has neurons that send graded values"),
        ("nmnist", {"kind": "relu"}, "layer first has neuron = relu"),
        ("nmnist", {"norm": "per-step-own"}, "norm = per-step-own has other statistics"),
        ("nmnist", {"layout": "xy"}, "with layout = xy the network turns"),
        ("nmnist", {"attention": Attention()}, "layer first has an attention"),
        ("resnet18", {}, "network resnet18 cannot be exported to NIR: it is no plain chain"),
        ("asa3", {}, "network asa3 cannot be exported to NIR"),
        ("asa5", {}, "network asa5 cannot be exported to NIR: it pools maxima, for which NIR has"),
        ("sew-resnet18", {}, "it pools maxima, for which NIR has no node, and is no plain chain"),
    ],
)
def test_what_nir_lacks_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    model = create_model(name, num_classes=3, steps=2, width=0.1, **options)
    with pytest.raises(UsageError, match=message):
        nir_graph(model)


def test_a_run_is_exported_and_says_what_it_is(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    cache = ["--cache", str(small_cache / "cache")]
    tiny = ("steps=3", "epochs=1", "batch_size=16", "width=0.25", "recordings_per_class=0",
            "draws_per_epoch=32", "norm=merged")  # fmt: skip
    words = [word for each in tiny for word in ("--set", each)]
    out = tmp_path / "run"
    assert run(["train", CARD, *cache, *words, "--out", str(out)]) == 0
    assert run(["export", str(out), "--to", "nir"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {out / 'best.nir'}"
    graph = nir.read(out / "best.nir")
    told = {
        name: json.loads(text.decode() if isinstance(text, bytes) else text)
        for name, text in graph.metadata.items()
    }
    assert told["classes"] == [str(digit) for digit in range(10)]
    assert told["steps"] == 3
    assert told["step_seconds"] == STEP_S
    frames = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None)
    some = torch.from_numpy(frames.frames([0, 1, 2])).double()
    model = open_weights(out).trained().build_model(torch.device("cpu")).double().eval()
    pytest.importorskip("snntorch")
    _, logits = spikes_of(widened(read_back(graph), graph), some)
    torch.testing.assert_close(logits, model.forward_event(some).detach(), rtol=0, atol=1e-9)
    written = str(out / "best.nir")
    for command in (["evaluate", written, *cache], ["predict", written, "x"]):
        assert run(command) == 2
        assert "as exports to NIR are, which hold no run; give the run" in capsys.readouterr().err
    assert run(["export", str(out), "--to", "nir"]) == 2
    assert "exists already" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    assert run(["export", str(out), "--to", "nir", "--out", str(tmp_path / "b.nir")]) == 2
    assert 'pip install "snntx[nir]"' in capsys.readouterr().err
