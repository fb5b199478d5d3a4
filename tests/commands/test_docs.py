"""The documentation: Python examples run, and commands are ones that the program knows."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import pytest

from snntx.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


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


@pytest.mark.parametrize("name", NAMES)
def test_python_examples_run(
    name: str, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of a page run after one another beside a ``cache`` and a ``data`` folder."""
    found = blocks(ROOT / name, "python")
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


def test_the_cache_page_names_every_dataset() -> None:
    from snntx.preprocess.cache.meanings import MEANINGS

    text = (ROOT / "docs/cache.md").read_text(encoding="utf-8")
    for path in MEANINGS:
        assert f"`{path.replace('*', '<protocol>')}`" in text, path
