"""What the static branch is shown of an image at each step: the image itself, or I2E's events.

A view turns images ``(B, H, W)`` into frames ``(B, T, 2, H, W)``. A still one shows the same at
every step, so that the first convolution runs once for it; a moving one draws, in training, from
the batch's own generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor

from ..recipe.whole import Recipe
from .i2e import as_events, draw_placements

RATE = ".rate"


class View(Protocol):
    """How images are shown over time.

    Attributes:
        still: every step shows the same.
    """

    still: bool

    def frames(self, images: Tensor, steps: int, draw: np.random.Generator | None) -> Tensor:
        """Return frames ``(B, T, 2, H, W)`` of images ``(B, H, W)``; not to be changed.

        Args:
            images: of one channel, in [0, 1].
            steps: T.
            draw: source of draws in training; None in evaluation, where nothing is drawn.
        """


class Still:
    """The image in both polarities at all steps."""

    still = True

    def frames(self, images: Tensor, steps: int, draw: np.random.Generator | None) -> Tensor:
        """Return a view of the images' memory: no value is copied."""
        batch, height, width = images.shape
        return images[:, None, None].expand(batch, steps, 2, height, width)


class Moving:
    """I2E's events of the image (:mod:`snntx.train.batches.i2e`).

    Args:
        ratio: threshold as a share of the image's range.
        random: draw placements in training.
    """

    still = False

    def __init__(self, ratio: float, random: bool = True) -> None:
        self._ratio, self._random = ratio, random

    def frames(self, images: Tensor, steps: int, draw: np.random.Generator | None) -> Tensor:
        """Return the events of every image; placements are drawn per sample and repetition."""
        places = draw_placements(len(images), steps, draw if self._random else None)
        return as_events(images, steps, self._ratio, places)


def view_of(recipe: Recipe) -> View:
    """Return the view that a recipe asks for."""
    data = recipe.data
    return Moving(data.i2e_ratio, data.i2e_random) if data.static_view == "i2e" else Still()


def tell_uniform(view: View, images: Tensor, say: Callable[[str], None]) -> None:
    """Say how many images ``(n, H, W)`` are of one brightness, where a view shows changes alone."""
    if view.still:
        return
    flat = images.flatten(1)
    uniform = (flat.amax(1) == flat.amin(1)).nonzero().flatten()
    if len(uniform):
        say(
            f"{len(uniform):,} of {len(images):,} static images are of one brightness and show no "
            f"event, such as the {int(uniform[0]) + 1}. of those shown"
        )


def rates(**frames: Tensor) -> dict[str, Tensor]:
    """Return the share of values that are not zero, of each sample ``(B,)``, as ``NAME.rate``.

    They are logged, so that a ratio can be matched to the real events.
    """
    return {f"{n}{RATE}": (of != 0).flatten(1).float().mean(1) for n, of in frames.items()}
