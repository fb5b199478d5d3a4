"""The command line: parses, calls, and prints what people or machines asked for.

Results go to standard output, progress and messages to standard error. Exit codes: 0 done,
1 the work failed, 2 the call is wrong. Heavy imports happen inside the commands, so that
``--help`` answers at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import SnntxError, UsageError, nearest

_FOLDER = click.Path(path_type=Path)


class _Commands(click.Group):
    """Commands in the order of use, with a hint when a name is misspelt."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise UsageError(f"unknown command '{args[0]}'{nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="snntx")
def cli() -> None:
    """Carry knowledge from static images into spiking networks for event cameras."""


_cache_option = click.option(
    "--cache",
    type=_FOLDER,
    envvar="SNNTX_CACHE",
    help="Root of all caches [default: $SNNTX_CACHE or the user's cache folder].",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
_device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes CUDA where there is one.",
)


def _cache_root(cache: Path | None) -> Path:
    if cache is not None:
        return cache
    import platformdirs

    return Path(platformdirs.user_cache_dir("snntx"))


@cli.command()
@click.argument("card")
@click.option("--raw", type=_FOLDER, required=True, help="Folder of the raw recordings.")
@click.option("--static", type=_FOLDER, help="Folder of the static images.")
@_cache_option
@click.option("--steps", type=int, help="Frames per recording [default: the card's].")
@click.option("--size", type=int, help="Side of the frames in pixels [default: the card's].")
@_json_option
def preprocess(
    card: str,
    raw: Path,
    static: Path | None,
    cache: Path | None,
    steps: int | None,
    size: int | None,
    as_json: bool,
) -> None:
    """Turn raw recordings and their static twins into a sealed frame cache.

    CARD is a shipped card's name (see: snntx cards) or the path of your own .toml file. A
    cache of the same files and options is found and reused.
    """
    from .data_cards import load_card
    from .preprocess.build import preprocess as build
    from .preprocess.plan import make_request
    from .terminal import build_bar, print_summary

    request = make_request(
        load_card(card), raw=raw, static=static, cache=_cache_root(cache), steps=steps, size=size
    )
    with build_bar() as progress:
        summary = build(request, say=_say, progress=progress)
    if as_json:
        _print_json({**vars(summary), "directory": str(summary.directory)})
    else:
        print_summary(summary)


@cli.command()
@click.argument("name", required=False)
@_json_option
def cards(name: str | None, as_json: bool) -> None:
    """List the shipped data cards, or explain one."""
    import dataclasses

    from .data_cards import card_names, load_card
    from .terminal import print_card, print_cards

    if name is not None:
        card = load_card(name)
        _print_json(dataclasses.asdict(card)) if as_json else print_card(card)
        return
    loaded = [load_card(known) for known in card_names()]
    if as_json:
        _print_json([dataclasses.asdict(card) for card in loaded])
    else:
        print_cards(loaded)


def _say(line: str) -> None:
    click.echo(f"snntx: {line}", err=True)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        result = cli.main(args=arguments, prog_name="snntx", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SnntxError as error:
        _say(f"error: {error}")
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; run the same command again to go on")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
