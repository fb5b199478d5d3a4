"""What a card must hold beyond its types: words that exist, patterns that fit, shares that add up.

In: a :class:`~snntx.data_cards.schema.Card` and what names it. Out: nothing, or one error line.
"""

from __future__ import annotations

import re
from typing import Any

from ..declared.fields import declared_fields
from ..errors import UsageError, nearest
from .found import StaticFiles
from .schema import Card
from .templates import FIELD, check_picture_templates, pattern_fields, template_fields
from .vocabulary import ARCHIVE_SUFFIXES, is_archive

MAX_FIELDS = 16
"""Fields of a pattern; the largest of a published data set has five."""


def check_card(card: Card, where: str) -> None:
    """Check what types alone cannot say; ``where`` names the card in errors.

    Whether its framing options go together, and whether its format is known, is checked where
    they are used: by ``FrameOptions.from_card`` and ``make_request``.

    Raises:
        UsageError: names the table and the key, what was found and what was expected.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", card.name):
        raise UsageError(f"{where}: name = '{card.name}' may hold a-z, 0-9, '.', '_' and '-' only")
    _check_words(card.framing, f"{where}: [framing]")
    _check_words(card.events, f"{where}: [events]")
    fields = _check_events(card, where)
    if card.framing.size is None and card.framing.extent != "sensor":
        raise UsageError(f"{where}: [framing] extent = '{card.framing.extent}' needs a size")
    if card.framing.size is None and card.events.sensor is None and card.framing.crop is None:
        raise UsageError(f"{where}: [framing] needs a size, since [events] gives no fixed sensor")
    if card.framing.steps < 1 or (card.framing.size is not None and card.framing.size < 1):
        raise UsageError(f"{where}: [framing] steps and size must be at least 1")
    if card.events.sensor is not None and min(card.events.sensor) < 1:
        raise UsageError(f"{where}: [events] sensor must be positive [height, width]")
    if card.published is not None:
        _check_words(card.published, f"{where}: [published]")
    if card.static is not None:
        _check_static(card.static, fields, f"{where}: [static]")
    for protocol in ("holdout",):
        if protocol not in card.splits:
            raise UsageError(f"{where}: [splits.{protocol}] is missing; it is required")
    for protocol, split in card.splits.items():
        place = f"{where}: [splits.{protocol}]"
        _check_words(split, place)
        if split.rule == "field":
            _one_of(split.field, tuple(fields), f"{place} field")
        if min(split.train_count, split.test_count) < 0 or (
            split.rule == "window" and split.train_count == 0
        ):
            raise UsageError(f"{place} counts must be at least 0, and train_count positive")
        shares = (split.validation, split.test, split.train)
        whole = min(shares) >= 0 and split.validation + split.test < 1 and split.train <= 1
        if not whole or (split.rule == "leading" and split.train == 0):
            raise UsageError(f"{place} shares must be at least 0 and leave a part to train on")
    if card.events.outside == "drop" and not (card.events.sensor or card.events.limit):
        raise UsageError(
            f"{where}: [events] outside = 'drop' needs sensor = [height, width], or limit"
        )
    if card.events.sensor is not None and card.events.limit is not None:
        raise UsageError(f"{where}: [events] gives sensor and limit; a fixed sensor needs no limit")
    if len(set(card.classes)) != len(card.classes):
        raise UsageError(f"{where}: classes holds a name twice")
    if "default" not in card.recipes:
        raise UsageError(f"{where}: [recipes.default] is missing; it is required")
    for name in card.recipe_notes:
        _one_of(name, tuple(card.recipes), f"{where}: [recipe_notes] recipe")
    _check_downloads(card, where)


def _one_of(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise UsageError(f"{where} = '{value}'{nearest(value, known)} (known: {', '.join(known)})")


def _check_words(table: Any, where: str) -> None:
    """Refuse a word that is none of its field's :mod:`~snntx.data_cards.vocabulary`."""
    for field in declared_fields(type(table)):
        value = getattr(table, field.name)
        if field.choices and value is not None:
            _one_of(value, field.choices, f"{where} {field.key}")


def _check_braces(pattern: str, where: str) -> None:
    """Every brace belongs to a field, and no path component names a field twice."""
    for part in pattern.split("/"):
        names = pattern_fields(part)
        if re.search(r"[{}]", FIELD.sub("", part)) or len(set(names)) < len(names):
            raise UsageError(
                f"{where}: cannot read '{pattern}'; write fields as {{name}}, "
                "each at most once between two slashes"
            )
    if (found := len(pattern_fields(pattern))) > MAX_FIELDS:
        raise UsageError(
            f"{where}: '{pattern}' has {found} fields, expected at most {MAX_FIELDS}; leave some "
            "out: a field may take text with '_' or '-' in it"
        )


def _check_events(card: Card, where: str) -> list[str]:
    """Check how recordings are found and classed; returns the fields that each will have."""
    events = card.events
    _check_braces(events.pattern, f"{where}: [events]")
    fields = pattern_fields(events.pattern)
    if events.order:
        _one_of(events.order, tuple(fields), f"{where}: [events] order")
    fields = template_fields(events, fields, where)
    in_table = events.slices is not None and events.slices.class_column is not None
    if (in_table or events.numbered or events.class_from == "file") and not card.classes:
        raise UsageError(
            f"{where}: its files give the number of a class, so classes must name them all, in "
            "order"
        )
    if events.labels is None:
        if "class" not in fields:
            raise UsageError(
                f"{where}: [events] pattern = '{events.pattern}' has no {{class}} field, and "
                "[events.labels] does not say where the classes stand, nor class what they are"
            )
        return fields
    place, labels = f"{where}: [events.labels]", events.labels
    if "class" in fields:
        raise UsageError(f"{place}: [events] pattern has a {{class}} field already; leave one out")
    _one_of(labels.key, tuple(fields), f"{place} key")
    if labels.column < 1 or labels.header_rows < 0:
        raise UsageError(f"{place} column counts from 1, and header_rows from 0")
    if not labels.file or labels.file.startswith("/") or ".." in labels.file.split("/"):
        raise UsageError(f"{place} file = '{labels.file}' must be a path below the root")
    return [*fields, "class"]


def _check_static(static: StaticFiles, fields: list[str], where: str) -> None:
    """Check the table of static images; ``fields`` are the recordings'."""
    _check_words(static, where)
    for pattern in (static.pattern, static.twin):
        _check_braces(pattern, where)
    for name in pattern_fields(static.twin):
        _one_of(name, tuple(fields), f"{where} twin uses field")
    check_picture_templates(static, where)
    own = pattern_fields(static.pattern)
    classed = "class" in own or static.class_name
    if static.layout == "images" and not classed and not (own and set(own) <= {*fields}):
        raise UsageError(
            f"{where} pattern = '{static.pattern}' has no {{class}} field, nor only fields of the "
            "recordings, whose classes its images could take"
        )
    if any(not re.fullmatch(r"[A-Za-z0-9]+", suffix) for suffix in static.suffixes):
        raise UsageError(f"{where} suffixes are letters and digits without a dot, such as 'jpg'")
    if static.suffixes and not static.pattern.endswith("}"):
        raise UsageError(f"{where} pattern must end with a field, since suffixes follow it")
    if static.order == "channel-then-resize":
        if static.layout != "images" or static.fit != "stretch":
            raise UsageError(f"{where} order = '{static.order}' needs layout images, fit stretch")
    elif static.antialias:
        raise UsageError(
            f"{where} antialias belongs to order = 'channel-then-resize'; the other order "
            "always averages where it shrinks"
        )


def _check_downloads(card: Card, where: str) -> None:
    for i, entry in enumerate(card.downloads):
        place = f"{where}: [[downloads]] {i + 1}"
        if not re.fullmatch(r"https?://[^/\s]+/\S*", entry.url):
            raise UsageError(f"{place} url = '{entry.url}' is no http or https address")
        if not re.fullmatch(r"\w[\w .+-]*", entry.file, re.ASCII):
            raise UsageError(f"{place} file = '{entry.file}' is no plain file name")
        if not re.fullmatch(r"([0-9a-fA-F]{64})?", entry.sha256):
            raise UsageError(f"{place} sha256 = '{entry.sha256}' is not 64 hexadecimal digits")
        if not re.fullmatch(r"([0-9a-fA-F]{32})?", entry.md5):
            raise UsageError(f"{place} md5 = '{entry.md5}' is not 32 hexadecimal digits")
        if not (entry.sha256 or entry.md5):
            raise UsageError(f"{place} has neither sha256 nor md5; one is required")
        if entry.bytes is not None and entry.bytes < 0:
            raise UsageError(f"{place} bytes must not be negative")
        if entry.unpack and not is_archive(entry.file):
            raise UsageError(
                f"{place} file = '{entry.file}' cannot be unpacked (known: "
                f"{', '.join(ARCHIVE_SUFFIXES)})"
            )
    if len({entry.file for entry in card.downloads}) != len(card.downloads):
        raise UsageError(f"{where}: [[downloads]] names a file twice")
