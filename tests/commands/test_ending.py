"""Signals before the first command and after the last one: one line, or nothing at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
LINE = "snntx: interrupted; run the same command again to go on\n"
SENDING = """
import os, sys
number, after, *sys.argv[1:] = sys.argv[1:]
left = [int(after)]
def hook(event, _):
    if event == "import":
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), int(number))
from snntx.__main__ import main
sys.addaudithook(hook)
main()
"""
"""Sends itself a signal at one of its imports, the first being that of how commands end."""
COUNTING = """
import sys
seen = []
from snntx.__main__ import main
sys.addaudithook(lambda event, about: seen.append(about[0]) if event == "import" else None)
try:
    main()
finally:
    print(*seen, file=sys.stderr)
"""
EXITING = """
import atexit, os, sys
from snntx.__main__ import main
number = int(sys.argv.pop(1))
atexit.register(lambda: os.kill(os.getpid(), number))
main()
"""


def started(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def imports() -> int:
    """How many imports there are from the program's begin to its help."""
    seen = started(COUNTING, "--help").stderr.split()
    assert {"snntx.cli", "click", "snntx.commands", "snntx.errors"} <= set(seen)
    return len(seen)


@pytest.mark.parametrize("number", CODES)
def test_a_signal_during_the_imports_is_one_line(imports: int, number: signal.Signals) -> None:
    """At many moments; SIGTERM is heard from the moment at which its module is imported."""
    first = 1 if number == signal.SIGINT else imports // 4
    for moment in [*range(first, imports // 4, 7), *range(imports // 4, imports, imports // 12)]:
        done = started(SENDING, int(number), moment, "--help")
        found = (done.returncode, done.stdout, done.stderr)
        assert found == (CODES[number], "", LINE), (moment, imports)


@pytest.mark.parametrize("number", CODES)
def test_a_signal_as_the_program_leaves_changes_nothing(number: signal.Signals) -> None:
    whole = started(EXITING.replace("atexit.register", "str"), 0, "--help")
    done = started(EXITING, int(number), "--help")
    assert (done.returncode, done.stdout, done.stderr) == (0, whole.stdout, "")
    assert "Commands:" in done.stdout
    done = started(EXITING, int(number), "nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("snntx: error: unknown command 'nonsense'")
    assert done.stderr.count("\n") == 1


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SENDING
    done = started(ignoring, int(signal.SIGINT), 50, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Commands:" in done.stdout


def test_who_imports_the_command_line_hears_signals_as_before() -> None:
    program = (
        "import signal\n"
        "from snntx.cli import run\n"
        "assert run(['cards']) == 0\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
    )
    done = started(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_both_programs_begin_there() -> None:
    """``snntx`` and ``python -m snntx``, whose begin imports nothing of the command line."""
    folder = Path(__file__).parents[2]
    scripts = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"snntx": "snntx.__main__:main"}
    program = "import sys, snntx.__main__; print(*(m for m in sys.modules if 'snntx' in m))"
    loaded = {name for name in started(program).stdout.split() if "editable" not in name}
    assert loaded == {"snntx", "snntx.__main__"}
    done = subprocess.run(
        [sys.executable, "-m", "snntx", "--version"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
