"""A training step of one network: the kernels against the plain network and its convolutions.

In: a network's name and the machine. Out: for float32 and bfloat16 a row for each contender of
``contenders.py`` and one for the convolutions alone: milliseconds, how many times as fast as the
plain network (``backend=torch``), how many times the convolutions, what is kept for the backward
pass and the most memory that a step takes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import torch
from contenders import (
    FUSED,
    PEER,
    PLAIN,
    READABLE,
    Case,
    Setting,
    case_of,
    contenders,
    convolutions,
    saved_mib,
    training_step,
)

from .machine import Machine, ratios, spread
from .outcome import Outcome, table

TYPES = (torch.float32, torch.bfloat16)
CONVOLUTIONS = "convolutions alone"
FULL = {
    "vgg": Case(120, 10, 48, 101),
    "resnet18": Case(120, 6, 48, 20),
    "resnet34": Case(120, 6, 48, 20),
    "scnn": Case(16, 12, 28, 1623),
    "nmnist": Case(32, 10, 34, 10),
    "nmnist-published": Case(120, 10, 34, 10),
    "asa3": Case(32, 60, 32, 11),
    "asa5": Case(8, 20, 128, 11),
    "sew-resnet18": Case(32, 16, 64, 300),
}
"""The batches of the shipped recipes, and of the published runs."""
TINY_SIDES = {"vgg": 16, "resnet18": 8, "resnet34": 8, "scnn": 28, "asa5": 32}
"""Sides that a network's layers can take; 28 is the one that ``plain.py`` takes."""
TITLES = (
    "contender",
    "ms a step",
    "times as fast as plain",
    "time / convolutions",
    "saved MiB",
    "peak MiB",
)


def setting_of(name: str, dtype: torch.dtype, machine: Machine) -> Setting:
    """Return what is computed of a network in one type."""
    case = case_of(name, FULL)
    if machine.tiny:
        case = Case(2, 2, TINY_SIDES.get(name, 12), 3, 0.03)
    return Setting(name, case, dtype, machine.device, "triton")


def measure(name: str, machine: Machine) -> Outcome:
    """Return a network's tables, in float32 and in bfloat16."""
    case, found = setting_of(name, TYPES[0], machine).case, Outcome()
    found.lines = [
        f"Batch {case.batch}, T = {case.steps}, {case.side} x {case.side} pixels, {case.classes} "
        f"classes; {machine.rounds} rounds in turn: median (smallest to largest)."
    ]
    for dtype in TYPES:
        try:
            _measure_type(setting_of(name, dtype, machine), machine, found)
        except Exception as error:  # the other type goes on
            found.failed.append(f"{_kind(dtype)}: {_told(error)}")
        machine.free()
    return found


def _measure_type(setting: Setting, machine: Machine, found: Outcome) -> None:
    """Add one type's table and what it says."""
    kind, failures = _kind(setting.dtype), len(found.failed)
    memory = {}
    for name in contenders(setting):
        try:
            memory[name] = _memory(name, setting, machine)
        except Exception as error:
            if name == PEER:  # another's kernels are no part of what is tested
                found.lines.append(f"\n{PEER}, {kind}: {_told(error)}")
            else:
                found.failed.append(f"{kind} {name}: {_told(error)}")
    work: dict[str, Callable[[], Callable[[], object]]] = {
        name: partial(training_step, name, setting) for name in memory
    }
    work[CONVOLUTIONS] = partial(convolutions, setting)
    times = machine.in_turn(work)
    rows = []
    for name, own in times.items():
        saved, peak = memory.get(name, ("", ""))
        if not own:
            found.full.append(f"{kind} {name}")
            rows.append([name, "out of memory", "-", "-", saved, peak])
            continue
        faster = spread(ratios(times.get(READABLE, []), own)) if name != CONVOLUTIONS else "-"
        above = spread(ratios(own, times[CONVOLUTIONS]))
        rows.append([name, spread(own), faster, above, saved, peak])
    found.lines += ["", *table((kind, *TITLES[1:]), rows)]
    if times.get(FUSED) and len(found.failed) == failures:
        found.passed.append(kind)
    found.slower += _slower(kind, times)


def _memory(name: str, setting: Setting, machine: Machine) -> tuple[str, str]:
    """Return saved and peak MiB as text, after a step whose loss must be a number.

    Raises:
        ArithmeticError: it is none.
    """
    saved = machine.fitting(lambda: saved_mib(name, setting))
    machine.free()

    def twice() -> float:
        step = training_step(name, setting)
        return max(float(step()) for _ in range(2))  # the optimizer's state comes with the first

    losses: list[float] = []
    peak = machine.fitting(lambda: machine.peak_mib(lambda: losses.append(twice())))
    machine.free()
    if losses and not torch.isfinite(torch.tensor(losses)).all():
        raise ArithmeticError(f"the loss is {losses[0]}")
    full = "out of memory"
    shown = full if peak is None else f"{peak:.0f}" if peak else "-"
    return (full if saved is None else f"{saved:.4g}"), shown


def _slower(kind: str, times: dict[str, list[float]]) -> list[str]:
    """Return whether the kernels took longer than ``backend=torch`` or ``plain.py``."""
    slower = []
    for name in (READABLE, PLAIN):
        found = ratios(times.get(name, []), times.get(FUSED, []))
        if found and statistics.median(found) < 1:
            against = "backend=torch" if name == READABLE else "plain.py"
            slower.append(f"{kind} ({statistics.median(found):.2f} times as fast as {against})")
    return slower


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'without a word'}"
