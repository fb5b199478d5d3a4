"""Images without a recording, recordings without an image, ignored files: nothing in silence."""

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snntx.cli import run
from snntx.data_cards import load_card, parse_card
from snntx.errors import UsageError
from snntx.preprocess.build.builder import Summary, preprocess
from snntx.preprocess.cache.format import Index
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.upkeep.verify import verify

CARD = """
name = "zoo"
[about]
title = "Zoo"
summary = "Made here."
homepage = ""
licence = ""
citation = ""
obtain = ""
[events]
format = "atis"
pattern = "{class}/{stem}.bin"
sensor = [34, 34]
[static]
layout = "images"
pattern = "{class}/{stem}.jpg"
twin = "{class}/{stem}"
[framing]
steps = 2
[splits.holdout]
rule = "hash"
validation = 0.2
test = 0.2
[recipes.default]
network.model = "nmnist"
"""


def write_recording(path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    x, y, p = draw.integers(0, 34, 40), draw.integers(0, 34, 40), draw.integers(0, 2, 40)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Events(x, y, np.arange(40) * 100, p)))  # type: ignore[arg-type]


def write_picture(path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path, "JPEG")


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Ten recordings of each of two classes, with their photographs, and a card of them."""
    for n, name in enumerate(("ant", "bee")):
        for i in range(10):
            write_recording(tmp_path / f"raw/{name}/image_{i}.bin", 10 * n + i)
            write_picture(tmp_path / f"static/{name}/image_{i}.jpg", 100 + 10 * n + i)
    (tmp_path / "zoo.toml").write_text(CARD)
    return tmp_path


def make(zoo: Path, unpaired: Any = "stop", cache: str = "cache") -> Summary:
    card = parse_card((zoo / "zoo.toml").read_bytes(), "zoo.toml")
    request = make_request(
        card, raw=zoo / "raw", static=zoo / "static", cache=zoo / cache, unpaired=unpaired
    )
    return preprocess(request)


def command(zoo: Path, *more: str) -> list[str]:
    folders = ["--raw", str(zoo / "raw"), "--static", str(zoo / "static")]
    return ["preprocess", str(zoo / "zoo.toml"), *folders, "--cache", str(zoo / "cache"), *more]


def rename(zoo: Path, name: str, to: str) -> None:
    """Name every photograph of a class otherwise, as another download may."""
    for path in sorted((zoo / "static" / name).iterdir()):
        path.rename(path.with_name(path.name.replace("image", to)))


def kinds(summary: Summary) -> dict[str, int]:
    notes = Index.read(summary.directory / "index.h5").notes
    return {each.kind: each.count for each in notes}


def test_what_pairs_has_no_note(zoo: Path) -> None:
    summary = make(zoo)
    assert (summary.twins, summary.notes) == (20, ())
    assert kinds(summary) == {}


# nothing matches


def test_where_none_matches_the_build_stops_with_one_line(
    zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ant", "bee"):
        rename(zoo, name, "photo")
    assert run(command(zoo)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    for part in (
        "0 of 20 static images have their twin",
        "found images such as ant/photo_0, ant/photo_1, ant/photo_2",
        "expected such as ant/image_0, ant/image_1, ant/image_2",
        "rename them or correct the card's twin",
        "--unpaired drop",
        "--unpaired class",
    ):
        assert part in told.err
    assert not list((zoo / "cache").rglob("SEALED"))
    # each of its advices is a way out
    assert run(command(zoo, "--unpaired", "class")) == 0
    told = capsys.readouterr()
    text = " ".join(told.out.split())
    assert "20 static images have no recording of their name and are class partners" in text
    assert (
        "for 20 of them, whose classes have recordings without a twin, it cannot be promised"
        in (text)
    )
    assert "20 recordings have no twin, such as ant/image_0, ant/image_1, ant/image_2" in text
    assert max(map(len, told.out.split("note", 1)[1].splitlines())) <= 80
    text = (zoo / "zoo.toml").read_text()
    rule = 'pattern = "{class}/photo_{stem}.jpg"\nidentity = "{class}/image_{stem}"\n'
    (zoo / "zoo.toml").write_text(text.replace('pattern = "{class}/{stem}.jpg"\n', rule))
    assert run(command(zoo)) == 0
    assert "20 recordings with a twin" in capsys.readouterr().out
    (zoo / "zoo.toml").write_text(text)
    for name in ("ant", "bee"):
        for path in sorted((zoo / "static" / name).iterdir()):
            path.rename(path.with_name(path.name.replace("photo", "image")))
    assert run(command(zoo)) == 0
    assert "20 recordings with a twin" in capsys.readouterr().out


def test_drop_where_none_matches_leaves_none(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ant", "bee"):
        rename(zoo, name, "photo")
    assert run(command(zoo, "--unpaired", "drop")) == 2
    assert "none of 20 static images is the twin of a recording" in (
        told := capsys.readouterr().err
    )
    assert "leave out --static, or give --unpaired class" in told
    words = command(zoo)
    del words[4:6]
    assert run(words) == 0


# some match


def test_fewer_than_the_card_asks_for(zoo: Path) -> None:
    rename(zoo, "bee", "photo")
    change(zoo, 0.6)
    with pytest.raises(UsageError, match=r"10 of 20 static .*, fewer than its min_paired = 0\.6"):
        make(zoo)
    change(zoo, 0.5)  # just enough
    summary = make(zoo)
    assert kinds(summary) == {"unpaired-static": 10, "unpaired": 10}
    (cache, index) = FrameCache(summary.directory), Index.read(summary.directory / "index.h5")
    partners = {index.static_identity[i] for i in cache.static_split("holdout", "train")}
    assert {f"bee/photo_{i}" for i in range(10)} <= partners  # which the note says


def change(zoo: Path, share: float) -> None:
    text = CARD.replace("[framing]", f"min_paired = {share}\n[framing]")
    (zoo / "zoo.toml").write_text(text)


def test_the_share_of_a_card_is_one(zoo: Path) -> None:
    change(zoo, 1.5)
    with pytest.raises(UsageError, match="min_paired"):
        make(zoo)


def test_min_paired_is_no_part_of_the_key(zoo: Path) -> None:
    first = make(zoo)
    change(zoo, 1.0)
    second = make(zoo)
    assert (second.key, second.reused) == (first.key, True)


def test_dropped_images_are_another_cache(zoo: Path) -> None:
    rename(zoo, "bee", "photo")
    kept, dropped = make(zoo, "class"), make(zoo, "drop")
    assert kept.key != dropped.key
    assert (kept.statics, dropped.statics, dropped.twins) == (20, 10, 10)
    assert kinds(dropped) == {"dropped": 10, "unpaired": 10, "bare-class": 1}
    index = Index.read(dropped.directory / "index.h5")
    assert json.loads(index.attributes["settings"])["unpaired"] == "drop"
    assert verify(dropped.directory).problems == ()
    cache = FrameCache(dropped.directory)
    held_out = np.concatenate([cache.split("holdout", part) for part in ("validation", "test")])
    partners = cache.static_split("holdout", "train")
    assert not {index.static_identity[i] for i in partners} & {
        cache.identities[i] for i in held_out
    }
    assert make(zoo, "drop").reused
    assert make(zoo, "class").reused


def test_a_choice_that_changes_nothing_is_the_same_cache(zoo: Path) -> None:
    keys = {make(zoo, choice).key for choice in ("stop", "class", "drop")}
    assert len(keys) == 1


def test_more_images_than_recordings_are_no_reason_to_stop(zoo: Path) -> None:
    """A subset of the recordings with all photographs: each recording has its twin."""
    for path in sorted((zoo / "raw").rglob("*.bin"))[2:-1]:
        path.unlink()
    summary = make(zoo)
    assert (summary.recordings, summary.twins, summary.statics) == (3, 3, 20)
    (note,) = summary.notes[:1]
    assert note.startswith("17 static images have no recording of their name and are class partner")
    assert "promised" not in note  # no recording is without its twin, so none of these is one


def test_a_class_without_images(zoo: Path) -> None:
    for path in (zoo / "static/bee").iterdir():
        path.unlink()
    summary = make(zoo)
    assert kinds(summary) == {"unpaired": 10, "bare-class": 1}
    assert "1 classes with recordings have no static image, such as bee" in summary.notes


def test_partners_by_their_format_do_not_count(tmp_path: Path) -> None:
    """MNIST's unprefixed IDX files: nobody can say which digits they are."""
    for i in range(4):
        write_recording(tmp_path / f"raw/Train/{i % 2}/{i + 1:05d}.bin", i)
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    static = tmp_path / "static"
    static.mkdir()
    header = struct.pack(">4I", 0x803, 6, 28, 28)
    (static / "images-idx3-ubyte").write_bytes(header + images.tobytes())
    labels = struct.pack(">2I", 0x801, 6) + bytes([0, 1] * 3)
    (static / "labels-idx1-ubyte").write_bytes(labels)
    request = make_request(
        load_card("n-mnist"), raw=tmp_path / "raw", static=static, cache=tmp_path / "cache"
    )
    summary = preprocess(request)
    assert (summary.statics, summary.twins) == (6, 0)
    assert kinds(summary) == {"unpaired": 4}
    request = make_request(
        load_card("n-mnist"),
        raw=tmp_path / "raw",
        static=static,
        cache=tmp_path / "cache",
        unpaired="drop",
    )
    assert preprocess(request).statics == 6


# other suffixes


def test_files_of_another_suffix_are_counted(zoo: Path) -> None:
    for i in (1, 2, 3, 4):
        path = zoo / f"static/ant/image_{i}.jpg"
        path.rename(path.with_suffix(".jpeg"))
    path = zoo / "raw/bee/image_7.bin"
    path.rename(path.with_suffix(".dat"))
    (zoo / "static/ant/readme.txt").write_text("not a picture")
    (zoo / "static/.hidden.png").write_bytes(b"")
    summary = make(zoo)
    assert summary.notes[:2] == (
        "1 files below --raw ignored for their suffix, .dat (1), such as bee/image_7.dat: "
        "{class}/{stem}.bin takes .bin; rename them, or change a copy of the card",
        "4 files below --static ignored for their suffix, .jpeg (4), such as ant/image_1.jpeg, "
        "ant/image_2.jpeg, ant/image_3.jpeg and 1 more: {class}/{stem}.jpg takes .jpg; rename "
        "them, or change a copy of the card",
    )
    for path in sorted((zoo / "static").rglob("*.jpeg")):
        path.rename(path.with_suffix(".jpg"))
    (zoo / "raw/bee/image_7.dat").rename(zoo / "raw/bee/image_7.bin")
    assert make(zoo).notes == ()


def zip_statics(zoo: Path, *, beside: bool) -> None:
    """Move the photographs into a zip; a few are left beside it."""
    (zoo / "zoo.toml").write_text(CARD.replace('.jpg"', '.jpg"\narchives = ["all.zip"]', 1))
    with zipfile.ZipFile(zoo / "static/all.zip", "w") as archive:
        for path in sorted((zoo / "static").rglob("*.jp*g")):
            if not (beside and path.stem in ("image_8", "image_9")):
                archive.write(path, path.relative_to(zoo / "static"))
                path.unlink()
        archive.writestr("ant/readme.txt", "not a picture")
        archive.writestr("__MACOSX/._image_1.png", "not a picture")
        archive.writestr("ant/deeper/image_1.png", "no place of the pattern's")


@pytest.mark.parametrize("beside", [False, True])
def test_members_of_another_suffix_are_counted(zoo: Path, beside: bool) -> None:
    """As files of a folder are, whether there are such files beside the archive or not."""
    for i in (1, 2, 3):
        path = zoo / f"static/ant/image_{i}.jpg"
        path.rename(path.with_suffix(".jpeg"))
    zip_statics(zoo, beside=beside)
    write_picture(zoo / "static/bee/image_0.png", 1)
    summary = make(zoo)
    assert (summary.statics, summary.twins) == (17, 17)
    (line,) = (each for each in summary.notes if "suffix" in each)
    assert line == (
        "4 files below --static ignored for their suffix, .jpeg (3), .png (1), such as "
        "bee/image_0.png, all.zip/ant/image_1.jpeg, all.zip/ant/image_2.jpeg and 1 more: "
        "{class}/{stem}.jpg takes .jpg; rename them, or change a copy of the card"
    )
    (zoo / "static/bee/image_0.png").unlink()
    card = (zoo / "zoo.toml").read_text()
    changed = card.replace('"{class}/{stem}.jpg"', '"{class}/{stem}"\nsuffixes = ["jpg", "jpeg"]')
    (zoo / "zoo.toml").write_text(changed)
    left = "files that file managers left below --static passed over: 1, such as all.zip/__MACOSX"
    assert (make(zoo).twins, make(zoo).notes) == (20, (left,))


def test_an_archive_of_other_suffixes_alone_says_so(zoo: Path) -> None:
    for path in sorted((zoo / "static").rglob("*.jpg")):
        path.rename(path.with_suffix(".jpeg"))
    zip_statics(zoo, beside=False)
    with pytest.raises(
        UsageError,
        match=r"all\.zip: no member matches .*; 20 files below --static ignored for their suffix, "
        r"\.jpeg \(20\), such as all\.zip/ant/image_0\.jpeg, .* takes \.jpg; rename them",
    ):
        make(zoo)


def test_a_copy_of_the_card_takes_both_suffixes(zoo: Path) -> None:
    path = zoo / "static/ant/image_1.jpg"
    path.rename(path.with_suffix(".jpeg"))
    changed = CARD.replace('"{class}/{stem}.jpg"', '"{class}/{stem}"\nsuffixes = ["jpg", "jpeg"]')
    (zoo / "zoo.toml").write_text(changed)
    summary = make(zoo)
    assert (summary.twins, summary.notes) == (20, ())


def test_ignored_files_are_part_of_the_key(zoo: Path) -> None:
    """The same key stands for the same bytes, and the notes are among them."""
    (zoo / "static/ant/image_1.png").write_bytes(b"")
    with_note = make(zoo)
    (zoo / "static/ant/image_1.png").unlink()
    without = make(zoo)
    assert with_note.key != without.key
    assert verify(with_note.directory).problems == verify(without.directory).problems == ()


@pytest.mark.parametrize("folder", ["raw", "static"])
def test_where_every_file_has_another_suffix_the_line_says_so(zoo: Path, folder: str) -> None:
    for path in [p for p in (zoo / folder).rglob("*") if p.is_file()]:
        path.rename(path.with_suffix(".xyz"))
    with pytest.raises(
        UsageError, match=r"no file matches .*; 20 files below .*\.xyz \(20\), such"
    ):
        make(zoo)


# shown


def test_cache_show_and_the_index_keep_the_notes(
    zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rename(zoo, "bee", "photo")
    assert run(command(zoo, "--unpaired", "class")) == 0
    capsys.readouterr()
    show = ["cache", "show", "zoo", "--cache", str(zoo / "cache")]
    assert run(show) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "note 10 static images have no recording of their name" in text
    assert "it cannot be promised that no twin of a test recording is shown in training" in text
    assert run([*show, "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert [(each["kind"], each["count"]) for each in notes] == [
        ("unpaired-static", 10),
        ("unpaired", 10),
    ]
    assert run(command(zoo, "--unpaired", "class")) == 0  # a cache that is found says it again
    assert "10 static images have no recording" in " ".join(capsys.readouterr().out.split())


def test_raw_files_are_compared_with_the_choice_that_was_made(
    zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rename(zoo, "bee", "photo")
    (zoo / "static/ant/image_1.png").write_bytes(b"")
    make(zoo, "drop")
    words = ["cache", "verify", str(zoo / "zoo.toml"), "--cache", str(zoo / "cache")]
    words += ["--raw", str(zoo / "raw"), "--static", str(zoo / "static")]
    assert run(words) == 0, capsys.readouterr().out
    (zoo / "static/ant/image_1.png").unlink()
    capsys.readouterr()
    assert run(words) == 1
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "files passed over: found 10 static images without a recording were left out" in told
    assert "1 files below --static ignored for their suffix" in told
