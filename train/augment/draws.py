"""Random draws of the input side: each a pure function of seed, purpose, epoch and batch.

A run can so be taken up at any batch, any number of workers draws the same, and an additional
augmentation changes no other draw.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What is drawn; a member's number is part of every run's result, so it never changes."""

    SUBSET = 0
    ORDER = 1
    PARTNER = 2
    REPLACEMENT = 3
    CROP = 4
    FLIP = 5
    ROTATION = 6
    NDA = 7
    RANDAUGMENT = 8
    EVENTDROP = 9
    MIXING = 10
    NOISE = 11
    STATIC_SUBSET = 12
    WINDOW = 13
    WINDOW_DROP = 14
    STATIC_VIEW = 15
    STATIC_ORDER = 100
    NAMED = 101


def generator(seed: int, purpose: int, *place: int) -> np.random.Generator:
    """Return the generator for one purpose at one place of a run."""
    return np.random.default_rng([seed, purpose, *place])


@dataclass(frozen=True)
class Draws:
    """The draws of one batch.

    Attributes:
        seed: of the run.
        epoch: 0-based.
        number: of the batch within the epoch.
    """

    seed: int
    epoch: int
    number: int

    def __call__(self, purpose: Purpose) -> np.random.Generator:
        """Return a fresh generator for one purpose; asked twice, it draws the same again."""
        return generator(self.seed, purpose, self.epoch, self.number)

    def named(self, name: str) -> np.random.Generator:
        """Return a fresh generator for what has no purpose of its own, by its name."""
        return generator(
            self.seed, Purpose.NAMED, self.epoch, self.number, zlib.crc32(name.encode())
        )
