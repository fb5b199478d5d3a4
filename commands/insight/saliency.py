"""``snntx saliency``: where a run's branches look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from ..options import FOLDER, cache_option, device_option, part_option, root_for, say
from ..words.misplaced import Worded
from ..words.places import RUN, existing

if TYPE_CHECKING:
    from ...train.assess.elsewhere import Part


@click.command(cls=Worded)
@click.argument("run", type=RUN)
@click.argument("identities", metavar="[IDENTITY]...", nargs=-1)
@click.option("--layer", required=True, help="Whose maps; a wrong name lists them.")
@click.option("--out", type=FOLDER, required=True, help="A .png for all, or a folder of one each.")
@cache_option
@part_option("Whose recordings")
@click.option("--class", "class_name", help="Class to explain [default: the predicted one].")
@device_option
def saliency(
    run: Path,
    identities: tuple[str, ...],
    layer: str,
    out: Path,
    cache: Path | None,
    part: Part,
    class_name: str | None,
    device: str,
) -> None:
    """Draw where a run's branches look, step by step (Grad-CAM).

    RUN is a run directory, its name below runs/, a checkpoint file or a safetensors export.
    Without an IDENTITY six recordings are drawn: the three whose own class the event branch
    finds least likely, then the three whose class it finds most likely.
    """
    if out.suffix and out.suffix != ".png":
        raise UsageError(f"--out {out}: expected a name that ends with .png, or a folder")
    from ...draw.saliency import save_saliency
    from ...train.insight.saliency import saliency_of
    from ...train.run.distributed import pick_device

    existing(run)
    root = root_for(cache, run)
    found = saliency_of(
        run, layer, identities, root, pick_device(device), part=part, class_name=class_name
    )
    for note in found.notes:
        say(note)
    if out.suffix:
        save_saliency(found.recordings, layer, out)
        say(f"wrote {out}")
        return
    for number, each in enumerate(found.recordings, 1):
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in each.identity)
        save_saliency([each], layer, out / f"{number:02d}-{name}.png")
    say(f"wrote {len(found.recordings)} pictures below {out}")
