"""``snntx sweep`` and ``snntx compare``: many runs from one file, and what they say together."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ..errors import SnntxError, UsageError, shell_word
from .options import FOLDER, cache_option, cache_root, device_option, json_option, print_json, say
from .words import completion
from .words.misplaced import Worded
from .words.places import RUN, existing, settings_at

if TYPE_CHECKING:
    from ..train.study.child import Job, Outcome

_FILE = click.Path(path_type=Path, dir_okay=False)


def _seeds(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...]:
    """Read ``1,2,3``."""
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError as error:
        raise UsageError(f"--seeds {text}: expected whole numbers such as 1,2,3") from error


@click.command(cls=Worded)
@click.argument("sweep", metavar="NAME|FILE", shell_complete=completion.sweeps)
@click.argument("card", required=False, shell_complete=completion.cards)
@cache_option
@click.option("--key", help="Choose a cache by its key, or the start of one.")
@click.option(
    "--recipe", "recipes", multiple=True, metavar="NAME", help="Instead of the file's; repeatable."
)
@click.option("--seeds", callback=_seeds, metavar="N,N,…", help="Instead of the file's.")
@completion.set_option("A setting of every run, over those of the file's [set]; repeatable.")
@click.option("--out", type=FOLDER, help="Folder of the runs [default: runs/SWEEP-CARD].")
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time [default: 1, or one a GPU].")
@click.option("--threads", type=click.IntRange(1), help="Of each run [default: cores / jobs].")
@click.option("--devices", metavar="0,1,…", help="GPUs that the runs take in turn.")
@device_option
@click.option("--scheduler", metavar="ADDRESS", help="Let the workers of a Dask cluster run them.")
@click.option("--train-only", is_flag=True, help="Leave the test part unmeasured.")
@click.option("--dry-run", is_flag=True, help="Print the plan; start nothing.")
@json_option
def sweep(
    sweep: str,
    card: str | None,
    cache: Path | None,
    key: str | None,
    recipes: tuple[str, ...],
    seeds: tuple[int, ...],
    settings: tuple[str, ...],
    out: Path | None,
    jobs: int | None,
    threads: int | None,
    devices: str | None,
    device: str,
    scheduler: str | None,
    train_only: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train and evaluate a grid of runs: recipes, variants, values of settings, seeds.

    Takes the path of a .toml file, or the name of a shipped sweep, which needs a CARD. Runs
    that are finished are skipped, and those that were interrupted go on. With --train-only,
    snntx compare --part validation chooses settings without a look at the test part.

    \b
    published          a card's recipe paper, by the published seeds
    paper-ablation     the runs that were published for the card, one by one
    paper-parts        each part of the method changed alone
    few-labels         2 to 50 recordings a class by recipe few, three methods
    event-fraction     shares of the recordings, by three methods
    static-fraction    shares of the static images
    snr                noise on the recordings, with and without transfer
    sliding-power      how fast events take the place of images
    domain-weight      how much the alignment of both branches counts
    fixed-coefficient  one number in place of the learnt coefficients
    """
    from ..preprocess.planning.own_card import used_card
    from ..train.study.cluster import cluster_at
    from ..train.study.jobs import Here, Host, cache_keys, claimed, hearing, make_jobs, run_jobs
    from ..train.study.progress import plan, write_index
    from ..train.study.sweep import for_card, load_sweep
    from ..train.study.sweeps.expand import expand
    from .terminal.study import SweepDisplay, print_plan

    gpus = _gpus(devices, device, jobs, scheduler)
    read = load_sweep(sweep)
    given = card or read.card
    if given is None:
        raise UsageError(f"{sweep}: names no card; add one, such as: snntx sweep {sweep} n-mnist")
    source = click.get_current_context().get_parameter_source("cache")
    if read.cache is not None and source is not ParameterSource.COMMANDLINE:
        cache = Path(read.cache)
    root = cache_root(cache)
    loaded = used_card(given, root, say)
    read = for_card(read, loaded.name, sweep, recipes=recipes, seeds=seeds, on_note=say)
    runs = expand(read, loaded, sweep, settings_at(settings), on_note=say)
    if train_only and any(run.recipe.selection == "test" for run in runs):
        raise UsageError("--train-only: protocol paper chooses the epoch on the test part itself")
    out = out or Path(read.out or Path("runs") / f"{Path(sweep).stem}-{loaded.name}")
    try:
        keys = cache_keys(root, loaded, runs, key=key or read.key, given=given, on_note=say)
    except SnntxError as error:
        if not dry_run:
            raise
        keys = {}
        say(f"no run could start now: {error}")
    states = plan(runs, out, loaded.name, keys, test=not train_only)
    if dry_run and as_json:
        entries = [
            {"run": str(out / run.name), "state": states[run.name], **run.to_json()} for run in runs
        ]
        print_json({"out": str(out), "card": loaded.name, "runs": entries})
    elif dry_run:
        print_plan(runs, states)
    if dry_run:
        return
    count = jobs or max(1, len(gpus))
    made = make_jobs(
        runs,
        out,
        card=str(Path(given).absolute()) if Path(given).is_file() else given,
        cache=root,
        keys=keys,
        device="cuda" if gpus else device,
        test=not train_only,
        threads=threads or (None if scheduler else _threads(count)),
    )
    todo = [job for job in made if states[job.name] != "done"]
    say(f"{len(runs)} runs in {out}, {len(runs) - len(todo)} of them finished earlier")
    folders = [root.absolute(), Path.cwd()]
    with contextlib.ExitStack() as stack:
        stack.enter_context(claimed(out))
        write_index(runs, out, loaded.name, keys)
        host: Host = Here(count, gpus)
        if scheduler is not None and todo:
            host = stack.enter_context(cluster_at(scheduler, out.absolute(), folders))
        display = stack.enter_context(SweepDisplay(todo, len(runs) - len(todo)))
        asked = stack.enter_context(hearing())
        ended = run_jobs(todo, host, asked, ended=display.ended, waiting=display.waiting)
    outcomes = [_earlier(job) for job in made if states[job.name] == "done"]
    _report([*outcomes, *ended], out, loaded.name, asked.signals, as_json)


def _earlier(job: Job) -> Outcome:
    """Return the result of a run that was finished before."""
    from ..train.study.child import outcome_of

    found = outcome_of(job.name, job.run, job.recipe, job.test)
    return dataclasses.replace(found, state="done")


def _report(
    outcomes: list[Outcome], out: Path, card: str, signals: list[int], as_json: bool
) -> None:
    """Print how the runs ended, and exit with what that means."""
    from ..train.study.child import LOGS
    from .terminal.study import print_outcomes

    if as_json:
        entries = [{"run": str(out / each.name), **vars(each)} for each in outcomes]
        print_json({"out": str(out), "card": card, "runs": entries})
    else:
        print_outcomes(outcomes)
    failed = [each for each in outcomes if each.state == "failed"]
    for each in failed:
        say(f"failed {each.name}; its output is in {out / LOGS / each.name}.txt")
    if signals:
        done = sum(each.state in ("done", "finished") for each in outcomes)
        say(
            f"stopped: {done} of {len(outcomes)} runs are finished; run the same command again "
            "to go on"
        )
        click.get_current_context().exit(130 if signals[0] == signal.SIGINT else 143)
    if failed:
        raise SnntxError(
            f"{len(failed)} of {len(outcomes)} runs failed; the same command tries them again"
        )
    measured = all(each.part == "test" for each in outcomes)
    say(f"next: snntx compare {shell_word(out)}" + ("" if measured else " --part validation"))


def _gpus(devices: str | None, device: str, jobs: int | None, scheduler: str | None) -> list[str]:
    """Check options that go badly together; returns the GPUs to use."""
    if scheduler is not None and (jobs is not None or devices is not None):
        raise UsageError(
            "--scheduler: the cluster counts jobs and GPUs; leave out --jobs, --devices"
        )
    gpus = devices.split(",") if devices is not None else []
    if not all(gpu.strip() for gpu in gpus):
        raise UsageError(f"--devices {devices}: expected numbers of GPUs such as 0,1")
    if gpus and device == "cpu":
        raise UsageError("--devices names GPUs, but --device cpu uses none; leave one out")
    return [gpu.strip() for gpu in gpus]


def _threads(jobs: int) -> int | None:
    """Return each job's share of the cores, unless the environment says it or it is all."""
    import os

    from ..preprocess.build.workers import usable_cores

    return None if jobs == 1 or "OMP_NUM_THREADS" in os.environ else max(1, usable_cores() // jobs)


@click.command(cls=Worded)
@click.argument("runs", type=RUN, nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--baseline",
    default="",
    metavar="NAME|KEY=VALUE",
    help="What to compare with: a group, variant or recipe, or a setting.",
)
@click.option(
    "--part",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="The test part that evaluate measured, or the best epoch's validation.",
)
@click.option(
    "--metric",
    type=click.Choice(["top1", "top5", "loss", "nasfr"]),
    default="top1",
    show_default=True,
    help="What to compare.",
)
@click.option("--firing", is_flag=True, help="Add how often neurons fire (NASFR), and its change.")
@click.option("--csv", type=_FILE, help="Also write the table with all digits.")
@click.option("--markdown", type=_FILE, help="Also write it as Markdown.")
@click.option("--plot", type=_FILE, help="Also draw it, as .png or .svg.")
@click.option("--axis", metavar="SETTING", help="Draw lines over this setting.")
@json_option
def compare(
    runs: tuple[Path, ...],
    baseline: str,
    part: str,
    metric: str,
    firing: bool,
    csv: Path | None,
    markdown: Path | None,
    plot: Path | None,
    axis: str | None,
    as_json: bool,
) -> None:
    """Compare runs over seeds: mean, standard deviation, paired difference, interval, p.

    RUN is a run, a sweep's folder, or the name of either below runs/. Runs that differ in the
    seed alone are one group; each is compared with --baseline, on the seeds that both have.
    """
    from ..preprocess.disk.atomic import write_atomic
    from ..preprocess.disk.folders import cause_of
    from ..train.study.compare import compare as compare_runs
    from ..train.study.tables import footnotes, headline, table, to_csv, to_json, to_markdown
    from .terminal.text import print_table, wrapped

    if axis is not None and plot is None:
        raise UsageError("--axis belongs to --plot; add it")
    paths = [existing(run, "run") for run in runs]
    found = compare_runs(paths, baseline=baseline, part=part, metric=metric, firing=firing)
    for line in found.left_out:
        say(f"left out {line}")
    if plot is not None:
        from ..train.study.plot import plot as draw

        draw(found, plot, axis)
        say(f"wrote {plot}")
    if as_json:
        print_json(to_json(found))
    else:
        click.echo(f"{wrapped(headline(found), '', '')}\n")
        header, rows = table(found)
        print_table(header, rows)
        click.echo()
        for note in footnotes(found):
            click.echo(wrapped(note, "", "  "))
    for path, text in ((csv, to_csv), (markdown, to_markdown)):
        if path is not None:
            try:
                write_atomic(path, text(found))
            except OSError as error:
                raise SnntxError(
                    f"{path}: cannot be written: {cause_of(error)}; the comparison went to "
                    "standard output and nowhere else"
                ) from error
            say(f"wrote {path}")
