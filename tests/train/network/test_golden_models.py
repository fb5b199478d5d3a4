"""The three published models against the reference implementation, in float64.

One training forward pass serves every value, loss and gradient. The SCNN is compared whole
here. For the others gradients stop at the upper layers and evaluation runs one sample, on which
the rest of the batch has no influence; the slow stage compares all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from snntx.train.checkpoints.reference import load_reference_state, reference_names, reference_view
from snntx.train.method.losses import TransferLoss, TransferTerms, event_loss, linear_cka, tet_loss
from snntx.train.network.backends.names import resolve_backend
from snntx.train.network.create import TransferModel, TransferOutput, create_model
from snntx.train.network.layers import LayerOutput, SpikingLayer

TOLERANCE = 1e-9
BRANCHES = ("static", "event")
TOTALS = {
    "A": ("A_tet_domain_reg", TransferLoss()),
    "B": ("B_tet_domain_plain", TransferLoss(regularization=False)),
    "C": ("C_ce_domain_plain", TransferLoss(tet=False, regularization=False)),
    "D": ("D_ce_domain_reg", TransferLoss(tet=False)),
    "E": ("E_tet_only_plain", TransferLoss(regularization=False, domain_weight=0.0)),
}
EVERY = ("",)
TOP = {
    "scnn": EVERY,
    "resnet18": ("coefficient", "blocks.7", "norm", "static_head", "event_head"),
    "vgg": ("coefficient", "features.6", "features.7", "static_head", "event_head"),
}
large = pytest.mark.parametrize("golden", ["resnet18", "vgg"], indirect=True)


@dataclass(frozen=True)
class Golden:
    """The stored numbers, and the inputs and weights that they were computed from."""

    name: str
    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]
    state: dict[str, Tensor]
    static: Tensor
    event: Tensor
    labels: Tensor

    def model(self, backend: str = "torch") -> TransferModel:
        model = create_model(
            self.name,
            num_classes=self.meta["num_classes"],
            steps=self.meta["T"],
            backend=backend,
        )
        load_reference_state(model.double(), self.state)
        return model


@dataclass(frozen=True)
class Forward:
    """One forward pass: outputs, and by the reference's neuron its spikes, static steps first."""

    golden: Golden
    mode: str
    model: TransferModel
    output: TransferOutput
    spikes: dict[str, list[float]]

    def stored(self, name: str) -> NDArray[Any]:
        return self.golden.arrays[f"f64_{self.mode}_{name}"]

    def terms(self, loss: TransferLoss) -> TransferTerms:
        return loss(self.output, self.golden.labels, self.model.coefficient)


def run(golden: Golden, mode: str, batch: slice = slice(None), backend: str = "torch") -> Forward:
    model = golden.model(backend).train(mode == "train")
    assert model.reference is not None
    layers = [module for module in model.modules() if isinstance(module, SpikingLayer)]
    counts: dict[str, list[float]] = {name: [] for name in model.reference.neurons}

    def count(into: list[float], layer: SpikingLayer, _: Any, output: LayerOutput) -> None:
        windows = output.spikes.detach().flatten(1).sum(1)  # averages over pool x pool spikes
        into.extend((windows * layer.pool**2).tolist())

    for layer, into in zip(layers, counts.values(), strict=True):
        layer.register_forward_hook(partial(count, into))
    with torch.set_grad_enabled(mode == "train"):
        output = model(golden.static[batch], golden.event[batch])
    return Forward(golden, mode, model, output, counts)


@pytest.fixture(scope="module", params=["scnn", "resnet18", "vgg"])
def golden(request: pytest.FixtureRequest, golden_recipe: ModuleType) -> Golden:
    arrays, meta = golden_recipe.read(request.param)
    batch = golden_recipe.batch(meta)
    return Golden(
        request.param,
        arrays,
        meta,
        golden_recipe.tensors(golden_recipe.state(arrays, meta)),
        torch.from_numpy(batch.static).double(),
        torch.from_numpy(batch.event).double(),
        torch.from_numpy(batch.labels),
    )


@pytest.fixture(scope="module")
def train(golden: Golden) -> Forward:
    return run(golden, "train")


def assert_close(found: Any, stored: NDArray[Any], *, tolerance: float = TOLERANCE) -> None:
    value = found.detach().numpy() if isinstance(found, Tensor) else found
    np.testing.assert_allclose(value, stored, rtol=0, atol=tolerance)


def assert_norm(found: NDArray[Any], stored: NDArray[Any], *, axis: int) -> None:
    np.testing.assert_allclose(np.linalg.norm(found, axis=axis), stored, rtol=1e-12)


def test_recipe_rebuilds_weights_and_inputs(golden: Golden) -> None:
    names = [str(name) for name in golden.arrays["state_names"]]
    values = [golden.state[name].numpy().astype(np.float64) for name in names]
    sums = [value.sum() for value in values]
    norms = [np.linalg.norm(value) for value in values]
    np.testing.assert_allclose(sums, golden.arrays["state_check_sum"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(norms, golden.arrays["state_check_norm"], rtol=1e-9)
    for branch, frames in (("static", golden.static), ("event", golden.event)):
        checks = [frames.sum().item(), frames.norm().item()]
        np.testing.assert_allclose(checks, golden.arrays[f"input_{branch}_check"], rtol=1e-9)
    np.testing.assert_array_equal(golden.labels, golden.arrays["labels"])


def check_logits(forward: Forward, batch: slice = slice(None)) -> None:
    for index, branch in enumerate(BRANCHES):
        logits = forward.output[index].detach().numpy()
        stored = forward.stored(f"logits_{branch}")[:, batch]
        assert_close(logits[..., : stored.shape[2]], stored)
        if logits.shape[2] != stored.shape[2]:  # the file holds the first classes and a summary
            assert_norm(logits, forward.stored(f"logits_{branch}_norm")[:, batch], axis=2)
            most = forward.stored(f"logits_{branch}_argmax")[:, batch]
            np.testing.assert_array_equal(logits.argmax(2), most)


def check_features(forward: Forward, batch: slice = slice(None)) -> None:
    for index, branch in enumerate(BRANCHES, start=2):
        features = forward.output[index].detach().numpy()
        assert features.shape[2] == np.prod(forward.stored("feature_shape")[1:])
        assert_close(features[:, 0, :8], forward.stored(f"feature_{branch}_head"))
        stored = forward.stored(f"feature_{branch}_sample_norm")[:, batch]
        assert_norm(features, stored, axis=2)
        if batch == slice(None):
            whole = features.reshape(len(features), -1)
            assert_norm(whole, forward.stored(f"feature_{branch}_norm"), axis=1)


def check_spikes(forward: Forward) -> None:
    steps = forward.model.steps
    names = [str(name) for name in forward.stored("node_names")]
    assert set(names) == forward.spikes.keys()
    counts = np.array([forward.spikes[name] for name in names])
    np.testing.assert_array_equal(counts[:, :steps], forward.stored("node_spikes_static"))
    np.testing.assert_array_equal(counts[:, steps:], forward.stored("node_spikes_event"))


def check_losses(forward: Forward) -> None:
    output, labels = forward.output, forward.golden.labels
    terms = {name: forward.terms(loss) for name, (_, loss) in TOTALS.items()}
    for name, (stored, _) in TOTALS.items():
        assert_close(terms[name].total, forward.stored(f"loss_total_{stored}"))
    found = {
        "cka": linear_cka(output.static_features, output.event_features),
        "sigmoid_coefficient": torch.sigmoid(forward.model.coefficient),
        "domain_reg": terms["A"].domain,
        "domain_plain": terms["B"].domain,
        "tet_static": terms["A"].static,
        "tet_event_reg": terms["A"].event,
        "tet_event_plain": terms["B"].event,
        "ce_static_meanlogits": terms["C"].static,
        "ce_event_meanlogits": terms["D"].event,
    }
    for name, value in found.items():
        assert_close(value, forward.stored(f"loss_{name}"))
    for branch, logits in zip(BRANCHES, output[:2], strict=True):
        for part, tet_lambda in (("ce", 0.0), ("mse", 1.0)):
            per_step = [tet_loss(step[None], labels, tet_lambda=tet_lambda) for step in logits]
            assert_close(torch.stack(per_step), forward.stored(f"loss_{part}_{branch}_per_step"))
    baseline = event_loss(output.event_logits, labels)
    assert_close(baseline, forward.stored("loss_tet_event_plain"))


def check_gradients(forward: Forward, total: str, prefixes: tuple[str, ...]) -> None:
    named = dict(forward.model.named_parameters())
    chosen = {name: p for name, p in named.items() if name.startswith(prefixes)}
    terms = forward.terms(TOTALS[total][1])
    found = torch.autograd.grad(
        terms.total, list(chosen.values()), retain_graph=True, allow_unused=True
    )
    present = {n: g for n, g in zip(chosen, found, strict=True) if g is not None}
    absent = [
        theirs for n in chosen.keys() - present for theirs in reference_names(forward.model, n)
    ]
    gradients = reference_view(forward.model, present)

    stored_names = [str(name) for name in forward.stored("grad_names")]
    rows = {name: row for row, name in enumerate(stored_names)}
    none = forward.stored(f"grad_{total}_none")
    assert all(none[rows[name]] for name in absent)
    assert not any(none[rows[name]] for name in gradients)
    if prefixes == EVERY:
        assert gradients.keys() | set(absent) == rows.keys()

    for name, gradient in gradients.items():
        norm = forward.stored(f"grad_{total}_norm")[rows[name]]
        head = forward.stored(f"grad_{total}_head")[rows[name]]
        flat = gradient.flatten().numpy()
        np.testing.assert_allclose(np.linalg.norm(flat), norm, rtol=1e-8, err_msg=name)
        atol = 1e-8 * norm
        np.testing.assert_allclose(flat[:8], head[: flat.size], rtol=0, atol=atol, err_msg=name)


def test_training_outputs(train: Forward) -> None:
    check_logits(train)
    check_features(train)
    check_spikes(train)


def test_training_losses(train: Forward) -> None:
    check_losses(train)


@pytest.mark.parametrize("total", "ABCD")
def test_training_gradients_of_the_upper_layers(train: Forward, total: str) -> None:
    check_gradients(train, total, TOP[train.golden.name])


@pytest.mark.slow
@large
@pytest.mark.parametrize("total", "ABCD")
def test_training_gradients_of_every_layer(train: Forward, total: str) -> None:
    check_gradients(train, total, EVERY)


@large
def test_running_statistics_after_one_training_pass(train: Forward) -> None:
    own = reference_view(train.model, train.model.state_dict())
    names = [str(name) for name in train.stored("bn_names")]
    for leaf in ("running_mean", "running_var"):
        statistics = [own[f"{name}.{leaf}"].numpy() for name in names]
        norms = [np.linalg.norm(value) for value in statistics]
        np.testing.assert_allclose(norms, train.stored(f"bn_{leaf}_norm"), rtol=1e-12)
        assert_close(np.stack([v[:4] for v in statistics]), train.stored(f"bn_{leaf}_head"))
    batches = [int(own[f"{name}.num_batches_tracked"]) for name in names]
    np.testing.assert_array_equal(batches, train.stored("bn_batches"))
    assert len(names) == sum(name.endswith(".running_mean") for name in own)


def test_evaluation_of_one_sample(golden: Golden) -> None:
    first = slice(0, 1)
    forward = run(golden, "eval", first)
    check_logits(forward, first)
    check_features(forward, first)


def check_evaluation(golden: Golden) -> None:
    forward = run(golden, "eval")
    check_logits(forward)
    check_features(forward)
    check_spikes(forward)
    check_losses(forward)


@pytest.mark.parametrize("golden", ["scnn"], indirect=True)
def test_evaluation_of_the_whole_batch(golden: Golden) -> None:
    check_evaluation(golden)


@pytest.mark.slow
@large
def test_evaluation_of_the_whole_batch_of_the_large_models(golden: Golden) -> None:
    check_evaluation(golden)


@pytest.mark.parametrize("golden", ["scnn"], indirect=True)
def test_auto_computes_float64_as_torch_does(golden: Golden, train: Forward) -> None:
    assert resolve_backend("auto", "cpu", torch.float64) == "torch"
    forward = run(golden, "train", backend="auto")
    check_logits(forward)
    check_spikes(forward)
    assert all(torch.equal(a, b) for a, b in zip(forward.output, train.output, strict=True))
