"""``snntx cache`` and ``show``: look at, check and remove what preprocess has made."""

from __future__ import annotations

from pathlib import Path

import click

from ..data_cards.vocabulary import Kind
from ..errors import UsageError
from .options import (
    FOLDER,
    Commands,
    cache_option,
    cache_root,
    json_option,
    key_option,
    print_json,
    say,
)
from .runs import show_run
from .words.completion import cards, cards_or_runs
from .words.misplaced import Worded
from .words.places import RUN, existing, run_at

_PICTURE = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=Commands)
def cache() -> None:
    """List, show, verify and remove the caches that preprocess has made."""


@cache.command()
@click.argument("card", required=False, shell_complete=cards)
@cache_option
@json_option
def ls(card: str | None, cache: Path | None, as_json: bool) -> None:
    """List caches: sealed, damaged, and builds that were not finished.

    Without CARD, those of every card. Options are listed where they differ from the card's.
    """
    from ..preprocess.upkeep.stored import card_in, folders_in, stored_in
    from .terminal.cache import print_stored

    root = cache_root(cache)
    found = []
    for folder in [card] if card else folders_in(root):
        name, loaded = card_in(root, folder)
        found += stored_in(root, name, loaded)
    if as_json:
        print_json([vars(each) for each in found])
    else:
        print_stored(root, found)


@cache.command()
@click.argument("card", shell_complete=cards)
@cache_option
@key_option
@click.option("--picture", type=_PICTURE, help="Also draw recordings of several classes as a PNG.")
@json_option
def show(
    card: str, cache: Path | None, key: str | None, picture: Path | None, as_json: bool
) -> None:
    """Show what a cache holds: counts, spreads, protocols, pairing and every option."""
    import dataclasses

    from ..draw.contact_sheet import contact_sheet
    from ..preprocess.cache.opening import opened
    from ..preprocess.upkeep.inspect import sheet_rows, statistics, typical
    from ..preprocess.upkeep.looking import choose_to_look
    from ..preprocess.upkeep.stored import card_in
    from .terminal.cache import print_statistics

    root = cache_root(cache)
    name, loaded = card_in(root, card)
    chosen = choose_to_look(root, name, key, card=loaded, given=card, on_note=say)
    frames = opened(chosen.directory)
    found = statistics(frames, loaded)
    if picture is not None:
        title = f"{name} {frames.key}"
        contact_sheet(sheet_rows(frames, typical(frames)), title=title, path=picture)
        say(f"wrote {picture}")
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        print_statistics(found)


@cache.command()
@click.argument("card", shell_complete=cards)
@cache_option
@key_option
@click.option("--raw", type=FOLDER, help="Also compare with this folder of raw recordings.")
@click.option("--static", type=FOLDER, help="And with this folder of static images.")
@json_option
def verify(
    card: str,
    cache: Path | None,
    key: str | None,
    raw: Path | None,
    static: Path | None,
    as_json: bool,
) -> None:
    """Check every checksum of a cache; exit with 1 and one line a problem.

    With --raw, and --static where it was made with it, the raw files are read again and
    compared with the manifest that the key is computed from.
    """
    from ..preprocess.upkeep.stored import card_in, choose
    from ..preprocess.upkeep.verify import verify as check
    from ..preprocess.upkeep.verify_raw import compare_raw
    from .terminal.cache import bar, print_verified

    if static is not None and raw is None:
        raise UsageError("--static is compared together with --raw; give both")
    root = cache_root(cache)
    name, loaded = card_in(root, card)
    if raw is not None and loaded is None:
        raise UsageError(f"--raw needs the card of {name}: give the path of its .toml file as CARD")
    chosen = choose(root, name, key, ("sealed", "damaged"), card=loaded, given=card)
    with bar("verify", "records") as progress:
        found = check(chosen.directory, progress)
    compared = None
    if raw is not None and loaded is not None and found.index is not None:
        with bar("raw files", "files") as progress:
            compared = compare_raw(
                chosen.directory, found.index, loaded, raw=raw, static=static, progress=progress
            )
    problems = [*found.problems, *(compared.problems if compared else ())]
    if as_json:
        entries = [{**vars(each), "text": str(each)} for each in problems]
        print_json({"directory": found.directory, "ok": not problems, "problems": entries})
    else:
        print_verified(found, compared)
    click.get_current_context().exit(1 if problems else 0)


@cache.command()
@click.argument("card", shell_complete=cards)
@click.argument("keys", nargs=-1, metavar="KEY...")
@cache_option
@click.option("--unfinished", is_flag=True, help="Remove every unfinished build of the card.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
def rm(card: str, keys: tuple[str, ...], cache: Path | None, unfinished: bool, yes: bool) -> None:
    """Remove caches by KEY, or the start of one; asks first.

    Only folders that hold a cache's own files and nothing else are removed, and none that is
    being built.
    """
    from ..preprocess.upkeep.removal import removable, remove
    from ..preprocess.upkeep.stored import card_in
    from .terminal.cache import stored_line

    if not keys and not unfinished:
        raise UsageError("nothing to remove: give the KEY of a cache, or --unfinished")
    root = cache_root(cache)
    name, loaded = card_in(root, card)
    chosen = removable(root, name, keys, unfinished=unfinished, card=loaded)
    for each in chosen:
        if not yes and not _agreed(f"remove {stored_line(each)}?"):
            say(f"kept {each.directory}")
            continue
        remove(each)
        click.echo(f"removed {each.directory}")
    if not chosen:
        click.echo(f"no unfinished build of {name}")


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        raise UsageError("no answer, nothing removed; --yes removes without asking") from None


@click.command("show", cls=Worded)
@click.argument("card", metavar="CARD|RUN", shell_complete=cards_or_runs)
@click.argument("identity", required=False)
@cache_option
@key_option
@click.option(
    "--out",
    type=_PICTURE,
    help="The picture: .png, or one that moves, .gif or .mp4 [default: IDENTITY.png, '/' as '-'].",
)
@click.option("--cloud", is_flag=True, help="Draw events in x, y and time instead of frames.")
@click.option("--run", "of_run", type=RUN, help="A run whose spikes move beside the frames.")
@click.option("--layer", help="The layer of that run whose spikes are drawn.")
@click.option(
    "--frame-ms",
    type=click.IntRange(20, 10_000),
    default=200,
    show_default=True,
    help="How long a picture that moves shows each time step.",
)
@json_option
def show_recording(
    card: str,
    identity: str | None,
    cache: Path | None,
    key: str | None,
    out: Path | None,
    cloud: bool,
    of_run: Path | None,
    layer: str | None,
    frame_ms: int,
    as_json: bool,
) -> None:
    """Draw one recording of a cache, its static twin and its frames; or tell all of one run.

    IDENTITY is the raw file's path without its suffix, such as airplanes/image_0001; where it is
    given, the first word is a CARD. Without it that word is a RUN, a run directory or its name
    below runs/.
    """
    import dataclasses

    from ..draw.recording import Wish, draw_recording
    from ..preprocess.cache.opening import opened
    from ..preprocess.upkeep.looking import choose_to_look
    from ..preprocess.upkeep.one_recording import describe, find_recording
    from ..preprocess.upkeep.stored import card_in
    from .terminal.cache import print_recording

    if identity is None:
        if key is not None or out is not None or cloud or of_run is not None or layer is not None:
            raise UsageError(
                "--key, --out, --cloud, --run and --layer are of a recording; add its IDENTITY"
            )
        show_run(run_at(card), as_json)
        return
    wish = Wish(
        out or Path(f"{identity.replace('/', '-')}.png"),
        cloud=cloud,
        run=None if of_run is None else existing(of_run),
        layer=layer,
        frame_ms=frame_ms,
    )
    root = cache_root(cache)
    name, loaded = card_in(root, card)
    wish.check()
    chosen = key or wish.key_of(name)
    kind: Kind | None = "events" if cloud else None
    taken = choose_to_look(root, name, chosen, card=loaded, given=card, kind=kind, on_note=say)
    frames = opened(taken.directory)
    place = find_recording(frames, identity)
    draw_recording(frames, place, f"{name} {frames.key}", wish)
    found = describe(frames, place)
    if as_json:
        print_json({**dataclasses.asdict(found), "picture": wish.out})
    else:
        print_recording(found, wish.out)
