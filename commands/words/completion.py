"""What a shell completes: cards, recipes, settings, sweeps; commands and options are click's own.

In: the words before, as click has read them, and the beginning of a word. Out: what begins so, or
where nothing does, files. Nothing is an error here, since a line that is being typed is not whole.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from click import Context, Parameter, option
from click.shell_completion import BashComplete

from ...errors import SnntxError
from .beginning import Items, beginning

F = TypeVar("F", bound=Callable[..., Any])

_END = "    return 0\n}"


class Bash(BashComplete):
    """Click's completion for bash, which leaves no blank behind ``name=``."""

    source_template = BashComplete.source_template.replace(
        _END, f"    [[ ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace 2> /dev/null\n\n{_END}"
    )


def cards(context: Context, parameter: Parameter, start: str) -> Items:
    """Complete a card's name, or the path of its file."""
    from ...data_cards import card_names

    return beginning(card_names(), start)


def cards_or_runs(context: Context, parameter: Parameter, start: str) -> Items:
    """Complete the name of a card or of a run."""
    from ...data_cards import card_names
    from .places import names

    return beginning([*card_names(), *names()], start)


def recipes(context: Context, parameter: Parameter, start: str) -> Items:
    """Complete a recipe of the card that was named before, or of any."""
    from ...data_cards import card_names, load_card

    given = context.params.get("card")
    known: dict[str, None] = {}
    for card in [given] if given else card_names():
        with suppress(SnntxError, OSError):
            known |= dict.fromkeys(load_card(card).recipes)
    return beginning(known, start)


def settings(context: Context, parameter: Parameter, start: str) -> Items:
    """Complete ``name=`` of a setting, and behind that the values of one that has a few."""
    from ...declared.fields import union_of
    from .meant import settable

    fields = settable()
    name, equals, _ = start.partition("=")
    if not equals:
        return beginning([f"{each}=" for each in fields], start, files=False)
    if name not in fields:
        return []
    field = fields[name]
    door = field.setting.door
    values = [str(each) for each in field.choices] + ([] if door is None else door.shipped())
    values += ["true", "false"] * (bool in union_of(field.kind))
    return beginning([f"{name}={value}" for value in values], start, files=name == "initial")


def sweeps(context: Context, parameter: Parameter, start: str) -> Items:
    """Complete the name of a shipped sweep, or the path of a file."""
    from ...train.study.sweep import sweep_names

    return beginning(sweep_names(), start)


def groups(context: Context, parameter: Parameter, start: str) -> Items:
    """Complete a group of settings, or the name of one."""
    from ...train.recipe.groups import GROUPS
    from .meant import settable

    return beginning([*GROUPS, *settable()], start, files=False)


def set_option(meaning: str) -> Callable[[F], F]:
    """Return the option ``--set KEY=VALUE``, whose settings are completed."""
    return option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=settings,
        help=meaning,
    )
