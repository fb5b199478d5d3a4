"""The group ``[network]``: which network is trained, and what its neurons are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ...declared.fields import Declared, Setting
from ...errors import UsageError
from ..network.attention.options import Attention
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
    attention: Annotated[
        Literal["none", "asa"],
        Setting("in each layer with pixels: none, or Advance Spatial Attention"),
    ] = "none"
    attention_mode: Annotated[
        Literal["per-sample", "trainable", "reference"],
        Setting(
            "its masks: of each sample alone; the same, with a scoring that learns; or as "
            "published, united over the batch"
        ),
    ] = "per-sample"
    attention_combine: Annotated[
        Literal["xor", "and", "or"],
        Setting("how its masks over channels and over time make one; reference knows xor alone"),
    ] = "xor"
    attention_lam: Annotated[
        float,
        Setting("share of channels, and of time steps, that a mask marks", above=0, below=1),
    ] = 0.5
    attention_reduction: Annotated[
        int,
        Setting("divides the time steps into its scoring's hidden width; 1: no hidden one", low=1),
    ] = 1
    attention_place: Annotated[
        Literal["neuron", "spikes", "convolution"],
        Setting("it acts on what drives a neuron, on what a layer sends, or before a convolution"),
    ] = "neuron"
    backend: Annotated[
        Literal["auto", "torch", "numba", "triton"],
        Setting("what computes a layer's inside; auto goes by the device"),
    ] = "auto"
    checkpointing: Annotated[
        bool, Setting("keep stages' inputs alone for the backward pass, and run them again")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.attending()

    def attending(self) -> Attention | None:
        """Return the attention of each layer that has pixels; None for none.

        Raises:
            UsageError: its settings do not go together.
        """
        if self.attention == "none":
            return None
        try:
            return Attention(
                mode=self.attention_mode,
                combine=self.attention_combine,
                lam=self.attention_lam,
                reduction=self.attention_reduction,
                place=self.attention_place,
            )
        except UsageError as error:
            raise UsageError(f"{self.what}: {error}") from error
