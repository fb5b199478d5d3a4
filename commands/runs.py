"""``snntx runs``, and ``show`` of a run: what was trained, found again by its folders alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, shell_word
from .options import json_option, print_json
from .words.misplaced import Worded
from .words.places import ROOT, RUN, existing, name_of

if TYPE_CHECKING:
    from ..train.study.listing.look import Listed


@click.command(cls=Worded)
@click.argument("folders", type=RUN, nargs=-1, metavar="[DIR]...")
@json_option
def runs(folders: tuple[Path, ...], as_json: bool) -> None:
    """List runs: what each was trained on and with, how good it is, and how old.

    DIR is a folder of runs, a sweep's among them, or a run directory [default: runs]. What is
    listed can be given to evaluate, compare, predict, export, show and train --resume as it
    stands. Runs that were interrupted, that diverged or are damaged are listed as such, with the
    way out, and so are folders that hold no run. Nothing is written.
    """
    from ..train.study.listing.look import look_at, other
    from ..train.study.listing.walk import find
    from .terminal.runs import print_runs

    if not folders and not ROOT.exists():
        if as_json:
            print_json([])
        else:
            click.echo(f"no runs, since there is no folder {ROOT} here; snntx train makes one")
        return
    found = find([existing(folder, "folder") for folder in folders or (ROOT,)])
    listed = [look_at(run) for run in found.runs]
    listed += [other(folder, problem) for folder, problem in found.others.items()]
    if as_json:
        print_json([_entry(each) for each in listed])
    else:
        print_runs(listed, [str(folder) for folder in folders or (ROOT,)])


def show_run(run: Path, as_json: bool) -> None:
    """Print all that a run's directory says of the run.

    Raises:
        UsageError: it is no run directory.
    """
    from ..errors import SnntxError
    from ..train.checkpoints.account import read_account
    from ..train.study.listing.look import look_at
    from ..train.study.listing.walk import find, is_run
    from .terminal.runs import print_run

    if not is_run(existing(run, "run directory")):
        if run.is_dir() and find([run]).runs:
            raise UsageError(f"{run}: holds runs; list them with: snntx runs {shell_word(run)}")
        raise UsageError(
            f"{run}: no run directory; snntx runs lists runs, and a recording of a cache is drawn "
            "by: snntx show CARD IDENTITY"
        )
    listed = look_at(run)
    account: dict[str, Any] | None
    try:
        account = read_account(run)
    except SnntxError:  # that is what is the matter with it
        account = None
    if as_json:
        print_json({**_entry(listed), "account": account})
    else:
        print_run(listed, account)


def _entry(listed: Listed) -> dict[str, Any]:
    return {"run": name_of(listed.path), **dataclasses.asdict(listed)}
