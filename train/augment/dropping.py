"""EventDrop: recordings without some of their events."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..recipe.doors import AUGMENTATIONS
from .geometry import within
from .policies import centred_boxes

SHARES = 10
"""EventDrop draws its share of time, or of the events, from 1/10, 2/10, … 9/10."""
SIDES = 20
"""And the box's sides, as a share of the frame's, from 1/20, 2/20, … 5/20."""


@AUGMENTATIONS.register("eventdrop")
def event_drop(frames: Tensor, draw: np.random.Generator) -> Tensor:
    """Return frames without some of their events (EventDrop, Gu et al., IJCAI 2021).

    For each recording one of four, evenly: all events stay; those of a time span go (the frames
    whose middle lies in it; the span begins anywhere and may end after the recording); those of
    a box at any place go, in all frames; or each value of a frame goes by itself, with the
    probability drawn. A recording that would lose all its events keeps them.

    Args:
        frames: ``(B, T, C, H, W)``, not negative; not changed.
        draw: source of the draws.
    """
    batch, steps, _, *size = frames.shape
    choice = draw.integers(0, 4, batch)
    share = draw.integers(1, SHARES, batch)[:, None] / SHARES
    side = draw.integers(1, 6, (batch, 1)).repeat(2, 1) / SIDES
    begin, centre = draw.random((batch, 1)), draw.random((batch, 2))
    time, area, each = (np.flatnonzero(choice == i) for i in (1, 2, 3))
    rows = [torch.from_numpy(where).to(frames.device) for where in (time, area, each)]
    out = frames.clone()

    middle = (np.arange(steps) + 0.5) / steps
    stays = (middle < begin) | (middle >= begin + share)
    out[rows[0]] *= _like(stays[time], frames)[:, :, None, None, None]

    boxes = torch.from_numpy(centred_boxes(centre, side, (size[0], size[1]))[area])
    lost = within(boxes.to(frames.device), (size[0], size[1]))
    out[rows[1]] *= (~lost).to(frames.dtype)[:, None, None]

    uniform = draw.random((each.size, *frames.shape[1:]), np.float32)
    out[rows[2]] *= _like(uniform >= share[each][:, :, None, None, None], frames)

    empty = out.flatten(1).amax(1) <= 0
    out[empty] = frames[empty]
    return out


def _like(values: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], frames: Tensor) -> Tensor:
    return torch.from_numpy(values).to(frames)
