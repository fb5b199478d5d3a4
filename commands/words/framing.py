"""The framing flags of ``snntx preprocess``, by the names of the options they set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """Return a number of pixels, or ``native``."""
    if value is None or value == "native":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"'{value}' is neither a whole number nor native") from None


_OPTIONS = (
    click.option("--steps", type=int, help="Frames per recording [default: the card's]."),
    click.option(
        "--size",
        metavar="N|native",
        callback=_size,
        help="Side of the frames in pixels, or the sensor's own pixels [default: the card's].",
    ),
    click.option(
        "--downsample",
        type=int,
        metavar="N",
        help="Count squares of N x N pixels as one, instead of a size.",
    ),
    click.option(
        "--bins", metavar="time|count", help="Frames of equal duration, or of equally many events."
    ),
    click.option(
        "--window-ms",
        type=float,
        help="Duration of a frame in milliseconds [default: the recording's over the steps].",
    ),
    click.option(
        "--tail", metavar="drop|keep", help="Events after the last frame: leave out, or add to it."
    ),
    click.option(
        "--values",
        metavar="NAME",
        help="What a pixel holds: counts (events), binary (whether any), log (ln(1 + n)), max "
        "(n over the recording's largest), frequency or frequency-float16 (events per "
        "microsecond, brightest 1); or what the published N-Omniglot code makes of events, "
        "frequency-published or event-published [default: the card's].",
    ),
    click.option(
        "--polarity",
        metavar="split|merged",
        help="Off and on apart (the models need that), or summed.",
    ),
    click.option(
        "--extent",
        metavar="sensor|recording|reach",
        help="Frames show the card's sensor, the rectangle that each recording's events span, or "
        "what lies from pixel 0, 0 to its largest x and y [default: the card's].",
    ),
    click.option(
        "--crop",
        type=int,
        nargs=4,
        metavar="TOP BOTTOM LEFT RIGHT",
        help="Keep these sensor pixels, ends excluded, before resizing.",
    ),
)


def framing_options(command: Command) -> Command:
    """Add every framing flag to a command; what is not given arrives as None."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
