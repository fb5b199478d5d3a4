"""The static branch alone: the loss of pretraining on static images.

Every image is shown at all T steps and in both polarities, as the static branch of a transfer
run sees it, and the static head learns to classify it by the loss of one branch. No event is
read. :mod:`snntx.train.batches.static_only` makes the batches and chooses the epoch.
"""

from __future__ import annotations

from torch import Tensor

from ..network.create import TransferModel
from .losses import event_loss


def shown(images: Tensor, steps: int) -> Tensor:
    """Return images ``(B, H, W)`` in both polarities and all steps, ``(B, T, 2, H, W)``.

    The result is a view: no value is copied.
    """
    batch, height, width = images.shape
    return images[:, None, None].expand(batch, steps, 2, height, width)


def static_only_terms(
    model: TransferModel,
    static: Tensor,
    labels: Tensor,
    constant: Tensor | None,
    *,
    tet: bool = True,
    tet_lambda: float = 1e-3,
    tet_target: float = 0.5,
    label_smoothing: float = 0.0,
) -> dict[str, Tensor]:
    """Return loss, its one term and the accuracy of the static branch alone, all 0-d.

    ``static`` is ``(B, T, 2, H, W)``, ``labels`` ``(B,)``; the rest as in
    :func:`snntx.train.method.losses.event_loss`.
    """
    logits = model.forward_static(static, constant)
    total = event_loss(
        logits,
        labels,
        tet=tet,
        tet_lambda=tet_lambda,
        tet_target=tet_target,
        label_smoothing=label_smoothing,
    )
    accuracy = (logits.detach().mean(0).argmax(1) == labels).float().mean()
    return {"loss": total, "static": total, "accuracy": accuracy}
