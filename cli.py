"""The command line: parses, calls, and prints what people or machines asked for.

Results go to standard output, progress and messages to standard error. Exit codes: 0 done,
1 the work failed, 2 the call is wrong. Heavy imports happen inside the commands, so that
``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from . import __version__
from .cache_cli import cache as _cache_commands
from .cache_cli import cards as _cards
from .cache_cli import show_recording as _show
from .checkpoint_cli import evaluate as _evaluate
from .checkpoint_cli import export as _export
from .checkpoint_cli import predict as _predict
from .cli_options import FOLDER as _FOLDER
from .cli_options import Commands as _Commands
from .cli_options import cache_option as _cache_option
from .cli_options import cache_root as _cache_root
from .cli_options import device_option as _device_option
from .cli_options import json_option as _json_option
from .cli_options import print_json as _print_json
from .cli_options import say as _say
from .errors import SnntxError
from .fetch_cli import fetch as _fetch
from .framing_cli import framing_options as _framing_options
from .sweep_cli import compare as _compare
from .sweep_cli import sweep as _sweep


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="snntx")
def cli() -> None:
    """Carry knowledge from static images into spiking networks for event cameras."""


cli.add_command(_fetch)


@cli.command()
@click.argument("card")
@click.option("--raw", type=_FOLDER, required=True, help="Folder of the raw recordings.")
@click.option("--static", type=_FOLDER, help="Folder of the static images.")
@_cache_option
@_framing_options
@click.option("--jobs", type=int, help="Worker processes [default: one for each usable core].")
@click.option(
    "--scheduler", metavar="ADDRESS", help="Let the workers of a Dask cluster do the work."
)
@click.option(
    "--bad-files",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="On a file that cannot be used: stop, or skip it and list it in the cache.",
)
@_json_option
def preprocess(
    card: str,
    raw: Path,
    static: Path | None,
    cache: Path | None,
    jobs: int | None,
    scheduler: str | None,
    bad_files: str,
    as_json: bool,
    **framing: Any,
) -> None:
    """Turn raw recordings and their static twins into a sealed frame cache.

    CARD is a shipped card's name (see: snntx cards), the path of your own .toml file, or
    tonic:NAME for a data set that the package tonic reads from --raw. A cache of the same
    files and options is found and reused; a build that was killed is gone on with. Neither
    --jobs nor --scheduler changes a byte of it.
    """
    from .data_cards import TONIC, load_card
    from .preprocess.build import preprocess as build
    from .preprocess.plan import make_request
    from .preprocess.workers import usable_cores
    from .terminal import build_bar, print_summary

    root = _cache_root(cache)
    if card.startswith(TONIC):
        from .preprocess.tonic_cards import write_card

        loaded = write_card(card.removeprefix(TONIC), root)
    else:
        loaded = load_card(card)
    request = make_request(loaded, raw=raw, static=static, cache=root, **framing)
    with build_bar() as progress:
        summary = build(
            request,
            jobs=usable_cores() if jobs is None else jobs,
            scheduler=scheduler,
            skip=bad_files == "skip",
            say=_say,
            progress=progress,
        )
    if as_json:
        _print_json({**vars(summary), "directory": str(summary.directory)})
    else:
        print_summary(summary)


@cli.command()
@click.argument("card")
@_cache_option
@click.option("--key", help="Choose a cache by its key, or the start of one.")
@click.option(
    "--recipe",
    default="default",
    show_default=True,
    metavar="NAME|FILE",
    help="One of the card's recipes, or a .toml file over its default.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting, such as epochs=20 or transfer=false; repeatable.",
)
@click.option("--out", type=_FOLDER, help="Run directory [default: runs/CARD-RECIPE-seedN].")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes that make batches ahead; changes no result.",
)
@_device_option
@click.option("--resume", is_flag=True, help="Go on from the run directory's last epoch.")
@_json_option
def train(
    card: str,
    cache: Path | None,
    key: str | None,
    recipe: str,
    settings: tuple[str, ...],
    out: Path | None,
    device: str,
    workers: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Train a spiking network on a sealed cache, with knowledge transfer from static images.

    Raw files are never touched. --set transfer=false trains the event-only baseline.
    """
    from .data_cards import load_card
    from .terminal import TrainingDisplay
    from .train.caches import open_cache
    from .train.checkpoint import LAST
    from .train.distributed import is_first, joined, pick_device
    from .train.fit import train as fit
    from .train.objective import chosen_backend
    from .train.recipe_sources import load_recipe
    from .train.stopping import StoppedError

    loaded = load_card(card, _cache_root(cache))
    resolved = load_recipe(loaded, recipe, settings)
    frames = open_cache(
        _cache_root(cache), loaded, steps=resolved.steps, size=resolved.size, key=key, given=card
    )
    where = pick_device(device)
    out = out or Path("runs") / f"{loaded.name}-{Path(recipe).stem}-seed{resolved.seed}"
    backend = chosen_backend(resolved, where)
    if is_first():
        _say(f"cache {frames.directory}, device {where.type}, backend {backend}, run {out}")
        _say(", ".join(resolved.to_toml().splitlines()))
    try:
        with joined(where) as group, TrainingDisplay(resolved.epochs, group.first) as display:
            best = fit(
                loaded,
                frames,
                resolved,
                out,
                device=group.device,
                workers=workers,
                resume=resume,
                group=group,
                on_note=_say,
                on_step=display.step,
                on_epoch=display.epoch,
            )
            if not group.first:
                return
    except StoppedError as stopped:
        _say(f"{stopped}; run the same command again with --resume to go on")
        click.get_current_context().exit(143)
    except KeyboardInterrupt:
        how = " with --resume" if (out / LAST).is_file() else ""
        _say(f"interrupted; run the same command again{how} to go on")
        click.get_current_context().exit(130)
    if as_json:
        _print_json({"run": str(out), "protocol": resolved.protocol, "best": best})
        return
    click.echo(
        f"best epoch {best['epoch'] + 1}: {best['part']} top-1 {best['top1']:.4f} "
        f"(protocol {resolved.protocol}); next: snntx evaluate {out}"
    )


cli.add_command(_evaluate)
cli.add_command(_predict)
cli.add_command(_export)


@cli.command()
@click.option(
    "--out",
    type=_FOLDER,
    default=Path("snntx-demo"),
    show_default=True,
    help="Folder of the demonstration's data, cache, runs and picture.",
)
def demo(out: Path) -> None:
    """Run the whole job on simulated recordings of real handwritten digits."""
    from .demo import run_demo

    run_demo(out)


cli.add_command(_sweep)
cli.add_command(_compare)
cli.add_command(_cache_commands)
cli.add_command(_show)
cli.add_command(_cards)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # threads that spin while they wait make a shared machine's steps up to ten times longer
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        result = cli.main(args=arguments, prog_name="snntx", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SnntxError as error:
        _say(f"error: {error}")
        return error.exit_code
    except click.ClickException as error:
        message, context = error.format_message(), getattr(error, "ctx", None)
        if "\n" in message:  # a group without a command: its help
            error.show()
        else:
            hint = f"; see: {context.command_path} --help" if context else ""
            _say(f"error: {message.rstrip('.')}{hint}")
        return 2
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; run the same command again to go on")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (OSError, MemoryError) as error:
        _say(f"error: {' '.join(str(error).split()) or type(error).__name__}")
        return 1
