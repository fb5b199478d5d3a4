"""Static images as the network is shown them: one channel, as it is or its edges.

An event camera answers to changes of brightness. To first order those of a moving scene are
``-∇I · v`` (the linearised event generation model; Gallego et al., Event-based Vision: A
Survey, TPAMI 2022), so over movements in several directions a pixel's events go with
``|∇I|``: the view ``edges``. The published method shows the image itself, and of MNIST, in code
that no published run used, the image ``normalised``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...preprocess.cache.contents import SealedCache
from ..recipe.whole import Recipe

MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081
"""Of the training images, all pixels together."""


def shown_images(
    cache: SealedCache, recipe: Recipe, indices: NDArray[np.int64] | None = None
) -> Tensor:
    """Return static images in the recipe's channel and view, ``(n, H, W)`` float32.

    Args:
        cache: whose images.
        recipe: ``channel`` and ``static_view``.
        indices: of the images; all of them when absent.
    """
    images = cache.static_images()
    chosen = images if indices is None else images[indices]
    channel = static_channel(chosen, list(cache.index.planes), recipe.data.channel)
    view = VIEWS.get(recipe.data.static_view)
    return channel if view is None else view(channel)


def edges(images: Tensor) -> Tensor:
    """Return ``|∇I|`` of images ``(n, H, W)``, in their unit per pixel; same shape.

    Central differences, one-sided at the border.
    """
    vertical, horizontal = torch.gradient(images, dim=(1, 2))
    return torch.hypot(vertical, horizontal)


def normalised(images: Tensor) -> Tensor:
    """Return images in [0, 1] with MNIST's mean 0 and deviation 1, as the published code does.

    Black, the background, becomes -0.42, and white 2.82; same shape.
    """
    return (images - MNIST_MEAN) / MNIST_DEVIATION


VIEWS = {"edges": edges, "normalised": normalised}


def static_channel(
    images: NDArray[np.uint8] | NDArray[np.float32], planes: list[str], channel: str
) -> Tensor:
    """Return one channel of the static images in [0, 1], ``(n, H, W)`` float32.

    ``V`` of HSV is the plane V where there is one, else ``max(R, G, B)``; ``grey`` is ITU-R
    601 luma. Images of a single plane have one channel whatever is asked for.

    Args:
        images: ``(n, P, H, W)``, uint8 (0 to 255) or float32 (0 to 1).
        planes: names of the P planes.
        channel: ``V``, ``grey``, ``blue`` or ``mean`` (of R, G, B).
    """
    values = images / np.float32(255) if images.dtype == np.uint8 else images
    if len(planes) == 1:
        chosen = values[:, 0]
    elif channel == "V" and "V" in planes:
        chosen = values[:, planes.index("V")]
    else:
        values = values[:, [planes.index(name) for name in "RGB"]]
        if channel == "V":
            chosen = values.max(axis=1)
        elif channel == "grey":
            chosen = np.tensordot(values, np.array([0.299, 0.587, 0.114], np.float32), (1, 0))
        elif channel == "blue":
            chosen = values[:, 2]
        else:
            chosen = values.mean(axis=1)
    return torch.from_numpy(np.ascontiguousarray(chosen))
