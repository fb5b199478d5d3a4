"""What the commands print for people: bars, summaries and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .data_cards.schema import Card
    from .preprocess.build import Summary


@contextmanager
def build_bar() -> Iterator[Callable[[int, int], None]]:
    """Yield a ``progress(done, total)`` that draws a bar once work takes two seconds."""
    from tqdm import tqdm

    bar = tqdm(desc="preprocess", unit=" recordings", delay=2, leave=False)

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        bar.close()


def bytes_text(count: float) -> str:
    """Return a byte count such as ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def print_summary(summary: Summary) -> None:
    """Print what a preprocess did."""
    verb = "reusing the sealed cache" if summary.reused else "sealed a new cache"
    click.echo(f"{verb}: {summary.directory}")
    click.echo(f"  recordings  {summary.recordings:,} in {summary.classes} classes")
    rate = "" if summary.reused else f", {summary.events / summary.seconds:,.0f} events/s"
    click.echo(f"  events      {summary.events:,}{rate}")
    click.echo(
        f"  statics     {summary.statics:,} images, {summary.twins:,} recordings with a twin"
    )
    sizes = f"{bytes_text(summary.raw_bytes)} raw, {bytes_text(summary.cache_bytes)} cached"
    click.echo(f"  bytes       {sizes}")
    click.echo(f"  time        {summary.seconds:.1f} s")
    if summary.resumed_shards:
        click.echo(f"  resumed     {summary.resumed_shards} shards of an interrupted build")
    click.echo(f"  skipped     {len(summary.skipped)} files")
    for name, reason in summary.skipped:
        click.echo(f"    {name}: {reason}")
    for note in summary.notes:
        click.echo(f"  note        {note}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 1) -> None:
    """Print aligned columns; those from index ``right`` on are set right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [
            value.rjust(width) if i >= right else value.ljust(width)
            for i, (value, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def print_cards(cards: Sequence[Card]) -> None:
    """Print one line a card."""
    rows = [
        [
            c.name,
            c.events.format,
            _size(c),
            str(c.framing.steps),
            str(len(c.classes) or "any"),
            c.about.title,
        ]
        for c in cards
    ]
    print_table(["card", "format", "frames", "steps", "classes", "dataset"], rows, right=6)
    click.echo("\nsnntx cards NAME explains one.")


def _size(card: Card) -> str:
    side = card.framing.size
    height, width = (side, side) if side else card.events.sensor or (0, 0)
    return f"{height} x {width}"


def print_card(card: Card) -> None:
    """Print everything a user needs to know of one card."""
    about = card.about
    click.echo(f"{card.name}: {about.title}\n{about.summary}\n")
    frames = f"{card.framing.steps} steps of {_size(card)}, tail {card.framing.tail}"
    lines = [
        ("get it", about.obtain),
        ("homepage", about.homepage),
        ("licence", about.licence),
        ("cite", about.citation),
        ("recordings", f"{card.events.pattern} ({card.events.format})"),
        ("statics", _statics_line(card)),
        ("frames", frames),
        ("protocols", "; ".join(f"{name}: {rule.rule}" for name, rule in card.splits.items())),
        ("recipes", ", ".join(card.recipes)),
    ]
    for name, text in lines:
        click.echo(click.wrap_text(text, 96, f"{name:<12}", " " * 12))
    for quirk in about.quirks:
        click.echo(click.wrap_text(quirk, 96, f"{'note':<12}", " " * 12))


def _statics_line(card: Card) -> str:
    if card.static is None:
        return "none"
    where = card.static.pattern or f"{card.static.layout} files"
    return f"{where}; twin of a recording = {card.static.twin} ({card.static.twin_evidence})"
