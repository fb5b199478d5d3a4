"""Everything that only a CUDA machine can tell, in one command and without the network.

    make gpu                                  on a machine with CUDA
    python benchmarks/on_gpu.py --device cpu  the same way on tiny sizes, kernels interpreted

Runs the parts that ``gpu/parts.py`` lists, each in a process of its own: the tests that need a
GPU, a training step of every network in float32 and bfloat16, the attention and what it costs, an
epoch of N-Caltech101's size. Writes a dated table below ``gpu-results/`` after each part, for
``docs/results.md``, and ends in one line: what passed, what failed, what is slower than the plain
network. Ends with 1 where something failed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpu.outcome import Outcome, Where

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("snntx", "torch", "triton", "pytest", "hypothesis")
LIMIT_S = 3600
"""How long a part may take, seconds."""


def lacking(device: str) -> str | None:
    """Return in one line what stands in the way, and the way out; None for nothing."""
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            return f"{sys.executable} has no {name}: make .venv/installed-dev (with the network)"
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        own = Path(sys.argv[0])
        return (
            f"needs a CUDA device, and torch {torch.__version__} finds none; the same way on the "
            f"CPU, tiny: {sys.executable} {own} --device cpu"
        )
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=7, help="turns of every contender")
    parser.add_argument("--parts", nargs="+", help="those alone, of gpu/parts.py")
    parser.add_argument("--out", type=Path, default=ROOT / "gpu-results")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    problem = lacking(options.device)
    if problem is not None:
        print(f"gpu: {problem}", file=sys.stderr)
        return 1
    if options.device == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
    else:
        os.environ.pop("TRITON_INTERPRET", None)
    import torch
    from gpu.machine import Machine
    from gpu.parts import parts

    known = parts()
    wanted = options.parts or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown or options.rounds < 1:
        found = f"--parts {unknown[0]}" if unknown else f"--rounds {options.rounds}"
        expected = f"some of {', '.join(known)}" if unknown else "1 or more"
        print(f"gpu: {found}, expected {expected}", file=sys.stderr)
        return 1
    if options.into is not None:
        steps = 1 if options.device == "cpu" else 3
        known[wanted[0]](Machine(torch.device(options.device), options.rounds, steps)).write(
            options.into
        )
        return 0
    return whole(wanted, options.device, options.rounds, options.out)


def whole(wanted: list[str], device: str, rounds: int, out: Path) -> int:
    """Run parts, write the report after each, print its last line; return the exit code."""
    from gpu.outcome import last_line, report

    place = where(device)
    out.mkdir(parents=True, exist_ok=True)
    path = place.file(out)
    outcomes = {}
    for name in wanted:
        print(f"gpu: {name}", file=sys.stderr, flush=True)
        outcomes[name] = alone(name, device, rounds)
        path.write_text(report(place, outcomes), encoding="utf-8")
        found = outcomes[name]
        print("\n".join([*found.lines, *(f"failed: {each}" for each in found.failed)]), flush=True)
    print(f"\n{path}; to keep it: cat {path} >> {ROOT / 'docs' / 'results.md'}")
    print(last_line(outcomes))
    return 1 if any(found.failed for found in outcomes.values()) else 0


def alone(name: str, device: str, rounds: int) -> Outcome:
    """Run a part in a process of its own and return what it found."""
    from gpu.outcome import Outcome

    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "outcome.json"
        words = ["--device", device, "--rounds", str(rounds), "--parts", name, "--into", str(into)]
        try:
            done = subprocess.run(
                [sys.executable, __file__, *words],
                stderr=subprocess.PIPE,
                text=True,
                timeout=LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            return Outcome(failed=[f"took more than {LIMIT_S} s"])
        if into.is_file():
            return Outcome.read(into)
        lines = done.stderr.strip().splitlines() or ["without a word"]
        return Outcome(failed=[f"ended with {done.returncode}: {lines[-1]}"])


def where(device: str) -> Where:
    """Return the card and the versions, as a run keeps them."""
    import torch
    from gpu.outcome import Where

    from snntx.train.run.surroundings import commit, device_name, versions

    here = torch.device(device)
    memory = torch.cuda.get_device_properties(here).total_memory if device == "cuda" else 0
    return Where(
        name=device_name(here) or device,
        date=datetime.date.today(),
        tiny=device == "cpu",
        versions=versions(here),
        commit=commit(),
        memory_gib=memory / 2**30,
    )


if __name__ == "__main__":
    sys.exit(main())
