"""The compiled loop behind I2E's events (:mod:`snntx.train.batches.i2e`)."""

from __future__ import annotations

from ...preprocess.disk.compiling import njit


@njit(cache=True, nogil=True)
def image_events(images, threshold, places, displacements, out):  # type: ignore[no-untyped-def]
    """Add the events of ``images (B, H, W)`` to ``out (B, T, 2, H, W)``, OFF then ON.

    ``threshold`` is ``(B,)``, ``places`` ``(B, K, 2)`` and ``displacements`` ``(8, 2)``.
    """
    batch, height, width = images.shape
    steps, count, frames = out.shape[1], places.shape[1], displacements.shape[0]
    for b in range(batch):
        bound = threshold[b]
        for k in range(count):
            step = k if steps >= frames else k * steps // frames
            row, column = places[b, k]
            far_row = row + displacements[k % frames, 0]
            far_column = column + displacements[k % frames, 1]
            for i in range(height):
                near_i = min(max(i + row, 0), height - 1)
                far_i = min(max(i + far_row, 0), height - 1)
                for j in range(width):
                    near = images[b, near_i, min(max(j + column, 0), width - 1)]
                    change = images[b, far_i, min(max(j + far_column, 0), width - 1)] - near
                    if change > 0:
                        if change >= bound:
                            out[b, step, 1, i, j] += 1
                    elif change < 0 and -change >= bound:
                        out[b, step, 0, i, j] += 1
