"""What a method is: one object that says what is shown, what is learnt beside, what it costs.

A way to transfer is a subclass of :class:`Method` in a module of its own, registered under its
name. The data, the objective and the loop know this interface alone. Nothing here imports torch:
a recipe is read, checked and compared without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from ..recipe.groups import MethodSettings

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from ..augment.base import Mixture
    from ..network.model import TransferModel

OwnSettings = TypeVar("OwnSettings", bound=MethodSettings)


class Place(NamedTuple):
    """Where in a run a batch stands; epochs and batches are counted from 0."""

    epoch: int
    batch: int
    epochs: int
    batches: int

    @property
    def step(self) -> int:
        """Batches trained before this one."""
        return self.epoch * self.batches + self.batch

    @property
    def steps(self) -> int:
        """Batches of the whole run."""
        return self.epochs * self.batches


class Sample(NamedTuple):
    """A batch as it is drawn, before a method decides what its static branch sees.

    Attributes:
        event: augmented event frames, ``(B, T, 2, H, W)``.
        static: the partners' images at every step, same shape; not to be changed.
        labels: ``(B,)``.
        recordings: indices of the recordings in the cache, ``(B,)`` int64 array.
        partners: indices of their partners among the cache's static images, ``(B,)``.
    """

    event: Tensor
    static: Tensor
    labels: Tensor
    recordings: np.ndarray[tuple[int], np.dtype[np.int64]]
    partners: np.ndarray[tuple[int], np.dtype[np.int64]]


class Shown(NamedTuple):
    """What the static branch sees.

    Attributes:
        static: ``(B, T, 2, H, W)``.
        constant: ``(B,)`` bool on the CPU: one image at every step, so that the first
            convolution runs once for it.
        notes: further tensors of first dimension B, by name, that the method's own loss wants.
    """

    static: Tensor
    constant: Tensor
    notes: Mapping[str, Tensor] = {}


class Inputs(NamedTuple):
    """One (micro-)batch on the training device, as :meth:`Method.loss` gets it.

    Attributes:
        event: ``(B, T, 2, H, W)``; ``(B, 0)`` where only images are drawn.
        static: what :meth:`Method.show` returned; None where no static image is shown.
        labels: ``(B,)``.
        constant: ``(B,)`` bool on the CPU; None likewise.
        event_mixture: second labels of mixed recordings; None without mixing.
        static_mixture: the same for the static side.
        notes: of :attr:`Shown.notes`.
    """

    event: Tensor
    static: Tensor | None
    labels: Tensor
    constant: Tensor | None
    event_mixture: Mixture | None = None
    static_mixture: Mixture | None = None
    notes: Mapping[str, Tensor] = {}


class Costs(NamedTuple):
    """What a batch costs.

    Attributes:
        terms: 0-d tensors by name; ``loss`` is what is made small. All of them are logged, and
            ``name.0``, ``name.1``, … as values of each step.
        logits: ``(T, B, C)`` of the branch whose accuracy is logged; None for a method that
            classifies nothing.
    """

    terms: dict[str, Tensor]
    logits: Tensor | None


class Method(ABC, Generic[OwnSettings]):
    """One way to train, with or without static images.

    A subclass names its ``Settings``, a frozen dataclass that derives from those shared terms
    which it takes (:mod:`snntx.train.method.terms`), or from ``MethodSettings``.

    Attributes:
        settings: this run's.
    """

    Settings: ClassVar[type[MethodSettings]]
    """Its group of settings, ``[method]`` in a recipe."""
    summary: ClassVar[str] = ""
    """What it does, in one line, with its source."""
    draws: ClassVar[str] = "recordings"
    """What an epoch's batches are drawn from: ``recordings``, or the static ``images`` alone."""
    static: ClassVar[bool] = True
    """Whether static images are shown; a recording then needs partners of its class."""
    without_static: ClassVar[str | None] = None
    """The method that takes its place where a recipe leaves no static image."""
    judged: ClassVar[str] = "event"
    """The branch by which an epoch is chosen: ``event``, or ``static``."""

    def __init__(self, settings: OwnSettings) -> None:
        self.settings = settings

    @property
    def trains_all(self) -> bool:
        """Whether every parameter of the network has a part in the loss, at every step."""
        return False

    def show(self, sample: Sample, place: Place, draw: np.random.Generator) -> Shown:
        """Return what the static branch sees; by default the images, unchanged.

        Args:
            sample: the batch as it was drawn.
            place: where in the run it stands.
            draw: source of draws, a function of the seed and the place alone.
        """
        import torch

        return Shown(sample.static, torch.ones(len(sample.labels), dtype=torch.bool))

    def heads(self, model: TransferModel) -> Mapping[str, nn.Module]:
        """Return what is trained beside the network, by name; saved with checkpoints."""
        return {}

    @abstractmethod
    def loss(self, model: TransferModel, inputs: Inputs, heads: Mapping[str, nn.Module]) -> Costs:
        """Return what a batch costs.

        Args:
            model: the network, in training mode.
            inputs: the batch.
            heads: what :meth:`heads` returned, on the same device.
        """

    def log(self, place: Place) -> Mapping[str, float]:
        """Return numbers to log at a batch beside the loss's terms, such as P."""
        return {}


def branch_loss(settings: Any) -> dict[str, Any]:
    """Return the keywords of :func:`snntx.train.method.losses.event_loss` of some settings."""
    return {
        "tet": settings.tet,
        "tet_lambda": settings.tet_lambda,
        "tet_target": settings.tet_target,
        "label_smoothing": settings.label_smoothing,
        "squared": settings.loss == "squared",
    }
