"""Grad-CAM of a spiking network, one map a time step, in either branch.

In: a network, frames and a named layer. Out: with the layer's output ``A`` ``(T, B, C, h, w)`` and
the score ``s`` of a class, the logit's mean over the steps (Selvaraju et al., *Grad-CAM*, ICCV
2017, equations 1 and 2, taken at each step t)::

    map[t] = ReLU(Σ_c mean_hw(∂s / ∂A[t, c]) · A[t, c])

What a layer did at step t reaches the score through the membranes of later steps too; ∂s / ∂A holds
all of that. Captum's LayerGradCam takes channels from axis 1, which here is the batch, and hooks
tensors alone, while a layer here sends tuples; so this is plain autograd.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UsageError, nearest
from ..network.layers import LayerOutput, SpikingLayer
from ..network.model import TransferModel


def layer_names(model: nn.Module) -> list[str]:
    """Return the names of a network's spiking layers, in order."""
    return [name for name, each in model.named_modules() if isinstance(each, SpikingLayer)]


def grad_cam(
    model: TransferModel, frames: Tensor, name: str, classes: Tensor | None, branch: str
) -> tuple[Tensor, Tensor]:
    """Return the maps of a layer, and the logits' means over the steps.

    Args:
        model: put into evaluation mode; its weights' gradients stay what they are.
        frames: ``(B, T, 2, H, W)`` on the model's device.
        name: of a layer, or of any module in it that sends one tensor of pixels.
        classes: explained, of each recording, ``(B,)``; None takes those with the highest score.
        branch: ``event`` or ``static``.

    Returns:
        ``(B, T, h, w)``, not scaled, in the frames' layout; logits ``(B, K)``; both on the CPU.

    Raises:
        UsageError: no such layer, one without pixels, or one that no gradient reaches.
    """
    modules = dict(model.named_modules())
    del modules[""]
    known = layer_names(model)
    if name not in modules:
        raise UsageError(
            f"--layer {name}: model {model.name} has no such layer{nearest(name, known)} "
            f"(it has: {', '.join(known)})"
        )
    kept: list[Tensor] = []
    steps, batch = frames.shape[1], len(frames)

    def begin(_: nn.Module, __: Any, output: Any) -> Any:
        """Let the graph begin at what the layer sends."""
        tensor = output.spikes if isinstance(output, LayerOutput) else output
        if not isinstance(tensor, Tensor) or tensor.ndim not in (4, 5):
            before = known[: known.index(name)] if name in known else known
            raise UsageError(
                f"--layer {name}: sends no pixels, and a map needs them; take one that stands "
                f"before it, of: {', '.join(before)}"
            )
        leaf = tensor.detach().requires_grad_()
        kept.append(leaf)
        if isinstance(output, LayerOutput):
            return output._replace(activity=output.activity._replace(values=leaf))
        return leaf

    model.eval()
    keeps, model.keeps_activations = model.keeps_activations, True
    hook = modules[name].register_forward_hook(begin)
    try:
        with torch.enable_grad():
            forward = model.forward_event if branch == "event" else model.forward_static
            logits = forward(frames).mean(0)
            where = logits.detach().argmax(1) if classes is None else classes.to(logits.device)
            score = logits.gather(1, where[:, None]).sum()  # samples do not meet in evaluation
            if len(kept) != 1:
                ran = "does not run by itself" if not kept else f"runs {len(kept)} times"
                raise UsageError(
                    f"--layer {name}: {ran} in the {branch} branch, so it has no one output; take "
                    f"another of: {', '.join(known)}"
                )
            [slope] = torch.autograd.grad(score, kept, allow_unused=True)
    finally:
        hook.remove()
        model.keeps_activations = keeps
    if slope is None:
        raise UsageError(
            f"--layer {name}: no gradient of the {branch} branch's score reaches it, as where an "
            "attention_mode = reference stands behind it; take a layer nearer to the output, of: "
            f"{', '.join(known)}"
        )
    values = kept[0].detach()
    if values.ndim == 4:  # (T·B, C, h, w)
        if len(values) != steps * batch:
            raise UsageError(
                f"--layer {name}: does not run once a step; take another of: {', '.join(known)}"
            )
        values, slope = (each.unflatten(0, (steps, batch)) for each in (values, slope))
    weights = slope.mean((3, 4), keepdim=True)
    maps = (weights * values).sum(2).relu().transpose(0, 1)
    maps = maps.transpose(2, 3) if model.layout == "xy" else maps
    return maps.cpu(), logits.detach().cpu()
