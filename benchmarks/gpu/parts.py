"""The parts of ``make gpu``, in order: a name and a function from the machine to what it found.

A further part is a function and its line in :func:`parts`. Each runs in a process of its own, so
that one which breaks the device leaves the others whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from snntx.train.network.doors import MODELS

from . import attention, epoch, kernel_tests, steps
from .machine import Machine
from .outcome import Outcome

Part = Callable[[Machine], Outcome]


def parts() -> dict[str, Part]:
    """Return the parts; every shipped network has one."""
    networks = {f"step-{name}": partial(steps.measure, name) for name in MODELS.shipped()}
    return {
        "tests": kernel_tests.measure,
        **networks,
        "attention": attention.measure,
        "epoch": epoch.measure,
    }
