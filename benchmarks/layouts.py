"""Whole structures of published data sets, filled with small generated recordings.

Every folder, table and file is there under the name that the data card expects; a recording
has :data:`EVENTS` events instead of thousands, so that what is left to measure is what each
recording costs besides its events.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.io import savemat

from snntx.data_cards import load_card

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from aedat4_files import COLUMNS, write_plain

EVENTS = 300
T0_US = 1_600_000_000_000_000
DRAWERS = 20
ALPHABETS = {"background": (30, 964), "evaluation": (20, 659)}
"""Of each half of Omniglot: alphabets and characters."""
PAIRS = 10_000
RECORDING_US, PAUSE_US = 60_000, 5_000


@dataclass(frozen=True)
class Layout:
    """One data set on disk.

    Attributes:
        card: name of its card.
        raw: folder of the recordings below the root.
        static: folder of the pictures below the root.
        groups: files that belong together, by path below the root; a part of the data set is
            some of the groups.
        common: files that every part needs.
        write: writes all groups below a root.
    """

    card: str
    raw: str
    static: str
    groups: Sequence[Sequence[str]]
    common: Sequence[str]
    write: Callable[[Path], None]


def layouts() -> list[Layout]:
    """Return the data sets there are."""
    characters = [
        [
            f"raw/{place.format('dvs')}/{prefix}.aedat4",
            f"raw/{place.format('dvs')}/{prefix}.csv",
            *(f"static/{place.format('images')}/{prefix}_{d:02d}.png" for d in _drawers()),
        ]
        for place, prefix in _characters()
    ]
    pairs = [[f"data/MAT/img/{n}.mat", f"data/img/{n}.jpg"] for n in range(PAIRS)]
    return [
        Layout("n-omniglot", "raw", "static", characters, (), write_n_omniglot),
        Layout("cep-dvs", ".", ".", pairs, ("pathFile.csv",), write_cep_dvs),
    ]


def write_n_omniglot(root: Path) -> None:
    """Write 1,623 characters of 20 drawers: recordings, tables of times and drawings."""
    for seed, (place, prefix) in enumerate(_characters()):
        draw = np.random.default_rng(seed)
        folder, pictures = (
            root / "raw" / place.format("dvs"),
            root / "static" / place.format("images"),
        )
        for made in (folder, pictures):
            made.mkdir(parents=True, exist_ok=True)
        recordings = [_recording(draw, T0_US + d * (RECORDING_US + PAUSE_US)) for d in _drawers()]
        write_plain(folder / f"{prefix}.aedat4", recordings)
        times = (f"{d},{r['t'][0]},{r['t'][-1]}" for d, r in enumerate(recordings))
        (folder / f"{prefix}.csv").write_text("\n".join([",start,end", *times, ""]))
        for drawer in _drawers():
            _drawing(draw).save(pictures / f"{prefix}_{drawer:02d}.png")


def write_cep_dvs(root: Path) -> None:
    """Write 10,000 recordings, their pictures and the table of their classes."""
    classes = load_card("cep-dvs").classes
    recordings, pictures = root / "data/MAT/img", root / "data/img"
    for folder in (recordings, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(PAIRS):
        draw = np.random.default_rng(number)
        arrays = {
            "x": draw.integers(0, 346, EVENTS),
            "y": draw.integers(0, 260, EVENTS),
            "ts": np.sort(draw.integers(0, RECORDING_US, EVENTS)),
            "p": draw.choice([-1, 1], EVENTS),
        }
        columns = {name: values.astype(float)[:, None] for name, values in arrays.items()}
        savemat(recordings / f"{number}.mat", columns, do_compression=True)
        blurred = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        blurred.resize((96, 96)).save(pictures / f"{number}.jpg")
    rows = (f"{n} img/{n}.jpg {n}.mat img {classes[n % len(classes)]}" for n in range(PAIRS))
    (root / "pathFile.csv").write_text("\n".join(["number path file kind class", *rows, ""]))


def _drawers() -> range:
    return range(1, DRAWERS + 1)


def _characters() -> Iterator[tuple[str, str]]:
    """Yield path, with a place for the folder's kind, and prefix of every character."""
    prefix = itertools.count(1)
    for half, (alphabets, characters) in ALPHABETS.items():
        for i in range(characters):
            alphabet, character = i % alphabets, i // alphabets + 1
            place = f"{{}}_{half}/Alphabet_{half[:1]}{alphabet:02d}/character{character:02d}"
            yield place, f"{next(prefix):04d}"


def _recording(draw: np.random.Generator, start: int) -> NDArray[np.void]:
    """Return the events of one drawer and, at the time it ends before, one that is not its."""
    events = np.zeros(EVENTS + 1, COLUMNS)
    events["t"] = start + np.sort(draw.integers(0, RECORDING_US, events.size))
    events["t"][0], events["t"][-1] = start, start + RECORDING_US
    events["x"] = draw.integers(54, 304, events.size)
    events["y"] = draw.integers(4, 254, events.size)
    events["p"] = draw.integers(0, 2, events.size)
    return events


def _drawing(draw: np.random.Generator) -> Image.Image:
    """Return black strokes on white, 105 x 105 pixels of one bit."""
    picture = Image.new("1", (105, 105), 1)
    strokes = draw.integers(10, 95, (3, 4, 2))
    for stroke in strokes.tolist():
        ImageDraw.Draw(picture).line([tuple(point) for point in stroke], fill=0, width=3)
    return picture
