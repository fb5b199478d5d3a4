"""What computes the inside of a spiking layer.

``torch`` is the readable step-by-step path that defines the result; ``numba`` (CPU) and
``triton`` (CUDA) fuse normalisation and neurons over all steps. ``auto`` chooses by device
and number type, and never for a backend that was named.
"""

from __future__ import annotations

import importlib
from typing import cast

import torch

from ....errors import UsageError, nearest
from ..surrogates import Surrogate
from .interface import FusedBackend

BACKENDS = ("torch", "numba", "triton")
FUSED = ("numba", "triton")
FUSED_TYPES = {
    "numba": (torch.float32, torch.bfloat16, torch.float64),
    "triton": (torch.float32, torch.bfloat16, torch.float16),
}


def check_backend(name: str, surrogate: Surrogate) -> str:
    """Return the backend to ask for where neurons have this surrogate.

    It is ``name``, or ``torch`` for ``auto`` where the fused kernels do not know the surrogate.

    Raises:
        UsageError: ``name`` is neither ``auto`` nor one of ``BACKENDS``, or cannot compute it.
    """
    if name not in ("auto", *BACKENDS):
        known = ", ".join(("auto", *BACKENDS))
        raise UsageError(f"unknown backend '{name}', known: {known}{nearest(name, BACKENDS)}")
    if surrogate.code is None and name != "torch":
        if name in FUSED:
            raise UsageError(
                f"backend {name} does not compute the surrogate {surrogate.name}; use backend torch"
            )
        return "torch"
    return name


def resolve_backend(name: str, device: torch.device | str, dtype: torch.dtype) -> str:
    """Return the backend that computes currents of one device and number type.

    ``auto`` is ``triton`` on CUDA and ``numba`` on the CPU where they take the type, and
    ``torch`` otherwise (other devices) and for float64.

    Raises:
        UsageError: the backend named cannot compute there.
    """
    kind = torch.device(device).type
    if name == "auto":
        name = {"cuda": "triton", "cpu": "numba"}.get(kind, "torch")
        fits = dtype in FUSED_TYPES.get(name, ()) and dtype != torch.float64
        return name if fits else "torch"
    if name == "numba" and kind != "cpu":
        raise UsageError(f"backend numba computes on the CPU, not on {kind}; use auto or triton")
    if name in FUSED and dtype not in FUSED_TYPES[name]:
        known = ", ".join(str(each).removeprefix("torch.") for each in FUSED_TYPES[name])
        raise UsageError(
            f"backend {name} computes {known}, not {str(dtype).removeprefix('torch.')}; "
            "use backend torch"
        )
    return name


def fused_backend(name: str) -> FusedBackend:
    """Return the module that computes for a fused backend; it is imported here, when needed."""
    return cast(FusedBackend, importlib.import_module(f".{name}_fused", __package__))
