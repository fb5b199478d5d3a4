"""What the commands print for people: bars, summaries and tables."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import click

from ...errors import plain
from .columns import prose_width, table_lines, terminal_width
from .training import epoch_line

if TYPE_CHECKING:
    from ...data_cards.schema import Card, Published
    from ...preprocess.build.builder import Summary

WIDTH, SUMMARY_WIDTH = 96, 80
"""Most columns of text, and of a build's summary, which scrolls by in any terminal."""


@contextmanager
def build_bar() -> Iterator[Callable[[int, int], None]]:
    """Yield a ``progress(done, total)`` that draws a bar once work takes two seconds."""
    from tqdm import tqdm

    bar = tqdm(desc="preprocess", unit=" items", delay=2, leave=False, disable=None)

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


def wrapped(text: str, first: str, following: str, width: int = WIDTH) -> str:
    """Return foreign text in lines that fit the terminal, of ``width`` at most.

    Names and commands are not broken at a hyphen.
    """
    return textwrap.fill(
        plain(text),
        prose_width(width),
        initial_indent=first,
        subsequent_indent=following,
        break_on_hyphens=False,
        break_long_words=False,
    )


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
        click.echo(wrapped(note, "  note        ", " " * 14, SUMMARY_WIDTH))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 1) -> None:
    """Print aligned columns that fit the terminal; those from index ``right`` on are set right."""
    lines = [[plain(cell) for cell in row] for row in [header, *rows]]
    for line in table_lines(lines, right=right, width=terminal_width()):
        click.echo(line)


def print_cards(cards: Sequence[Card], caches: Sequence[str]) -> None:
    """Print one line a card; ``caches`` says what is on disk of each."""
    rows = [
        [
            c.name,
            c.events.format,
            _size(c),
            str(c.framing.steps),
            str(len(c.classes) or "any"),
            state,
            c.about.title,
        ]
        for c, state in zip(cards, caches, strict=True)
    ]
    print_table(
        ["card", "format", "frames", "steps", "classes", "caches", "dataset"], rows, right=7
    )
    click.echo("\nsnntx cards NAME explains one.")


def _size(card: Card) -> str:
    from ...preprocess.framing.options import FrameOptions

    *_, height, width = FrameOptions.from_card(card).frame_shape
    return f"{height} x {width}"


def print_card(card: Card) -> None:
    """Print everything a user needs to know of one card."""
    about = card.about
    click.echo(wrapped(f"{card.name}: {about.title}", "", ""))
    click.echo(f"{wrapped(about.summary, '', '')}\n")
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
        click.echo(wrapped(text, f"{name:<12}", " " * 12))
    for name, note in card.recipe_notes.items():
        text = f"recipe {name}: {note}"
        click.echo(wrapped(text, f"{'note':<12}", " " * 12))
    if card.published is not None:
        click.echo(wrapped(_published_line(card.published), "published   ", " " * 12))
    for quirk in about.quirks:
        click.echo(wrapped(quirk, f"{'note':<12}", " " * 12))


def _published_line(published: Published) -> str:
    flags = " ".join(f"--{name} {value}" for name, value in published.framing.items())
    frames = f"snntx preprocess {flags}" if flags else "this card's own"
    weights = f"weights at {published.weights}; " if published.weights else ""
    return f"{weights}frames: {frames}"


def _statics_line(card: Card) -> str:
    if card.static is None:
        return "none"
    where = card.static.pattern or f"{card.static.layout} files"
    return f"{where}; twin of a recording = {card.static.twin} ({card.static.twin_evidence})"


class TrainingDisplay:
    """A bar with loss, accuracy and replacement probability, and a line each epoch.

    Args:
        epochs: of the run.
        shown: whether this process reports.
        keep: told each line.
    """

    def __init__(
        self,
        epochs: int,
        shown: bool = True,
        keep: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._epochs, self._shown, self._keep = epochs, shown, keep
        self._bar: Any = None

    def __enter__(self) -> Self:
        from tqdm import tqdm

        off = None if self._shown else True
        self._bar = tqdm(unit=" steps", leave=False, dynamic_ncols=True, disable=off)
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def above(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """Return what says a line above the bar."""

        def note(line: str) -> None:
            with self._bar.external_write_mode(file=sys.stderr):
                say(line)

        return note

    def step(self, record: dict[str, Any]) -> None:
        """Show one step."""
        total = self._epochs * record["steps"]
        self._bar.total = total
        self._bar.set_description(f"epoch {record['epoch']}/{self._epochs}", refresh=False)
        self._bar.set_postfix_str(
            f"loss {record['loss']:.3f}, accuracy {record['accuracy']:.2f}, P {record['P']:.2f}",
            refresh=False,
        )
        self._bar.update((record["epoch"] - 1) * record["steps"] + record["step"] - self._bar.n)

    def epoch(self, record: dict[str, Any]) -> None:
        """Print one finished epoch above the bar."""
        if not self._shown:
            return
        line = epoch_line(record, self._epochs)
        self._bar.write(line, file=sys.stderr)
        self._keep(line)
