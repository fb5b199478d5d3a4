"""What a part of ``make gpu`` found, and the report of all parts.

In: the outcomes of parts, and where they were computed. Out: a dated Markdown section for
``docs/results.md``, and the one line that ends the command.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Outcome:
    """What one part found.

    Attributes:
        lines: of Markdown, for the report.
        passed: what was right, such as ``137 tests``.
        failed: what was not, and how.
        slower: what took longer than the plain network.
        full: what the device's memory did not hold.
    """

    lines: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    slower: list[str] = field(default_factory=list)
    full: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON, for the process that asked for the part."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """Read what :meth:`write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Where:
    """Where the parts were computed.

    Attributes:
        name: of the card, or of the processor.
        date: of the report.
        tiny: whether sizes were tiny and kernels interpreted, so that times mean nothing.
        versions: of what the figures may depend on; None for what is not there.
        commit: of the checkout, None where there is none.
        memory_gib: of the card; 0 for the CPU.
    """

    name: str
    date: datetime.date
    tiny: bool
    versions: Mapping[str, str | None]
    commit: str | None
    memory_gib: float = 0.0

    def file(self, folder: Path) -> Path:
        """Return the report's path, which no earlier report has."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        stem = f"{self.date.isoformat()}-{slug}"
        path, number = folder / f"{stem}.md", 2
        while path.exists():
            path, number = folder / f"{stem}-{number}.md", number + 1
        return path


def report(where: Where, outcomes: Mapping[str, Outcome]) -> str:
    """Return the section of all parts so far, in Markdown."""
    card = f"{where.name}, {where.memory_gib:.0f} GiB" if where.memory_gib else where.name
    names = ("driver", "cuda", "torch", "triton", "numpy", "python", "snntx")
    known = [f"{name} {where.versions.get(name) or '-'}" for name in names]
    lines = [
        f"## On {where.name}, {where.date.isoformat()}",
        "",
        "```sh",
        "make gpu" if not where.tiny else "python benchmarks/on_gpu.py --device cpu",
        "```",
        "",
        f"{card}: {', '.join(known)}, commit {where.commit or '-'}.",
    ]
    if where.tiny:
        lines += ["", "Tiny sizes, kernels in Triton's interpreter: the times mean nothing."]
    for name, outcome in outcomes.items():
        lines += ["", f"### {name}", "", *outcome.lines]
        lines += [f"\nFailed: {each}" for each in outcome.failed]
    return "\n".join([*lines, "", last_line(outcomes), ""])


def last_line(outcomes: Mapping[str, Outcome]) -> str:
    """Return in one line what passed, failed, did not fit and is slower than plain."""

    def all_of(kind: str) -> list[str]:
        return [
            f"{part} {each}" for part, found in outcomes.items() for each in getattr(found, kind)
        ]

    said = {"passed": all_of("passed"), "failed": all_of("failed")}
    said |= {"out of memory": all_of("full")} if all_of("full") else {}
    said["slower than the plain network"] = all_of("slower")
    return "; ".join(f"{name}: {', '.join(each) or 'none'}" for name, each in said.items())


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return rows as a table of Markdown."""
    lines = [list(titles), ["---"] * len(titles), *([str(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]
