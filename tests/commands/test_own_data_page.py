"""The page of a user's own recordings: each of its cards frames, trains and predicts."""

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.readers.base import READERS
from snntx.tests import plain_files
from snntx.tests.plain_files import some, table

PAGE = Path(__file__).resolve().parents[2] / "docs/own-data.md"
BLOCKS = dict(re.findall(r"^```toml\n# (\S+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S))
CLASSES, COUNT = ("circle", "square"), 20
Columns = dict[str, np.ndarray[Any, Any]]


def card_text(name: str) -> str:
    """A card of the page, whole: those that show less are like the first."""
    own, whole = BLOCKS[name], BLOCKS["csv.toml"]
    if own is whole:
        return str(whole)
    head, _, events = own.partition("[events]\n")
    rest = re.sub(
        r"\[events\]\n.*?(?=\[framing\])", lambda _: f"[events]\n{events}\n", whole, flags=re.S
    )
    return rest.replace('name = "my-csv"\n', f'name = "my-{name.removesuffix(".toml")}"\n{head}')


def recording(place: int) -> Columns:
    held = some(120 + place, place, side=34)
    return {**held, "t": held["t"] // 1000 * 1000}  # whole milliseconds


def named(columns: Columns, names: str) -> Columns:
    return dict(zip(names.split(), (columns[name] for name in "txyp"), strict=True))


def csv(path: Path, held: Columns) -> None:
    plain_files.write_csv(
        path.with_suffix(".csv"), named({**held, "t": held["t"] // 1000}, "time col row sign")
    )


def npz(path: Path, held: Columns) -> None:
    plain_files.write_npz(
        path.with_suffix(".npz"), named({**held, "t": held["t"] / 1e6}, "ts x y pol")
    )


def fields(path: Path, held: Columns) -> None:
    plain_files.write_npy(path.with_suffix(".npy"), named(held, "timestamp x y polarity"))


def rows(path: Path, held: Columns) -> None:
    np.save(path.with_suffix(".npy"), table(held)[:, [1, 2, 3, 0]].T)


def hdf5(path: Path, held: Columns) -> None:
    names = "events/ts events/xs events/ys events/ps"
    plain_files.write_hdf5(path.with_suffix(".h5"), named({**held, "t": held["t"] * 1000}, names))


WRITERS: dict[str, Callable[[Path, Columns], None]] = {
    "csv.toml": csv,
    "npz.toml": npz,
    "named.toml": fields,
    "rows.toml": rows,
    "hdf5.toml": hdf5,
}


def write(name: str, raw: Path) -> None:
    held = [recording(place) for place in range(COUNT)]
    if name == "arrays.toml":
        plain_files.write_arrays(raw / "all_data.npy", map(table, held))
        plain_files.write_labels(raw / "all_target.npy", [p % 2 for p in range(COUNT)])
        return
    for place, columns in enumerate(held):
        path = raw / CLASSES[place % 2] / f"{place + 1:04d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[name](path, columns)


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The root of a cache for each card of the page, made by its command."""
    made = {}
    for name in BLOCKS:
        folder = tmp_path_factory.mktemp(name.removesuffix(".toml"))
        (folder / name).write_text(card_text(name), "utf-8")
        write(name, folder / "shapes")
        arguments = ["preprocess", str(folder / name), "--raw", str(folder / "shapes")]
        assert run([*arguments, "--cache", str(folder / "cache")]) == 0, name
        made[name] = folder
    return made


def frames_of(folder: Path, name: str) -> np.ndarray[Any, Any]:
    [index] = (folder / "cache" / f"my-{name.removesuffix('.toml')}").glob("*/index.h5")
    cache = FrameCache(index.parent)
    order = np.argsort(cache.labels, kind="stable")
    return np.asarray(cache.frames(order))


def test_every_plain_format_has_a_card() -> None:
    formats = {tomllib.loads(text)["events"]["format"] for text in BLOCKS.values()}
    assert formats == {"gait", *(n for n in READERS.shipped() if READERS.get(n).takes_columns)}
    assert set(WRITERS) | {"arrays.toml"} == set(BLOCKS)


def test_all_cards_frame_the_same_recordings(caches: dict[str, Path]) -> None:
    wanted = frames_of(caches["csv.toml"], "csv.toml")
    assert wanted.sum() > 1000
    for name, folder in caches.items():
        np.testing.assert_array_equal(frames_of(folder, name), wanted, err_msg=name)


@pytest.mark.parametrize("name", ["csv.toml", "hdf5.toml"])
def test_the_commands_of_the_page(caches: dict[str, Path], name: str, tmp_path: Path) -> None:
    folder = caches[name]
    cache = ["--cache", str(folder / "cache")]
    quick = ["--set", "epochs=1", "--set", "draws_per_epoch=10"]
    out = str(tmp_path / "run")
    assert run(["train", str(folder / name), "--out", out, *cache, *quick]) == 0
    suffix = {"csv.toml": "csv", "hdf5.toml": "h5"}[name]
    alone = tmp_path / f"elsewhere.{suffix}"
    shutil.copy(folder / f"shapes/circle/0001.{suffix}", alone)
    assert run(["predict", out, str(alone)]) == 0


def test_a_change_of_the_unit_makes_another_cache(caches: dict[str, Path], tmp_path: Path) -> None:
    text = card_text("csv.toml").replace('unit = "ms"', 'unit = "s"')
    (tmp_path / "csv.toml").write_text(text)
    folder = caches["csv.toml"]
    arguments = ["preprocess", str(tmp_path / "csv.toml"), "--raw", str(folder / "shapes")]
    assert run([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    [one] = (folder / "cache/my-csv").glob("*/index.h5")
    [other] = (tmp_path / "cache/my-csv").glob("*/index.h5")
    assert one.parent.name != other.parent.name
    assert load_card(str(tmp_path / "csv.toml")).events.file_format.startswith("csv?t=time&x=col")
