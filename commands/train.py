"""``snntx train``: one run on a sealed cache."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from ..errors import shell_word
from .ending import code_of
from .options import (
    FOLDER,
    cache_option,
    cache_root,
    device_option,
    json_option,
    print_json,
    words_of,
)
from .words import completion
from .words.misplaced import Worded
from .words.places import settings_at


@click.command(cls=Worded)
@click.argument("card", metavar="CARD|RUN", shell_complete=completion.cards_or_runs)
@cache_option
@click.option("--key", help="Choose a cache by its key, or the start of one.")
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    shell_complete=completion.recipes,
    help="One of the card's recipes, or a .toml file over its default [default: default].",
)
@completion.set_option("Override a setting, such as epochs=20 or method=event-only; repeatable.")
@click.option(
    "--out", type=FOLDER, help="Run directory [default: runs/CARD-RECIPE-SETTINGS-seedN]."
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes that make batches ahead; changes no result.",
)
@device_option
@click.option(
    "--resume", is_flag=True, help="Go on with the run directory, or start where it holds nothing."
)
@json_option
def train(
    card: str,
    cache: Path | None,
    key: str | None,
    recipe: str | None,
    settings: tuple[str, ...],
    out: Path | None,
    device: str,
    workers: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Train a spiking network on a sealed cache, with knowledge transfer from static images.

    Raw files are never touched. To go on with a run, snntx train --resume RUN is enough; --set
    epochs=N trains it on for more epochs. snntx settings lists every setting; those most often
    changed:

    \b
    --set epochs=20             times that it goes through the recordings
    --set lr=0.01               learning rate after the warm-up
    --set batch_size=32         recordings a step
    --set seed=1                of every draw
    --set method=event-only     the baseline; or sliding, time-mixup, static-only
    --set model=resnet18        the network; snntx settings model lists them
    --set event_fraction=0.1    share of each class's recordings to train on
    --set patience=10           stop after so many epochs without a better one
    --set initial=RUN           start from the weights of another run
    """
    from ..train.checkpoints.names import LAST, TERMINAL
    from ..train.run.account import Called
    from ..train.run.distributed import is_first, joined, pick_device
    from ..train.run.fit import train as fit
    from ..train.run.objective import chosen_backend
    from ..train.run.stopping import StoppedError
    from .terminal.text import TrainingDisplay
    from .terminal.transcript import Transcript
    from .wanted import Asked, recipe_told, wanted_run

    context, settings = click.get_current_context(), settings_at(settings)
    transcript = Transcript(shown=is_first())
    note = transcript.say
    how = "" if resume else " with --resume"
    try:
        named = context.get_parameter_source("cache") is ParameterSource.COMMANDLINE
        root = cache_root(cache)
        asked = Asked(card, root, named, key, recipe, settings, out, resume)
        wanted = wanted_run(asked, note)
        out, resolved, where = wanted.out, wanted.recipe, pick_device(device)
        backend, epochs = chosen_backend(resolved, where), resolved.optim.epochs
        frames = wanted.frames
        note(f"cache {frames.directory}")
        note(f"device {where.type}, backend {backend}, run {out}")
        for line in recipe_told(wanted, recipe, settings):
            note(line)
        kept = transcript.add
        with joined(where) as group, TrainingDisplay(epochs, group.first, kept) as display:
            path = out / TERMINAL
            best = fit(
                wanted.card,
                frames,
                resolved,
                out,
                device=group.device,
                workers=workers,
                resume=resume,
                given=wanted.given,
                group=group,
                called=Called(words_of(context), recipe, settings),
                on_claim=lambda fresh: transcript.begin(path, fresh=fresh),
                on_note=display.above(note),
                on_step=display.step,
                on_epoch=display.epoch,
            )
            if not group.first:
                return
    except StoppedError as stopped:
        note(f"{stopped}; run the same command again{how if _has(out, LAST) else ''} to go on")
        context.exit(stopped.code)
    except KeyboardInterrupt as stopped:
        note(f"interrupted; run the same command again{how if _has(out, LAST) else ''} to go on")
        context.exit(code_of(stopped))
    except Exception as error:
        transcript.failed(error)
        raise
    lines = (
        f"best epoch {best['epoch']}: {best['part']} top-1 {best['top1']:.4f} "
        f"(protocol {resolved.data.protocol})",
        f"next: snntx evaluate {shell_word(out)}",
    )
    for line in lines:
        transcript.add(line)
        if not as_json:
            click.echo(line)
    transcript.close()
    if as_json:
        print_json({"run": str(out), "protocol": resolved.data.protocol, "best": best})


def _has(out: Path | None, name: str) -> bool:
    """Whether a run directory that is known has a file."""
    return out is not None and (out / name).is_file()
