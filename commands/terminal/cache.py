"""What ``snntx cache`` and ``snntx show`` print for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import plain
from .columns import terminal_width
from .text import bytes_text, print_table, wrapped

if TYPE_CHECKING:
    from ...preprocess.upkeep.inspect import Bin, Spread, Statistics
    from ...preprocess.upkeep.one_recording import RecordingFacts
    from ...preprocess.upkeep.stored import Stored
    from ...preprocess.upkeep.verify import Verified
    from ...preprocess.upkeep.verify_raw import Compared

INDENT = 12
BAR_CELLS = 40
EXAMPLES = 3


@contextmanager
def bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a ``progress(done, total)`` that draws a bar once work takes two seconds."""
    from tqdm import tqdm

    drawn = tqdm(desc=what, unit=f" {unit}", delay=2, leave=False, disable=None)

    def progress(done: int, total: int) -> None:
        drawn.total = total
        drawn.update(done - drawn.n)

    try:
        yield progress
    finally:
        drawn.close()


def age_text(seconds: float) -> str:
    """Return a duration such as ``3 hours``, in its largest unit."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "a moment"


def shape_text(shape: Sequence[int]) -> str:
    """Return a frame shape such as ``10 x 2 x 34 x 34``."""
    return " x ".join(map(str, shape)) or "?"


def print_stored(root: Path, found: Sequence[Stored], now: float | None = None) -> None:
    """Print one line a cache, and below the table what is particular about some."""
    if not found:
        click.echo(f"no caches in {root}; snntx preprocess makes one")
        return
    moment = time.time() if now is None else now
    rows = [
        [
            each.card,
            each.name,
            "building" if each.busy and each.state == "unfinished" else each.state,
            each.kind or "?",
            _held_text(each),
            shape_text(each.frame_shape),
            bytes_text(each.size_bytes),
            age_text(moment - each.changed),
        ]
        for each in found
    ]
    header = ["card", "key", "state", "kind", "recordings", "frames", "size", "age"]
    print_table(header, rows, right=4)
    for each in found:
        if each.state == "damaged":
            text = f"damaged: {each.problem}; snntx cache rm {each.card} {each.name} removes it"
        elif each.state == "unfinished":
            text = _unfinished_text(each)
        elif each.differs:
            text = ", ".join(each.differs)
        else:
            continue
        click.echo(wrapped(text, f"{each.name[:8]}  ", " " * 10))
    click.echo(f"\nin {root}")


def _unfinished_text(each: Stored) -> str:
    if each.busy:
        return "is being built now"
    return (
        "unfinished: the same preprocess command goes on with it; "
        f"snntx cache rm {each.card} --unfinished removes it"
    )


def states_text(found: Sequence[Stored]) -> str:
    """Return what is on disk of one card, such as ``2 sealed (1,000; 80), 1 unfinished``."""
    parts = []
    for state in ("sealed", "damaged", "unfinished"):
        those = [each for each in found if each.state == state]
        if those:
            counts = "; ".join(f"{each.recordings:,}" for each in those)
            parts.append(f"{len(those)} {state}" + (f" ({counts})" if state == "sealed" else ""))
    return ", ".join(parts) or "none"


def stored_line(each: Stored) -> str:
    """Return one cache or build as text, for a question."""
    held = _held_text(each) + (" recordings" if each.recordings else "")
    return f"{each.directory} ({each.state}, {held}, {bytes_text(each.size_bytes)})"


def _held_text(each: Stored) -> str:
    if each.recordings:
        return f"{each.recordings:,}"
    return shards_text(each.shards)


def shards_text(count: int) -> str:
    """Return such as ``1 shard`` or ``3 shards``."""
    return f"{count} shard{'' if count == 1 else 's'}"


def _line(name: str, text: str) -> None:
    click.echo(wrapped(text, f"{name:<{INDENT}}", " " * INDENT))


def print_statistics(found: Statistics) -> None:
    """Print a cache in numbers."""
    click.echo(f"{found.card} {found.key}\n{found.directory}\n")
    present = sum(count > 0 for count in found.classes.values())
    of = "" if present == len(found.classes) else f" of {len(found.classes)}"
    _line("recordings", f"{found.recordings:,} in {present}{of} classes")
    _line("kind", found.kind)
    made = ", float32" if found.kind == "frames" else ", made where nothing else is asked for"
    _line("frames", f"{shape_text(found.frame_shape)} (steps, polarities, rows, columns){made}")
    _line("events", f"{spread_text(found.events)} a recording, {found.events_total:,} in all")
    for text in histogram_lines(found.histogram):
        click.echo(" " * INDENT + text)
    _line("duration", f"{spread_text(found.duration_us, 1000)} ms")
    _line("extent", f"rows {spread_text(found.height)}, columns {spread_text(found.width)}")
    _line("classes", _balance(found.classes))
    _line("statics", _statics_text(found))
    _line("twins", _twins_text(found))
    _line("skipped", f"{len(found.skipped)} files")
    for file, reason in found.skipped:
        click.echo(wrapped(f"{file}: {reason}", " " * INDENT, " " * (INDENT + 2)))
    for note in found.notes:
        _line("note", note.text)
    raw = f"{bytes_text(found.raw_bytes)} in {found.files:,} raw files, " if found.files else ""
    _line("bytes", f"{raw}{bytes_text(found.cache_bytes)} cached")
    if found.differs is not None:
        _line("differs", ", ".join(found.differs) or "nothing: every option is the card's default")
    click.echo()
    rows = [
        [protocol, part, f"{held.recordings:,}", f"{held.classes:,}", f"{held.statics:,}"]
        for protocol, parts in found.protocols.items()
        for part, held in parts.items()
    ]
    print_table(["protocol", "part", "recordings", "classes", "static images"], rows, right=2)
    click.echo()
    print_table(["option", "value"], [[n, _option(v)] for n, v in found.options.items()], right=2)


def _option(value: object) -> str:
    if isinstance(value, list):
        return shape_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def spread_text(spread: Spread, unit: float = 1) -> str:
    """Return ``minimum / median / maximum`` in a unit."""
    values = (spread.minimum / unit, spread.median / unit, spread.maximum / unit)
    return "min {:,.0f}, median {:,.0f}, max {:,.0f}".format(*values)


def histogram_lines(bins: Sequence[Bin]) -> list[str]:
    """Return one line of text a bin; the longest bar has :data:`BAR_CELLS` cells."""
    if len(bins) < 2:
        return []
    most = max(each.count for each in bins)
    names = [f"{each.low:,} to {each.high:,}" for each in bins]
    width, cell = max(map(len, names)), _cell()
    return [
        f"{name:>{width}}  {cell * _cells(each.count, most)} {each.count:,}"
        for name, each in zip(names, bins, strict=True)
    ]


def _cells(count: int, most: int) -> int:
    return max(1, round(BAR_CELLS * count / most)) if count else 0


def _cell() -> str:
    """Return a full block, or ``#`` where the terminal has none."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"


def _balance(classes: dict[str, int]) -> str:
    """Return each class's recordings, or of many the fewest and most."""
    ranked = sorted(classes.items(), key=lambda entry: entry[1])
    if len(ranked) <= 12:
        return ", ".join(f"{name} ({count:,})" for name, count in classes.items())
    fewest = ", ".join(f"{name} ({count:,})" for name, count in ranked[:EXAMPLES])
    most = ", ".join(f"{name} ({count:,})" for name, count in ranked[: -EXAMPLES - 1 : -1])
    middle = ranked[len(ranked) // 2][1]
    return f"fewest {fewest}; median {middle:,}; most {most}"


def _statics_text(found: Statistics) -> str:
    if not found.statics:
        return "none: this cache serves event-only training"
    return f"{found.statics:,} images of planes {', '.join(found.planes)}"


def _twins_text(found: Statistics) -> str:
    if not found.missing:
        return f"every one of {found.twins:,} recordings has its twin"
    shown = ", ".join(found.missing[:EXAMPLES])
    more = f" and {len(found.missing) - EXAMPLES:,} more" if len(found.missing) > EXAMPLES else ""
    return f"{found.twins:,} of {found.recordings:,} recordings; none for {shown}{more}"


def print_recording(found: RecordingFacts, picture: Path) -> None:
    """Print one recording's facts and where its picture is."""
    height, width = found.extent
    _line(
        found.identity,
        f" class {found.label}, {found.events:,} events in {found.duration_us / 1000:,.1f} ms over "
        f"{height} x {width} pixels",
    )
    _line("twin", found.twin or "none")
    _line("parts", ", ".join(f"{protocol}: {part}" for protocol, part in found.parts.items()))
    _line("picture", str(picture))


def print_verified(found: Verified, compared: Compared | None) -> None:
    """Print one line a problem, or one line that says what is whole."""
    problems = [*found.problems, *(compared.problems if compared else ())]
    for problem in problems:
        click.echo(str(problem))
    if problems:
        return
    text = (
        f"{found.directory}: {found.recordings:,} recordings in {shards_text(found.shards)} and "
        f"{found.statics:,} static images match their checksums"
    )
    if compared:
        text += f"; {compared.files:,} raw files match the manifest"
        if not compared.statics and found.statics:
            text += " (static files were not compared: give --static)"
    whole = terminal_width() is None  # who reads a pipe gets one line
    click.echo(f"OK {plain(text)}" if whole else wrapped(text, "OK ", "  "))
