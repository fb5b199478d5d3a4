"""Advance Spatial Attention on a device: the CPU's numbers, and its share of a training step.

In: the machine. Out: for each mode whether a module in float64 gives what it gives on the CPU,
gradients and equal scores included; and a step of arch A in float32 with the attention and without
it, against the plain restatement of ``plain_asa.py``. There is no Triton kernel of the attention:
torch computes it, and Triton the neurons. Its share says whether one is worth writing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from asa_step import OURS, PLAIN, batch_of, loss_of, make, step_of
from contenders import kept_mib
from torch import Tensor

from snntx.train.network.attention.asa import ASA
from snntx.train.network.attention.options import MODES

from .machine import Machine, ratios, spread
from .outcome import Outcome, table

BATCH, STEPS, TINY = 32, 60, (2, 4)
TITLES = ("contender", "attention", "ms a step", "times as fast as plain", "saved MiB")


def measure(machine: Machine) -> Outcome:
    """Return how the attention agrees, and what it costs."""
    found = Outcome()
    for mode in MODES:
        try:
            worst = _difference(mode, machine.device)
        except Exception as error:
            found.failed.append(f"{mode}: {type(error).__name__}: {error}")
            continue
        found.lines.append(f"Mode {mode}, float64: largest difference from the CPU {worst:.1e}.")
        told = found.passed if worst < 1e-9 else found.failed
        told.append(mode if worst < 1e-9 else f"{mode}: differs from the CPU by {worst:.1e}")
    _steps(machine, found)
    return found


def _difference(mode: str, device: torch.device) -> float:
    """Return the largest difference of result and gradients from the CPU's."""
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(6, 3, 8, 5, 5, generator=draw, dtype=torch.float64)
    maps[:, :, 3] = maps[:, :, 5]  # equal scores
    maps[:, 1] = 0.0
    found: list[list[Tensor]] = []
    for where in (torch.device("cpu"), device):
        torch.manual_seed(1)
        attention = ASA(6, 8, 2, mode=mode, backend="torch").double().to(where)
        given = maps.detach().to(where).requires_grad_()
        out = attention(given)
        out.square().sum().backward()
        grads = [given.grad, *(each.grad for each in attention.parameters())]
        found.append([out.detach().cpu(), *(each.cpu() for each in grads if each is not None)])
    pairs = zip(*found, strict=True)
    return max(float((here - there).abs().max()) for here, there in pairs)


def _steps(machine: Machine, found: Outcome) -> None:
    """Add a table of training steps, and the attention's share of them."""
    batch, steps = TINY if machine.tiny else (BATCH, STEPS)
    frames, labels = (each.to(machine.device) for each in batch_of(batch, steps))
    names = [(contender, attended) for attended in (True, False) for contender in (PLAIN, OURS)]
    work: dict[str, Callable[[], Callable[[], object]]] = {}
    saved: dict[str, float | None] = {}
    for contender, attended in names:
        built = partial(make, contender, steps, attended=attended, device=machine.device)

        def begun(contender: str = contender, built: partial[torch.nn.Module] = built) -> object:
            return step_of(contender, built(), frames, labels)

        def kept(contender: str = contender, built: partial[torch.nn.Module] = built) -> float:
            model = built()
            mib: float = kept_mib(model, lambda: loss_of(contender, model, frames, labels))
            return mib

        title = _title(contender, attended)
        work[title] = begun  # type: ignore[assignment]
        saved[title] = machine.fitting(kept)
        machine.free()
    times = machine.in_turn(work)
    rows = []
    for contender, attended in names:
        title = _title(contender, attended)
        if not times[title]:
            found.full.append(title)
        faster = ratios(times[_title(PLAIN, attended)], times[title])
        mib = saved[title]
        cells = [spread(times[title]), spread(faster), "-" if mib is None else f"{mib:.4g}"]
        rows.append([contender, "asa" if attended else "none", *cells])
    found.lines += [f"\nBatch {batch}, T = {steps}, 32 x 32 pixels, float32:", ""]
    found.lines += table(TITLES, rows)
    for contender in (PLAIN, OURS):
        pairs = [times[_title(contender, attended)] for attended in (False, True)]
        shares = [1 - each for each in ratios(*pairs)]
        found.lines.append(f"\nThe attention's share of a step, {contender}: {spread(shares)}.")
    ours = _title(OURS, attended=True)
    found.passed += ["step"] if times[ours] else []
    if times[ours] and max(ratios(times[_title(PLAIN, True)], times[ours]), default=1.0) < 1:
        found.slower.append("asa3 with attention")


def _title(contender: str, attended: bool) -> str:
    return f"{contender} {'with' if attended else 'without'} attention"
