"""A recording as a moving picture: its twin, its frames and, if asked for, a layer's spikes.

One picture a time step. Frames look as on a contact sheet. Of a layer with pixels each pixel
shows the share of its channels that fire, of any other each neuron is a pixel of its own; white
is the largest value of all steps, which the caption names. Pixels are enlarged by whole factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..errors import SnntxError, UsageError, plain
from .contact_sheet import frame_colours
from .style import write_picture
from .tiles import BRIGHT, PAPER, SOFT, grey, paste, write_text

SUFFIXES = (".gif", ".mp4")
TILE_PX, GAP_PX, HEAD_PX, FOOT_PX = 240, 16, 64, 36


class Spikes(NamedTuple):
    """What a layer sends on: its name, and values ``(T, C, H, W)`` or ``(T, N)``."""

    layer: str
    values: NDArray[np.float32]


def moving_pictures(
    frames: NDArray[np.float32],
    twin: NDArray[np.floating] | None,
    spikes: Spikes | None,
    title: str,
) -> list[Image.Image]:
    """Return one picture a time step, all of one size, with even sides.

    Args:
        frames: counts ``(T, 2, H, W)``, polarity off then on.
        twin: brightness ``(H, W)`` in [0, 1]; None for none.
        spikes: of a layer, for the same steps; None for none.
        title: above the pictures.
    """
    steps = len(frames)
    columns: list[tuple[str, Sequence[NDArray[np.uint8]]]] = []
    if twin is not None:
        columns.append(("static twin", [grey(twin)] * steps))
    columns.append(("frames: OFF orange, ON blue", list(frame_colours(frames))))
    if spikes is not None:
        maps = spike_maps(spikes.values)
        most = float(maps.max())
        what = "share of channels" if spikes.values.ndim == 4 else "spikes"
        name = f"{spikes.layer}: {what}, white {most:.2g}"
        columns.append((name, [grey(each / (most or 1.0)) for each in maps]))
    width = GAP_PX + len(columns) * (TILE_PX + GAP_PX)
    pictures = []
    for step in range(steps):
        picture = Image.new("RGB", (width, HEAD_PX + TILE_PX + FOOT_PX), PAPER)
        draw = ImageDraw.Draw(picture)
        write_text(draw, (GAP_PX, 24), plain(title), 16, BRIGHT, "ls", width - 2 * GAP_PX)
        # the number keeps equal frames apart, which a GIF would else make one of
        told = f"step {step + 1} of {steps}"
        write_text(draw, (GAP_PX, picture.height - 12), told, 13, SOFT, "ls", width)
        for number, (name, images) in enumerate(columns):
            x = GAP_PX + number * (TILE_PX + GAP_PX)
            write_text(draw, (x, HEAD_PX - 8), plain(name), 12, SOFT, "ls", TILE_PX)
            paste(picture, images[step], (x, HEAD_PX), (TILE_PX, TILE_PX))
        pictures.append(picture)
    return pictures


def spike_maps(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(T, H, W)``: the mean over channels, or neurons laid out row by row in a square."""
    if values.ndim == 4:
        mean: NDArray[np.float32] = values.mean(1)
        return mean
    flat = values.reshape(len(values), -1)
    side = math.ceil(math.sqrt(flat.shape[1]))
    laid = np.zeros((len(values), side * side), np.float32)
    laid[:, : flat.shape[1]] = flat
    return laid.reshape(len(values), side, side)


def save_moving(pictures: Sequence[Image.Image], path: Path, frame_ms: int) -> None:
    """Write pictures as GIF or MP4, each shown for ``frame_ms`` milliseconds.

    Raises:
        UsageError: another suffix, a GIF whose time is no multiple of 10 ms, or the encoder of MP4
            is not installed.
        SnntxError: the file cannot be written.
    """
    if path.suffix == ".gif":
        if frame_ms % 10:
            near = max(20, round(frame_ms / 10) * 10)
            raise UsageError(
                f"--frame-ms {frame_ms}: a GIF counts in steps of 10 ms; give --frame-ms {near}"
            )
        first, *rest = pictures
        write_picture(
            path,
            lambda file: first.save(
                file, "GIF", save_all=True, append_images=rest, duration=frame_ms, loop=0
            ),
        )
    elif path.suffix == ".mp4":
        _save_mp4(pictures, path, frame_ms)
    else:
        raise UsageError(f"{path}: the name has to end with {' or '.join(SUFFIXES)}")


def _save_mp4(pictures: Sequence[Image.Image], path: Path, frame_ms: int) -> None:
    try:
        from imageio_ffmpeg import write_frames
    except ImportError as error:
        raise UsageError(
            f"{path}: MP4 needs imageio-ffmpeg, which is not installed: pip install "
            "'snntx[video]'; a name that ends with .gif needs nothing more"
        ) from error

    def write(file: Path) -> None:
        size = pictures[0].size
        writer = write_frames(str(file), size, fps=1000 / frame_ms, macro_block_size=2)
        writer.send(None)
        for picture in pictures:
            writer.send(picture.tobytes())
        writer.close()
        if not file.is_file():
            raise SnntxError(f"{path}: ffmpeg wrote nothing; a name that ends with .gif needs none")

    write_picture(path, write)
