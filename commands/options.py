"""What the commands share: options, exit messages, and JSON; imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..errors import ElsewhereError, UsageError, nearest, plain, shell_word
from .ending import INTERRUPTED, code_of, interrupted_by_sigterm
from .words.instead import instead
from .words.misplaced import Worded

FOLDER = click.Path(path_type=Path)
_WORDS = "snntx.words"
Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(click.Group):
    """Commands in the order of use, with a hint when a name is misspelt."""

    command_class = Worded

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they were added."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown name is an error that names the nearest one."""
        known = ctx.resilient_parsing or args[:1] == [] or args[0] in self.commands
        if not known and not args[0].startswith("-"):
            raise UsageError(f"unknown command '{args[0]}'{nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words that the program itself was called with, and parse them."""
        if ctx.parent is None:
            ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; one that is interrupted, or names the wrong things, says so."""
        try:
            with interrupted_by_sigterm():
                return super().invoke(ctx)
        except ElsewhereError as error:
            if ctx.parent is not None:
                raise
            words = instead(words_of(ctx), error.given)
            raise UsageError(f"{error}: snntx {' '.join(map(shell_word, words))}") from error
        except KeyboardInterrupt as stopped:
            say(INTERRUPTED)
            ctx.exit(code_of(stopped))


def words_of(ctx: click.Context) -> tuple[str, ...]:
    """Return the words that the program was called with, the command's name first."""
    words: tuple[str, ...] = ctx.meta[_WORDS]
    return words


cache_option = click.option(
    "--cache",
    type=FOLDER,
    envvar="SNNTX_CACHE",
    help="Root of all caches [default: $SNNTX_CACHE or the user's cache folder].",
)
key_option = click.option("--key", help="Choose a cache by its key, or the start of one.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes CUDA where there is one.",
)


def part_option(what: str) -> Callable[[Command], Command]:
    """Return the option that says which part of a run's protocol; ``what`` begins its help."""
    return click.option(
        "--part",
        type=click.Choice(["test", "validation", "train", "all"]),
        default="test",
        show_default=True,
        help=f"{what}; all takes every recording of the cache.",
    )


def root_for(cache: Path | None, run: Path) -> Path:
    """Return the root of all caches for a run: that of ``--cache``, or where it was trained."""
    from ..train.checkpoints.started import root_of

    root = cache_root(cache)
    source = click.get_current_context().get_parameter_source("cache")
    return root if source is ParameterSource.COMMANDLINE else root_of(run, root)


def cache_root(cache: Path | None) -> Path:
    """Return the root of all caches, below which compiled kernels may be kept too."""
    from ..preprocess.cache.roots import user_root
    from ..preprocess.disk.kernel_cache import prefer

    cache = cache or user_root()
    prefer(cache)
    return cache


def say(line: str) -> None:
    """Print a line for people on standard error."""
    click.echo(f"snntx: {plain(line)}", err=True)


def print_json(value: Any) -> None:
    """Print a result for machines; paths become text."""
    text = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    # a byte of a file name that is no UTF-8 stays JSON's own escape
    click.echo(text.encode("utf-8", "backslashreplace").decode())
