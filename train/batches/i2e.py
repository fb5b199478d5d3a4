"""I2E: an image becomes binary events by simulated micro-saccades (arXiv 2511.08065, AAAI 2026).

At each of eight steps every pixel compares two pixels of its 3 x 3 neighbourhood that lie one
displacement ``d`` apart, ``near = pixel + a`` and ``far = near + d``, and fires where brightness
rises or falls by a share of the image's range:

    D = V(far) - V(near)    θ = ratio (max V - min V)
    ON: D > 0 and D >= θ    OFF: D < 0 and -D >= θ

Coordinates are clamped into the image. The placements ``a`` of a displacement that keep both
pixels in the neighbourhood give the same events but for a shift of at most one pixel; in training
one is drawn, in evaluation the published one is taken.

The authors' code says all of this but three things, which are ours:

- Channels are those of the project, OFF then ON; there they are ON (rise) then OFF (fall).
- ``D`` must differ from zero. There a constant image, whose θ is 0, fires everywhere in both
  polarities; here nowhere. No other image differs.
- T other than 8. With more, step t shows frame ``t mod 8``, and every repetition draws its own
  placement; with fewer, frame k is counted in step ``floor(k T / 8)``.

Placements are drawn per sample here, per batch there.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import SnntxError

DISPLACEMENTS = np.array(
    [(-1, -2), (-1, 2), (2, -1), (-2, -1), (0, 1), (-1, 0), (-1, 1), (-1, -1)], np.int64
)
"""``d`` of each frame, rows downwards and columns, ``(8, 2)``."""
PUBLISHED = np.array([(1, 1), (0, -1), (-1, 1), (1, 0), (0, 0), (0, 0), (0, 0), (0, 0)], np.int64)
"""``a`` of each frame in evaluation, ``(8, 2)``."""
FRAMES = len(DISPLACEMENTS)


def placements(frame: int) -> NDArray[np.int64]:
    """Return all ``a`` of a frame that keep near and far in the neighbourhood, ``(n, 2)``."""
    each = np.array([(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)], np.int64)
    inside: NDArray[np.int64] = each[(np.abs(each + DISPLACEMENTS[frame]) <= 1).all(1)]
    return inside


def repetitions(steps: int) -> int:
    """Return the number of frames that make ``steps``: eight, or one a step."""
    return max(FRAMES, steps)


def draw_placements(batch: int, steps: int, draw: np.random.Generator | None) -> NDArray[np.int64]:
    """Return ``a`` of each sample and frame, ``(B, max(8, T), 2)``.

    Args:
        batch: B.
        steps: T.
        draw: source of draws, uniform over :func:`placements`; None takes the published one.
    """
    count = repetitions(steps)
    which = np.arange(count) % FRAMES
    if draw is None:
        return np.broadcast_to(PUBLISHED[which], (batch, count, 2))
    uniform = draw.random((batch, count))
    chosen = np.empty((batch, count, 2), np.int64)
    for frame in range(FRAMES):
        those = placements(frame)
        at = which == frame
        chosen[:, at] = those[(uniform[:, at] * len(those)).astype(np.int64)]
    return chosen


def as_events(
    images: Tensor, steps: int, ratio: float, places: NDArray[np.int64], *, compiled: bool = True
) -> Tensor:
    """Return the events of images, ``(B, T, 2, H, W)`` in their type; no gradient.

    On the CPU one compiled loop makes them; on CUDA, and with ``compiled=False``, torch does.
    Both give the same to the last bit.

    Args:
        images: ``(B, H, W)``, finite.
        steps: T.
        ratio: θ as a share of the image's range, in (0, 1].
        places: of :func:`draw_placements`.

    Raises:
        SnntxError: a value is not finite.
    """
    images = images.detach()
    flat = images.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    if not (torch.isfinite(low) & torch.isfinite(high)).all():
        raise SnntxError(
            "a static image holds a value that is no number; repair or remove the image and run "
            "snntx preprocess again"
        )
    threshold = ratio * (high - low)
    if compiled and images.device.type == "cpu":
        from .i2e_kernel import image_events

        out = np.zeros((len(images), steps, 2, *images.shape[1:]), flat.numpy().dtype)
        image_events(images.contiguous().numpy(), threshold.numpy(), places, DISPLACEMENTS, out)
        return torch.from_numpy(out)
    return _readable(images, steps, threshold, places)


def _readable(images: Tensor, steps: int, threshold: Tensor, places: NDArray[np.int64]) -> Tensor:
    batch, height, width = images.shape
    out = images.new_zeros(batch, steps, 2, height, width)
    rows = torch.arange(height, device=images.device)[None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, :]
    sample = torch.arange(batch, device=images.device)[:, None, None]
    bound = threshold[:, None, None]
    for number in range(places.shape[1]):
        near = torch.tensor(places[:, number], device=images.device)
        far = near + torch.from_numpy(DISPLACEMENTS[number % FRAMES]).to(images.device)

        def seen(at: Tensor) -> Tensor:
            row = (rows + at[:, 0, None, None]).clamp(0, height - 1)
            column = (columns + at[:, 1, None, None]).clamp(0, width - 1)
            return images[sample, row, column]

        change = seen(far) - seen(near)
        step = number if steps >= FRAMES else number * steps // FRAMES
        out[:, step, 0] += (change < 0) & (-change >= bound)
        out[:, step, 1] += (change > 0) & (change >= bound)
    return out
