"""Cards that come in by the door: registered, installed, or named by their place."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from snntx.cli import run
from snntx.data_cards import CARDS, card_names, load_card
from snntx.errors import UsageError

TEXT = (files("snntx.data_cards") / "shipped/simulated-digits.toml").read_text("utf-8")
OWN = TEXT.replace('name = "simulated-digits"', 'name = "own"')

MODULE = """
from pathlib import Path

TEXT = Path(__file__).with_name("own.toml").read_text("utf-8")
PATH = Path(__file__).with_name("own.toml")
GONE = Path("/nowhere/own.toml")
BAD = "name = 5"
NUMBER = 5

def make():
    return TEXT.encode()

def fail():
    raise RuntimeError("no card\\ntoday")

def number():
    return 5
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package beside its card, importable; the door forgets what it learns."""
    monkeypatch.setattr(CARDS, "_known", {})
    (tmp_path / "own_package.py").write_text(MODULE, "utf-8")
    (tmp_path / "own.toml").write_text(OWN, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(folder: Path, *entries: str) -> None:
    """Lay out what an installer leaves of a package with entry points."""
    info = folder / "own_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[snntx.cards]", *entries]) + "\n")


@pytest.mark.parametrize("attribute", ["TEXT", "PATH", "make"])
def test_a_card_by_its_place(attribute: str) -> None:
    card = load_card(f"own_package:{attribute}")
    assert card.name == "own"
    assert card.events == load_card("simulated-digits").events
    assert not [name for name in card_names() if ":" in name]


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("GONE", r"^/nowhere/own\.toml: cannot be read: No such file"),
        ("BAD", "^card own_package:BAD: name = 5 is not a string"),
        ("NUMBER", r"^card 'own_package:NUMBER' .*: is a int, expected TOML text, bytes"),
        ("fail", "^card own_package:fail: its function fails: no card today$"),
        ("number", "^card own_package:number: its function returns a int, expected TOML text"),
        ("nothing", "^card 'own_package:nothing' cannot be imported: AttributeError"),
    ],
)
def test_places_that_hold_no_card(attribute: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_card(f"own_package:{attribute}")
    assert "\n" not in str(caught.value)


def test_an_installed_card_is_listed_and_loaded(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(package, "own = own_package:PATH")
    assert card_names() == sorted([*CARDS.shipped(), "own"])
    assert load_card("own").name == "own"
    assert run(["cards", "--cache", str(tmp_path / "none")]) == 0
    assert "\nown " in capsys.readouterr().out
    for name in ("own", "own_package:TEXT"):
        assert run(["cards", name, "--json", "--cache", str(tmp_path / "none")]) == 0
        assert json.loads(capsys.readouterr().out)["name"] == "own"
    with pytest.raises(UsageError, match="unknown card 'onw'; did you mean 'own'"):
        load_card("onw")


def test_an_installed_card_under_another_name(package: Path) -> None:
    install(package, "other = own_package:TEXT")
    with pytest.raises(UsageError, match="card other: name = 'own', but it is offered as 'other'"):
        load_card("other")


@pytest.mark.parametrize("source", [OWN, OWN.encode(), lambda: OWN], ids=["text", "bytes", "made"])
def test_a_registered_card(source: Any) -> None:
    CARDS.register("own")(source)
    assert load_card("own").about == load_card("simulated-digits").about
    assert "own" in card_names()


def test_a_card_is_registered_once(package: Path) -> None:
    CARDS.register("own")(package / "own.toml")
    CARDS.register("own")(package / "own.toml")  # the same again
    with pytest.raises(UsageError, match="card 'own' is registered twice"):
        CARDS.register("own")(OWN)

    @CARDS.register("made")
    def made() -> str:
        return OWN

    with pytest.raises(UsageError, match="card 'made' is registered twice"):
        CARDS.register("made")(lambda: OWN)


def test_framing_that_goes_not_together_names_the_card(tmp_path: Path) -> None:
    from snntx.preprocess.framing.options import FrameOptions

    wrong = OWN.replace("[framing]", "[framing]\nwindow_ms = 0.0001", 1)
    CARDS.register("own")(wrong)
    with pytest.raises(UsageError, match=r"^card own: \[framing\] window_ms must be a whole"):
        FrameOptions.from_card(load_card("own"))
