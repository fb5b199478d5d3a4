"""The two networks that are in the published code alone, against that code in float64.

The N-MNIST network is compared with its dropouts switched off and with given masks; a
``ResNet34`` needs half a minute and stands in the slow stage.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from snntx.train.checkpoints.reference import load_reference_state, reference_view
from snntx.train.method.losses import TransferLoss, TransferTerms, linear_cka
from snntx.train.network.create import TransferModel, TransferOutput, create_model
from snntx.train.network.models.nmnist_published import TransferNMNISTPublished

TOLERANCE = 1e-9
TOTALS = {
    "A_tet_domain_reg": TransferLoss(),
    "B_tet_domain_plain": TransferLoss(regularization=False),
    "C_ce_domain_plain": TransferLoss(tet=False, regularization=False),
    "D_ce_domain_reg": TransferLoss(tet=False),
    "E_tet_only_plain": TransferLoss(regularization=False, domain_weight=0.0),
}
FILES = {"nmnist-published": "nmnist_published", "resnet34": "resnet34"}
LAYERS = {"maps": "feature.4", "hidden": "feature.8"}


class Golden:
    """A model with the reference's weights, and what the reference computed."""

    def __init__(self, name: str, group: str, recipe: ModuleType) -> None:
        self.arrays, self.meta = recipe.read(FILES[name])
        self.group = group
        batch = recipe.batch(self.meta)
        self.static = torch.from_numpy(batch.static).double()
        self.event = torch.from_numpy(batch.event).double()
        self.labels = torch.from_numpy(batch.labels)
        self.model: TransferModel = create_model(
            name,
            num_classes=self.meta["num_classes"],
            steps=self.meta["T"],
            backend="torch",
        ).double()
        state = recipe.tensors(recipe.state(self.arrays, self.meta))
        load_reference_state(self.model, state)
        self.model.train(group != "eval")

    def stored(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self.arrays[f"f64_{self.group}_{name}"]
        return found

    def compare(self, name: str, found: Tensor, relative: float = 0.0) -> None:
        expected = self.stored(name)
        np.testing.assert_allclose(
            found.detach().numpy(), expected, rtol=relative, atol=TOLERANCE, err_msg=name
        )


def drawn(recipe: ModuleType, steps: int) -> Callable[..., Tensor]:
    """Return what stands for the network's draws: the recipe's masks, static branch first."""
    calls: list[str] = []

    def masks(self: Any, values: Tensor, where: str) -> Tensor:
        branch = ("static", "event")[calls.count(where)]
        calls.append(where)
        names = [f"dropout.{LAYERS[where]}.{branch}.{t}" for t in range(steps)]
        kept = [recipe.generator(name).random(tuple(values.shape[1:])) >= 0.5 for name in names]
        return torch.from_numpy(np.stack(kept))

    return masks


def check(golden: Golden) -> None:
    output: TransferOutput = golden.model(golden.static, golden.event)
    for branch in ("static", "event"):
        golden.compare(f"logits_{branch}", getattr(output, f"{branch}_logits"))
        features = getattr(output, f"{branch}_features").detach()
        golden.compare(f"feature_{branch}_norm", features.flatten(1).norm(dim=1), 1e-8)
    golden.compare("loss_cka", linear_cka(output.static_features, output.event_features))
    terms: dict[str, TransferTerms] = {}
    for name, loss in TOTALS.items():
        terms[name] = loss(output, golden.labels, golden.model.coefficient)
        golden.compare(f"loss_total_{name}", terms[name].total)
    golden.compare("loss_domain_reg", terms["A_tet_domain_reg"].domain)
    if golden.group == "eval":
        return
    names = [str(name) for name in golden.stored("grad_names")]
    parameters = dict(golden.model.named_parameters())
    gradients = torch.autograd.grad(terms["A_tet_domain_reg"].total, list(parameters.values()))
    found = reference_view(golden.model, dict(zip(parameters, gradients, strict=True)))
    norms = torch.stack([found[name].norm() for name in names])
    golden.compare("grad_A_norm", norms, 1e-8)
    running = [str(name) for name in golden.stored("bn_names")]
    state = reference_view(golden.model, golden.model.state_dict())
    for leaf in ("running_mean", "running_var"):
        values = torch.stack([state[f"{name}.{leaf}"].norm() for name in running])
        golden.compare(f"bn_{leaf}_norm", values, 1e-8)


@pytest.mark.parametrize("group", ["eval", "train", "masked"])
def test_the_n_mnist_network(
    group: str, golden_recipe: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = Golden("nmnist-published", group, golden_recipe)
    if group == "train":  # stored with both dropouts switched off
        monkeypatch.setattr(
            TransferNMNISTPublished, "dropped", lambda self, activity, where: activity
        )
    if group == "masked":
        masks = drawn(golden_recipe, golden.meta["T"])
        monkeypatch.setattr(TransferNMNISTPublished, "drawn", masks)
    check(golden)


@pytest.mark.slow
@pytest.mark.parametrize("group", ["eval", "train"])
def test_resnet34(group: str, golden_recipe: ModuleType) -> None:
    check(Golden("resnet34", group, golden_recipe))


def test_values_of_the_voting_heads_are_tenths() -> None:
    torch.manual_seed(1)
    model = create_model("nmnist-published", num_classes=3, steps=2, width=0.1)
    with torch.no_grad():
        for head in (model.static_head, model.event_head):
            head.linear.bias.normal_()  # type: ignore[operator,union-attr]
    frames = 3 * torch.rand(2, 2, 2, 34, 34)
    logits = model.eval().forward_event(frames)
    assert logits.shape == (2, 2, 3)
    assert torch.allclose((10 * logits).round(), 10 * logits, atol=1e-5)
    assert 0 < logits.mean() < 1
