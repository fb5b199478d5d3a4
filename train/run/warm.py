"""A process that has imported what commands need, and is forked for each of them.

In: the words of a command and where its output goes. Out: a process of its own for it, as
``python -m snntx`` would be, and how that ended. What the command does to its memory, threads,
random states, environment or files open ends with it: the next is forked from the same untouched
process, which computes nothing itself. It starts no thread, leaves CUDA alone and hears no Ctrl-C;
when it ends, the system asks what it forked to end (Linux).

    python -m snntx.train.run.warm    (what to import, and then each command, on standard input)
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

HAS_FORK = sys.platform == "linux"
"""Where forking is safe, and the system ends what its parent left."""
_PARENT_DIES = 1
"""``PR_SET_PDEATHSIG`` of Linux."""
_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """Let the system ask this process to end when its parent dies (Linux alone)."""
    if _libc is not None:
        _libc.prctl(_PARENT_DIES, signal.SIGTERM)


class Warm:
    """One such process, seen from the one that started it.

    Args:
        environment: of it and of all commands.
        modules: imported before the first command.
        kernels: the folder of all caches, where compiled kernels of the CPU are loaded too where
            they are kept; None leaves them.
    """

    def __init__(
        self, environment: Mapping[str, str], modules: Sequence[str], kernels: Path | None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "snntx.train.run.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=end_with_parent if _libc else None,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._unread = b""
        self._say({"kernels": str(kernels or ""), "modules": list(modules)})

    @property
    def pid(self) -> int:
        """Number of the process that is forked."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it can take another command."""
        return self._process.poll() is None

    @property
    def code(self) -> int:
        """How it ended."""
        return self._process.wait()

    def run(self, words: Sequence[str], log: Path, folder: Path) -> Forked:
        """Start a command; only one at a time.

        Args:
            words: its arguments.
            log: what its output is added to.
            folder: the working directory.
        """
        self._say({"words": list(words), "log": str(log), "folder": str(folder)})
        return Forked(self)

    def _say(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self._process.wait()  # it has ended, as the command will hear when it is asked

    def heard(self) -> list[dict[str, int]]:
        """Return what it said since it was asked last."""
        assert self._process.stdout is not None
        self._unread += self._process.stdout.read() or b""
        *lines, self._unread = self._unread.split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End it, and what it forked."""
        if self.lives:
            self._process.terminate()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except OSError:
                continue  # what was never read


class Forked:
    """A command that was started so; as ``subprocess.Popen`` where that is used.

    Attributes:
        never_began: it ended before the command did anything, which can be started elsewhere.
    """

    def __init__(self, warm: Warm) -> None:
        self._warm, self._pid, self._asked = warm, 0, 0
        self._code: int | None = None
        self.never_began = False

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self._code is not None:
            return self._code
        ended = not self._warm.lives  # before it is heard, so that nothing it said is missed
        for said in self._warm.heard():
            self._pid = said.get("pid", self._pid)
            if self._asked and "pid" in said:  # it was asked before it had a number
                os.kill(self._pid, self._asked)
            if "code" in said:
                self._code = said["code"]
        if self._code is None and ended and not (self._pid and _is_there(self._pid)):
            self.never_began = not self._pid
            self._code = self._warm.code
        return self._code

    def _send(self, number: int) -> None:
        if self.poll() is None:
            self._asked = number
            if self._pid:
                os.kill(self._pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _load_kernels(root: Path) -> None:
    """Load what training and measuring in float32 call, as far as it is kept on disk."""
    from ...preprocess.disk.kernel_cache import prefer

    prefer(root)
    from ..network.backends.compiled.ahead import KERNELS, is_kept, signature

    for name, kernel in KERNELS.items():
        kinds = signature(name, "float32")
        if kinds not in kernel.overloads and is_kept(kernel, kinds):
            kernel.compile(kinds)


def _begin(request: dict[str, Any], parent: int) -> NoReturn:
    """In the forked process: become what ``python -m snntx`` would be."""
    end_with_parent()
    if os.getppid() != parent:  # it has just ended
        os.kill(os.getpid(), signal.SIGTERM)
    os.setsid()
    nothing, log = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(request["log"], os.O_WRONLY | os.O_APPEND),
    )
    for here, there in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(here, there)
    os.close(nothing)
    os.close(log)
    os.chdir(request["folder"])
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    sys.argv = ["snntx", *request["words"]]  # runpy names the program
    runpy.run_module("snntx", run_name="__main__", alter_sys=True)
    sys.exit(0)


def serve() -> None:
    """Import modules, then fork for each request on standard input until that ends."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch reads it, as the command
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    wanted, child = json.loads(requests.readline()), 0
    for name in wanted["modules"]:
        importlib.import_module(name)
    for line in requests:
        if wanted["kernels"]:
            _load_kernels(Path(wanted["kernels"]))
        if child:
            os.waitpid(child, 0)  # until now its number was no other's
        own = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the threads are of libraries
            child = os.fork()
        if child == 0:
            os.close(requests.fileno())
            os.close(answers.fileno())
            _begin(json.loads(line), own)
        answers.write(json.dumps({"pid": child}).encode() + b"\n")
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        answers.write(json.dumps({"code": code}).encode() + b"\n")


if __name__ == "__main__":
    serve()
