"""The networks of Advance Spatial Attention against the published code's numbers, float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snntx.errors import UsageError
from snntx.tests import asa_golden as golden
from snntx.train.checkpoints.reference import load_reference_state, reference_view
from snntx.train.network.attention import selection
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.layers import SpikingLayer
from snntx.train.network.model import TransferModel
from snntx.train.network.synapses import Activity

CASES = tuple(golden.cases())
TIED = {("A_r4", "train"), ("A_r4", "eval"), ("A_before", "eval")}
TIED |= {("D_asa", "train"), ("D_asa", "eval")}
"""Where scores are equal: there the published code takes what torch's topk returns, in no order."""
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


@contextmanager
def order_of_topk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of equal scores, take those that torch's topk returns on this machine."""

    def largest(scores: Tensor, count: int, dim: int, *, soft: bool = False) -> Tensor:
        return torch.zeros_like(scores).scatter(dim, scores.topk(count, dim).indices, 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(selection, "largest", largest)
        yield


class Pass:
    """One pass over a case: what the network gave, what every layer sent, every gradient."""

    def __init__(self, name: str, mode: str, backend: str) -> None:
        case = golden.cases()[name]
        self.model = golden.network(case, backend).train(mode == "train")
        self.sent: dict[str, Tensor] = {}
        for layer, module in self.model.named_modules():
            if isinstance(module, SpikingLayer):
                module.register_forward_hook(self._keep(layer))
        if case.get("drop"):
            self._drop_as_published(name)
        frames, labels = golden.frames(name, case)
        self.out = outputs(self.model, frames)
        wanted = functional.one_hot(labels, self.model.num_classes).double()
        self.loss = functional.mse_loss(self.out, wanted)
        self.loss.backward()  # type: ignore[no-untyped-call]
        grads = {
            each: value.grad
            for each, value in self.model.named_parameters()
            if value.grad is not None and not each.startswith(("static_head", "coefficient"))
        }
        self.grads = reference_view(self.model, grads)

    def _keep(self, layer: str) -> Any:
        def hook(module: Any, arriving: Any, output: Any) -> None:
            self.sent[layer] = output.spikes.detach()

        return hook

    def _drop_as_published(self, name: str) -> None:
        model: Any = self.model
        leaving = model._leaving

        def drawn(values: Tensor, where: str) -> Tensor:
            shape = tuple(values.shape)
            share = model.dropout
            if where.startswith("out"):
                return golden.kept(name, where, shape[1:], share)[None]
            return golden.kept(name, where, shape, share)

        def after(activity: Activity, number: int) -> Activity:
            found: Activity = leaving(activity, number)
            self.sent[list(self.sent)[number]] = found.values.detach()
            return found

        model.drawn, model._leaving = drawn, after

    def spikes(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Sums of what the layers sent, by layer and step and by layer and sample."""
        flat = [each.flatten(2).sum(2) for each in self.sent.values()]
        return (
            np.stack([each.sum(1).numpy() for each in flat]),
            np.stack([each.sum(0).numpy() for each in flat]),
        )


def outputs(model: TransferModel, frames: Tensor) -> Tensor:
    """The mean output of the event branch for frames as the reference has them, ``(N, C)``."""
    given = frames.transpose(-1, -2) if model.layout == "xy" else frames
    return model.forward_event(given).mean(0)


def close(found: Any, wanted: Any, within: float = 1e-9) -> None:
    assert np.shape(found) == np.shape(wanted)
    assert np.abs(np.asarray(found) - wanted).max() < within


@both_backends
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_each_network_computes_what_the_published_code_does(
    name: str, mode: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tied = (name, mode) in TIED
    with order_of_topk(monkeypatch) if tied else nullcontext():
        found = Pass(name, mode, backend)

    def wanted(what: str) -> Any:
        return golden.stored("asa_nets")[f"{name}_{mode}_{what}"]

    close(found.out.detach(), wanted("out"))
    close(found.loss.item(), wanted("loss"))
    by_step, by_sample = found.spikes()
    close(by_step, wanted("spikes_layer_step"))
    close(by_sample, wanted("spikes_layer_sample"))
    for each, grad in found.grads.items():
        close(grad.norm().item(), wanted(f"gnorm_{each}"))
        close(grad.flatten()[:8], wanted(f"ghead_{each}"))
    names = reference_view(found.model, dict(found.model.named_parameters()))
    silent = {str(each) for each in wanted("grad_none")} - {""}
    assert names.keys() - found.grads.keys() == {e for e in silent if ".spike.0.attn." not in e}
    if mode == "train":
        buffers = reference_view(found.model, found.model.state_dict())
        for each in (each for each in buffers if "running" in each):
            close([buffers[each].norm(), buffers[each].sum()], wanted(f"bn_{each}"))


@both_backends
@pytest.mark.parametrize("name", ["A_asa", "A_r4", "D_asa", "B_asa", "C_asa"])
def test_per_sample_masks_give_each_sample_what_the_published_code_gives_it_alone(
    name: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = golden.cases()[name]
    model = golden.network(case, backend, "per-sample").eval()
    frames, _ = golden.frames(name, case)
    wanted = golden.stored("asa_nets")[f"{name}_eval_out_per_sample"]
    tied = (name, "eval") in TIED
    with torch.no_grad(), order_of_topk(monkeypatch) if tied else nullcontext():
        close(outputs(model, frames), wanted)
        close(outputs(model, frames[-1:]), wanted[-1:])


@both_backends
@pytest.mark.parametrize("name", ["A_asa", "B_asa"])
def test_united_masks_make_an_answer_depend_on_its_companions(name: str, backend: str) -> None:
    case = golden.cases()[name]
    model = golden.network(case, backend).eval()
    frames, _ = golden.frames(name, case)
    pairs = golden.stored("asa_nets")[f"{name}_eval_out_pairs"]
    with torch.no_grad():
        for sample, wanted in enumerate(pairs):
            other = (sample + 1) % len(frames)
            close(outputs(model, frames[[sample, other]]), wanted)


COUNTS: tuple[tuple[dict[str, Any], int, int], ...] = (
    ({"name": "asa3", "num_classes": 11, "steps": 60}, 2_323_531, 0),
    ({"name": "asa3", "num_classes": 11, "steps": 60, "attention": 4}, 2_329_162, 117),
    ({"name": "asa3", "num_classes": 11, "steps": 60, "attention": 1}, 2_334_562, 117),
    (
        {
            "name": "asa3",
            "num_classes": 20,
            "steps": 60,
            "attention": 8,
            "conv_channels": [32, 32, 32],
            "dropout": 0.5,
        },
        551_731,
        117,
    ),
    ({"name": "asa5", "num_classes": 11, "steps": 20, "attention": 1}, 1_701_123, 0),
    ({"name": "asa5", "num_classes": 11, "steps": 20}, 1_698_933, 0),
    ({"name": "asa5", "num_classes": 10, "steps": 36, "size": (130, 173)}, 1_955_947, 0),
    (
        {"name": "asa3", "num_classes": 20, "steps": 60, "conv_channels": [32, 32, 32]},
        548_980,
        0,
    ),
    (
        {"name": "asa5", "num_classes": 10, "steps": 36, "attention": 1, "size": (130, 173)},
        1_962_617,
        0,
    ),
    (
        {
            "name": "asa5",
            "num_classes": 11,
            "steps": 20,
            "attention": 1,
            "kind": "lif",
            "spike_pool": "average",
            "conv_channels": [64, 128, 128, 128, 128],
        },
        1_626_108,
        0,
    ),
)


@pytest.mark.parametrize(("options", "published", "dead"), COUNTS)
def test_parameters_are_the_published_ones_but_for_the_dead_and_for_our_static_branch(
    options: dict[str, Any], published: int, dead: int
) -> None:
    asked = dict(options)
    reduction = asked.pop("attention", 0)
    model = create_model(**asked, attention=Attention(reduction=reduction) if reduction else None)
    ours = sum(
        each.numel()
        for name, each in model.named_parameters()
        if not name.startswith(("static_head", "coefficient"))
    )
    assert ours == published - dead


def test_tensors_that_nothing_computes_with_are_counted_and_left_out() -> None:
    case = golden.cases()["A_asa"]
    model = create_model(**golden.options(case))
    state = golden.state(case, model)
    assert load_reference_state(model, state) == 15
    assert model.layout == "xy"
    plain = golden.cases()["A_no"]
    without = create_model(**golden.options(plain))
    assert load_reference_state(without, golden.state(plain, without)) == 0
    state["ConvAttLIFs.0.attn.gamma"] = torch.zeros(1)
    with pytest.raises(UsageError, match=r"names differ: unexpected ConvAttLIFs\.0\.attn\.gamma"):
        load_reference_state(model, state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout_layers": "0011"}, "dropout_layers is '0011', expected 5 digits 0 or 1"),
        ({"dropout_layers": "00x11"}, "expected 5 digits"),
        ({"conv_channels": [8, 8]}, r"conv_channels are \[8, 8\], expected 3 numbers of 1 or more"),
        ({"conv_channels": [8, 0, 8]}, "expected 3 numbers of 1 or more, such as"),
        ({"spike_pool": "max"}, "asa3: takes no spike_pool; leave it out"),
        ({"name": "asa5", "dropout": 0.1}, "asa5: takes no dropout; leave it out"),
        ({"name": "asa5", "spike_pool": "min"}, "spike_pool is 'min', expected one of max, av"),
        ({"layout": "tx"}, "layout is 'tx', expected one of yx, xy"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_model(**{"name": "asa3", "num_classes": 3, "steps": 2, **options})


@pytest.mark.parametrize("name", ["asa3", "asa5"])
def test_frames_laid_out_x_first_are_turned_over_at_the_door(name: str) -> None:
    made = create_model(name, num_classes=3, steps=2, size=(64, 96), layout="xy").eval()
    plain = create_model(name, num_classes=3, steps=2, size=(96, 64)).eval()
    plain.load_state_dict(made.state_dict())
    frames = torch.rand(2, 2, 2, 64, 96)
    with torch.no_grad():
        found = made(frames, frames).event_logits
        assert torch.equal(found, plain.forward_event(frames.transpose(-1, -2)))
    with pytest.raises(UsageError, match="frames are 2x2x2x96x64, expected Bx2x2x64x96"):
        made.forward_event(frames.transpose(-1, -2))
