"""The group ``[network]``: which network is trained, and what its neurons are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ...declared.fields import Declared, Setting
from ..network.doors import MODELS, SURROGATES


@dataclass(frozen=True)
class Network(Declared):
    """Which network is trained, and what its neurons are."""

    purpose: ClassVar[str] = "which network is trained, and what its neurons are"
    what: ClassVar[str] = "recipe"

    model: Annotated[
        str,
        Setting("name of the network, or your own as package.module:Name", door=MODELS),
    ]
    width: Annotated[float, Setting("factor of every hidden layer's width", low=0)] = 1.0
    norm: Annotated[
        Literal["per-step", "per-step-own", "per-step-pooled", "merged", "none"],
        Setting(
            "batch statistics of each time step, with running ones moved by every step in turn "
            "(the published norm), kept for each step, or pooled over the steps; of all steps "
            "together; or no norm"
        ),
    ] = "per-step"
    neuron: Annotated[
        Literal["lif", "plif", "lif-undecayed", "if"],
        Setting("leaky integrate-and-fire, with a learnt leak, with its input undecayed, or none"),
    ] = "lif"
    tau: Annotated[float, Setting("its time constant", low=1, unit="steps")] = 2.0
    threshold: Annotated[float, Setting("its firing threshold", low=0)] = 0.5
    learn_threshold: Annotated[bool, Setting("make each layer's threshold a parameter")] = False
    reset: Annotated[
        Literal["hard", "soft"], Setting("after a spike: to zero, or lower by the threshold")
    ] = "hard"
    surrogate: Annotated[
        str | None, Setting("slope of a spike; absent takes the model's", door=SURROGATES)
    ] = None
    surrogate_alpha: Annotated[float, Setting("its sharpness", low=0)] = 2.0
    backend: Annotated[
        Literal["auto", "torch", "numba", "triton"],
        Setting("what computes a layer's inside; auto goes by the device"),
    ] = "auto"
    checkpointing: Annotated[
        bool, Setting("keep stages' inputs alone for the backward pass, and run them again")
    ] = False
