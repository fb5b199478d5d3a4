"""CEP-DVS from raw files to a sealed cache: labels from the table, order by number, twins, V.

The data set is made here: recordings 0 to 24, so that numbers (2 before 10) and strings (10
before 2) are in different orders, of three classes; pictures in three formats.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tonic
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from torch.nn.functional import interpolate

from snntx.data_cards import load_card, parse_card
from snntx.data_cards.schema import Card
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess.build import builder as build
from snntx.preprocess.build.builder import Summary, preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.planning.plan import make_request
from snntx.train.batches.images import static_channel

COUNT, CLASSES = 25, ("fish", "non-insect_invertebrates", "large_man-made_outdoor_things")
WITHOUT_PICTURE, WITHOUT_RECORDING = 24, 99
TOML = (Path(build.__file__).parents[2] / "data_cards/shipped" / "cep-dvs.toml").read_text("utf-8")


def class_of(number: int) -> str:
    return CLASSES[number // 3 % 3]


def columns(number: int) -> dict[str, NDArray[Any]]:
    """Events of one recording: x, y, ts, p, whose extent is not the whole sensor."""
    rng = np.random.default_rng(number)
    n = 3000 + 100 * number
    return {
        "x": rng.integers(5, 340, n).astype(np.uint16),
        "y": rng.integers(7, 250, n).astype(np.float64),
        "ts": np.sort(rng.integers(10**6, 10**6 + 150_000, n)).astype(np.float64),
        "p": rng.choice([-1, 1], n).astype(np.int8),
    }


def picture(number: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(1000 + number)
    return rng.integers(0, 256, (32 + number, 40, 3), dtype=np.uint8)


def write_table(root: Path, names: list[str]) -> None:
    rows = [f"{i} a/b {i}.mat img {name} tail" for i, name in enumerate(names)]
    (root / "pathFile.csv").write_text("\n".join(["index path mat kind class x", *rows, ""]))


def write(root: Path, count: int = COUNT) -> Path:
    """Write the data set as its authors lay it out."""
    for folder in ("data/MAT/img", "data/img"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        shape = (-1, 1) if i % 2 else (1, -1)
        arrays = {name: values.reshape(shape) for name, values in columns(i).items()}
        savemat(root / f"data/MAT/img/{i}.mat", arrays, do_compression=i % 3 == 0)
    write_table(root, [class_of(i) for i in range(count)])
    for i in [*range(count), WITHOUT_RECORDING]:
        if i != WITHOUT_PICTURE:
            suffix = ("jpg", "png", "JPEG")[i % 3]
            Image.fromarray(picture(i)).save(root / f"data/img/{i}.{suffix}")
    return root


def card(*changes: tuple[str, str]) -> Card:
    text = TOML
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return parse_card(text.encode(), "cep.toml")


def run(root: Path, cache: Path, card: Card, *, pictures: bool = True) -> Summary:
    static = root if pictures else None
    return preprocess(make_request(card, raw=root, static=static, cache=cache))


SMALL = (("train_count = 250", "train_count = 4"), ("test_count = 100", "test_count = 3"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cep dvs é"))


@pytest.fixture(scope="module")
def summary(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return run(root, tmp_path_factory.mktemp("cache"), card(*SMALL))


@pytest.fixture(scope="module")
def cache(summary: Summary) -> FrameCache:
    return FrameCache(summary.directory)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A data set of 12 recordings to damage."""
    return write(tmp_path / "few", 12)


# the card


def test_the_card() -> None:
    card = load_card("cep-dvs")
    assert len(card.classes) == 20
    assert list(card.classes) == sorted(card.classes)
    assert card.events.sensor == (260, 346)
    assert (card.framing.steps, card.framing.size, card.framing.zero_origin) == (6, 48, False)
    paper = card.splits["paper"]
    assert (paper.rule, paper.train_count, paper.test_count) == ("window", 250, 100)
    assert card.recipes["default"] == {
        "network": {"model": "resnet18"},
        "optim": {"epochs": 200, "batch_size": 120, "lr": 5e-3, "lr_scaling": "linear"},
        "augment": {"crop_padding": 4},
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('key = "number"', 'key = "nmber"', r"\[events.labels\] key = 'nmber'; did you mean 'numb"),
        ("column = 5", "column = 0", "column counts from 1"),
        ("column = 5", "colunm = 5", "unknown key 'colunm'; did you mean 'column'"),
        ("header_rows = 1", "header_rows = -1", "header_rows from 0"),
        ('"pathFile.csv"', '"/pathFile.csv"', "must be a path below the root"),
        ('"pathFile.csv"', '"../pathFile.csv"', "must be a path below the root"),
        ('MAT/img/{number}.mat"', 'MAT/{class}/{number}.mat"', r"has a \{class\} field already"),
        ('order = "number"', 'order = "numer"', r"\[events\] order = 'numer'; did you mean 'numbe"),
        ('"data/img/{number}"\ns', '"data/img/{other}"\ns', "nor only fields of the recordings"),
        ('"data/img/{number}"\ns', '"data/img/{number}.x"\ns', "must end with a field"),
        ('["jpg", "png", "jpeg"]', '[".jpg"]', "letters and digits without a dot"),
        ('"channel-then-resize"', '"channel-then-resise"', "did you mean 'channel-then-resize'"),
        ('"channel-then-resize"', '"resize-then-channel"\nantialias = true', "antialias belongs"),
        ('"channel-then-resize"', '"channel-then-resize"\nfit = "pad"', "needs layout images"),
        ("train_count = 250", "train_count = 0", "train_count positive"),
        ("test_count = 100", "test_count = -1", "counts must be at least 0"),
        ('rule = "window"', 'rule = "windw"', "unknown rule 'windw'; did you mean 'window'"),
        ("steps = 6", 'steps = 6\nextent = "recordings"', "did you mean 'recording'"),
        ("steps = 6\nsize = 48", 'steps = 6\nextent = "recording"', "needs a size"),
    ],
)
def test_mistakes_in_a_card(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        card((old, new))


# a whole build


def test_listing_is_by_number_and_labels_are_the_tables(cache: FrameCache) -> None:
    assert cache.identities == [f"data/MAT/img/{i}" for i in range(COUNT)]
    assert [cache.classes[label] for label in cache.labels] == [class_of(i) for i in range(COUNT)]
    assert cache.classes == list(load_card("cep-dvs").classes)


def test_twins_are_of_the_same_number(summary: Summary, cache: FrameCache) -> None:
    index = cache.index
    names = [index.static_identity[i] if i >= 0 else None for i in index.twin]
    assert names == [*(f"data/img/{i}" for i in range(COUNT - 1)), None]
    assert list(index.static_identity) == [f"data/img/{i}" for i in range(COUNT - 1)]
    assert index.static_label.tolist() == cache.labels[:-1].tolist()
    left_out = "1 static images left out: their classes are unknown without a recording, such as "
    assert summary.notes == (
        f"{left_out}data/img/99",
        "1 recordings have no twin, such as data/MAT/img/24",
        "17 of 20 classes have no recording here",
    )
    assert (summary.twins, summary.statics, summary.recordings) == (24, 24, 25)


def tonic_frames(number: int, *, own_extent: bool = False) -> NDArray[np.float32]:
    events = columns(number)
    record = np.empty(events["x"].size, [("x", "i4"), ("y", "i4"), ("t", "i8"), ("p", "i4")])
    record["x"], record["y"], record["t"] = events["x"], events["y"], events["ts"]
    record["p"] = events["p"] > 0
    size = (346, 260, 2)
    if own_extent:
        record["x"] -= record["x"].min()
        record["y"] -= record["y"].min()
        size = (int(record["x"].max()) + 1, int(record["y"].max()) + 1, 2)
    frames = tonic.transforms.ToFrame(sensor_size=size, n_time_bins=6)(record)
    tensor = torch.from_numpy(frames.astype(np.float32))
    return interpolate(tensor, size=(48, 48), mode="bilinear", align_corners=True).numpy()


def test_frames_equal_tonic_and_torch(cache: FrameCache) -> None:
    assert cache.frame_shape == (6, 2, 48, 48)
    for number in (0, 2, 10, 24):
        expected = tonic_frames(number)
        np.testing.assert_allclose(cache.frames(number), expected, rtol=0, atol=2e-6)
        assert expected.sum() > 10


def test_the_recordings_own_extent(root: Path, tmp_path: Path) -> None:
    framed = card(("steps = 6", 'steps = 6\nextent = "recording"'), *SMALL)
    request = make_request(framed, raw=root, static=None, cache=tmp_path)
    assert (request.options.sensor, request.options.limit) == (None, (260, 346))
    assert request.options.zero_origin
    cache = FrameCache(preprocess(request).directory)
    for number in (0, 2, 10):
        expected = tonic_frames(number, own_extent=True)
        np.testing.assert_allclose(cache.frames(number), expected, rtol=0, atol=2e-6)
        assert np.abs(expected - tonic_frames(number)).max() > 0.5


def decoded(root: Path, number: int) -> NDArray[np.uint8]:
    (path,) = (root / "data/img").glob(f"{number}.*")
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


@pytest.mark.parametrize("antialias", [False, True])
def test_v_is_taken_at_full_size_and_then_resized(
    root: Path, tmp_path: Path, antialias: bool
) -> None:
    order = 'order = "channel-then-resize"'
    own = card(
        (order, f"{order}\nantialias = {str(antialias).lower()}"), ("size = 48", "size = 20")
    )
    cache = FrameCache(run(root, tmp_path, own).directory)
    images, planes = cache.static_images(), list(cache.index.planes)
    assert images.dtype == np.float32
    assert images.shape == (24, 4, 20, 20)
    assert planes == ["V", "R", "G", "B"]
    for number in (0, 1, 2, 10, 23):
        pixels = decoded(root, number)
        full = np.concatenate([pixels.max(axis=2, keepdims=True), pixels], axis=2)
        expected = interpolate(
            torch.from_numpy(full.transpose(2, 0, 1).copy())[None].float() / 255,
            size=(20, 20),
            mode="bilinear",
            align_corners=False,
            antialias=antialias,
        )[0].numpy()
        np.testing.assert_allclose(images[number], expected, rtol=0, atol=1e-6)
        # which V of the resized picture is not
        assert np.abs(expected[0] - expected[1:].max(axis=0)).max() > 0.05
    np.testing.assert_array_equal(static_channel(images, planes, "V"), images[:, 0])
    np.testing.assert_array_equal(static_channel(images, planes, "blue"), images[:, 3])
    np.testing.assert_allclose(
        static_channel(images, planes, "mean"), images[:, 1:].mean(axis=1), atol=1e-7
    )
    luma = np.tensordot(images[:, 1:], np.array([0.299, 0.587, 0.114], np.float32), (1, 0))
    np.testing.assert_allclose(static_channel(images, planes, "grey"), luma, atol=1e-6)


def test_the_window_split_is_by_number_within_each_class(cache: FrameCache) -> None:
    parts = {p: cache.split("paper", p).tolist() for p in ("train", "validation", "test", "unused")}
    by_class = [[i for i in range(COUNT) if class_of(i) == name] for name in CLASSES]
    assert parts["train"] == sorted(i for members in by_class for i in members[:4])
    assert parts["test"] == sorted(i for members in by_class for i in members[4:7])
    assert parts["unused"] == sorted(i for members in by_class for i in members[7:])
    assert parts["validation"] == []
    partners = set(cache.static_split("paper", "train").tolist())
    assert partners == set(parts["train"])  # every picture is the twin of its number


def test_the_holdout_never_trains_on_a_held_out_twin(cache: FrameCache) -> None:
    held = {
        *cache.split("holdout", "test").tolist(),
        *cache.split("holdout", "validation").tolist(),
    }
    assert held
    assert not held & set(cache.static_split("holdout", "train").tolist())


def test_numbers_may_be_zero_padded(few: Path, tmp_path: Path) -> None:
    root = few
    for path in (root / "data/MAT/img").iterdir():
        path.rename(path.with_name(f"{path.stem.zfill(5)}.mat"))
    cache = FrameCache(run(root, tmp_path / "cache", card(*SMALL)).directory)
    assert cache.identities == [f"data/MAT/img/{i}" for i in range(12)]
    assert cache.index.twin.tolist() == list(range(12))
    assert [cache.classes[label] for label in cache.labels] == [class_of(i) for i in range(12)]


def test_neither_torch_nor_scipys_reader_is_imported(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from snntx.cli import run\n"
        f"assert run(['preprocess', 'cep-dvs', '--raw', {str(root)!r}, '--static', {str(root)!r},"
        f" '--cache', {str(tmp_path)!r}, '--json']) == 0\n"
        "found = {'torch', 'scipy.io', 'tonic'} & sys.modules.keys(); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


# the table


def test_the_table_is_part_of_the_key(few: Path, tmp_path: Path) -> None:
    root = few
    first = run(root, tmp_path / "cache", card(*SMALL))
    assert run(root, tmp_path / "cache", card(*SMALL)).reused
    write_table(root, [class_of(i) for i in range(11)] + [CLASSES[2]])
    second = run(root, tmp_path / "cache", card(*SMALL))
    assert second.key != first.key
    cache = FrameCache(second.directory)
    assert cache.classes[cache.labels[11]] == CLASSES[2]


def test_an_interrupted_build_does_not_keep_old_labels(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, own = few, card(*SMALL)

    def fails(*_: Any) -> None:
        raise SnntxError("the machine stopped")

    with monkeypatch.context() as patched:
        patched.setattr(build, "seal", fails)
        with pytest.raises(SnntxError, match="stopped"):
            run(root, tmp_path / "cache", own)
    names = [class_of(i) for i in range(12)]
    names[0], names[3] = names[3], names[0]  # the table keeps its size
    write_table(root, names)
    cache = FrameCache(run(root, tmp_path / "cache", own).directory)
    assert [cache.classes[label] for label in cache.labels] == names
    assert [cache.classes[label] for label in cache.index.static_label] == names


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda lines: None, UsageError, r"pathFile\.csv: no such file; the classes of"),
        (lambda lines: [], BadFileError, r"pathFile\.csv: the file is empty"),
        (lambda lines: lines[:-1], BadFileError, r"11 rows after 1 of header, but 11\.mat needs"),
        (
            lambda lines: [*lines[:4], "1 2 3 4", *lines[5:]],
            BadFileError,
            r"pathFile\.csv: line 5 has 4 columns, expected the class of 3\.mat in column 5",
        ),
        (
            lambda lines: [*lines[:4], "", *lines[4:]],
            BadFileError,
            r"line 5 has 0 columns, expected the class of 3\.mat",
        ),
        (lambda lines: ["\udcff", *lines[1:]], BadFileError, r"byte 0 is not UTF-8"),
        (lambda lines: [f"a b c d x{i}" for i in lines], UsageError, "none is of a class of the"),
    ],
)
def test_tables_that_do_not_serve(
    few: Path, tmp_path: Path, change: Any, error: type[SnntxError], message: str
) -> None:
    root = few
    table = root / "pathFile.csv"
    lines = change(table.read_text().splitlines())
    table.unlink()
    if lines is not None:
        table.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(error, match=message) as caught:
        run(root, tmp_path / "cache", card(*SMALL))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_of_other_systems(few: Path, tmp_path: Path, ending: str, mark: str) -> None:
    root = few
    table = root / "pathFile.csv"
    lines = [line.replace(" ", " \t ") for line in table.read_text().splitlines()]
    table.write_bytes((mark + ending.join(lines)).encode())
    cache = FrameCache(run(root, tmp_path / "cache", card(*SMALL)).directory)
    assert [cache.classes[label] for label in cache.labels] == [class_of(i) for i in range(12)]


def test_a_class_that_the_card_does_not_name(few: Path, tmp_path: Path) -> None:
    root = few
    write_table(root, ["mystery", *(class_of(i) for i in range(1, 12))])
    summary = run(root, tmp_path / "cache", card(*SMALL))
    assert summary.recordings == summary.statics == 11  # its picture has no class either
    assert any("1 recordings of classes that card" in note for note in summary.notes)


# files


def test_two_files_of_one_number(few: Path, tmp_path: Path) -> None:
    root = few
    copy = root / "data/MAT/img/01.mat"
    copy.write_bytes((root / "data/MAT/img/1.mat").read_bytes())
    with pytest.raises(UsageError, match=r"data/MAT/img/01\.mat and data/MAT/img/1\.mat have one"):
        run(root, tmp_path / "cache", card(*SMALL))
    unordered = card(*SMALL, ('order = "number"\n', ""))
    with pytest.raises(UsageError, match=r"1\.mat and .*1\.mat: both have number 1; remove one"):
        run(root, tmp_path / "cache", unordered)
    copy.unlink()
    Image.fromarray(picture(1)).save(root / "data/img/1.jpg")
    with pytest.raises(UsageError, match=r"data/img/1\.jpg and data/img/1\.png have one identity"):
        run(root, tmp_path / "cache", card(*SMALL))


@pytest.mark.parametrize("name", ["notes", "1 (copy)", "-1", "1.5", "٣", "9" * 19])
def test_names_that_are_no_number(few: Path, tmp_path: Path, name: str) -> None:
    root = few
    (root / f"data/MAT/img/{name}.mat").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"expected a whole number; move the file elsewhere"):
        run(root, tmp_path / "cache", card(*SMALL))


def test_pictures_of_other_numbers_alone(few: Path, tmp_path: Path) -> None:
    root = few
    for path in (root / "data/img").iterdir():
        path.rename(path.with_name(f"1000{path.name}"))
    with pytest.raises(UsageError, match="no image is the twin of a recording"):
        run(root, tmp_path / "cache", card(*SMALL))


def test_no_pictures_of_the_suffixes(few: Path, tmp_path: Path) -> None:
    root = few
    for path in (root / "data/img").iterdir():
        path.rename(path.with_suffix(".bmp"))
    with pytest.raises(UsageError, match=r"no file matches data/img/\{number\}\.\{jpg,png,jpeg\}"):
        run(root, tmp_path / "cache", card(*SMALL))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": 346}, r"7\.mat: .*outside the sensor of 260 rows and 346 columns"),
        ({"y": 260}, r"7\.mat: .*outside the sensor"),
        ({"p": 0}, r"7\.mat: p\[100\] is 0, but others are -1"),
        ({"ts": 0}, r"7\.mat: time goes back at event 100"),
        ({"ts": 0.5}, r"7\.mat: ts\[100\] is 0.5"),
    ],
)
@pytest.mark.parametrize("extent", ["sensor", "recording"])
def test_a_bad_recording_is_named(
    few: Path, tmp_path: Path, changed: dict[str, float], message: str, extent: str
) -> None:
    root = few
    arrays = columns(7)
    for name, value in changed.items():
        arrays[name] = arrays[name].astype(float)
        arrays[name][100] = value
    savemat(root / "data/MAT/img/7.mat", arrays, oned_as="column")
    own = card(*SMALL, ("steps = 6", f'steps = 6\nextent = "{extent}"'))
    if extent == "recording":
        message = message.replace("outside the sensor", "but the sensor has").split(" of 260")[0]
    with pytest.raises(BadFileError, match=message):
        run(root, tmp_path / "cache", own)


def test_a_bad_picture_is_named(few: Path, tmp_path: Path) -> None:
    root = few
    (root / "data/img/3.jpg").write_bytes(b"")
    with pytest.raises(BadFileError, match=r"3\.jpg: the file is empty"):
        run(root, tmp_path / "cache", card(*SMALL))
    run(root, tmp_path / "cache", card(*SMALL), pictures=False)  # events alone do not mind
    Image.new("L", (9, 4), 51).save(root / "data/img/3.jpg")
    Image.new("CMYK", (9, 4), (0, 0, 0, 204)).save(root / "data/img/6.jpg")
    cache = FrameCache(run(root, tmp_path / "cache", card(*SMALL)).directory)
    np.testing.assert_allclose(cache.static_images()[[3, 6]], 0.2, atol=0.02)


def test_a_link_in_a_loop_is_not_followed(few: Path, tmp_path: Path) -> None:
    root = few
    (root / "data/MAT/img/loop").symlink_to(root)
    assert run(root, tmp_path / "cache", card(*SMALL)).recordings == 12
