"""The framing of published weights: made by a flag, told from others, and noted where it is not."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from snntx.cli import run
from snntx.data_cards import CARDS, load_card, parse_card
from snntx.errors import UsageError
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.planning.plan import make_request
from snntx.tests import published_files as files
from snntx.train.assess.published_frames import frames_note
from snntx.train.network.create import create_model

pytestmark = pytest.mark.usefixtures("compiled")

TOML = Path(__file__).parents[3] / "data_cards/shipped" / "cep-dvs.toml"


class Output(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    def call(*words: Any) -> Output:
        capsys.readouterr()
        code = run([str(word) for word in words])
        return Output(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, cep_dvs_files: Any) -> Path:
    folder: Path = cep_dvs_files.write(tmp_path_factory.mktemp("cep dvs"))
    return folder


def caches(root: Path) -> dict[str, FrameCache]:
    return {seal.parent.name: FrameCache(seal.parent) for seal in root.glob("*/*/SEALED")}


def framed(raw: Path, root: Path, card: Any, **options: Any) -> FrameCache:
    request = make_request(card, raw=raw, static=None, cache=root, **options)
    return FrameCache(preprocess(request).directory)


def test_reach_and_limit_both_make_the_published_frames(
    raw: Path, tmp_path: Path, cep_dvs_files: Any
) -> None:
    card = load_card("cep-dvs")
    text = TOML.read_text("utf-8")
    assert text.count("\nsensor = [260, 346]") == 1
    copy = parse_card(text.replace("\nsensor =", "\nlimit =").encode(), "copy.toml")
    reach = framed(raw, tmp_path, card, extent="reach")
    limit = framed(raw, tmp_path, copy)
    assert reach.key != limit.key
    recording = framed(raw, tmp_path, card, extent="recording")
    whole = framed(raw, tmp_path, card)
    for i, identity in enumerate(reach.identities):
        number = int(Path(identity).stem)
        expected = cep_dvs_files.published_frames(number)
        np.testing.assert_allclose(reach.frames(i), expected, rtol=0, atol=2e-6)
        assert reach.frames(i).tobytes() == limit.frames(i).tobytes()
        for other in (recording, whole):
            assert np.abs(other.frames(i) - expected).max() > 0.5


def test_evaluate_says_how_to_get_the_published_frames(
    raw: Path, tmp_path: Path, snntx: Callable[..., Output]
) -> None:
    """The command that the note gives makes them, and on them there is no note."""
    root = tmp_path / "cache ü"
    card = "cep-dvs"
    assert snntx("preprocess", card, "--raw", raw, "--static", raw, "--cache", root).code == 0
    (own,) = caches(root)
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=20, steps=6)
    arguments = files.arguments("resnet18", steps=6, classes=20)
    weights = files.write(tmp_path / "a.pth.tar", files.state_of(model), arguments)
    measure = ["evaluate", weights, "--card", card, "--cache", root, "--protocol", "holdout"]
    told = snntx(*measure)
    assert (told.code, told.err) == (0, "")
    text = " ".join(told.out.split())
    assert "not made as the published ones (extent sensor, published: reach)" in text
    notes = json.loads(snntx(*measure, "--json").out)["notes"]
    (note,) = [each for each in notes if "published ones" in each]
    found = re.search(r"come from: (.+); then choose that cache with --key", note)
    assert found is not None
    words = [str(raw) if word == "DIR" else word for word in shlex.split(found[1])]
    assert words[:2] == ["snntx", "preprocess"]
    assert words[-2:] == ["--extent", "reach"]
    made = snntx(*words[1:])
    assert made.code == 0, made
    (key,) = set(caches(root)) - {own}
    assert key in made.out
    choose = snntx(*measure)
    assert choose.code == 2
    assert f"{key}: extent reach (card: sensor), 24 recordings (--key {key})" in choose.err
    keyed = snntx(*measure, "--key", key, "--json")
    assert (keyed.code, keyed.err) == (0, "")
    result = json.loads(keyed.out)
    assert result["cache_key"] == key
    assert not any("published ones" in each for each in result["notes"])
    shown = snntx("cache", "show", card, "--key", key, "--cache", root)
    assert re.search(r"differs +extent reach \(card: sensor\)", shown.out), shown


def test_a_note_names_every_option_and_keeps_the_shape(raw: Path, tmp_path: Path) -> None:
    card = load_card("cep-dvs")
    assert frames_note(framed(raw, tmp_path, card, extent="reach"), card, tmp_path) is None
    other = framed(raw, tmp_path, card, steps=2, size=9, tail="keep", extent="recording")
    note = frames_note(other, card, tmp_path, "my card.toml")
    assert note is not None
    assert "(extent recording, published: reach; tail keep, published: drop)" in note
    command = "snntx preprocess 'my card.toml' --raw DIR --cache"
    assert command in note
    assert "--steps 2 --size 9 --extent reach; then" in note
    native = framed(raw, tmp_path, card, size="native")
    assert "--size native --extent reach" in str(frames_note(native, card, tmp_path))
    silent = replace(card, published=None)
    assert frames_note(other, silent, tmp_path) is None


@pytest.mark.parametrize("name", CARDS.shipped())
def test_what_a_card_says_of_published_frames_can_be_made(
    name: str, snntx: Callable[..., Output]
) -> None:
    card = load_card(name)
    shown = " ".join(snntx("cards", name).out.split())
    if card.published is None:
        assert "published weights" not in shown
        return
    options = FrameOptions.from_card(card, **card.published.framing)
    assert (options == FrameOptions.from_card(card)) is not bool(card.published.framing)
    assert not card.published.weights or f"weights at {card.published.weights}" in shown
    for flag, value in card.published.framing.items():
        assert f"--{flag} {value}" in shown


def test_cep_dvs_says_where_data_and_weights_are_and_how_it_was_framed() -> None:
    card = load_card("cep-dvs")
    assert "github.com/Brain-Cog-Lab/Transfer-for-DVS/issues/2" in card.about.obtain
    assert card.published is not None
    assert "huggingface.co/xianghe/transfer_for_dvs" in card.published.weights
    quirks = " ".join(card.about.quirks)
    for part in ("--extent reach", "limit = [260, 346]", "not the published framing"):
        assert part in quirks


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("cep-dvs", {"extent": "reech"}, "extent must be one of sensor, recording, reach, found"),
        ("cep-dvs", {"extent": "reech"}, "did you mean 'reach'"),
        ("n-caltech101", {"extent": "sensor"}, "needs a fixed sensor, which the card lacks"),
        ("n-omniglot", {"extent": "reach"}, "'frequency' needs extent = 'sensor', found 'reach'"),
        ("n-mnist", {"extent": "reach", "size": "native"}, "give a size, a crop, or a fixed"),
    ],
)
def test_extents_without_meaning(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FrameOptions.from_card(load_card(name), **given)


def test_an_extent_replaces_the_cards() -> None:
    cep, caltech = load_card("cep-dvs"), load_card("n-caltech101")
    assert FrameOptions.from_card(cep, extent="sensor") == FrameOptions.from_card(cep)
    reach = FrameOptions.from_card(cep, extent="reach")
    assert (reach.sensor, reach.limit, reach.zero_origin) == (None, (260, 346), False)
    assert reach.extent == "reach"
    assert FrameOptions.from_card(caltech).extent == "recording"
    assert not FrameOptions.from_card(caltech, extent="reach").zero_origin
    assert FrameOptions.from_card(caltech, extent="recording") == FrameOptions.from_card(caltech)


def test_a_card_with_a_wrong_word_is_refused() -> None:
    text = TOML.read_text("utf-8")
    for old, new, message in (
        ('extent = "reach"', 'extent = "reech"', r"published.*'?reech'?.*did you mean 'reach'"),
        ('extent = "reach"', 'extend = "reach"', "unknown key 'extend'; did you mean 'extent'"),
    ):
        assert text.count(old) == 1
        with pytest.raises(UsageError, match=message):
            parse_card(text.replace(old, new).encode(), "cep.toml")
