"""``snntx preprocess``: raw recordings and their static twins into a sealed frame cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import FOLDER, cache_option, cache_root, json_option, print_json, say
from .words.completion import cards
from .words.framing import framing_options
from .words.instead import naming
from .words.misplaced import Worded

if TYPE_CHECKING:
    from ..data_cards.vocabulary import Fit, Kind
    from ..preprocess.planning.unpaired import Unpaired


@click.command(cls=Worded)
@click.argument("card", shell_complete=cards)
@click.option("--raw", type=FOLDER, required=True, help="Folder of the raw recordings.")
@click.option("--static", type=FOLDER, help="Folder of the static images.")
@cache_option
@click.option(
    "--as",
    "kind",
    type=click.Choice(["frames", "events"]),
    help="Keep the frames of each recording, or its events, of which training makes frames "
    "[default: the card's].",
)
@framing_options
@click.option(
    "--static-fit",
    type=click.Choice(["stretch", "pad"]),
    help="Static images stretched to the frames, or centred on black, unscaled "
    "[default: the card's].",
)
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
@click.option(
    "--unpaired",
    type=click.Choice(["stop", "class", "drop"]),
    default="stop",
    show_default=True,
    help="Where too few static images are twins by name: stop, keep the others as class partners "
    "(perhaps twins of test recordings), or leave them out.",
)
@click.option(
    "--rehash", is_flag=True, help="Read every raw file again, instead of trusting size and times."
)
@click.option("--no-space-check", is_flag=True, help="Start however little room the disk has.")
@json_option
def preprocess(
    card: str,
    raw: Path,
    static: Path | None,
    cache: Path | None,
    kind: Kind | None,
    static_fit: Fit | None,
    jobs: int | None,
    scheduler: str | None,
    bad_files: str,
    unpaired: Unpaired,
    rehash: bool,
    no_space_check: bool,
    as_json: bool,
    **framing: Any,
) -> None:
    """Turn raw recordings and their static twins into a sealed cache of frames or events.

    CARD is a shipped card's name (see: snntx cards), the path of your own .toml file, or
    tonic:NAME for a data set that the package tonic reads from --raw. A cache of the same
    files and options is found and reused; a build that was killed is gone on with. Neither
    --jobs nor --scheduler changes a byte of it.
    """
    from ..data_cards import TONIC
    from ..preprocess.build.builder import preprocess as build
    from ..preprocess.build.workers import usable_cores
    from ..preprocess.planning.own_card import keep_card, own_card
    from ..preprocess.planning.plan import make_request
    from ..train.recipe.sources import check_recipes
    from .terminal.text import build_bar, print_summary

    root = cache_root(cache)
    if card.startswith(TONIC):
        from ..preprocess.raw.tonic_cards import write_card

        loaded = write_card(card.removeprefix(TONIC), root)
    else:
        loaded = own_card(card, root, builds=True, check=lambda each: check_recipes(each, card))
    request = make_request(
        loaded,
        raw=raw,
        static=static,
        cache=root,
        unpaired=unpaired,
        static_fit=static_fit,
        kind=kind,
        **framing,
    )
    with build_bar() as progress, naming(CARD=card):
        summary = build(
            request,
            jobs=usable_cores() if jobs is None else jobs,
            scheduler=scheduler,
            skip=bad_files == "skip",
            rehash=rehash,
            check_room=not no_space_check,
            say=say,
            progress=progress,
        )
    keep_card(card, loaded, root, say, builds=True)
    if as_json:
        print_json({**vars(summary), "directory": str(summary.directory)})
    else:
        print_summary(summary)
