"""Whether a recording costs the same in a whole data set as in a part of it.

    python benchmarks/structures.py --work DIR [--rounds 3] [--jobs 2] [--cards NAME ...]

Writes the whole structures of N-Omniglot (1,623 characters x 20 drawers with their drawings) and
of CEP-DVS (10,000 recordings with their pictures) below ``--work`` once, of recordings of a few
hundred events, and in each round runs ``snntx preprocess`` on a tenth, a half and all of each,
as whole processes with nothing remembered. The marginal cost of a recording, with its picture,
is the difference of two times over the difference in recordings; were anything slower than
linear, it would grow from the first line to the second. Memory is measured in builds of
their own, that of all processes together with shared pages counted once. Prints Markdown
tables, median (smallest to largest over the rounds).
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

from layouts import EVENTS, Layout, layouts
from processes import Built, build, link, spread

PARTS = {"a tenth": 10, "a half": 2, "all": 1}
"""Part of a data set → one of how many groups it takes."""


def written(layout: Layout, work: Path) -> Path:
    """Return the root of a data set, written unless it is there."""
    root = work.joinpath(layout.card)
    mark = work / f"{layout.card}.written"
    if not mark.is_file():
        layout.write(root)
        mark.touch()
    return root


def parts(layout: Layout, work: Path) -> dict[str, Path]:
    """Return a root for each part, linked from the whole data set."""
    root = written(layout, work)
    roots = {title: work / f"{layout.card}-{every}" for title, every in PARTS.items()}
    for title, every in PARTS.items():
        if every == 1:
            roots[title] = root
            continue
        names = [*layout.common, *itertools.chain.from_iterable(layout.groups[::every])]
        link((root / name for name in names), root, roots[title])
    return roots


def measure(layout: Layout, work: Path, rounds: int, jobs: int) -> None:
    """Build every part of a data set in turn and print its tables."""
    roots = parts(layout, work)

    def once(title: str, *, watch: bool = False) -> Built:
        raw, static = roots[title] / layout.raw, roots[title] / layout.static
        return build(layout.card, raw, work / "cache", jobs, static=static, watch=watch)

    once("a tenth")  # compiles the kernels, and reads the files once
    built: dict[str, list[Built]] = {title: [] for title in roots}
    for _ in range(rounds):
        for title in roots:
            built[title].append(once(title))
    print(f"\n`{layout.card}`, recordings of {EVENTS} events:\n")
    print("| part | recordings | pictures | seconds | CPU seconds | peak PSS (MiB) |")
    print("|---|---|---|---|---|---|")
    for title, runs in built.items():
        one, seconds, cpu = runs[0], [r.seconds for r in runs], [r.cpu for r in runs]
        peak = once(title, watch=True).peak
        counts = f"{one.recordings:,} | {one.statics:,}"
        print(f"| {title} | {counts} | {spread(seconds)} | {spread(cpu)} | {peak:.0f} |")
    print("\n| marginal cost of a recording and its picture | ms | CPU ms |")
    print("|---|---|---|")
    for low, high in itertools.pairwise(built):
        pairs = list(zip(built[low], built[high], strict=True))
        more = pairs[0][1].recordings - pairs[0][0].recordings
        wall = [(b.seconds - a.seconds) / more * 1e3 for a, b in pairs]
        cpu = [(b.cpu - a.cpu) / more * 1e3 for a, b in pairs]
        print(f"| from {low} to {high} | {spread(wall)} | {spread(cpu)} |")


def main() -> None:
    known = {layout.card: layout for layout in layouts()}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cards", nargs="+", choices=sorted(known), default=sorted(known))
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    print(f"{options.rounds} rounds, {options.jobs} jobs, {os.cpu_count()} cores")
    for name in options.cards:
        measure(known[name], work, options.rounds, options.jobs)


if __name__ == "__main__":
    main()
