"""What a training runs on: versions, the checkout's commit, the machine and its device.

In: the device. Out: texts and numbers as ``run.json`` keeps them, None for what there is not.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ... import __version__

PACKAGE = Path(__file__).resolve().parents[2]
"""The package's own folder, which is the checkout's where there is one."""
PARTS = ("torch", "numpy", "numba", "h5py", "triton")
"""Packages that figures may depend on."""
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "PYTHONPATH",
    "SNNTX_CACHE",
)
"""What of the environment a command may depend on."""


def surroundings(device: torch.device) -> dict[str, Any]:
    """Return what a training on a device depends on, besides its files and settings."""
    return {
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "versions": versions(device),
        "commit": commit(),
        "host": platform.node(),
        "system": platform.platform(),
        "device": str(device),
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
    }


def versions(device: torch.device) -> dict[str, str | None]:
    """Return the versions of this package, of Python and of :data:`PARTS`; None for one not there.

    On CUDA ``cuda`` is the release that torch was built for and ``driver`` NVIDIA's own.
    """
    found: dict[str, str | None] = {"snntx": __version__, "python": platform.python_version()}
    for name in PARTS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    cuda = device.type == "cuda"
    found["cuda"] = torch.version.cuda if cuda else None
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    told = _told(ask) if cuda else None
    found["driver"] = told.splitlines()[0] if told else None
    return found


def commit(folder: Path = PACKAGE) -> str | None:
    """Return the commit of a checkout, with ``-dirty`` where tracked files were changed.

    None where the folder is no checkout itself, or git cannot tell.
    """
    if not (folder / ".git").exists():
        return None
    ask = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*"]
    return _told([*ask, "--dirty"])


def device_name(device: torch.device) -> str | None:
    """Return what a device is called, such as ``NVIDIA H100 80GB HBM3``; None where unknown."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor()) or None


def _told(command: list[str]) -> str | None:
    """Return what a program prints; None where there is no such program, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
