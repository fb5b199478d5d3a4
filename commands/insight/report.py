"""``snntx report``: one page that shows what runs are, and how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ...errors import SnntxError, UsageError
from ..options import FOLDER, cache_option, cache_root, device_option, part_option, say
from ..words.misplaced import Worded
from ..words.places import RUN, existing

if TYPE_CHECKING:
    from ...train.assess.elsewhere import Part


@click.command(cls=Worded)
@click.argument("runs", metavar="RUN...", type=RUN, nargs=-1, required=True)
@click.option("--out", type=FOLDER, metavar="FILE", help="The page [default: report.html].")
@cache_option
@part_option("What is measured, of the run's protocol")
@click.option(
    "--baseline",
    default="",
    metavar="NAME|KEY=VALUE",
    help="What groups of runs are compared with, as by compare.",
)
@device_option
def report(
    runs: tuple[Path, ...],
    out: Path | None,
    cache: Path | None,
    part: Part,
    baseline: str,
    device: str,
) -> None:
    """Write a page on runs: one HTML file that needs no network.

    RUN is a run directory (its best.pt is measured), a sweep's folder or file, or the name of
    either below runs/. Of one run the page has the result, confusions, classes with pictures of
    mistakes, learning curves, spikes and energy, transfer, saliency, recipe, data and environment;
    several stand side by side, and up to four have their own sections too.
    """
    out = out or Path("report.html")
    if out.suffix not in (".html", ".htm"):
        raise UsageError(f"--out {out}: the name has to end with .html")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; give the name of a file")
    paths = [existing(run, "run") for run in runs]
    from ...preprocess.disk.atomic import write_atomic
    from ...preprocess.disk.folders import cause_of
    from ...report.making import make_report
    from ...train.run.distributed import pick_device

    root = cache_root(cache)
    source = click.get_current_context().get_parameter_source("cache")
    page = make_report(
        paths,
        root if source is ParameterSource.COMMANDLINE else None,
        pick_device(device),
        part=part,
        baseline=baseline,
        default_root=root,
        say=say,
    )
    try:
        write_atomic(out, page)
    except OSError as error:
        raise SnntxError(f"{out}: cannot be written: {cause_of(error)}") from error
    say(f"wrote {out}, {len(page.encode()) / 1e6:.2f} MB")
