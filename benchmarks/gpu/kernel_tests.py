"""Every test that needs a GPU, run as they are.

In: the machine. Out: how many passed, and the names of those that failed. Both are run by pytest
in processes of their own: the kernels against the neurons' definition (``tests/triton_*.py``, not
interpreted where there is CUDA), and all tests marked ``cuda``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from .machine import Machine
from .outcome import Outcome, table

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ("tests/triton_equality.py", "tests/triton_statistics.py")


def measure(machine: Machine) -> Outcome:
    """Return how the tests went; in the interpreter the slow ones are left out."""
    stage = "not slow" if machine.tiny else "slow or not slow"
    found, rows = Outcome(), []
    for title, words in (
        ("kernels against their definition", ["-m", stage, *KERNELS]),
        ("tests marked cuda", ["-m", "cuda", "tests"]),
    ):
        counts, failures = run(words, interpret=machine.tiny)
        rows.append([title, *(counts[name] for name in ("passed", "failed", "skipped"))])
        if counts["passed"]:
            found.passed.append(f"{counts['passed']} {title}")
        elif not failures and not machine.tiny:
            failures = [f"{title}: none ran"]
        found.failed += failures
    found.lines = table(("tests", "passed", "failed", "skipped"), rows)
    return found


def run(words: list[str], *, interpret: bool) -> tuple[Counter[str], list[str]]:
    """Run pytest; return how many tests passed, failed and were skipped, and what failed."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    if interpret:
        environment["TRITON_INTERPRET"] = "1"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "results.xml"
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={path}"]
        command = [sys.executable, "-m", "pytest", *options, *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if not path.is_file():
            lines = (done.stderr or done.stdout).strip().splitlines()
            return Counter(), [f"pytest ended with {done.returncode}: {lines[-1] if lines else ''}"]
        counts, failures = counted(path)
        if done.returncode not in (0, 1, 5) and not failures:  # 1 is failed tests, 5 is none
            lines = (done.stderr or done.stdout).strip().splitlines() or [""]
            failures = [f"pytest ended with {done.returncode}: {lines[-1]}"]
        return counts, failures


def counted(path: Path) -> tuple[Counter[str], list[str]]:
    """Return the counts of a JUnit file, and the tests that failed, each with its first line."""
    counts: Counter[str] = Counter()
    failures = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        problem = next((each for each in case if each.tag in ("failure", "error")), None)
        if problem is not None:
            counts["failed"] += 1
            lines = (problem.get("message") or "").splitlines() or [""]
            failures.append(f"{case.get('name')}: {lines[0]}")
        else:
            counts["skipped" if case.find("skipped") is not None else "passed"] += 1
    return counts, failures
