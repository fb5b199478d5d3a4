"""The groups ``[data]`` and ``[augment]``: what batches are made of, and what is done to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ...declared.fields import Declared, Setting
from ...errors import UsageError
from .doors import AUGMENTATIONS

MIXERS = ("mixup", "cutmix", "eventmix")
"""Augmentations that give a sample two labels; one of them at most."""
NONE = "none"


@dataclass(frozen=True)
class Data(Declared):
    """What batches are made of."""

    purpose: ClassVar[str] = "what batches are made of"
    what: ClassVar[str] = "recipe"

    protocol: Annotated[
        str,
        Setting("name of the cache's split; paper selects the epoch on the test part"),
    ] = "holdout"
    steps: Annotated[
        int | None,
        Setting(
            "frames per recording of the cache to use, or to make of an event cache; absent takes "
            "the card's",
            low=1,
        ),
    ] = None
    size: Annotated[
        int | None,
        Setting("side of its frames, likewise; absent takes the card's", low=1, unit="px"),
    ] = None
    dt_ms: Annotated[
        float | None,
        Setting(
            "duration of a frame, made of an event cache; absent takes the cache's (preprocess "
            "--window-ms), which may be the recording's over steps",
            above=0,
            unit="ms",
        ),
    ] = None
    downsample: Annotated[
        int | None,
        Setting(
            "side of the square of pixels that are counted as one, instead of a size, from an "
            "event cache; coordinates are divided by it, rounded down",
            low=1,
            unit="px",
        ),
    ] = None
    slice: Annotated[
        Literal["whole", "random"],
        Setting(
            "frames show the whole recording, or a window of steps times dt_ms: in training one at "
            "a random place, at every draw another, in a test several evenly placed",
        ),
    ] = "whole"
    clips: Annotated[
        int,
        Setting("evenly placed windows of a recording in a test, with slice = random", low=1),
    ] = 1
    vote: Annotated[
        Literal["mean", "majority"],
        Setting(
            "a recording's clips are judged by the mean of their logits, or right where more than "
            "half of them are (Yao et al.); it chooses the epoch, and evaluate tells both"
        ),
    ] = "mean"
    static_fit: Annotated[
        Literal["stretch", "pad"] | None,
        Setting(
            "how its static images were fitted to the frames (preprocess --static-fit); absent "
            "takes any"
        ),
    ] = None
    channel: Annotated[
        Literal["V", "grey", "blue", "mean"],
        Setting("of the static image: V of HSV, grey, blue, or the mean of R, G, B"),
    ] = "V"
    static_view: Annotated[
        Literal["image", "edges", "normalised", "i2e"],
        Setting(
            "show the static image, the magnitude of its gradient (not in the paper), the image "
            "less MNIST's mean 0.1307, over its deviation 0.3081, or events that small movements "
            "of it would cause (I2E, arXiv 2511.08065)"
        ),
    ] = "image"
    i2e_ratio: Annotated[
        float,
        Setting(
            "with static_view = i2e, the change of brightness that makes an event, as a share of "
            "the image's range; chosen so that static.rate in the log is near event.rate",
            above=0,
            high=1,
            note="the published ratios: 0.07 for CIFAR, 0.1 for MNIST, 0.12 for Caltech and "
            "ImageNet, 0.15 for FashionMNIST",
        ),
    ] = 0.12
    i2e_random: Annotated[
        bool,
        Setting(
            "draw in training which of the equivalent pairs of pixels a step compares; in "
            "evaluation nothing is drawn"
        ),
    ] = True
    pairing: Annotated[
        Literal["class", "instance"],
        Setting(
            "a static partner is of the recording's class, or its own twin where the training "
            "part has that, and else of its class"
        ),
    ] = "class"
    balanced: Annotated[
        bool,
        Setting(
            "draw recordings so that classes are exactly equally likely",
            note="the published code weighs by all recordings of a class, of the test part too",
        ),
    ] = True
    recordings_per_class: Annotated[
        int,
        Setting("use only this many training recordings a class; 0 uses all", low=0),
    ] = 0
    event_fraction: Annotated[
        float,
        Setting(
            "use only this share of each class's training recordings, but one of each; a smaller "
            "share lies within a larger",
            above=0,
            high=1,
            note="drawn by the seed, where the published code takes the first ones; with "
            "recordings_per_class set too, the smaller number holds",
        ),
    ] = 1.0
    static_fraction: Annotated[
        float,
        Setting(
            "use only this share of each class's static images, nested likewise",
            low=0,
            high=1,
            note="0 leaves none, which trains the event branch alone; the published code keeps one "
            "image a class",
        ),
    ] = 1.0
    draws_per_epoch: Annotated[
        int, Setting("recordings drawn an epoch; 0 draws as many as there are", low=0)
    ] = 0
    last_batch: Annotated[
        Literal["drop", "keep"],
        Setting("leave out the recordings of an epoch that fill no batch, or keep a smaller one"),
    ] = "drop"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and self.downsample is not None:
            raise UsageError(
                f"recipe: size = {self.size} and downsample = {self.downsample} both say how large "
                "frames are; leave out one"
            )
        if self.clips > 1 and self.slice == "whole":
            raise UsageError(
                f"recipe: clips = {self.clips} needs slice = random; a whole recording is one clip"
            )

        if self.vote == "majority" and self.slice == "whole":
            raise UsageError(
                "recipe: vote = majority needs slice = random; a whole recording is one clip"
            )

    @property
    def of_events(self) -> tuple[str, ...]:
        """Settings, as text, that only an event cache has frames for."""
        named = {"slice": self.slice, "dt_ms": self.dt_ms, "downsample": self.downsample}
        return tuple(
            f"{name} = {value}" for name, value in named.items() if value not in (None, "whole")
        )


@dataclass(frozen=True)
class Augment(Declared):
    """What is done to training recordings."""

    purpose: ClassVar[str] = "what is done to training recordings"
    what: ClassVar[str] = "recipe"

    crop_padding: Annotated[
        int,
        Setting("zero padding before a random crop of training frames", low=0, unit="px"),
    ] = 0
    flip: Annotated[bool, Setting("mirror them left to right with probability 1/2")] = False
    rotation: Annotated[
        float,
        Setting("rotate them by up to this to either side", low=0, high=180, unit="degrees"),
    ] = 0.0
    snr_db: Annotated[
        float | None,
        Setting(
            "add Gaussian noise at this signal-to-noise ratio, 10 log10(mean(x²) / variance) of "
            "each recording; absent adds none",
            unit="dB",
            note="last, to what crop, flip and rotation made; the published code adds it in the "
            "place of the crop",
        ),
    ] = None
    augment: Annotated[
        str | tuple[str, ...],
        Setting(
            "none, one, or a list of augmentations; mixup, cutmix and eventmix mix labels, so one "
            "of them at most",
            door=AUGMENTATIONS,
            note="with another recording of the batch, where the published code takes any",
        ),
    ] = NONE
    event_drop: Annotated[
        Literal["none", "box", "published"],
        Setting(
            "EventDrop on a window's events before they are framed, with slice = random: drop a "
            "box of pixels, a span of time, or a share of the events; published has Yao et al.'s "
            "two faults, a cross for the box and events out of order"
        ),
    ] = "none"
    mix_alpha: Annotated[
        float, Setting("both parameters of the Beta distribution of the mixing share", above=0)
    ] = 1.0
    mix_probability: Annotated[
        float, Setting("share of the samples that are mixed", low=0, high=1)
    ] = 0.5
    randaugment_count: Annotated[int, Setting("operations of RandAugment in a row", low=1)] = 2
    randaugment_magnitude: Annotated[float, Setting("their strength", low=0, high=1)] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        given = (self.augment,) if isinstance(self.augment, str) else self.augment
        if NONE in given and len(given) > 1:
            raise UsageError("recipe: augment has none and another beside it; leave out one")
        mixers = [name for name in given if name in MIXERS]
        if len(mixers) > 1:
            raise UsageError(
                f"recipe: augment has {' and '.join(mixers)}, which all mix labels; choose one"
            )
        if len(set(given)) < len(given):
            raise UsageError("recipe: augment names the same augmentation twice")
        if not isinstance(self.augment, str) and len(given) < 2:  # one value has one form
            object.__setattr__(self, "augment", given[0] if given else NONE)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in ``augment``."""
        given = (self.augment,) if isinstance(self.augment, str) else self.augment
        return tuple(name for name in given if name != NONE)
