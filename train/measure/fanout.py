"""What a synapse layer gets, and how many operations each value of it causes.

A value at a place causes as many operations as it has outputs that it reaches over a weight that
is not 0: its fan-out, smaller at borders and where a stride passes over it. The effective
operations of a batch are the sum of the fan-outs of all values that are not 0, the dense ones those
of all values over all weights, as NeuroBench counts them (Yik et al., arXiv:2304.04640). Biases,
norms, pools and what attention multiplies are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..network.backends.order import is_channels_last

_COUNTED = (torch.float32, torch.float64, torch.bfloat16)


class FanOut(NamedTuple):
    """Of each place of one sample's input.

    Attributes:
        map: of weights that are not 0, int64 of the input's shape.
        dense: sum over all places and weights.
    """

    map: Tensor
    dense: int


def fan_out(
    operation: Callable[..., Tensor],
    shape: Sequence[int],
    weight: Tensor,
    rest: Sequence[Any] = (),
    named: Mapping[str, Any] | None = None,
) -> FanOut:
    """Return how many outputs each place of an input reaches.

    It is the gradient of the sum of what the layer puts out by its input, with every weight that is
    not 0 replaced by 1. So it holds for any stride, padding, dilation and groups.

    Args:
        operation: of torch, such as ``torch.conv2d``; called with input, weight, None, ``*rest``.
        shape: of one sample's input, without the batch.
        weight: of the layer.
        rest: arguments behind the bias.
        named: the same by name.
    """
    with torch.inference_mode(False), torch.enable_grad():
        held = weight.detach().cpu().clone()
        groups = shape[0] // held.shape[1]
        reached = (held != 0).view(groups, -1, *held.shape[1:])

        def sums(of: Tensor) -> Tensor:
            """Return the map: a group's outputs are taken together, which changes no sum."""
            values = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
            together = of.sum(1, dtype=torch.float64)
            total = operation(values, together, None, *rest, **(named or {})).sum()
            return torch.autograd.grad(total, values)[0][0].round().long()

        found = sums(reached)
        whole = found if bool(reached.all()) else sums(torch.ones_like(reached))
    return FanOut(found, int(whole.sum()))


class Arrived(NamedTuple):
    """What one call of a layer got, by row: a sample at a step.

    Attributes:
        caused: effective operations ``(R,)`` int64.
        strange: values that are not 0, 1 or -1.
    """

    caused: Tensor
    strange: int


@dataclass
class Counter:
    """Counts one layer's input; keeps the fan-out in the order in which inputs lie."""

    fan: FanOut

    def __post_init__(self) -> None:
        self._orders: dict[bool, tuple[Any, int]] = {}

    def count(self, values: Tensor) -> Arrived:
        """Count values ``(..., *shape)`` of the fan-out's shape; rows go by the leading sizes."""
        rows = values.detach().reshape(-1, *self.fan.map.shape)
        if rows.device.type != "cpu" or rows.dtype not in _COUNTED:
            return self._plain(rows)
        from ..network.backends.compiled import counting  # imports Numba
        from ..network.backends.compiled.threads import spread

        last = rows.ndim == 4 and is_channels_last(rows[None])
        flat = (rows.permute(0, 2, 3, 1) if last else rows).reshape(-1)
        fan, shared = self._ordered(last)
        caused, strange = (np.zeros(len(rows), np.int64) for _ in range(2))
        narrow = flat.dtype == torch.bfloat16
        given = (flat.view(torch.uint16) if narrow else flat).numpy()
        shape = (len(rows), self.fan.map.numel())
        spread(counting.arriving, len(rows), given, fan, shared, shape, caused, strange, room=0)
        return Arrived(torch.from_numpy(caused), int(strange.sum()))

    def _plain(self, rows: Tensor) -> Arrived:
        """Count the same by torch: what the compiled loop is held to."""
        active, fan = rows != 0, self.fan.map.to(rows.device)
        strange = active & (rows.abs() != 1)
        caused = (active * fan).flatten(1).sum(1)
        return Arrived(caused.cpu(), int(strange.sum()))

    def _ordered(self, last: bool) -> tuple[Any, int]:
        """Return the map flat in an order, and how many neighbours there have it in common."""
        if last not in self._orders:
            fan = self.fan.map
            ordered = fan.permute(1, 2, 0) if last else fan
            each = ordered.reshape(-1, ordered.shape[-1]) if last else ordered.reshape(1, -1)
            alike = bool((each == each[:, :1]).all())
            shared = each.shape[1] if alike else 1
            flat = each[:, 0] if alike else each.reshape(-1)
            self._orders[last] = np.ascontiguousarray(flat.numpy()), shared
        return self._orders[last]
