"""The groups ``[optim]`` and ``[run]``: how weights move, and what a run is beside that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ...declared.fields import Declared, Setting
from ...errors import UsageError

SEEDS = 2**63


@dataclass(frozen=True)
class Optim(Declared):
    """How weights move."""

    purpose: ClassVar[str] = "how weights move"
    what: ClassVar[str] = "recipe"

    epochs: Annotated[int, Setting("passes over the training part", low=1)]
    batch_size: Annotated[
        int, Setting("recordings a step", note="fewer where there are fewer to train on")
    ] = 120
    lr: Annotated[
        float,
        Setting(
            "learning rate after the warm-up",
            low=0,
            note="times what lr_scaling says; the published one was scaled",
        ),
    ] = 5e-3
    lr_scaling: Annotated[
        Literal["none", "linear", "linear-nominal"],
        Setting(
            "leave lr as it is, multiply it by the batch that is drawn / 1024, or by batch_size / "
            "1024 even where there are fewer recordings",
            note="the last is release 0.1's, and that of recipes in its layout",
        ),
    ] = "none"
    min_lr: Annotated[float, Setting("floor of the cosine schedule, not scaled", low=0)] = 1e-5
    warmup_lr: Annotated[float, Setting("learning rate of the first epoch, not scaled", low=0)] = (
        1e-6
    )
    warmup_epochs: Annotated[
        int,
        Setting(
            "epochs of linear warm-up",
            low=0,
            unit="epochs",
            note="shortened to a third of epochs where it is longer",
        ),
    ] = 5
    schedule: Annotated[
        Literal["cosine", "cosine-late", "step"],
        Setting(
            "how the learning rate falls after the warm-up: by a cosine, by one that begins an "
            "epoch late (Yao et al.), or in steps"
        ),
    ] = "cosine"
    decay_epochs: Annotated[
        int, Setting("epochs between two steps of the schedule step", low=1, unit="epochs")
    ] = 40
    decay_rate: Annotated[float, Setting("factor of each of them", low=0)] = 0.1
    weight_decay: Annotated[float, Setting("on what decays says", low=0)] = 0.01
    decays: Annotated[
        Literal["weights", "all"],
        Setting("weights of two or more dimensions, or every parameter that has a gradient"),
    ] = "weights"
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd", "lamb"],
        Setting(
            "what turns gradients into steps; adam adds the decay to the gradient, adamw takes it "
            "from the weights",
            note="lamb needs the extra snntx[lamb]",
        ),
    ] = "adamw"
    momentum: Annotated[float, Setting("of SGD", low=0, high=1)] = 0.9
    ema_decay: Annotated[
        float,
        Setting(
            "validate and keep an exponential average of the weights, which keeps this share of "
            "itself at each step; 0 keeps none",
            low=0,
            high=1,
            note="running statistics of norms are copied, where the published code averages them",
        ),
    ] = 0.0
    clip_norm: Annotated[float, Setting("largest norm of the gradient; 0 does not clip", low=0)] = (
        0.0
    )
    accumulate: Annotated[
        int,
        Setting(
            "micro-batches a batch is cut into; norms and CKA are over each of them",
            low=1,
            note="batch_size must leave two samples to each",
        ),
    ] = 1
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"],
        Setting("numbers of the forward pass; float16 has its loss scaled"),
    ] = "float32"

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise UsageError("recipe: batch_size must be at least 2: batch norm needs two samples")
        super().__post_init__()
        if self.batch_size < 2 * self.accumulate:
            raise UsageError(
                f"recipe: a batch of {self.batch_size} cut into {self.accumulate} micro-batches "
                "leaves fewer than two samples to each, and norms are over them; set "
                f"accumulate={self.batch_size // 2} or batch_size={2 * self.accumulate}"
            )


@dataclass(frozen=True)
class Run(Declared):
    """What a run is, beside how it learns."""

    purpose: ClassVar[str] = "what a run is, beside how it learns"
    what: ClassVar[str] = "recipe"

    seed: Annotated[
        int,
        Setting("of initialisation, sampling, partners, replacement and augmentation", low=0),
    ] = 42
    initial: Annotated[
        str | None,
        Setting("run, checkpoint, export or published checkpoint to take weights from"),
    ] = None
    patience: Annotated[
        int,
        Setting(
            "stop when this many epochs have brought no better one; 0 never does",
            low=0,
            unit="epochs",
        ),
    ] = 0
    compile: Annotated[bool, Setting("run model and loss through torch.compile")] = False
    tensorboard: Annotated[
        Literal["auto"] | bool,
        Setting(
            "write TensorBoard files beside log.jsonl; auto does where TensorBoard is installed",
            note="needs the extra snntx[tensorboard]",
        ),
    ] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed >= SEEDS:
            raise UsageError(f"recipe: seed must be below 2**63, found {self.seed}")
