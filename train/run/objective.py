"""A model with its loss: what one (micro-)batch costs, by name.

One module, so that ``DistributedDataParallel`` and ``torch.compile`` can take model and loss
together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..augment.mixing import Mixture
from ..method.losses import TransferLoss, event_loss
from ..method.static_only import static_only_terms
from ..method.strategies import BY_NAME
from ..network.backends.names import resolve_backend
from ..network.create import TransferModel, create_model
from ..network.model import POLARITIES
from ..recipe.whole import Recipe


def build_model(
    recipe: Recipe, *, num_classes: int, steps: int, size: tuple[int, int]
) -> TransferModel:
    """Return the freshly initialised network of a recipe, for frames of one size."""
    neuron = {"surrogate": recipe.surrogate} if recipe.surrogate else {}
    model = create_model(
        recipe.model,
        num_classes=num_classes,
        steps=steps,
        size=size,
        norm=recipe.norm,
        width=recipe.width,
        backend=recipe.backend,
        keep_activations=not recipe.checkpointing,
        kind=recipe.neuron,
        tau=recipe.tau,
        threshold=recipe.threshold,
        reset=recipe.reset,
        learn_threshold=recipe.learn_threshold,
        alpha=recipe.surrogate_alpha,
        **neuron,
    )
    # convolutions over all steps are fastest with the channels innermost, and fused layers too
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def chosen_backend(recipe: Recipe, device: torch.device) -> str:
    """Return the backend that a recipe's layers use on one device.

    Raises:
        UsageError: the backend that it names cannot compute there.
    """
    return resolve_backend(recipe.backend, device, getattr(torch, recipe.precision))


def _feature_size(model: TransferModel) -> int:
    """Return the number of domain features, by encoding one empty recording."""
    training = model.training
    frames = torch.zeros(model.steps, 1, POLARITIES, *model.size)
    with torch.no_grad():
        features = model.eval().encode(frames, features=True, constant=None).features
    model.train(training)
    assert features is not None
    return features.shape[-1]


class Objective(nn.Module):
    """What training makes small: the transfer loss, or the event branch's alone."""

    def __init__(self, model: TransferModel, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.auxiliary = nn.ModuleDict()
        self._static_alone = recipe.branch == "static"
        strategy = BY_NAME[recipe.strategy]
        self._auxiliary_weights = strategy.weights(recipe)
        if self._auxiliary_weights and recipe.transfer and not self._static_alone:
            heads = strategy.heads(_feature_size(model))
            assert heads is not None
            self.auxiliary["modality"] = heads
        self._tet = {
            "tet": recipe.tet,
            "tet_lambda": recipe.tet_lambda,
            "tet_target": recipe.tet_target,
            "label_smoothing": recipe.label_smoothing,
        }
        self._loss = TransferLoss(
            regularization=recipe.regularization,
            domain_weight=recipe.domain_weight,
            fixed_coefficient=recipe.fixed_coefficient,
            **self._tet,  # type: ignore[arg-type]
        )

    def auxiliary_state(self) -> dict[str, Tensor]:
        """Return the state of what is trained beside the network."""
        return self.auxiliary.state_dict()

    def load_auxiliary(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`auxiliary_state` returned."""
        self.auxiliary.load_state_dict(state)

    def forward(
        self,
        event: Tensor,
        static: Tensor | None,
        labels: Tensor,
        constant: Tensor | None,
        event_mixture: Mixture | None = None,
        static_mixture: Mixture | None = None,
        switch: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the loss, its terms and the event branch's accuracy, all 0-d.

        A static-only run has the static branch's accuracy instead.

        Args:
            event: ``(B, T, 2, H, W)``.
            static: the same shape; None trains the event branch alone.
            labels: ``(B,)``.
            constant: ``(B,)`` bool on the CPU; static samples that are one image throughout.
            event_mixture: second labels of mixed recordings, of ``(B,)``.
            static_mixture: the same for the static side.
            switch: ``(B,)``, first step with events of time-step mixup.
        """
        if self._static_alone:
            assert static is not None
            return static_only_terms(self.model, static, labels, constant, **self._tet)  # type: ignore[arg-type]
        if static is None:
            logits = self.model.forward_event(event)
            total = event_loss(logits, labels, mixture=event_mixture, **self._tet)  # type: ignore[arg-type]
            terms = {"loss": total, "event": total}
        else:
            output = self.model(static, event, constant)
            logits = output.event_logits
            parts = self._loss(
                output,
                labels,
                self.model.coefficient,
                event_mixture=event_mixture,
                static_mixture=static_mixture,
            )
            terms = {
                "loss": parts.total,
                "static": parts.static,
                "event": parts.event,
                "domain": parts.domain,
                "cka": parts.cka.mean(),
                **{f"cka.{t}": value for t, value in enumerate(parts.cka.detach())},
            }
            if "modality" in self.auxiliary and switch is not None:
                losses = self.auxiliary["modality"](output.static_features, switch)
                terms |= losses
                for name, weight in self._auxiliary_weights.items():
                    terms["loss"] = terms["loss"] + weight * losses[name]
        accuracy = (logits.detach().mean(0).argmax(1) == labels).float().mean()
        return {**terms, "accuracy": accuracy}
