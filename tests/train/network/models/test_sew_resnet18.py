"""SEW-ResNet-18 against SpikingJelly's numbers, float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snntx.tests import asa_golden as golden
from snntx.train.checkpoints.reference import load_reference_state, reference_view
from snntx.train.network.create import create_model
from snntx.train.network.layers import SpikingConv2d, SpikingLayer
from snntx.train.network.model import TransferModel
from snntx.train.network.models.sew_resnet18 import SpikingBlock
from snntx.train.network.neurons import Neuron

both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


def close(found: Any, wanted: Any, within: float = 1e-9) -> None:
    assert np.shape(found) == np.shape(wanted)
    assert np.abs(np.asarray(found) - wanted).max() < within


def value(name: str, shape: tuple[int, ...], *, normed: bool) -> Tensor:
    z = golden.generator(f"sew.{name}").standard_normal(shape)
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return torch.tensor(0)
    if name == "fc.bias":
        return golden.tensor(0.1 * z)
    if not normed:
        return golden.tensor(z / np.sqrt(np.prod(shape[1:])))
    made: NDArray[Any] = {
        "weight": 1 + 0.1 * z,
        "bias": 0.2 + 0.1 * z,
        "running_mean": 0.1 * z,
        "running_var": np.exp(0.2 * z),
    }[leaf]
    return golden.tensor(made)


def network(backend: str) -> TransferModel:
    made = create_model("sew_resnet18", num_classes=30, steps=4, backend=backend).double()
    view = reference_view(made, made.state_dict())
    norms = {name.rpartition(".")[0] for name in view if name.endswith("running_mean")}
    state = {
        name: value(name, tuple(each.shape), normed=name.rpartition(".")[0] in norms)
        for name, each in view.items()
    }
    assert load_reference_state(made, state) == 0
    return made


@both_backends
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_network_computes_what_spikingjelly_does(mode: str, backend: str) -> None:
    stored = golden.stored("sew_resnet18")
    model = network(backend).train(mode == "train")
    sent: dict[str, list[float]] = {}
    sums: list[list[float]] = []

    def spikes(name: str) -> Any:
        def hook(module: Any, arriving: Any, output: Any) -> None:
            sent[name] = output.spikes.detach().flatten(1).sum(1).tolist()

        return hook

    for name, module in model.named_modules():
        if isinstance(module, SpikingLayer):
            module.register_forward_hook(spikes(name))
        if isinstance(module, SpikingBlock):
            module.register_forward_hook(
                lambda _module, _arriving, out: sums.append(
                    out.values.detach().flatten(1).sum(1).tolist()
                )
            )
    frames = torch.from_numpy(golden.generator("sew.x").poisson(0.6, (4, 2, 2, 64, 64)) * 1.0)
    logits = model.forward_event(frames.transpose(0, 1))
    loss = functional.cross_entropy(logits.mean(0), torch.tensor([1, 4]))
    loss.backward()  # type: ignore[no-untyped-call]

    def wanted(what: str) -> Any:
        return stored[f"{mode}_{what}"]

    close(logits.detach(), wanted("logits_per_step"))
    close(loss.item(), wanted("loss_ce_mean_logits"))
    close(sums, wanted("block_sum_step"))
    ours = {theirs: sent[name] for name, theirs in neurons().items()}
    names = [str(each) for each in stored["neuron_names"]]
    close([ours[name] for name in names], wanted("spikes_layer_step"))
    grads = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    view = reference_view(model, grads)
    assert set(view) == {str(each) for each in stored["param_names"]}
    for name, grad in view.items():
        close(grad.norm().item(), wanted(f"gnorm_{name}"))
        close(grad.flatten()[:8], wanted(f"ghead_{name}"))


def neurons() -> dict[str, str]:
    """Our layers, and SpikingJelly's names of their neurons."""
    found = {"stem": "sn1"}
    for number in range(8):
        stage, block = divmod(number, 2)
        theirs = f"layer{stage + 1}.{block}"
        found |= {f"blocks.{number}.first": f"{theirs}.sn1"}
        found |= {f"blocks.{number}.second": f"{theirs}.sn2"}
        if stage and not block:
            found |= {f"blocks.{number}.shortcut": f"{theirs}.downsample_sn"}
    return found


def test_it_has_spikingjellys_parameters_and_a_static_head() -> None:
    model = create_model("sew_resnet18", num_classes=30, steps=4)
    ours = sum(
        each.numel()
        for name, each in model.named_parameters()
        if not name.startswith(("static_head", "coefficient"))
    )
    assert ours == int(golden.stored("sew_resnet18")["nparam"])


def test_a_block_sends_counts_whose_codes_are_its_values() -> None:
    layer: dict[str, Any] = {
        "neuron": Neuron(kind="if", threshold=0.2),
        "norm": "merged",
        "backend": "numba",
    }
    torch.manual_seed(0)
    block = SpikingBlock(2, 3, 2, layer)
    sent = block(SpikingConv2d(2, 2, **layer)(torch.rand(3, 2, 2, 6, 6)).activity)
    assert sent.codes is not None
    assert torch.equal(sent.codes.float() * sent.unit, sent.values)
    assert sent.values.max() == 2
