"""The documentation: Python examples run, and commands are ones that the program knows.

A block whose first line is a comment that names a file, such as ``# mypackage/nets.py``, is that
file: those of ``docs/extending.md`` are built, installed and used by the commands of the page.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

from snntx.cli import cli
from snntx.data_cards import CARDS
from snntx.preprocess.readers.base import READERS
from snntx.train.network.doors import MODELS, SURROGATES
from snntx.train.recipe.doors import AUGMENTATIONS, METHODS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def file_of(block: str) -> str | None:
    """The file that a block is, by its first line; None for what is to be run."""
    found = re.match(r"# (\S+\.(?:py|toml))\n", block)
    return found and found[1]


def commands(block: str) -> list[list[str]]:
    """The arguments of each ``snntx`` command, with continued lines joined."""
    lines = block.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and line[0] == "snntx"]


def parse(
    command: click.Command, arguments: list[str], parent: click.Context | None = None
) -> None:
    """Parse a command and its subcommands without running any."""
    name = command.name or "snntx"
    context = command.make_context(name, list(arguments), parent=parent)
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        _, chosen, left = command.resolve_command(context, rest)
        assert chosen is not None
        parse(chosen, left, context)


def test_blocks_and_commands_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\n# no\nsnntx train x \\\n  --resume  # on\nmake\n```\n```python\n1\n```\n"
    )
    assert [commands(block) for block in blocks(page, "sh")] == [[["train", "x", "--resume"]]]
    assert blocks(page, "python") == ["1\n"]


def test_a_wrong_command_would_be_noticed() -> None:
    for wrong in (["trian", "x"], ["train", "x", "--rseume"], ["cache", "sl"], ["train"]):
        with pytest.raises(Exception, match=r"unknown command|No such option|Missing parameter"):
            parse(cli, wrong)


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Doors forget afterwards what is registered and not shipped."""
    yield
    for door in (AUGMENTATIONS, CARDS, METHODS, MODELS, READERS, SURROGATES):
        for name in set(door._known) - set(door.shipped()):
            del door._known[name]


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("name", NAMES)
def test_python_examples_run(
    name: str, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of a page run after one another beside a ``cache`` and a ``data`` folder."""
    found = [block for block in blocks(ROOT / name, "python") if file_of(block) is None]
    if found:
        shutil.copytree(small_cache, tmp_path / "here")
        monkeypatch.chdir(tmp_path / "here")
    namespace: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(found, 1):
        exec(compile(block, f"{name}, Python block {number}", "exec"), namespace)


@pytest.mark.parametrize("name", NAMES)
def test_commands_parse(name: str) -> None:
    for block in blocks(ROOT / name, "sh"):
        for arguments in commands(block):
            try:
                parse(cli, arguments)
            except Exception as error:
                pytest.fail(f"{name}: snntx {shlex.join(arguments)}: {error}")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_within_the_checkout_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_cache_page_names_every_dataset() -> None:
    from snntx.preprocess.cache.meanings import MEANINGS

    text = (ROOT / "docs/cache.md").read_text(encoding="utf-8")
    for path in MEANINGS:
        assert f"`{path.replace('*', '<protocol>')}`" in text, path


def test_the_page_of_settings_is_what_the_declarations_say() -> None:
    from snntx.train.recipe.pages import page

    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert text == page(), "make settings writes it anew"


# ---------------------------------------------------------------- parts of one's own

EXTENDING = ROOT / "docs/extending.md"
LONGEST = 39
"""Lines of an example."""
QUICK = ("epochs=1", "draws_per_epoch=20", "batch_size=10")
"""Settings that make the runs of the page short."""
RUN = """
import json, sys
from snntx.cli import run

for arguments in json.loads(sys.argv[1]):
    code = run(arguments)
    if code:
        sys.exit(f"snntx {' '.join(arguments)}: exit code {code}")
"""


def with_the_package(program: str, *arguments: str, where: Path) -> str:
    """Run a program that sees the installed package, not its source; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(where / "installed"), "SNNTX_CACHE": "cache"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def workplace(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the page, installed; recordings of birds in its format; a cache of digits."""
    where = tmp_path_factory.mktemp("extending")
    for language in ("python", "toml"):
        for block in blocks(EXTENDING, language):
            if (name := file_of(block)) is not None:
                (where / name).parent.mkdir(exist_ok=True)
                (where / name).write_text(block)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    here = ["--no-build-isolation", "--disable-pip-version-check", "--target", "installed", "."]
    done = subprocess.run([*install, *here], cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    draw = np.random.default_rng(0)
    for number in range(24):
        bird = where / "birds" / ("finch", "owl")[number % 2] / f"owl-{number // 2:02d}.txt"
        bird.parent.mkdir(parents=True, exist_ok=True)
        t = np.sort(draw.integers(0, 100_000, 200))
        columns = (t, *draw.integers(0, 34, (2, 200)), draw.integers(0, 2, 200))
        np.savetxt(bird, np.stack(columns, 1), "%d")
        picture = draw.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(picture).save(bird.with_suffix(".png"))
    shutil.copytree(small_cache / "cache", where / "cache")
    return where


def section(heading: str) -> list[list[str]]:
    """The commands of one section of the page, each run of training made short."""
    text = EXTENDING.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    found = re.findall(r"^```sh\n(.*?)^```$", text.partition("\n## ")[0], re.M | re.S)
    lines = [line for block in found for line in commands(block)]
    assert lines, heading
    for line in lines:
        if line[0] == "train":
            quick = (*QUICK, "steps=3") if line[1] == "simulated-digits" else QUICK
            line += [word for setting in quick for word in ("--set", setting)]
    return lines


def recipe_of(run: Path) -> dict[str, Any]:
    return tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))


def test_examples_are_short() -> None:
    for language in ("python", "toml"):
        for block in blocks(EXTENDING, language):
            assert block.count("\n") <= LONGEST, block.partition("\n")[0]


def test_parts_come_in_by_their_place(workplace: Path) -> None:
    headings = ("A network", "A method", "An augmentation")
    lines = [line for heading in headings for line in section(heading)]
    with_the_package(RUN, json.dumps(lines), where=workplace)
    tiny, fade, blink = (recipe_of(workplace / "runs" / n) for n in ("tiny", "fade", "blink"))
    assert tiny["network"]["model"] == "mypackage.nets:Tiny"
    assert fade["method"]["name"] == "mypackage.methods:Fade"
    assert fade["method"]["distance_weight"] == 0.5
    assert blink["augment"]["augment"] == ["nda", "mypackage.augmentations:blink"]
    [record] = (workplace / "runs/fade/log.jsonl").read_text().splitlines()
    assert json.loads(record)["train"]["distance"] > 0


def test_parts_come_in_by_entry_points(workplace: Path) -> None:
    lines = section("Names for them all")
    printed = with_the_package(RUN, json.dumps(lines), where=workplace)
    assert "My birds" in printed
    assert "distance_weight = 0.1" in printed
    run = recipe_of(workplace / "runs/named")
    named = (run["network"]["model"], run["method"]["name"], run["augment"]["augment"])
    assert named == ("tiny", "fade", "blink")


def test_recordings_in_a_format_of_ones_own(workplace: Path) -> None:
    printed = with_the_package(RUN, json.dumps(section("A data set")), where=workplace)
    assert "owl-00.txt" in printed
    broken = workplace / "birds/owl/owl-11.txt"
    whole = broken.read_text()
    broken.write_text("12 30\n")
    [first, *_] = section("A data set")
    program = "import sys; from snntx.cli import run; print('exit code', run(sys.argv[1:]))"
    printed = with_the_package(program, *first, where=workplace)
    assert "exit code 1" in printed
    assert "owl-11.txt: is no text of lines" in printed
    broken.write_text(whole)
