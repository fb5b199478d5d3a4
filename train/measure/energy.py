"""Energy of synaptic operations, estimated from their number.

Each is given the energy of 32-bit floating point in 45 nm at 0.9 V (Horowitz, *Computing's energy
problem (and what we can do about it)*, ISSCC 2014): an addition takes 0.9 pJ, a multiplication
3.7 pJ, so an accumulation 0.9 pJ and a multiply-accumulate 4.6 pJ. Memory, membranes, norms and
pools are not in it, and where they cost more than arithmetic it says little of a chip: it compares
networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import UsageError
from ..network.model import TransferModel
from .operations import OperationCounts, Operations

PJ_MAC, PJ_AC = 4.6, 0.9


@dataclass(frozen=True)
class Energy:
    """Energy of a sample, in picojoules.

    Attributes:
        mac_pj: of one multiply-accumulate.
        ac_pj: of one accumulation.
        macs_pj: of the effective MACs.
        acs_pj: of the effective ACs.
        dense_pj: if every value and every weight took a MAC, as in a network without spikes that
            runs as many steps.
    """

    mac_pj: float
    ac_pj: float
    macs_pj: float
    acs_pj: float
    dense_pj: float

    @property
    def total_pj(self) -> float:
        """Return the energy of all effective operations."""
        return self.macs_pj + self.acs_pj

    def to_json(self) -> dict[str, Any]:
        """Return plain values, the total among them."""
        return {
            "pJ_per_MAC": self.mac_pj,
            "pJ_per_AC": self.ac_pj,
            "pJ_MACs": self.macs_pj,
            "pJ_ACs": self.acs_pj,
            "pJ": self.total_pj,
            "pJ_dense": self.dense_pj,
        }


def energy(operations: Operations, mac_pj: float = PJ_MAC, ac_pj: float = PJ_AC) -> Energy:
    """Estimate the energy of a sample.

    Args:
        operations: of the network.
        mac_pj: picojoules of a multiply-accumulate.
        ac_pj: picojoules of an accumulation.

    Raises:
        UsageError: one of them is negative or no number.
    """
    _check(mac_pj, ac_pj)
    return Energy(
        mac_pj, ac_pj, operations.macs * mac_pj, operations.acs * ac_pj, operations.dense * mac_pj
    )


def _check(mac_pj: float, ac_pj: float) -> None:
    for option, value in (("--pj-mac", mac_pj), ("--pj-ac", ac_pj)):
        if not 0 <= value < float("inf"):
            raise UsageError(f"{option} {value}: expected picojoules, a number of 0 or more")


@dataclass(frozen=True)
class Cost:
    """What a network's event branch costs for a sample."""

    operations: Operations
    energy: Energy

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.operations.to_json(), "energy": self.energy.to_json()}


@contextmanager
def counting(
    model: TransferModel, picojoules: tuple[float, float] | None
) -> Iterator[Callable[[], Cost | None]]:
    """Yield a function that returns what the passes inside the context cost.

    Args:
        model: in evaluation mode; other contexts that watch its layers are entered after this one.
        picojoules: of a MAC and of an AC; None counts nothing, and the function returns None.

    Raises:
        UsageError: one of them is negative or no number.
    """
    if picojoules is None:
        yield lambda: None
        return
    _check(*picojoules)
    with OperationCounts(model) as counts:
        yield lambda: _cost(counts.operations(), *picojoules)


def _cost(operations: Operations, mac_pj: float, ac_pj: float) -> Cost:
    return Cost(operations, energy(operations, mac_pj, ac_pj))
