"""The group ``[network]``: which network is trained, and what its neurons are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ...declared.fields import Declared, Setting
from ...errors import UsageError
from ..network.attention.options import Attention
from ..network.defaults import own_defaults
from ..network.doors import MODELS, SURROGATES

OPTIONS = {
    "norm": "norm",
    "neuron": "kind",
    "tau": "tau",
    "threshold": "threshold",
    "fires": "fires",
    "reset": "reset",
    "surrogate_alpha": "alpha",
}
"""Settings that are the model's own where they are absent, and their names as its options."""


@dataclass(frozen=True)
class Network(Declared):
    """Which network is trained, and what its neurons are.

    A recipe has the values, not their absence: what a network's own default is does not change it.
    """

    purpose: ClassVar[str] = "which network is trained, and what its neurons are"
    what: ClassVar[str] = "recipe"

    model: Annotated[
        str,
        Setting("name of the network, or your own as package.module:Name", door=MODELS),
    ]
    width: Annotated[float, Setting("factor of every hidden layer's width", low=0)] = 1.0
    norm: Annotated[
        Literal["per-step", "per-step-own", "per-step-pooled", "merged", "none"] | None,
        Setting(
            "batch statistics of each time step, with running ones moved by every step in turn "
            "(the published norm), kept for each step, or pooled over the steps; of all steps "
            "together; or no norm; absent takes the model's, of most per-step"
        ),
    ] = None
    neuron: Annotated[
        Literal["lif", "plif", "lif-undecayed", "if", "relu"] | None,
        Setting(
            "leaky integrate-and-fire, with a learnt leak, with its input undecayed, or none; or "
            "an ANN's unit, without spikes or time; absent takes the model's, of most lif"
        ),
    ] = None
    tau: Annotated[
        float | None,
        Setting("its time constant; absent takes the model's, of most 2", low=1, unit="steps"),
    ] = None
    threshold: Annotated[
        float | None, Setting("its firing threshold; absent takes the model's, of most 0.5", low=0)
    ] = None
    fires: Annotated[
        Literal["above", "at"] | None,
        Setting(
            "above that threshold alone, or at it too; absent takes the model's, of most above"
        ),
    ] = None
    sends: Annotated[
        Literal["spikes", "membrane", "excess"],
        Setting(
            "spikes, or graded as in LIAF networks: the membrane before the reset where it is "
            "positive, or its excess over the threshold"
        ),
    ] = "spikes"
    learn_threshold: Annotated[bool, Setting("make each layer's threshold a parameter")] = False
    reset: Annotated[
        Literal["hard", "soft"] | None,
        Setting(
            "after a spike: to zero, or lower by the threshold; absent takes the model's, of most "
            "hard"
        ),
    ] = None
    surrogate: Annotated[
        str | None, Setting("slope of a spike; absent takes the model's", door=SURROGATES)
    ] = None
    surrogate_alpha: Annotated[
        float | None, Setting("its sharpness; absent takes the model's, of most 2", low=0)
    ] = None
    conv_channels: Annotated[
        tuple[int, ...] | None,
        Setting(
            "channels of the convolutions of asa3 and asa5; absent takes their own times width",
            low=1,
        ),
    ] = None
    dropout: Annotated[
        float | None,
        Setting(
            "share that asa3 drops in training of a layer's input and of its spikes; absent: 0.1",
            low=0,
            below=1,
        ),
    ] = None
    dropout_layers: Annotated[
        str | None,
        Setting(
            "which of its layers drop, a digit 0 or 1 for each of three convolutions and two "
            'linear ones; absent: "00111"'
        ),
    ] = None
    spike_pool: Annotated[
        Literal["max", "average"] | None,
        Setting("how asa5 pools spikes between its convolutions; absent: max"),
    ] = None
    layout: Annotated[
        Literal["yx", "xy"],
        Setting("frames inside the network: as they come, or turned over, x first"),
    ] = "yx"
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
        object.__setattr__(self, "model", MODELS.known_as(self.model))
        own = own_defaults(self.model)
        for name, option in OPTIONS.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, own[option])
        super().__post_init__()
        self.attending()

    @property
    def graded(self) -> bool:
        """Whether neurons send anything but spikes, and so have no firing rate."""
        return self.sends != "spikes" or self.neuron == "relu"

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
