"""A page on runs: which are meant, what is measured of them, and the text that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..errors import UsageError, plain, shell_word
from ..preprocess.cache.roots import user_root
from ..train.assess.elsewhere import Part
from ..train.checkpoints.started import root_of
from ..train.study.runs import find_runs
from ..train.study.sweep import load_sweep
from .gather import gather
from .page import Part as PagePart
from .page import part_of, write_page
from .together import together

DETAILED = 4
"""Runs up to which each has its own sections."""


def folder_of(path: Path) -> Path:
    """Return a path; of a sweep's file the folder that ``snntx sweep`` writes its runs to.

    Raises:
        UsageError: it is no sweep's file, names no card, or nothing was run by it.
    """
    if path.suffix != ".toml":
        return path
    sweep = load_sweep(str(path))
    if sweep.out is None and sweep.card is None:
        raise UsageError(f"{path}: names no card, so its folder is not known; give the folder")
    out = Path(sweep.out or Path("runs") / f"{path.stem}-{sweep.card}")
    if not out.is_dir():
        raise UsageError(f"{path}: no folder {out}; run it first: snntx sweep {shell_word(path)}")
    return out


def make_report(
    paths: Sequence[Path],
    root: Path | None,
    device: torch.device,
    *,
    part: Part = "test",
    baseline: str = "",
    default_root: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """Return the page on some runs.

    Args:
        paths: run directories, folders that hold some, or files of sweeps.
        root: of all caches; None for those that the runs were trained on.
        device: where to compute.
        part: of each run's protocol that is measured.
        baseline: what groups of runs are compared with, as by ``snntx compare``.
        default_root: of all caches, where a run does not say; None for the user's own.
        say: told what is being done, and what is left out.

    Raises:
        UsageError: a path is no run and holds none, or the only run cannot be measured; one of
            several is named on the page, with the reason.
        SnntxError: a run or its cache is damaged or not there.
    """
    folders = [folder_of(path) for path in paths]
    runs = [path for path, _ in find_runs(folders)]
    named = list(zip(runs, names(runs), strict=True))
    notes: list[str] = []
    if baseline and len(runs) == 1:
        raise UsageError(f"--baseline {baseline}: there is one run; name those to compare")
    found = []
    if len(runs) <= DETAILED:
        for run, name in named:
            where = root_of(run, default_root or user_root()) if root is None else root
            try:
                found.append(gather(run, name, where, device, part, say))
            except UsageError as error:
                if len(runs) == 1:
                    raise
                notes.append(f"Run {name} has no sections of its own: {error}.")
                say(notes[-1])
    else:
        notes.append(
            f"With {len(runs)} runs (more than {DETAILED}) the sections of each run are left out; "
            "snntx report RUN has them."
        )
        say(notes[0])
    parts = []
    if len(runs) > 1:
        section = together(folders, named, found, baseline)
        parts.append(PagePart("runs", "Comparison", (section,)))
    parts += [part_of(each, number) for number, each in enumerate(found, 1)]
    title = plain(named[0][1] if len(named) == 1 else f"{len(named)} runs")
    return write_page(f"snntx report: {title}", parts, notes)


def names(runs: Sequence[Path]) -> list[str]:
    """Return what runs are called: the last parts of their paths, as many as tell them apart."""
    whole = [run.absolute().parts for run in runs]
    for count in range(1, max(map(len, whole)) + 1):
        short = ["/".join(parts[-count:]) for parts in whole]
        if len(set(short)) == len(short):
            return short
    return [str(run) for run in runs]
