"""The page: sections in, one HTML text out that needs nothing else and asks for nothing.

Text is escaped by the templates, after control characters became visible (:func:`plain`). A policy
in the page's head forbids every request; its one script and one style are named there by digest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .. import __version__
from ..errors import SnntxError, plain
from . import about, costs, learning, results, saliency, transfer
from .blocks import Gallery, Section
from .gather import Found

MOST_BYTES = 5_000_000
"""Of a page."""


@dataclass(frozen=True)
class Part:
    """A run, or several side by side, on the page.

    Attributes:
        name: of its anchor.
        title: its heading.
        sections: in order.
    """

    name: str
    title: str
    sections: tuple[Section, ...]


def part_of(found: Found, number: int) -> Part:
    """Return all sections of a run."""
    made = (
        results.results(found),
        results.confusion(found),
        results.classes(found),
        learning.learning(found),
        costs.costs(found),
        transfer.transfer(found),
        saliency.saliency(found),
        about.recipe(found),
        about.data(found),
        about.environment(found),
    )
    return Part(f"run{number}", f"Run {found.name}", made)


def write_page(title: str, parts: Sequence[Part], notes: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        title: above it.
        parts: in order.
        notes: what a reader should know of the whole.

    Raises:
        SnntxError: it is larger than :data:`MOST_BYTES` even without pictures.
    """
    page = _render(title, parts, notes)
    if len(page.encode()) <= MOST_BYTES:
        return page
    note = f"Pictures are left out: with them the page would exceed {MOST_BYTES / 1e6:g} MB."
    page = _render(title, [_without_pictures(each) for each in parts], [*notes, note])
    if len(page.encode()) > MOST_BYTES:
        raise SnntxError(
            f"a page of {len(page.encode()) / 1e6:.1f} MB, and {MOST_BYTES / 1e6:g} MB are the "
            "most; report fewer runs at once"
        )
    return page


def _without_pictures(part: Part) -> Part:
    sections = tuple(
        Section(s.name, s.title, tuple(b for b in s.blocks if not isinstance(b, Gallery)))
        for s in part.sections
    )
    return Part(part.name, part.title, sections)


def _render(title: str, parts: Sequence[Part], notes: Sequence[str]) -> str:
    environment = Environment(
        loader=PackageLoader("snntx.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loader = environment.loader
    assert loader is not None
    style, script = (loader.get_source(environment, name)[0] for name in ("style.css", "page.js"))
    return environment.get_template("page.html.j2").render(
        title=title,
        parts=parts,
        notes=notes,
        style=Markup(style),
        style_digest=_digest(style),
        script=Markup(script),
        script_digest=_digest(script),
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _visible(value: Any) -> Any:
    """Return what is written of a value: text without control characters, markup as it is."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
