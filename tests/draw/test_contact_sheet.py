"""The contact sheet: its size, its colours, its cells, and a write that never tears."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from snntx.draw.contact_sheet import (
    GAP_PX,
    HEAD_PX,
    MARGIN_PX,
    TEXT_PX,
    contact_sheet,
    frame_colours,
    sheet_size,
)
from snntx.draw.tiles import PAPER, RULE, TILE
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.upkeep.inspect import SheetRow

OFF, ON, WHITE, BLACK = (255, 138, 26), (42, 136, 255), (255, 255, 255), (0, 0, 0)
TITLE = "Simulated recordings"


def row(
    steps: int = 3,
    height: int = 34,
    width: int = 34,
    static: NDArray[np.floating] | None = None,
    identity: str = "Train/7/00001",
) -> SheetRow:
    return SheetRow("7", identity, static, np.zeros((steps, 2, height, width), np.float32))


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_size_by_hand(tmp_path: Path) -> None:
    # 34 pixels are enlarged 3 times (102 >= 96); twin, a double gap and three frames
    path = tmp_path / "new" / "sheet.png"
    rows = [row(static=np.zeros((28, 28))), row()]
    size = contact_sheet(rows, title=TITLE, path=path)
    width = 2 * MARGIN_PX + TEXT_PX + 4 * 102 + 5 * GAP_PX
    assert size == sheet_size(rows) == (width, HEAD_PX + 2 * 102 + GAP_PX + MARGIN_PX)
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", size)
        assert image.info["Title"] == TITLE


def test_colours_by_hand() -> None:
    frames = np.zeros((1, 2, 1, 4), np.float32)
    frames[0, 0, 0] = [0, 8, 0, 8]  # OFF
    frames[0, 1, 0] = [0, 0, 8, 8]  # ON
    assert frame_colours(frames)[0, 0].tolist() == [
        list(colour) for colour in (BLACK, OFF, ON, WHITE)
    ]


def test_brightness_by_hand() -> None:
    # 99 ones and a single eight: the 99th percentile of all hundred is 1.07
    frames = np.zeros((1, 2, 10, 10), np.float32)
    frames[0, 1] = 1
    frames[0, 1, 0, 0] = 8
    colours = frame_colours(frames)[0]
    assert tuple(colours[0, 0]) == ON
    assert colours[5, 5].tolist() == [round(c * (1 / 1.07) ** 0.6) for c in ON]
    assert frame_colours(np.zeros((2, 2, 3, 3))).max() == 0


def test_tiles_are_crisp_and_in_place(tmp_path: Path) -> None:
    twin = np.zeros((28, 28))
    twin[0, 0] = 1
    drawn = row(static=twin)
    drawn.frames[1, 1, 33, 0] = 5  # second frame: ON at bottom left
    path = tmp_path / "sheet.png"
    contact_sheet([drawn], title=TITLE, path=path)
    sheet = pixels(path)
    x, y = MARGIN_PX + TEXT_PX, HEAD_PX
    # the twin, 28 pixels enlarged 3 times, stands 9 pixels inside its tile of 102
    assert np.all(sheet[y + 9 : y + 12, x + 9 : x + 12] == 255)
    assert np.all(sheet[y : y + 102, x : x + 102].reshape(-1, 3).sum(0) == 9 * 255)
    second = x + 102 + 3 * GAP_PX + 102 + GAP_PX
    tile = sheet[y : y + 102, second : second + 102]
    assert np.all(tile[99:, :3] == ON)
    assert np.all(tile.reshape(-1, 3).sum(0) == 9 * np.array(ON))


def test_missing_twin_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet([row(static=np.zeros((28, 28))), row()], title=TITLE, path=path)
    sheet = pixels(path)
    x, y = MARGIN_PX + TEXT_PX, HEAD_PX + 102 + GAP_PX
    cell = sheet[y : y + 102, x : x + 102]
    for edge in (cell[0], cell[-1], cell[:, 0], cell[:, -1]):
        assert np.all(edge == RULE)
    inside = cell[1:-1, 1:-1]
    assert np.all(inside[0] == PAPER)
    assert np.any(inside[40:60] != PAPER)  # the words
    assert np.all(sheet[HEAD_PX : HEAD_PX + 102, x : x + 102] == TILE)  # a black twin is no gap


def test_legend_shows_both_colours(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet([row()], title=TITLE, path=path)
    head = pixels(path)[:HEAD_PX].reshape(-1, 3)
    for colour in (ON, OFF):
        assert np.sum(np.all(head == colour, axis=1)) >= 100


def test_rows_of_many_shapes(tmp_path: Path) -> None:
    photograph = np.random.default_rng(0).random((200, 300))
    rows = [
        row(steps=2, static=photograph),
        row(steps=5, height=48, width=64),
        row(steps=1, height=260, width=346),
        row(steps=1, height=2, width=2, static=np.ones((1, 1))),
    ]
    path = tmp_path / "sheet.png"
    assert contact_sheet(rows, title=TITLE, path=path) == sheet_size(rows)
    sheet = pixels(path)
    x = MARGIN_PX + TEXT_PX + 346 + 3 * GAP_PX
    absent = sheet[HEAD_PX : HEAD_PX + 260, x + 2 * (346 + GAP_PX) :]
    assert np.all(absent == PAPER)  # the first row has two frames, so no third tile


def test_long_names_stay_in_their_column(tmp_path: Path) -> None:
    name = "Alphabet_of_the_Magi/character01/0709_01" * 3
    path = tmp_path / "sheet.png"
    contact_sheet([row(identity=name)], title=TITLE * 20, path=path)
    sheet = pixels(path)
    gutter = sheet[HEAD_PX:, MARGIN_PX + TEXT_PX - 10 : MARGIN_PX + TEXT_PX]
    assert np.all(gutter == PAPER)
    assert np.any(sheet[HEAD_PX:, MARGIN_PX : MARGIN_PX + 40] != PAPER)


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        contact_sheet([row()], title=TITLE, path=tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_failed_write_keeps_the_old_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sheet.png"
    path.write_bytes(b"the old sheet")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(SnntxError, match=r"sheet\.png: cannot be written: disk full"):
        contact_sheet([row()], title=TITLE, path=path)
    assert path.read_bytes() == b"the old sheet"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SnntxError, match=r"file/a/sheet\.png: cannot be written: "):
        contact_sheet([row()], title=TITLE, path=tmp_path / "file/a/sheet.png")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SnntxError, match=r"/folder: cannot be written: Is a directory"):
        contact_sheet([row()], title=TITLE, path=tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("shape", [(3, 34, 34), (3, 1, 34, 34), (0, 2, 34, 34)])
def test_bad_frames(tmp_path: Path, shape: tuple[int, ...]) -> None:
    bad = SheetRow("7", "Train/7/00001", None, np.zeros(shape))
    with pytest.raises(UsageError, match=r"Train/7/00001: frames must be \(T, 2, H, W\)"):
        contact_sheet([bad], title=TITLE, path=tmp_path / "sheet.png")
    with pytest.raises(UsageError, match="at least one recording"):
        contact_sheet([], title=TITLE, path=tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())
