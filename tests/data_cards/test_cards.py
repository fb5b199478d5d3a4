"""Data cards: the shipped ones are whole, and a mistake in one's own is named."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snntx.cli import run
from snntx.data_cards import card_names, load_card, parse_card, pattern_fields
from snntx.errors import UsageError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode
from snntx.train.recipe.sources import load_recipe

OWN = """
name = "my-set"

[about]
title = "Mine"
summary = "Two classes."
homepage = "https://example.org"
licence = "mine"
citation = "none"
obtain = "ask me"

[events]
format = "atis"
pattern = "{class}/rec {stem}.bin"
roots = ["events", "."]

[static]
layout = "images"
pattern = "{class}/{stem}.png"
twin = "{class}/{stem}"

[framing]
steps = 4
size = 12
tail = "keep"

[splits.holdout]
rule = "hash"
validation = 0.25
test = 0.25

[recipes.default]
model = "vgg"
"""


def changed(old: str, new: str) -> bytes:
    assert OWN.count(old) == 1
    return OWN.replace(old, new).encode()


@pytest.mark.parametrize("name", card_names())
def test_every_shipped_card_is_whole(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert all(value for field, value in vars(card.about).items() if field != "quirks")
    assert {"holdout", "paper"} <= set(card.splits)
    assert {"default", "baseline"} <= set(card.recipes)
    assert card.splits["holdout"].validation > 0  # the model is chosen there
    assert card.splits["holdout"].test > 0
    if card.static is None:  # then no recipe may show images
        assert load_recipe(card, "default").method.name == "event-only"
        assert all("No official file was at hand" in quirk for quirk in card.about.quirks[-1:])
    else:
        assert card.static.twin_evidence


def test_n_caltech101() -> None:
    card = load_card("n-caltech101")
    assert len(card.classes) == 101
    assert list(card.classes) == sorted(card.classes)
    assert {"BACKGROUND_Google", "Faces_easy"} <= set(card.classes)
    assert "Faces" not in card.classes
    assert (card.framing.steps, card.framing.size, card.framing.zero_origin) == (10, 48, True)
    assert card.splits["paper"].train == 0.9


def test_n_mnist() -> None:
    card = load_card("n-mnist")
    assert card.classes == tuple("0123456789")
    assert card.events.sensor == (34, 34)
    assert card.framing.size is None


def test_what_a_recipe_says_of_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    card = load_card("n-mnist")
    assert {"paper", "published"} == set(card.recipe_notes)
    assert run(["cards", "n-mnist", "--cache", str(tmp_path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "recipe paper: no run on N-MNIST was published" in text
    assert "recipe published: the network and the preprocessing of the published code" in text
    said: list[str] = []
    for name in card.recipes:
        load_recipe(card, name, on_note=said.append)
    assert said == [
        f"recipe {name} of card n-mnist: {note}" for name, note in card.recipe_notes.items()
    ]


def test_the_published_recipe_of_n_mnist_has_the_flags_of_n_caltech101() -> None:
    own = load_recipe(load_card("n-mnist"), "published").settings()
    known = load_recipe(load_card("n-caltech101"), "paper").settings()
    changed = {name: own[name] for name in own if own[name] != known[name]}
    assert changed == {
        "model": "nmnist-published",
        "static_fit": "stretch",
        "static_view": "normalised",
        "balanced": False,
        "last_batch": "keep",
        "crop_padding": 0,
    }
    assert own.keys() == known.keys()
    assert own["pairing"] == "class"


def test_a_note_of_no_recipe() -> None:
    with pytest.raises(UsageError, match=r"\[recipe_notes\] recipe = 'defalt'; did you mean 'def"):
        parse_card(changed('model = "vgg"', 'model = "vgg"\n[recipe_notes]\ndefalt = "x"'), "x")


def test_unknown_card_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'n-caltech10'; did you mean 'n-caltech101'\? \(known"):
        load_card("n-caltech10")


@pytest.mark.parametrize("name", ["none.toml", "some/where.toml", "./n-mnist"])
def test_no_such_card_file(name: str) -> None:
    with pytest.raises(UsageError, match="no such card file"):
        load_card(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 4", "stpes = 4", r"x\.toml \[framing\]: unknown key 'stpes'; did you mean 'step"),
        ("[framing]", "[frames]", "x.toml: unknown key 'frames'; did you mean 'framing'"),
        ("validation = 0.25", "validatoin = 0.25", r"\[splits.holdout\]: unknown key 'validatoin'"),
        ("[about]", "[abuot]", "unknown key 'abuot'; did you mean 'about'"),
        ("steps = 4", 'steps = "4"', "steps = '4' is not a whole number"),
        ("steps = 4", "steps = 4.0", "steps = 4.0 is not a whole number"),
        ("steps = 4", "steps = true", "steps = True is not a whole number"),
        ("size = 12", "size = [12, 12]", r"size = \[12, 12\] is not a whole number"),
        ("size = 12", "zero_origin = 1", "zero_origin = 1 is not true or false"),
        ('roots = ["events", "."]', 'roots = "events"', "roots = 'events' is not a list of a str"),
        ('roots = ["events", "."]', "roots = [1]", r"roots = \[1\] is not a list of a string"),
        ('roots = ["events", "."]', "sensor = [34]", r"sensor = \[34\] is not \[a whole"),
        ("test = 0.25", 'test = "a"', "test = 'a' is not a number"),
        ("validation = 0.25", "test = 0.25", "not valid TOML"),
        ('title = "Mine"', "", r"\[about\]: the key 'title' is missing"),
        ("steps = 4", "", r"\[framing\]: the key 'steps' is missing"),
        ('rule = "hash"', "", r"\[splits.holdout\]: the key 'rule' is missing"),
        ('twin = "{class}/{stem}"', "", r"\[static\]: the key 'twin' is missing"),
        ('"hash"', '"hashed"', "unknown rule 'hashed'; did you mean 'hash'"),
        ('"images"', '"image"', "unknown layout 'image'; did you mean 'images'"),
        ('tail = "keep"', 'tail = "kept"', "unknown tail 'kept'; did you mean 'keep'"),
        ('tail = "keep"', "", ""),
        ("size = 12", "", "needs a size, since"),
        ("size = 12", "size = 0", "steps and size must be at least 1"),
        ("steps = 4", "steps = 0", "steps and size must be at least 1"),
        ('format = "atis"', 'format = "atis"\nsensor = [0, 34]', "sensor must be positive"),
        ('"{class}/rec {stem}.bin"', '"{kind}/{stem}.bin"', r"has no {class} field"),
        ('"{class}/rec {stem}.bin"', '"{class}/{stem.bin"', "cannot read"),
        ('"{class}/rec {stem}.bin"', '"{class}/{}.bin"', "cannot read"),
        ('"{class}/rec {stem}.bin"', '"{class}/{stem}{stem}.bin"', "at most once"),
        (
            '"{class}/rec {stem}.bin"',
            '"{class}/' + "_".join(f"{{f{i}}}" for i in range(16)) + '.bin"',
            "has 17 fields, expected at most 16",
        ),
        ('"{class}/{stem}.png"', '"{kind}/{stem}.png"', r"\[static\] pattern .* no {class} field"),
        ('"{class}/{stem}"', '"{class}/{setm}"', "twin uses field = 'setm'; did you mean 'stem'"),
        ('"{class}/{stem}"', '"{class.upper}/{stem}"', "cannot read"),
        ('"{class}/{stem}"', '"{class!r}/{stem}"', "cannot read"),
        ("test = 0.25", "test = 0.75", "leave a part to train on"),
        ("test = 0.25", "test = -0.1", "must be at least 0"),
        ("test = 0.25", "test = nan", "test must be a finite number, found nan"),
        ("test = 0.25", "test = inf", "test must be a finite number, found inf"),
        ('rule = "hash"', 'rule = "leading"', "leave a part to train on"),
        ('rule = "hash"', 'rule = "field"\nfield = "stm"', "field = 'stm'; did you mean 'stem'"),
        ("[splits.holdout]", "[splits.paper]", r"\[splits.holdout\] is missing"),
        ("[recipes.default]", "[recipes.other]", r"\[recipes.default\] is missing"),
        ('name = "my-set"', 'name = "My Set"', "may hold a-z, 0-9"),
        ('name = "my-set"', 'name = "../up"', "may hold a-z, 0-9"),
        ('name = "my-set"', 'name = "a"\nclasses = ["x", "x"]', "classes holds a name twice"),
        ('name = "my-set"', 'name = "a"\nstatic = 5', "not valid TOML"),
        ('name = "my-set"', "name = 5", "name = 5 is not a string"),
        ('[about]\ntitle = "Mine"', '[about]\ntitle = "Mine"\n[about]', "not valid TOML"),
    ],
)
def test_mistakes_are_named(old: str, new: str, message: str) -> None:
    if not message:  # a key with a default may be left out
        assert parse_card(changed(old, new), "x.toml").framing.tail == "drop"
        return
    with pytest.raises(UsageError, match=message) as caught:
        parse_card(changed(old, new), "x.toml")
    assert str(caught.value).startswith("x.toml")
    assert "<class" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"about = 5", "about = 5 is not a table"),
        (b"static = 5", "static = 5 is not a table"),
        (b"[splits]\nholdout = 'hash'", "splits.holdout = 'hash' is not a table"),
        (b"[recipes]\ndefault = 5", "recipes = .* is not a table"),
        (b"splits = []", r"splits = \[\] is not a table"),
        (b"\xff\xfe", "not valid TOML"),
        (b"", "the key 'name' is missing"),
    ],
)
def test_tables_that_are_none(text: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=rf"x\.toml: {message}"):
        parse_card(text, "x.toml")


def test_values_arrive_in_their_types() -> None:
    card = parse_card(changed("validation = 0.25", "validation = 0"), "x.toml")
    assert card.classes == ()
    assert card.events.roots == ("events", ".")
    assert card.splits["holdout"].validation == 0.0
    assert isinstance(card.splits["holdout"].validation, float)
    assert not math.isnan(card.splits["holdout"].test)
    assert card.recipes == {"default": {"model": "vgg"}}
    assert pattern_fields(card.events.pattern) == ["class", "stem"]


def write_own(folder: Path) -> tuple[Path, Path, Path]:
    """A user's own card, four recordings a class and a static image for three of them."""
    (folder / "my set.toml").write_text(OWN, encoding="utf-8")
    raw, static = folder / "raw", folder / "static"
    rng = np.random.default_rng(0)
    for name in ("été", "zebra fish"):
        (raw / "events" / name).mkdir(parents=True)
        (static / name).mkdir(parents=True)
        for i in range(4):
            n = 50
            x, y = rng.integers(0, 30, n), rng.integers(0, 20, n)
            t, p = np.sort(rng.integers(0, 9000, n)), rng.integers(0, 2, n)
            (raw / f"events/{name}/rec {i}.bin").write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]
            if i:
                Image.new("RGB", (5, 7), (i, 2 * i, 3 * i)).save(static / f"{name}/{i}.png")
    return folder / "my set.toml", raw, static


def test_own_card_through_the_whole_preprocess(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, raw, static = write_own(tmp_path)
    arguments: list[Any] = ["preprocess", card, "--raw", raw, "--static", static]
    assert run([str(a) for a in [*arguments, "--cache", tmp_path / "cache", "--json"]]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["recordings"], summary["classes"]) == (8, 2)
    assert (summary["statics"], summary["twins"]) == (6, 6)
    cache = FrameCache(summary["directory"])
    assert cache.classes == ["zebra fish", "été"]
    assert cache.identities[0] == "zebra fish/rec 0"
    assert cache.frame_shape == (4, 2, 12, 12)
    assert cache.frames(np.arange(8)).shape == (8, 4, 2, 12, 12)
    twins = [cache.index.static_identity[t] if t >= 0 else None for t in cache.index.twin]
    assert twins == [
        None,
        *(f"zebra fish/{i}" for i in (1, 2, 3)),
        None,
        *(f"été/{i}" for i in (1, 2, 3)),
    ]
    images = cache.static_images()
    assert images.shape == (6, 3, 12, 12)
    assert images[4, :, 0, 0].tolist() == [2, 4, 6]
    parts = [len(cache.split("holdout", part)) for part in ("train", "validation", "test")]
    assert parts == [4, 2, 2]


def test_cards_lists_every_card(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["cards", "--cache", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in card_names():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        card = load_card(name)
        assert card.about.title in line
        assert card.events.format in line
    assert "n-caltech101 atis 48 x 48 10 101 none N-Caltech101" in [
        " ".join(x.split()) for x in lines
    ]


def test_cards_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cards", "n-caltech101"]) == 0
    text = capsys.readouterr().out
    card = load_card("n-caltech101")
    words = " ".join(text.split())
    for expected in (card.about.obtain, card.about.citation, *card.about.quirks):
        assert " ".join(expected.split()) in words
    assert "10 steps of 48 x 48, tail drop" in words
    assert "holdout: hash; paper: leading" in words
    assert max(map(len, text.splitlines())) <= 100


def test_cards_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cards", "--json"]) == 0
    assert [card["name"] for card in json.loads(capsys.readouterr().out)] == card_names()
    assert run(["cards", "n-mnist", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"]["sensor"] == [34, 34]


def test_cards_explains_a_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card, _, _ = write_own(tmp_path)
    assert run(["cards", str(card)]) == 0
    assert "my-set: Mine" in capsys.readouterr().out


def test_cards_misspelt(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cards", "nmnist"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "did you mean 'n-mnist'" in captured.err
