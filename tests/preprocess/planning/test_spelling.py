"""Files as other systems and their editors write them: names, suffixes, texts."""

from __future__ import annotations

import codecs
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snntx.data_cards import load_card, parse_card
from snntx.data_cards.schema import Card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.planning.pairing import pair
from snntx.preprocess.planning.plan import Plan, make_plan, make_request
from snntx.preprocess.planning.spelling import spelling_of
from snntx.train.recipe.sources import load_recipe
from snntx.train.study.sweep import load_sweep

OWN = """
name = "mine"
classes = ["été", "ñandú"]
[about]
title = "Mine"
summary = "Mine."
homepage = "https://example.org"
licence = "mine"
citation = "none"
obtain = "none"
[events]
format = "atis"
pattern = "{class}/prisé_{stem}.bin"
roots = ["données"]
[static]
layout = "images"
pattern = "{class}/{stem}.jpg"
twin = "{class}/prisé_{stem}"
identity = "{class}/prisé_{stem}"
[framing]
steps = 2
size = 4
[splits.holdout]
rule = "hash"
[recipes.default]
network.model = "vgg"
optim.epochs = 1
"""
NAMES = ("été/œuvre é", "été/b", "ñandú/ç")


def put(path: Path, data: bytes = b"\1\2\1\0\5") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def planned(card: Card, raw: Path, static: Path | None) -> Plan:
    return make_plan(make_request(card, raw=raw, static=static, cache=raw.parent / "cache"))


@pytest.mark.parametrize("static", ["NFC", "NFD"])
@pytest.mark.parametrize("raw", ["NFC", "NFD"])
@pytest.mark.parametrize("card", ["NFC", "NFD"])
def test_accents_composed_or_not(card: str, raw: str, static: str, tmp_path: Path) -> None:
    loaded = parse_card(unicodedata.normalize(card, OWN).encode(), "mine.toml")  # type: ignore[arg-type]
    for name in NAMES:
        folder, stem = name.split("/")
        one = f"raw/données/{folder}/prisé_{stem}.BIN"
        put(tmp_path / unicodedata.normalize(raw, one))  # type: ignore[arg-type]
        put(tmp_path / unicodedata.normalize(static, f"static/{name}.JPG"))  # type: ignore[arg-type]
    plan = planned(loaded, tmp_path / "raw", tmp_path / "static")
    assert plan.classes == list(loaded.classes)
    assert {r.class_name for r in plan.recordings} == {*loaded.classes}
    pairs = pair(plan, loaded)
    assert (pairs.twin >= 0).all()
    for i, recording in zip(pairs.twin, plan.recordings, strict=True):
        assert plan.statics[i].class_name == recording.class_name


def test_names_in_one_spelling_stay_as_they_are(tmp_path: Path) -> None:
    """What a cache was named by does not change."""
    text = unicodedata.normalize("NFD", OWN.replace('classes = ["été", "ñandú"]', ""))
    for name in NAMES:
        folder, stem = unicodedata.normalize("NFD", name).split("/")
        put(tmp_path / unicodedata.normalize("NFD", f"raw/données/{folder}/prisé_{stem}.bin"))
    plan = planned(parse_card(text.encode(), "mine.toml"), tmp_path / "raw", None)
    assert [r.identity for r in plan.recordings] == [
        unicodedata.normalize("NFD", name)
        for name in sorted(f"{n.split('/')[0]}/prisé_{n.split('/')[1]}" for n in NAMES)
    ]
    assert not unicodedata.is_normalized("NFC", "".join(plan.classes))


def test_an_exact_name_comes_first() -> None:
    both = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    spell = spelling_of(both)
    assert [spell(each) for each in both] == both
    assert spelling_of(["e"])("é") == "é"


def test_capitals_in_the_names_that_a_card_gives(tmp_path: Path) -> None:
    rows = [f"{i},{100 * i},{100 * i + 50}" for i in range(20)]
    place = tmp_path / "raw/dvs_background/Greek/character01"
    put(place / "0001.AEDAT4")
    put(place / "0001.CSV", "\r\n".join(["h", *rows]).encode())
    (tmp_path / "static").mkdir()
    with zipfile.ZipFile(tmp_path / "static/IMAGES_BACKGROUND.ZIP", "w") as archive:
        for i in range(1, 21):
            archive.writestr(f"images_background/Greek/character01/0001_{i:02d}.PNG", b"png")
    card = load_card("n-omniglot")
    plan = planned(card, tmp_path / "raw", tmp_path / "static")
    assert (pair(plan, card).twin >= 0).all()
    assert sorted(plan.files)[-1] == "static/IMAGES_BACKGROUND.ZIP"


def test_idx_files_and_digits_in_capitals(tmp_path: Path) -> None:
    put(tmp_path / "raw/Train/5/00001.BIN")
    digits = ",".join(["5"] * 785)
    put(tmp_path / "static/TRAIN_FIRST_100.CSV", codecs.BOM_UTF8 + f"{digits}\r\n".encode())
    card = load_card("n-mnist")
    plan = planned(card, tmp_path / "raw", tmp_path / "static")
    assert [s.identity for s in plan.statics] == ["Train/00001"]
    image = b"\0\0\x08\x03" + np.array([1, 28, 28], ">u4").tobytes() + bytes(784)
    put(tmp_path / "idx/TRAIN-IMAGES.IDX3-UBYTE", image)
    put(tmp_path / "idx/TRAIN-LABELS-IDX1-UBYTE", b"\0\0\x08\x01\0\0\0\1\5")
    plan = planned(card, tmp_path / "raw", tmp_path / "idx")
    assert (pair(plan, card).twin >= 0).all()


def cep_dvs(folder: Path, table: bytes, name: str = "pathFile.csv") -> Path:
    put(folder / "data/MAT/img/0.MAT")
    put(folder / name, table)
    return folder


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_tables_with_any_ends_of_lines(end: str, mark: bytes, tmp_path: Path) -> None:
    card = load_card("cep-dvs")
    text = end.join(["head", f"a b c d {card.classes[3]}", ""]).encode()
    plan = planned(card, cep_dvs(tmp_path / "raw", mark + text, "PathFile.CSV"), None)
    assert [r.class_name for r in plan.recordings] == [card.classes[3]]


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_with_any_mark_between_cells(between: str, end: str, tmp_path: Path) -> None:
    rows = [between.join(["0", str(100 * i), str(100 * i + 50)]) for i in range(20)]
    place = tmp_path / "raw/dvs_background/Greek/character01"
    put(place / "0001.aedat4")
    put(place / "0001.csv", codecs.BOM_UTF8 + end.join(["head", *rows, ""]).encode())
    plan = planned(load_card("n-omniglot"), tmp_path / "raw", None)
    assert [r.part[:2] for r in plan.recordings] == [(100 * i, 100 * i + 50) for i in range(20)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("what", ["labels", "slices", "digits", "card", "recipe", "sweep"])
def test_other_encodings_are_refused_in_one_line_and_read_once_saved(
    what: str, encoding: str, tmp_path: Path
) -> None:
    """The line says to save the file as UTF-8; so it is, and read."""
    card = load_card("n-mnist")
    put(tmp_path / "raw/Train/5/00001.bin")
    rows = [f"0,{100 * i},{100 * i + 50}" for i in range(20)]
    place = tmp_path / "omniglot/dvs_background/Greek/character01"
    put(place / "0001.aedat4")
    cases: dict[str, tuple[Path, str, Callable[[], object]]] = {
        "labels": (
            tmp_path / "cep/pathFile.csv",
            f"head\na b c d {load_card('cep-dvs').classes[0]}\n",
            lambda: planned(load_card("cep-dvs"), tmp_path / "cep", None),
        ),
        "slices": (
            place / "0001.csv",
            "\n".join(["head", *rows]),
            lambda: planned(load_card("n-omniglot"), tmp_path / "omniglot", None),
        ),
        "digits": (
            tmp_path / "static/train_first_100.csv",
            ",".join(["5"] * 785),
            lambda: planned(card, tmp_path / "raw", tmp_path / "static"),
        ),
        "card": (tmp_path / "own.toml", OWN, lambda: load_card(str(tmp_path / "own.toml"))),
        "recipe": (
            tmp_path / "recipe.toml",
            "optim.epochs = 3\n",
            lambda: load_recipe(card, str(tmp_path / "recipe.toml")),
        ),
        "sweep": (
            tmp_path / "sweep.toml",
            Path(__file__, "../../../../train/study/sweeps/few-labels.toml")
            .resolve()
            .read_text(encoding="utf-8"),
            lambda: load_sweep(str(tmp_path / "sweep.toml")),
        ),
    }
    file, text, read = cases[what]
    put(tmp_path / "cep/data/MAT/img/0.mat")
    put(file, text.encode(encoding))
    with pytest.raises(SnntxError, match=rf"{file.name}: .*UTF-8; save it as UTF-8") as caught:
        read()
    assert "\n" not in str(caught.value)
    for again in (text, text.replace("\n", "\r\n")):
        file.write_bytes(codecs.BOM_UTF8 + again.encode())
        read()


def test_a_byte_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(OWN.encode("latin-1"))
    with pytest.raises(UsageError, match=r"own\.toml: .* byte 27 is not UTF-8 \(in line 3\)"):
        load_card(str(tmp_path / "own.toml"))
