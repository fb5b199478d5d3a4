"""What ``snntx sweep`` prints for people: the plan, a bar over the runs, and how they ended."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import click

from ...errors import SnntxError, plain
from .text import print_table, wrapped

if TYPE_CHECKING:
    from ...train.study.child import Job, Outcome
    from ...train.study.sweep import SweepRun

LOOK_SECONDS = 2.0
SHOWN = 4
WORDS = {
    "done": "finished",
    "evaluate": "to evaluate",
    "resume": "to resume",
    "start": "to start",
}


def counts_text(states: Sequence[str], words: Mapping[str, str]) -> str:
    """Return how many are in each state, such as ``3 finished, 9 to start``."""
    counts = Counter(states)
    return ", ".join(f"{counts[state]} {word}" for state, word in words.items() if counts[state])


def print_plan(runs: Sequence[SweepRun], states: Mapping[str, str]) -> None:
    """Print every run of a sweep and what is left of it to do."""
    common = [each for each in runs[0].overrides if all(each in run.overrides for run in runs)]
    rows = []
    for run in runs:
        own = ", ".join(each for each in run.overrides if each not in common)
        rows.append([run.name, WORDS[states[run.name]], own])
    print_table(["run", "state", "settings"], rows, right=3)
    if common:
        click.echo()
        click.echo(wrapped(f"every run: {', '.join(common)}", "", "  "))
    click.echo(f"\n{len(runs)} runs: {counts_text(list(states.values()), WORDS)}")


class SweepDisplay:
    """A bar over the runs, and a line for each that ends, on standard error.

    Args:
        jobs: the runs, those finished earlier left out.
        done: how many were finished earlier.
    """

    def __init__(self, jobs: Sequence[Job], done: int) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._total, self._done = len(jobs) + done, done
        self._looked = 0.0
        self._bar: Any = None

    def __enter__(self) -> Self:
        from tqdm import tqdm

        self._bar = tqdm(
            desc="sweep",
            unit="run",
            total=self._total,
            initial=self._done,
            leave=False,
            dynamic_ncols=True,
            disable=None,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def ended(self, outcome: Outcome) -> None:
        """Print how one run ended."""
        line = f"{outcome.state} {outcome.name}"
        if outcome.top1 is not None:
            line += f": {outcome.part} top-1 {outcome.top1:.4f}"
        elif outcome.problem:
            line += f": {outcome.problem}"
        self._bar.write(f"snntx: {plain(line)}", file=sys.stderr)
        self._bar.update(outcome.state == "finished")

    def waiting(self, names: Sequence[str]) -> None:
        """Show how many epochs the runs have that go on."""
        from ...train.study.results import read_log

        now = time.monotonic()
        if self._bar.disable or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        shown = []
        for job in (self._jobs[name] for name in names[:SHOWN]):
            with contextlib.suppress(SnntxError):  # the run itself says what is wrong with its log
                epochs = read_log(job.run, job.recipe).epochs
                shown.append(f"{job.name} {epochs}/{job.recipe.optim.epochs}")
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        self._bar.set_postfix_str(", ".join(shown) + more)


ENDS = {
    "done": "finished earlier",
    "finished": "finished",
    "failed": "failed",
    "stopped": "stopped",
}


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print one line a run, and how many ended how."""
    rows = [
        [each.name, ENDS[each.state], each.part, "" if each.top1 is None else f"{each.top1:.4f}"]
        for each in outcomes
    ]
    print_table(["run", "state", "part", "top-1"], rows, right=3)
    states = [each.state for each in outcomes]
    click.echo(f"\n{len(outcomes)} runs: {counts_text(states, ENDS)}")
