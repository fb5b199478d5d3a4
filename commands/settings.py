"""``snntx settings``: what can be set, and to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .options import json_option, print_json
from .words.completion import groups
from .words.misplaced import Worded

if TYPE_CHECKING:
    from ..declared.describe import Row


@click.command(cls=Worded)
@click.argument("wanted", metavar="[GROUP|NAME]", required=False, shell_complete=groups)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a recipe.")
@click.option("--markdown", is_flag=True, help="Print the page docs/settings.md.")
@json_option
def settings(wanted: str | None, schema: bool, markdown: bool, as_json: bool) -> None:
    """List the settings of a run, or those of one group, method or name.

    Each is set by --set NAME=VALUE, in a recipe's file or in a card.
    """
    from ..train.recipe import pages

    if markdown:
        click.echo(pages.page(), nl=False)
    elif schema:
        print_json(pages.schema(wanted or "sliding"))
    else:
        rows = pages.rows_named(wanted) if wanted else pages.all_rows()
        if as_json:
            print_json([row._asdict() for row in rows])
        else:
            _print(rows, long=bool(wanted))


def _print(rows: list[Row], *, long: bool) -> None:
    """Print rows by group: one line each, or with everything that is known of them."""
    group = None
    for row in rows:
        if row.group != group:
            group = row.group
            click.echo(f"{chr(10) if row is not rows[0] else ''}[{group}]")
        click.echo(f"  {row.name} = {row.default}")
        meaning = row.meaning + (f"; {row.note}" if long and row.note else "")
        click.echo(click.wrap_text(meaning, 78, "      ", "      "))
        if long:
            values = "; ".join(filter(None, (row.values, row.bounds, row.unit)))
            click.echo(click.wrap_text(values, 78, "      ", "      "))
