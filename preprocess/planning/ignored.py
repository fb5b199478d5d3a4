"""Files passed over for their name: ``a.jpeg`` where the card says ``{stem}.jpg``, other classes.

In: a folder or archives, a pattern, and what the listing has taken. Out: the others' names, and
notes.
Names that start with a dot, and texts beside the data, are nobody's recordings and do not count.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..cache.notes import Note, note
from ..disk.listing import NothingFoundError
from ..disk.patterns import match_names
from ..statics.zips import archive_members

_TEXTS = (
    *("txt", "md", "rst", "html", "htm", "pdf", "csv", "tsv", "json", "xml", "yaml", "yml"),
    *("toml", "ini", "log", "db", "py", "m", "part", "tmp"),
)
_SUFFIX = re.compile(r"[A-Za-z0-9]+")


def card_suffixes(pattern: str, suffixes: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return a pattern without its suffix, and the suffixes it takes, lower and without dots."""
    if suffixes:
        return pattern, tuple(each.lower() for each in suffixes)
    end = Path("x" + pattern.rpartition("}")[2]).suffix
    return pattern.removesuffix(end), (end.lower().removeprefix("."),) if end else ()


def ignored_files(
    root: Path, pattern: str, suffixes: Sequence[str], taken: Iterable[Path] = ()
) -> list[str]:
    """Return the paths below a root that match but for their suffix, sorted.

    Args:
        root: the folder the pattern is below.
        pattern: of the card.
        suffixes: of the card, where the pattern ends without one.
        taken: files that serve as something else.
    """
    used = set(taken)
    found = _below(root, "", pattern.split("/")[:-1])
    return _but_for_suffix((n for n in found if root / n not in used), pattern, suffixes)


def ignored_members(
    archives: Mapping[str, Path], pattern: str, suffixes: Sequence[str]
) -> list[str]:
    """Return the members of archives that match but for their suffix, each below its archive.

    Args:
        archives: paths by name below the root.
        pattern: of the card, which members are matched by as files below a folder are.
        suffixes: of the card, where the pattern ends without one.

    Raises:
        BadFileError: an archive is damaged or not to be trusted.
    """
    return [
        f"{file}/{name}"
        for file, path in sorted(archives.items())
        for name in _but_for_suffix(archive_members(path), pattern, suffixes)
    ]


def _but_for_suffix(names: Iterable[str], pattern: str, suffixes: Sequence[str]) -> list[str]:
    """Return the names that match a pattern but for their suffix, sorted."""
    stem, own = card_suffixes(pattern, suffixes)
    if not own:
        return []  # it takes every suffix
    others: dict[str, list[str]] = {}
    for name in names:
        suffix = Path(name).suffix.removeprefix(".")
        known = suffix.lower() in _TEXTS or suffix.lower() in own
        if not known and _SUFFIX.fullmatch(suffix):
            others.setdefault(suffix, []).append(name)
    return sorted(
        name for suffix, names in others.items() for name, _ in match_names(names, stem, (suffix,))
    )


def _below(folder: Path, below: str, above: Sequence[str]) -> Iterator[str]:
    """Yield the files as deep below a folder as the pattern goes, in no order."""
    try:
        with os.scandir(folder) as entries:
            children = [(e.name, e.is_dir(), e.is_file()) for e in entries]
    except OSError:  # the listing has said so where it matters
        return
    for name, is_folder, is_file in children:
        if name.startswith("."):
            continue
        if not above and is_file:
            yield f"{below}{name}"
        elif above and is_folder and ("{" in above[0] or above[0].lower() == name.lower()):
            yield from _below(folder / name, f"{below}{name}/", above[1:])


def suffix_note(names: Sequence[str], what: str, pattern: str, own: Sequence[str]) -> list[Note]:
    """Return the note on ignored files, none where there are none.

    Args:
        names: of the files.
        what: the option they are below, such as ``--static``.
        pattern: of the card.
        own: suffixes of the card, where the pattern ends without one.
    """
    counts = Counter(Path(name).suffix for name in names)
    found = ", ".join(f"{suffix} ({n})" for suffix, n in sorted(counts.items()))
    _, takes = card_suffixes(pattern, own)
    wanted = " or ".join(f".{suffix}" for suffix in takes)
    advice = f"{pattern} takes {wanted}; rename them, or change a copy of the card"
    return note("suffix", names, f"files below {what} ignored for their suffix, {found}", advice)


def with_suffixes(
    error: NothingFoundError,
    folder: Path,
    roots: Sequence[str],
    pattern: str,
    suffixes: Sequence[str],
    what: str,
    archives: Mapping[str, Path] | None = None,
) -> NothingFoundError:
    """Return the error with what is there, in folders or archives, but for its suffix."""
    for root in (*roots, None):
        if not pattern:
            break
        if root is None:
            names = ignored_members(archives or {}, pattern, suffixes)
        else:
            names = ignored_files(folder / root, pattern, suffixes)
        if names:
            (found,) = suffix_note(names, what, pattern, suffixes)
            return NothingFoundError(f"{error}; {found.text}")
    return error


def unknown_notes(counts: Counter[str], what: str, card: str) -> Iterator[Note]:
    """Yield the note on files of classes that a card does not name, counted by class."""
    if counts:
        names = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())[:5])
        more = ", …" if len(counts) > 5 else ""
        text = f"{counts.total()} {what} of classes that card {card} does not name: {names}{more}"
        yield Note("class", counts.total(), text)
