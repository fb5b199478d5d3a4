"""Whatever method is registered: its settings, one step, what it logs, and resuming bit for bit."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.train.batches.static_only import StaticOnlyData
from snntx.train.batches.training import TrainingData
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.method.base import Costs, Inputs, Method, Place
from snntx.train.method.choice import make_method
from snntx.train.recipe.doors import METHODS
from snntx.train.recipe.groups import MethodSettings, method_fields
from snntx.train.recipe.networks import build_model
from snntx.train.recipe.sources import recipe_from_table
from snntx.train.recipe.whole import Recipe
from snntx.train.run.fit import train
from snntx.train.run.gap import GAP
from snntx.train.run.objective import Objective
from snntx.train.run.stopping import StoppedError

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "model": "nmnist",
    "epochs": 3,
    "batch_size": 8,
    "width": 0.25,
    "draws_per_epoch": 16,
    "lr": 0.1,
    "tensorboard": False,
}


@pytest.fixture(scope="module")
def cache(small_cache: Path) -> FrameCache:
    seal = next((small_cache / "cache").glob("simulated-digits/*/SEALED"))
    return FrameCache(seal.parent)


def recipe(name: str, **changes: Any) -> Recipe:
    return Recipe.of(**{**SMALL, "method": name, **changes})


@pytest.fixture(params=METHODS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_its_settings_are_declared_and_saved(name: str) -> None:
    chosen = METHODS.get(name)
    assert issubclass(chosen, Method)
    assert chosen.summary
    assert chosen.Settings().name == name
    made = recipe(name)
    assert type(made.method) is chosen.Settings
    assert recipe_from_table(made.to_table(), "here") == made
    assert set(method_fields(name)) <= made.settings().keys()


def test_a_step_costs_by_name_and_reaches_what_it_says(name: str, cache: FrameCache) -> None:
    chosen = recipe(name)
    method = make_method(chosen)
    steps, _, *size = cache.frame_shape
    torch.manual_seed(1)
    model = build_model(chosen, num_classes=10, steps=steps, size=(size[0], size[1]))
    objective = Objective(model, method)
    images = method.draws == "images"
    data = StaticOnlyData(cache, chosen) if images else TrainingData(cache, chosen)
    drawn = data.batch(data.order(2)[:8], 2, 1)
    assert (drawn.static is None) == (not method.static)
    inputs = Inputs(
        drawn.event,
        drawn.static,
        drawn.labels,
        drawn.constant,
        drawn.mixture,
        drawn.static_mixture,
        drawn.notes,
    )
    terms = objective(inputs)
    assert all(value.ndim == 0 and bool(value.isfinite()) for value in terms.values())
    terms["loss"].backward()
    untouched = [n for n, p in objective.named_parameters() if p.grad is None]
    assert not (method.trains_all and untouched)
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
    for key, value in method.log(Place(2, 1, 3, data.batches)).items():
        assert isinstance(value, float), key


def test_it_logs_the_same_keys_every_epoch_and_resumes_bit_for_bit(
    name: str, cache: FrameCache, tmp_path: Path
) -> None:
    card, chosen = load_card("simulated-digits"), recipe(name)
    train(card, cache, chosen, tmp_path / "whole", device=CPU)
    records = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").open()]
    assert len(records) == 3
    assert len({tuple(name for name in record if name != GAP) for record in records}) == 1
    assert len({tuple(record["train"]) for record in records}) == 1
    forward, asked = Objective.forward, [0]

    def ask(self: Any, inputs: Inputs) -> Any:
        asked[0] += 1
        if asked[0] == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "forward", ask)
        with pytest.raises(StoppedError):
            train(card, cache, chosen, tmp_path / "cut", device=CPU)
    train(card, cache, chosen, tmp_path / "cut", device=CPU, resume=True)
    whole, again = (load_checkpoint(tmp_path / each / "last.pt") for each in ("whole", "cut"))
    for key in ("model", "auxiliary"):
        theirs, ours = getattr(whole, key), getattr(again, key)
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[n], ours[n]) for n in theirs), key


# a method of one's own


class Louder(Method["Louder.Settings"]):
    """The event branch alone, by a loss of its own."""

    @dataclasses.dataclass(frozen=True)
    class Settings(MethodSettings):
        name: str = "louder"
        loudness: float = 2.0

    static = False

    def loss(self, model: Any, inputs: Inputs, heads: Any) -> Costs:
        logits = model.forward_event(inputs.event)
        mean = logits.mean(0).float()
        cost = self.settings.loudness * torch.nn.functional.cross_entropy(mean, inputs.labels)
        return Costs({"loss": cost, "event": cost}, logits)


def test_a_method_of_a_program_trains_by_its_name(
    cache: FrameCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS, "_known", dict(METHODS._known))
    METHODS.register("louder")(Louder)
    chosen = Recipe.of(**{**SMALL, "epochs": 1}, method="louder", loudness=3.0)
    assert chosen.method.loudness == 3.0  # type: ignore[attr-defined]
    best = train(load_card("simulated-digits"), cache, chosen, tmp_path / "run", device=CPU)
    assert best["epoch"] == 1
    kept = load_checkpoint(tmp_path / "run" / "best.pt")
    assert kept.recipe == chosen
    with pytest.raises(UsageError, match="method louder takes no tet"):
        Recipe.of(**SMALL, method="louder", tet=False)


def test_what_is_no_method_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "_known", dict(METHODS._known))
    with pytest.raises(UsageError, match="is no subclass of snntx"):
        METHODS.register("nothing")(object)
    with pytest.raises(UsageError, match="is registered twice"):
        METHODS.register("sliding")(Louder)
    with pytest.raises(UsageError, match=r"method .json:loads. .*is no subclass"):
        METHODS.get("json:loads")
