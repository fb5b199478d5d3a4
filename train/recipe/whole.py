"""A recipe: everything that decides a training run, validated and saved whole.

The published settings (He et al., AAAI 2024) are the dataclass's defaults. Recipes come from
cards, files and the command line: :mod:`snntx.train.recipe.sources`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UsageError, nearest

CHANNELS = ("V", "grey", "blue", "mean")
STATIC_VIEWS = ("image", "edges")
SCHEDULES = ("cosine", "step")
BRANCHES = ("both", "event", "static")
STRATEGIES = ("sliding", "time-mixup")
OPTIMIZERS = ("adamw", "sgd", "lamb")
PRECISIONS = ("float32", "bfloat16", "float16")
PAIRINGS = ("class", "instance")
MIXERS = ("mixup", "cutmix", "eventmix")
AUGMENTATIONS = ("none", *MIXERS, "randaugment", "nda", "eventdrop")
SEEDS = 2**63
RANGES = {
    "lr": (0, math.inf),
    "min_lr": (0, math.inf),
    "warmup_lr": (0, math.inf),
    "decay_rate": (0, math.inf),
    "weight_decay": (0, math.inf),
    "domain_weight": (0, math.inf),
    "sliding_power": (0, math.inf),
    "tet_lambda": (0, 1),
    "momentum": (0, 1),
    "modality_weight": (0, math.inf),
    "ratio_weight": (0, math.inf),
    "ema_decay": (0, 1),
    "tet_target": (-math.inf, math.inf),
    "clip_norm": (0, math.inf),
    "fixed_coefficient": (0, 1),
    "label_smoothing": (0, 1),
    "width": (0, math.inf),
    "tau": (1, math.inf),
    "threshold": (0, math.inf),
    "surrogate_alpha": (0, math.inf),
    "event_fraction": (0, 1),
    "static_fraction": (0, 1),
    "rotation": (0, 180),
    "snr_db": (-math.inf, math.inf),
    "mix_alpha": (0, math.inf),
    "mix_probability": (0, 1),
    "randaugment_magnitude": (0, 1),
}
"""Smallest and largest value of every real number; infinity itself is refused."""


@dataclass(frozen=True)
class Recipe:
    """Settings of one run.

    Attributes:
        model: name of the network.
        epochs: passes over the training part.
        protocol: name of the cache's split; ``paper`` selects on the test part.
        seed: of initialisation, sampling, partners, replacement and augmentation.
        transfer: train with static partners; false trains the event branch alone.
        branch: ``both``, ``event`` (the same as transfer = false) or ``static``: pretraining on
            the static images alone.
        initial: run, checkpoint, export or published checkpoint to take weights from.
        strategy: how events come into the static branch: ``sliding`` replaces whole samples,
            ``time-mixup`` the steps from a drawn one on (its mix ratio is sliding's P).
        modality_weight: of the loss of time-mixup's modality classifier.
        ratio_weight: of the loss of its mix-ratio regressor.
        batch_size: recordings a step.
        lr: base learning rate before it is scaled by ``batch_size / 1024``.
        min_lr: floor of the cosine schedule, not scaled.
        warmup_lr: learning rate of epoch 0, not scaled.
        warmup_epochs: epochs of linear warm-up.
        schedule: ``cosine`` or ``step``.
        decay_epochs: epochs between steps of the ``step`` schedule.
        decay_rate: factor of each of them.
        weight_decay: on weights of two or more dimensions.
        optimizer: ``adamw``, ``sgd`` or ``lamb``.
        momentum: of SGD.
        ema_decay: validate and keep an exponential average of the weights, which keeps this
            share of itself at each step; 0 keeps none.
        patience: stop when this many epochs have brought no better one; 0 never does.
        tet: temporal efficient training: a loss at every time step.
        tet_lambda: weight of its mean-squared term.
        tet_target: logit that this term pulls towards.
        regularization: weight the losses by the learnable coefficients.
        fixed_coefficient: weigh them by this number instead, under regularization.
        label_smoothing: share of a label's weight that all classes divide.
        domain_weight: weight of the domain (CKA) loss.
        sliding: replace static images by events as training goes on.
        sliding_power: exponent of the replacement probability.
        hard_switch: instead of sliding, which must be false, replace no static image in the
            epochs up to half of them and every one after (the reference's "no sliding"; it
            leaves out the domain loss as well, for which set ``domain_weight = 0``).
        channel: of the static image: V of HSV, grey, blue or mean of R, G, B.
        static_view: show the static ``image``, or the magnitude of its gradient, its ``edges``
            (not in the paper; see :mod:`snntx.train.batches.images`).
        pairing: a static partner is of the recording's ``class``, or its own twin
            (``instance``) where the training part has that, and else of its class.
        crop_padding: pixels of zero padding before a random crop of training frames.
        flip: mirror training recordings left to right with probability 1/2.
        rotation: rotate them by up to this many degrees to either side.
        snr_db: add Gaussian noise to them at this signal-to-noise ratio, ``10 log10(mean(x²) /
            variance)`` of each recording; absent adds none.
        augment: ``none``, or one or a list of ``mixup``, ``cutmix``, ``eventmix`` (one of these
            three), ``randaugment``, ``nda``, ``eventdrop``; see :mod:`snntx.train.augment.apply`.
        mix_alpha: both parameters of the Beta distribution of the mixing share.
        mix_probability: share of the samples that are mixed.
        randaugment_count: operations of RandAugment in a row.
        randaugment_magnitude: their strength, 0 to 1.
        balanced: draw recordings so that classes are equally likely.
        recordings_per_class: use only this many training recordings a class; 0 uses all.
        event_fraction: use only this share of each class's training recordings, above 0, but
            one of each; a smaller share, like a smaller number, lies within a larger.
        static_fraction: use only this share of each class's static images, nested likewise.
            None of them is left at 0, which is the event branch alone: transfer becomes false.
        draws_per_epoch: recordings drawn an epoch; 0 draws as many as there are.
        steps: frames per recording of the cache to use; absent takes the card's.
        size: side of its frames; absent takes the card's.
        width: factor of every hidden layer's width.
        norm: ``per-step``, ``merged`` (over all steps) or ``none``.
        neuron: ``lif``, ``plif``, ``lif-undecayed`` or ``if``.
        tau: its time constant in steps.
        threshold: its firing threshold.
        learn_threshold: make each layer's threshold a parameter.
        reset: ``hard`` or ``soft``.
        surrogate: slope of a spike; absent takes the model's.
        surrogate_alpha: its sharpness.
        backend: ``auto``, ``torch``, ``numba`` or ``triton``.
        precision: ``float32``, or mixed with ``bfloat16`` or ``float16`` (scaled).
        clip_norm: largest norm of the gradient; 0 does not clip.
        accumulate: micro-batches a batch is cut into; norms and CKA are over each of them.
        checkpointing: keep stages' inputs alone for the backward pass, and run them again.
        compile: run model and loss through ``torch.compile``.
        tensorboard: write TensorBoard files beside ``log.jsonl``.
    """

    model: str
    epochs: int
    protocol: str = "holdout"
    seed: int = 42
    transfer: bool = True
    branch: str = "both"
    initial: str | None = None
    strategy: str = "sliding"
    modality_weight: float = 0.1
    ratio_weight: float = 0.1
    batch_size: int = 120
    lr: float = 5e-3
    min_lr: float = 1e-5
    warmup_lr: float = 1e-6
    warmup_epochs: int = 5
    schedule: str = "cosine"
    decay_epochs: int = 40
    decay_rate: float = 0.1
    weight_decay: float = 0.01
    optimizer: str = "adamw"
    momentum: float = 0.9
    ema_decay: float = 0.0
    patience: int = 0
    tet: bool = True
    tet_lambda: float = 1e-3
    tet_target: float = 0.5
    regularization: bool = True
    fixed_coefficient: float | None = None
    label_smoothing: float = 0.0
    domain_weight: float = 0.5
    sliding: bool = True
    sliding_power: float = 3.0
    hard_switch: bool = False
    channel: str = "V"
    static_view: str = "image"
    pairing: str = "class"
    crop_padding: int = 0
    flip: bool = False
    rotation: float = 0.0
    snr_db: float | None = None
    augment: str | tuple[str, ...] = "none"
    mix_alpha: float = 1.0
    mix_probability: float = 0.5
    randaugment_count: int = 2
    randaugment_magnitude: float = 0.5
    balanced: bool = True
    recordings_per_class: int = 0
    event_fraction: float = 1.0
    static_fraction: float = 1.0
    draws_per_epoch: int = 0
    steps: int | None = None
    size: int | None = None
    width: float = 1.0
    norm: str = "per-step"
    neuron: str = "lif"
    tau: float = 2.0
    threshold: float = 0.5
    learn_threshold: bool = False
    reset: str = "hard"
    surrogate: str | None = None
    surrogate_alpha: float = 2.0
    backend: str = "auto"
    precision: str = "float32"
    clip_norm: float = 0.0
    accumulate: int = 1
    checkpointing: bool = False
    compile: bool = False
    tensorboard: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise UsageError("recipe: batch_size must be at least 2: batch norm needs two samples")
        for name in ("epochs", "steps", "size", "decay_epochs", "accumulate", "randaugment_count"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"recipe: {name} must be at least 1, found {value}")
        for name in (
            "crop_padding",
            "recordings_per_class",
            "draws_per_epoch",
            "warmup_epochs",
            "patience",
            "seed",
        ):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"recipe: {name} must not be negative, found {getattr(self, name)}"
                )
        if self.seed >= SEEDS:
            raise UsageError(f"recipe: seed must be below 2**63, found {self.seed}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (low <= value <= high and math.isfinite(value)):
                raise UsageError(
                    f"recipe: {name} must be a finite number from {low:g} to {high:g}, "
                    f"found {value}"
                )
        if self.batch_size < 2 * self.accumulate:
            raise UsageError(
                f"recipe: a batch of {self.batch_size} cut into {self.accumulate} micro-batches "
                "leaves fewer than two samples to each; lower accumulate"
            )
        for name, known in (
            ("channel", CHANNELS),
            ("static_view", STATIC_VIEWS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("optimizer", OPTIMIZERS),
            ("pairing", PAIRINGS),
        ):
            _check_known(name, getattr(self, name), known)
        self._check_input()

    def _check_input(self) -> None:
        """Check what the batches are made of, and bring it to one form."""
        for name in ("event_fraction", "mix_alpha"):
            if getattr(self, name) == 0:
                raise UsageError(f"recipe: {name} must be above 0")
        if self.hard_switch and self.sliding:
            raise UsageError("recipe: hard_switch takes the place of sliding; set sliding = false")
        for name in self.augmentations:
            _check_known("augment", name, AUGMENTATIONS)
        if "none" in self.augmentations and len(self.augmentations) > 1:
            raise UsageError("recipe: augment has none and another beside it; leave out one")
        mixers = [name for name in self.augmentations if name in MIXERS]
        if len(mixers) > 1:
            raise UsageError(
                f"recipe: augment has {' and '.join(mixers)}, which all mix labels; choose one"
            )
        if len(set(self.augmentations)) < len(self.augmentations):
            raise UsageError("recipe: augment names the same augmentation twice")
        if not isinstance(self.augment, str):
            alone = self.augment[0] if self.augment else "none"
            several = len(self.augment) > 1
            object.__setattr__(self, "augment", self.augmentations if several else alone)
        for name, known in (("branch", BRANCHES), ("strategy", STRATEGIES)):
            _check_known(name, getattr(self, name), known)
        if self.branch == "static" and not (self.transfer and self.static_fraction):
            raise UsageError("recipe: branch = 'static' needs static images: set transfer = true")
        if self.static_fraction == 0 or self.branch == "event":
            object.__setattr__(self, "transfer", False)

    @property
    def augmentations(self) -> tuple[str, ...]:
        """Names in ``augment``."""
        if isinstance(self.augment, str):
            return () if self.augment == "none" else (self.augment,)
        return tuple(self.augment)

    @property
    def selection(self) -> str:
        """Part whose top-1 accuracy chooses the best epoch."""
        return "test" if self.protocol == "paper" else "validation"

    def to_table(self) -> dict[str, Any]:
        """Return the settings as a TOML table; what is absent is left out."""
        table = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in table.items()}

    def to_toml(self) -> str:
        """Return the settings as TOML text."""
        lines = [f"{key} = {_toml_value(value)}" for key, value in self.to_table().items()]
        return "\n".join(lines) + "\n"


def _check_known(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(
            f"recipe: unknown {name} '{value}'{nearest(value, known)} (known: {', '.join(known)})"
        )


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
