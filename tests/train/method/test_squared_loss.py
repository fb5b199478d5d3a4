"""The squared distance of mean outputs from labels, and what trains with it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from snntx.errors import UsageError
from snntx.train.augment.base import Mixture
from snntx.train.method.base import branch_loss
from snntx.train.method.losses import SQUARED, TransferLoss, event_loss, squared_loss
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferOutput
from snntx.train.recipe.learning import Optim
from snntx.train.recipe.whole import Recipe
from snntx.train.run.optimizers import make_optimizer
from snntx.train.run.schedule import parameter_groups

LABELS = torch.tensor([2, 0])


def outputs(steps: int = 5) -> torch.Tensor:
    return torch.rand(steps, 2, 3, generator=torch.Generator().manual_seed(0))


def test_it_is_torchs_of_the_mean_over_the_steps() -> None:
    wanted = functional.mse_loss(outputs().mean(0), functional.one_hot(LABELS, 3).float())
    torch.testing.assert_close(squared_loss(outputs(), LABELS), wanted)
    settings = Recipe.of(model="asa3", epochs=1, loss="squared", tet=False).method
    torch.testing.assert_close(event_loss(outputs(), LABELS, **branch_loss(settings)), wanted)


def test_smoothing_and_mixtures_change_the_label() -> None:
    mean = torch.tensor([[0.2, 0.3, 0.9], [0.5, 0.1, 0.0]])
    smooth = squared_loss(mean[None], LABELS, label_smoothing=0.3)
    wanted = functional.one_hot(LABELS, 3) * 0.7 + 0.1
    torch.testing.assert_close(smooth, (mean - wanted).square().mean())
    mixture = Mixture(torch.tensor([1, 0]), torch.tensor([0.25, 1.0]))
    mixed = squared_loss(mean[None], LABELS, mixture=mixture)
    alone = [squared_loss(mean[None], torch.tensor([each, 0])) for each in (2, 1)]
    torch.testing.assert_close(2 * mixed, 2 * (0.25 * alone[0] + 0.75 * alone[1]))


def test_both_branches_of_a_transfer_may_cost_it() -> None:
    static, event, features = outputs(), outputs().flip(1), torch.rand(5, 2, 7)
    output = TransferOutput(static, event, features, features)
    terms = TransferLoss(tet=False, squared=True)(output, LABELS, torch.ones(5))
    torch.testing.assert_close(terms.static, squared_loss(static, LABELS))
    torch.testing.assert_close(terms.event, squared_loss(event, LABELS))


def test_it_has_no_loss_at_every_step() -> None:
    with pytest.raises(UsageError, match="tet=False"):
        TransferLoss(squared=True)
    with pytest.raises(UsageError) as caught:
        event_loss(outputs(), LABELS, squared=True)
    assert str(caught.value) == SQUARED


def test_adam_adds_the_decay_to_every_gradient_that_there_is() -> None:
    torch.manual_seed(0)
    ours = create_model("asa5", num_classes=2, steps=2, width=0.0625, size=(32, 32))
    theirs = create_model("asa5", num_classes=2, steps=2, width=0.0625, size=(32, 32))
    theirs.load_state_dict(ours.state_dict())
    settings = Optim(
        epochs=1, optimizer="adam", weight_decay=0.1, decays="all", lr=0.01, batch_size=2
    )
    groups = parameter_groups(ours, settings.weight_decay, settings.decays)
    steps = (
        (ours, make_optimizer(groups, settings)),
        (theirs, torch.optim.Adam(theirs.parameters(), lr=0.01, weight_decay=0.1)),
    )
    frames = torch.rand(2, 2, 2, 32, 32)
    for model, optimizer in steps:
        squared_loss(model.forward_event(frames), torch.tensor([0, 1])).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    for (name, found), wanted in pairs:
        torch.testing.assert_close(found, wanted, rtol=0, atol=0, msg=name)
    assert torch.equal(ours.coefficient, torch.ones(2))
    assert ours.state_dict()["hidden.leak_logit"] != 0
