"""The demonstration's data: real handwritten digits, recorded by a simulated sensor.

The digits are scikit-learn's ``load_digits``, 1,797 drawings of 8x8 pixels (Alpaydin and
Kaynak, 1998); they come with the package, so nothing is downloaded. Each is smoothed to
28x28 and recorded as N-MNIST was (:mod:`snntx.preprocess.simulate`). The files are laid out
as the official ones are::

    raw/Train/<digit>/NNNNN.bin        events, ATIS 40-bit; NNNNN counts from 00001
    static/train-images-idx3-ubyte     twin of NNNNN: image NNNNN - 1
    static/train-labels-idx1-ubyte
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SnntxError, UsageError
from .disk.atomic import write_atomic
from .disk.locks import waiting_for
from .readers.formats.atis import encode
from .simulate import DEFAULTS, simulate_events

MARKER = "simulated-digits.json"
VERSION = 1
IMAGE_PX = 28
MARGIN_PX = 1
"""Black pixels set around an 8x8 digit, so that smoothed strokes fade before the edge."""


def load_drawings(count: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the first ``count`` digits, white on black, and their labels.

    Returns:
        uint8 images ``(N, 28, 28)`` and uint8 labels 0 to 9 ``(N,)``.

    Raises:
        UsageError: ``count`` is not between 1 and the 1,797 there are.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    drawings, labels = load_digits(return_X_y=True)
    if count is not None and not 1 <= count <= len(labels):
        raise UsageError(f"recordings must lie in [1, {len(labels)}], found {count}")
    grey = np.rint(drawings[:count].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    framed = np.pad(grey, ((0, 0), (MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX)))
    smooth = Image.Resampling.BICUBIC
    images = [Image.fromarray(each).resize((IMAGE_PX, IMAGE_PX), smooth) for each in framed]
    return np.stack([np.asarray(each) for each in images]), labels[:count].astype(np.uint8)


def write_simulated_digits(
    directory: Path,
    *,
    seed: int,
    recordings: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Write the recordings and their static twins, unless the same set is already there.

    A marker file says which set the directory holds: begun before its first file, finished
    after its last. A set that was interrupted or made with other options is written anew.

    Args:
        directory: receives ``raw/`` and ``static/``; created where missing.
        seed: of the sensor's background noise.
        recordings: the first so many digits; None for all 1,797.
        say: called with a line where another process is writing them.

    Returns:
        Number of recordings in the set.

    Raises:
        UsageError: ``recordings`` is out of range.
        SnntxError: the directory holds a ``raw`` or ``static`` that this function did not write.
    """
    from tqdm import tqdm

    images, labels = load_drawings(recordings)
    directory.mkdir(parents=True, exist_ok=True)
    wanted = _description(seed, len(labels))
    with waiting_for(directory / f".{MARKER}.lock", "writing these recordings", say):
        if _marker(directory) == wanted | {"finished": True} and _all_there(directory, labels):
            return len(labels)
        _clear(directory)
        write_atomic(directory / MARKER, _text(wanted | {"finished": False}))
        _write_static(directory / "static", images, labels)
        digits = zip(images, labels, strict=True)
        bar = tqdm(digits, "simulating recordings", len(labels), unit="recording", disable=None)
        for index, (image, label) in enumerate(bar):
            path = _recording(directory, index, int(label))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(simulate_events(image / 255.0, seed=(seed, index))))
        write_atomic(directory / MARKER, _text(wanted | {"finished": True}))
    return len(labels)


def _recording(directory: Path, index: int, label: int) -> Path:
    """Return the path of a recording by its 0-based index."""
    return directory / "raw" / "Train" / str(label) / f"{index + 1:05d}.bin"


def _write_static(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Write MNIST's IDX files: big-endian magic (type, dimensions), sizes, then the bytes."""
    folder.mkdir()
    head = struct.pack(">IIII", 2051, *images.shape)
    (folder / "train-images-idx3-ubyte").write_bytes(head + images.tobytes())
    head = struct.pack(">II", 2049, *labels.shape)
    (folder / "train-labels-idx1-ubyte").write_bytes(head + labels.tobytes())


def _description(seed: int, recordings: int) -> dict[str, Any]:
    """Everything that decides the files' content, as the marker stores it."""
    return {
        "what": "simulated recordings of scikit-learn's load_digits",
        "version": VERSION,
        "seed": seed,
        "recordings": recordings,
        "image_px": IMAGE_PX,
        "sensor": asdict(DEFAULTS),
    }


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _marker(directory: Path) -> dict[str, Any] | None:
    """Return the marker's content, None where it is missing or unreadable."""
    try:
        content = json.loads((directory / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _all_there(directory: Path, labels: NDArray[np.uint8]) -> bool:
    """Whether every file of a finished set still exists."""
    static = (
        directory / "static" / f"train-{name}-ubyte" for name in ("images-idx3", "labels-idx1")
    )
    recordings = (_recording(directory, i, int(label)) for i, label in enumerate(labels))
    return all(path.is_file() for path in (*static, *recordings))


def _clear(directory: Path) -> None:
    """Remove an older or interrupted set of ours; leave anyone else's files alone."""
    for name in ("raw", "static"):
        folder = directory / name
        if not folder.exists():
            continue
        if not (directory / MARKER).is_file():
            raise SnntxError(
                f"{folder}: exists, and no {MARKER} beside it says that snntx wrote it; "
                "choose an empty directory"
            )
        shutil.rmtree(folder)
