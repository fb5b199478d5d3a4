"""Where compiled kernels are kept when neither the installation nor the home can be written.

Numba keeps what it compiles beside the source or in the user's own folder, and refuses to import
a kernel where it may write neither. Then they go below the root of all caches or, where that is
read-only too, into the temporary folder. The choice is made before Numba is imported and handed
to child processes by ``NUMBA_CACHE_DIR``, as a user's own is; Triton's folder goes with it. What
is kept there is executed, so only a folder of this user that nobody else can write is taken.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ...errors import SnntxError, plain

VARIABLE = "NUMBA_CACHE_DIR"
TRITON_VARIABLE = "TRITON_CACHE_DIR"
FOLDER = ".kernels"
"""Name below the root of all caches; a card has no such name."""
_PACKAGE = Path(__file__).resolve().parents[2]
_KERNELS = (
    "preprocess",
    "preprocess/framing",
    "train/batches",
    "train/network/backends/compiled",
)


_below: list[Path] = []


def prefer(root: Path) -> None:
    """Say where the caches lie, below which a folder is chosen if one has to be."""
    _below[:] = [root]


def _say(line: str) -> None:
    print(f"snntx: {line}", file=sys.stderr)


def place_kernels(say: Callable[[str], None] = _say) -> None:
    """Choose a folder for compiled kernels if Numba's own choices cannot be written.

    Args:
        say: called with one line where a folder was chosen.

    Raises:
        SnntxError: no folder can be written.
    """
    own = os.environ.get(VARIABLE)
    if (own and _can_write(Path(own))) or _has_a_place():
        return
    roots = [root for root in _below if root.is_dir()]
    chosen = (_private(roots[0] / FOLDER) if roots else None) or _in_temporary()
    os.environ[VARIABLE] = str(chosen)
    if TRITON_VARIABLE not in os.environ and not _can_write(Path("~/.triton").expanduser()):
        os.environ[TRITON_VARIABLE] = str(chosen / "triton")
    loaded = sys.modules.get("numba")
    if loaded is not None:  # imported earlier, by somebody else
        loaded.config.CACHE_DIR = str(chosen)
    say(
        f"compiled kernels are kept in {plain(chosen)}, since neither the installation nor the "
        f"home folder can be written; {VARIABLE} chooses another folder"
    )


def _has_a_place() -> bool:
    """Say whether Numba finds a folder of its own: beside the source, or the user's."""
    if all(_can_write(_PACKAGE / folder / "__pycache__") for folder in _KERNELS):
        return True
    import platformdirs

    return _can_write(Path(platformdirs.user_cache_dir("numba", appauthor=False)))


def _can_write(folder: Path) -> bool:
    """Say whether a file can be made in a folder, which is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _private(folder: Path) -> Path | None:
    """Make a folder that this user alone can write; None where that cannot be."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return None
    if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o022):
        return None
    return folder if folder.is_dir() and not folder.is_symlink() and _can_write(folder) else None


def _in_temporary() -> Path:
    try:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        known = _private(Path(tempfile.gettempdir()) / f"snntx-kernels-{user}")
        return known or Path(tempfile.mkdtemp(prefix="snntx-kernels-"))
    except OSError as error:
        raise SnntxError(
            f"no folder can be written for compiled kernels: neither the installation, the home "
            f"folder, the root of the caches nor a temporary folder; set {VARIABLE} to one that "
            "can"
        ) from error
