"""Checks of a card's templates: texts such as ``{alphabet}/{character}`` over a file's fields."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import UsageError, nearest
from .found import EventFiles, NameLists, StaticFiles
from .tables import Labels

FIELD = re.compile(r"{([A-Za-z_]\w*)}", re.ASCII)


def pattern_fields(pattern: str) -> list[str]:
    """Return the names of a pattern's fields, in order."""
    return FIELD.findall(pattern)


def check_template(template: str, fields: Sequence[str], where: str) -> None:
    """Refuse a template with a loose brace, without a field, or with an unknown one.

    Raises:
        UsageError: names the template and the fields there are.
    """
    names = FIELD.findall(template)
    if not names or re.search(r"[{}]", FIELD.sub("", template)):
        raise UsageError(f"{where}: cannot read '{template}'; write fields as {{name}}")
    for name in names:
        if name not in fields:
            raise UsageError(
                f"{where} uses field '{name}'{nearest(name, fields)} (known: {', '.join(fields)})"
            )


def template_fields(events: EventFiles, fields: list[str], where: str) -> list[str]:
    """Check slices and templates of ``[events]``; returns all fields a recording will have.

    Args:
        events: the table.
        fields: of its pattern.
        where: names the card in errors.

    Raises:
        UsageError: a template or the description of the slice tables has no meaning.
    """
    slices = events.slices
    if events.lists is not None:
        fields = _with_set(events.lists, fields, f"{where}: [events.lists]")
    if slices is not None:
        place = f"{where}: [events.slices]"
        if events.labels is not None or events.order:
            raise UsageError(f"{place} goes with neither labels nor order; leave them out")
        if slices.class_column is not None:
            fields = _with_class(events, slices.class_column, fields, place)
        if not re.fullmatch(r"[A-Za-z_]\w*", slices.field, re.ASCII) or slices.field in fields:
            raise UsageError(
                f"{place} field = '{slices.field}' must be a name that the pattern does not use"
            )
        if not re.fullmatch(r"[\w-]*\.[A-Za-z0-9]+", slices.suffix, re.ASCII):
            raise UsageError(
                f"{place} suffix = '{slices.suffix}' must be such as '.csv' or '_labels.csv'"
            )
        if slices.header_rows < 0 or min(slices.start_column, slices.end_column) < 1:
            raise UsageError(f"{place} columns count from 1, and header_rows from 0")
        if slices.recordings is not None and slices.recordings < 1:
            raise UsageError(f"{place} recordings = {slices.recordings} must be at least 1")
        fields = [*fields, slices.field]
        check_template(slices.identity, fields, f"{place} identity")
        if slices.field not in FIELD.findall(slices.identity):
            raise UsageError(
                f"{place} identity = '{slices.identity}' lacks {{{slices.field}}}: the recordings "
                "of a file would share one identity"
            )
    if events.numbered is not None:
        fields = _with_number(events, events.numbered, fields, f"{where}: [events.numbered]")
    if events.class_from == "file":
        place = f"{where}: [events] class_from = 'file'"
        if events.class_name or events.labels or slices or "class" in fields:
            raise UsageError(
                f"{place} excludes class, a field {{class}}, [events.labels] and [events.slices]; "
                "keep one of them"
            )
        fields = [*fields, "class"]
    if events.class_name:
        if "class" in fields or events.labels is not None:
            raise UsageError(
                f"{where}: [events] class, a field {{class}} and [events.labels] exclude one "
                "another; keep one of them"
            )
        check_template(events.class_name, fields, f"{where}: [events] class")
        fields = [*fields, "class"]
    if events.class_order:
        check_template(events.class_order, fields, f"{where}: [events] class_order")
    return fields


def _with_class(events: EventFiles, column: int, fields: list[str], place: str) -> list[str]:
    """Return the fields of recordings whose table tells their class."""
    if column < 1:
        raise UsageError(f"{place} class_column = {column} counts from 1")
    if events.class_name or "class" in fields:
        raise UsageError(
            f"{place} class_column, [events] class and a field {{class}} exclude one another; "
            "keep one of them"
        )
    return [*fields, "class"]


def _with_number(events: EventFiles, table: Labels, fields: list[str], place: str) -> list[str]:
    """Return the fields of recordings that have numbers in their file."""
    if events.class_name or events.labels or events.slices or events.order or "class" in fields:
        raise UsageError(
            f"{place} excludes class, a field {{class}}, order, [events.labels] and "
            "[events.slices]; keep one of them"
        )
    if not re.fullmatch(r"[A-Za-z_]\w*", table.field, re.ASCII) or table.field in fields:
        raise UsageError(
            f"{place} field = '{table.field}' must be a name that the pattern does not use"
        )
    check_template(table.file, fields, f"{place} file")
    if table.file.startswith("/") or ".." in table.file.split("/"):
        raise UsageError(f"{place} file = '{table.file}' must be a path below the root")
    fields = [*fields, table.field]
    check_template(table.identity, fields, f"{place} identity")
    if table.field not in FIELD.findall(table.identity):
        raise UsageError(
            f"{place} identity = '{table.identity}' lacks {{{table.field}}}: the recordings of a "
            "file would share one identity"
        )
    return [*fields, "class"]


def _with_set(lists: NameLists, fields: list[str], place: str) -> list[str]:
    """Return the fields of recordings that lists give a set."""
    if not re.fullmatch(r"[A-Za-z_]\w*", lists.field, re.ASCII) or lists.field in fields:
        raise UsageError(
            f"{place} field = '{lists.field}' must be a name that the pattern does not use"
        )
    check_template(lists.entry, fields, f"{place} entry")
    if lists.number and lists.number not in fields:
        raise UsageError(
            f"{place} number = '{lists.number}' must be a field of the pattern "
            f"(known: {', '.join(fields)})"
        )
    for name, file in lists.files.items():
        if not name or not file or file.startswith("/") or ".." in file.split("/"):
            raise UsageError(f"{place} files: '{name}' = '{file}' must be a path below the root")
    if not lists.files:
        raise UsageError(f"{place} files is empty, expected such as {{ train = 'train.txt' }}")
    return [*fields, lists.field]


def check_picture_templates(static: StaticFiles, where: str) -> None:
    """Check class, identity and archives of ``[static]``.

    Raises:
        UsageError: a template has no meaning, or the layout cannot use it.
    """
    fields = FIELD.findall(static.pattern)
    for name, template in (("class", static.class_name), ("identity", static.identity)):
        if template:
            check_template(template, fields, f"{where} {name}")
    if static.class_name and "class" in fields:
        raise UsageError(f"{where} class and a field {{class}} exclude one another; keep one")
    if static.layout != "images" and (
        static.class_name or static.identity or static.archives or static.grey
    ):
        raise UsageError(f"{where} class, identity, archives and grey belong to layout 'images'")
    if static.grey and static.order != "resize-then-channel":
        raise UsageError(f"{where} grey belongs to order = 'resize-then-channel'")
    for name in static.archives:
        parts = name.split("/")
        if not name.lower().endswith(".zip") or name.startswith("/") or ".." in parts:
            raise UsageError(f"{where} archives: '{name}' must be a .zip below the root")
