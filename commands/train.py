"""``snntx train``: one run on a sealed cache."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER, cache_option, cache_root, device_option, json_option, print_json, say


@click.command()
@click.argument("card")
@cache_option
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
    help="Override a setting, such as epochs=20 or method=event-only; repeatable.",
)
@click.option("--out", type=FOLDER, help="Run directory [default: runs/CARD-RECIPE-seedN].")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes that make batches ahead; changes no result.",
)
@device_option
@click.option("--resume", is_flag=True, help="Go on from the run directory's last epoch.")
@json_option
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

    Raw files are never touched. --set method=event-only trains the baseline.
    """
    from ..data_cards import load_card
    from ..declared.tables import toml_value
    from ..preprocess.cache.opening import open_cache
    from ..train.checkpoints.names import LAST
    from ..train.recipe.sources import load_recipe
    from ..train.run.distributed import is_first, joined, pick_device
    from ..train.run.fit import train as fit
    from ..train.run.objective import chosen_backend
    from ..train.run.stopping import StoppedError
    from .terminal.text import TrainingDisplay

    loaded = load_card(card, cache_root(cache))
    note = say if is_first() else lambda line: None
    resolved = load_recipe(loaded, recipe, settings, on_note=note)
    frames = open_cache(
        cache_root(cache),
        loaded,
        steps=resolved.data.steps,
        size=resolved.data.size,
        key=key,
        given=card,
        on_note=note,
    )
    where = pick_device(device)
    out = out or Path("runs") / f"{loaded.name}-{Path(recipe).stem}-seed{resolved.run.seed}"
    backend, epochs = chosen_backend(resolved, where), resolved.optim.epochs
    if is_first():
        say(f"cache {frames.directory}, device {where.type}, backend {backend}, run {out}")
        given = {name: each for name, each in resolved.settings().items() if each is not None}
        say(", ".join(f"{name} = {toml_value(each)}" for name, each in given.items()))
    try:
        with joined(where) as group, TrainingDisplay(epochs, group.first) as display:
            best = fit(
                loaded,
                frames,
                resolved,
                out,
                device=group.device,
                workers=workers,
                resume=resume,
                group=group,
                on_note=note,
                on_step=display.step,
                on_epoch=display.epoch,
            )
            if not group.first:
                return
    except StoppedError as stopped:
        say(f"{stopped}; run the same command again with --resume to go on")
        click.get_current_context().exit(143)
    except KeyboardInterrupt:
        how = " with --resume" if (out / LAST).is_file() else ""
        say(f"interrupted; run the same command again{how} to go on")
        click.get_current_context().exit(130)
    if as_json:
        print_json({"run": str(out), "protocol": resolved.data.protocol, "best": best})
        return
    click.echo(
        f"best epoch {best['epoch'] + 1}: {best['part']} top-1 {best['top1']:.4f} "
        f"(protocol {resolved.data.protocol}); next: snntx evaluate {out}"
    )
