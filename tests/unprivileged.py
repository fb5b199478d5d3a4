"""Other processes that a folder's permissions bind, also where the tests run as root."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
_DROP, _CAPABILITIES = 24, (1, 2)
"""``PR_CAPBSET_DROP``; to write and to read what permissions forbid."""


def _bound() -> None:
    """Give up, for this process and all that it becomes, to pass over permissions."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in _CAPABILITIES:
            if libc.prctl(_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def call(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these arguments, bound by permissions; a variable of "" is unset."""
    known = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={name: value for name, value in known.items() if value},
        preexec_fn=_bound,
    )


def read_only(folder: Path) -> None:
    """Take the right to write away from a folder and all below it."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def writable(folder: Path) -> None:
    """Give it back, so that the folder can be removed."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def installed(site: Path) -> Path:
    """Copy the package to ``site/snntx``, read-only as an installation may be; returns ``site``."""
    left = shutil.ignore_patterns(".*", "tests", "docs", "benchmarks", "__pycache__", "build")
    keep = {"build"}

    def leave(folder: str, names: list[str]) -> set[str]:
        inside = Path(folder) != CHECKOUT
        return {name for name in left(folder, names) if not (inside and name in keep)}

    shutil.copytree(CHECKOUT, site / "snntx", ignore=leave)
    read_only(site)
    return site
