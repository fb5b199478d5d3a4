"""What ``snntx runs`` and ``snntx show RUN`` print for people.

A run has a line of figures that ends with its name, as it can be pasted, and below it what it was
made of. A command stands on lines of its own, which can be pasted too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ...errors import plain, shell_word
from ..words.places import name_of
from .cache import age_text
from .columns import prose_width
from .study import counts_text
from .text import wrapped

if TYPE_CHECKING:
    from ...train.study.listing.look import Listed

WIDTH, INDENT, LABEL = 80, "  ", 12
WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
"""A word of a command, with its quotes."""
LEGEND = (
    "best: top-1 of the best epoch on the part that it was chosen on; tested: top-1 of the test "
    "part, as snntx evaluate measured it."
)


def print_runs(found: Sequence[Listed], where: Sequence[str], now: float | None = None) -> None:
    """Print every run and folder, and how many there are of each kind."""
    from ...train.study.listing.look import STATES

    if not found:
        click.echo(plain(f"no runs in {', '.join(where)}; snntx train makes one"))
        return
    moment = time.time() if now is None else now
    rows = [
        (each.state, _top1(each.best), _top1(each.tested), age_text(moment - each.modified))
        for each in found
    ]
    header = ("state", "best", "tested", "age")
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str], name: str) -> str:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        return "  ".join([*cells, name])

    click.echo(line(header, "run"))
    for each, row in zip(found, rows, strict=True):
        whole = line(row, _word(each))
        if len(whole) > prose_width(len(whole)):  # a name is not broken
            whole = f"{line(row, '').rstrip()}\n{INDENT}{_word(each)}"
        click.echo(whole)
        about = made_of(each)
        if about:
            click.echo(wrapped(about, INDENT, INDENT * 2, WIDTH))
        _print_problem(each.problem, INDENT)
    click.echo(f"\n{wrapped(LEGEND, '', '', WIDTH)}")
    counts = counts_text([each.state for each in found], dict(zip(STATES, STATES, strict=True)))
    what = "folder" if any(each.state == "no run" for each in found) else "run"
    click.echo(f"\n{len(found)} {what}{'s' * (len(found) > 1)}: {counts}")


def made_of(run: Listed) -> str:
    """Return card, recipe and what a run has other than that, such as ``n-mnist, default``."""
    parts = [run.card or ""]
    if run.recipe is not None:
        parts.append(f"recipe {run.recipe}" + (f" with {_changed(run)}" if run.changed else ""))
    if run.of is not None and run.state == "running":
        parts.append(f"{run.epochs} of {run.of} epochs")
    return ", ".join(part for part in parts if part)


def _changed(run: Listed) -> str:
    changed = run.changed or {}
    return ", ".join(f"{name}={_value(each['run'])}" for name, each in changed.items())


def _value(value: Any) -> str:
    from ...train.study.sweep import setting_words

    return "none" if value is None else setting_words(value)


def _word(run: Listed) -> str:
    return shell_word(name_of(run.path))


def _top1(values: dict[str, Any] | None) -> str:
    return "" if values is None else f"{values['top1']:.4f}"


def _print_problem(problem: str, indent: str) -> None:
    """Print what is the matter; the command that it ends with can be pasted."""
    text, found, command = problem.partition(": snntx ")
    if not problem:
        return
    click.echo(wrapped(text + ":" * bool(found), indent, indent, WIDTH))
    if found:
        words = WORD.findall(f"snntx {command}")
        end = next((i for i, word in enumerate(words) if word.startswith("(")), len(words))
        click.echo("\n".join(_command_lines(words[:end], indent * 2)))
        if end < len(words):
            click.echo(wrapped(" ".join(words[end:]), indent, indent, WIDTH))


def _command_lines(words: Sequence[str], indent: str) -> list[str]:
    """Return a command on lines that fit, continued as a shell reads them."""
    lines = [indent]
    for i, word in enumerate(words):
        room = prose_width(WIDTH) - len(lines[-1]) - len(" \\")
        whole = words[i : i + 2] if word.startswith("--") else [word]  # an option and its value
        if lines[-1].strip() and len(" ".join(["", *whole])) > room and word.startswith("-"):
            lines[-1] += " \\"
            lines.append(indent * 2)
        lines[-1] += f" {word}" if lines[-1].strip() else word
    return lines


def print_run(run: Listed, account: dict[str, Any] | None) -> None:
    """Print all that is known of one run."""
    click.echo(f"{_word(run)}: {run.state}")
    changed = [
        f"{name}={_value(each['run'])} (not {_value(each['recipe'])})"
        for name, each in (run.changed or {}).items()
    ]
    recipe = f"{run.recipe}, changed: {', '.join(changed)}" if changed else run.recipe
    lines = [
        ("directory", str(run.path)),
        ("card", run.card and f"{run.card}, cache {run.cache_key}"),
        ("recipe", recipe),
        ("seed", None if run.seed is None else f"{run.seed}, protocol {run.protocol}"),
        ("epochs", None if run.epochs is None else f"{run.epochs} of {run.of}"),
        ("best", _measured(run.best)),
        ("tested", _measured(run.tested)),
    ]
    if account is not None:
        lines.append(("parameters", f"{account.get('parameters') or 0:,}"))
        lines += [("start", _start_text(each)) for each in account["starts"]]
    for label, text in lines:
        if text:
            click.echo(wrapped(text, f"{INDENT}{label:<{LABEL}}", " " * (LABEL + 2), WIDTH))
    commands = dict.fromkeys(each.get("command") for each in (account or {}).get("starts", []))
    for number, command in enumerate(filter(None, commands)):
        click.echo(f"{INDENT}{'and gone on with' if number else 'made'} by")
        click.echo("\n".join(_command_lines(WORD.findall(command), INDENT * 2)))
    if run.state == "trained" and not run.problem:
        click.echo(f"{INDENT}measure it on the test part:")
        click.echo("\n".join(_command_lines(["snntx", "evaluate", _word(run)], INDENT * 2)))
    _print_problem(run.problem, INDENT)


def _measured(values: dict[str, Any] | None) -> str | None:
    if values is None:
        return None
    figures = f"top-1 {values['top1']:.4f}, top-5 {values['top5']:.4f}, loss {values['loss']:.4f}"
    return f"epoch {values['epoch']}, {values['part']} {figures}"


def _start_text(start: dict[str, Any]) -> str:
    """Return one start of a run: when, on what, and how it ended."""
    how = start.get("how") or "running, or was killed"
    where = " on ".join(str(start[name]) for name in ("device", "host") if start.get(name))
    return f"{start['start']}, {where}: {how}" if where else f"{start['start']}: {how}"
