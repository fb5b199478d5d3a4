"""Where weights of one branch fit: the network that a recipe has to have.

In: what the weights are of, and a fresh network. Out: nothing, or one line with the way out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from torch import nn

from ....errors import UsageError, shell_word
from ...network.attention.options import Attention
from ...network.model import TransferModel


def dead_line(dead: int) -> str:
    """Return what a user should know of tensors that nothing computes with."""
    return f"{dead} of its tensors are in no computation of the published code: left out"


def check_network(where: str, name: str, theirs: Mapping[str, Any], model: TransferModel) -> None:
    """Refuse a network that weights are not of.

    Args:
        where: names the weights in errors.
        name: of their network here.
        theirs: its options, as :func:`.shapes.network_of` read them.
        model: the network.

    Raises:
        UsageError: it has others; names the settings that make it fit.
    """
    ours = model.options
    attention: Attention | None = theirs.get("attention")
    needed = {"layout": model.reference_layout}
    found = {"layout": model.layout, "attention": "none" if ours.attention is None else "asa"}
    needed["attention"] = "none" if attention is None else "asa"
    if attention is not None and ours.attention is not None:
        needed["attention_reduction"] = str(attention.reduction)
        same = model.steps // ours.attention.reduction == model.steps // attention.reduction
        reduction = attention.reduction if same else ours.attention.reduction
        found["attention_reduction"] = str(reduction)
    own = model.neuron_defaults
    needed["neuron"], found["neuron"] = theirs.get("kind", own["kind"]), model.neuron.kind
    needed["norm"], found["norm"] = own["norm"], ours.norm
    if name == "asa5":
        needed["spike_pool"] = theirs.get("spike_pool", "max")
        found["spike_pool"] = ours.spike_pool or "max"
    if "conv_channels" in theirs:
        channels = [part.out_channels for part in model.modules() if _is_trunk(part)]
        needed["conv_channels"] = _listed(theirs["conv_channels"])
        found["conv_channels"] = _listed(channels)
    wanted = [
        shell_word(f"{name}={value}") for name, value in needed.items() if found[name] != value
    ]
    if wanted:
        raise UsageError(
            f"{where}: is of another network than this recipe's; train it with "
            f"{' '.join(f'--set {each}' for each in wanted)}"
        )


def _is_trunk(part: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a module is a convolution, and none of an attention's."""
    return isinstance(part, nn.Conv2d) and part.out_channels > 1


def _listed(channels: Sequence[int]) -> str:
    return f"[{','.join(map(str, channels))}]"
