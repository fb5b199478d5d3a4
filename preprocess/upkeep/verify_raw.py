"""Checking a cache against the raw files it was made from.

The manifest in the index names every raw file with its size and digest. Here the files are
read again, without the memory of earlier runs, and compared one by one. What that memory
holds of a file and is wrong is forgotten, so that the next preprocess sees the change too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...data_cards.schema import Card
from ...errors import UsageError
from ..build.sealed import UNREADABLE
from ..cache.differences import differences
from ..cache.format import INDEX, Index
from ..cache.notes import PASSED_OVER
from ..cache.settings import key_of
from ..disk.digests import digest_or_none
from ..disk.files import size_of
from ..disk.memo import MEMO, DigestMemo
from ..framing.options import FrameOptions
from ..planning.plan import Request, make_plan
from ..planning.unpaired import Unpaired
from .checks import Problem

AGAIN = "put the file back, or run snntx preprocess again for a cache of what is there now"
REHASH = "put the file back, or run snntx preprocess with --rehash for a cache of what is there now"
"""Where what an earlier run remembers of the file could not be forgotten."""


@dataclass(frozen=True)
class Compared:
    """What was compared.

    Attributes:
        files: raw files whose content equals the manifest.
        statics: the static files were compared too.
        problems: files that are missing, new or changed, then a key that is another.
    """

    files: int
    statics: bool
    problems: tuple[Problem, ...]


def compare_raw(
    directory: Path,
    index: Index,
    card: Card,
    *,
    raw: Path,
    static: Path | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Compared:
    """Read the raw files again and compare them with a cache's manifest.

    Args:
        directory: the cache.
        index: its index.
        card: its card.
        raw: folder of the recordings.
        static: folder of the static images; None leaves them out.
        progress: called with files done and in all.

    Raises:
        UsageError: the folders do not hold what the card describes, or the cache was made
            without static images but some are given.
        BadFileError: a file of many static images is damaged.
    """
    if not index.manifest:
        raise UsageError(f"{directory}: holds no manifest of its raw files; build it again")
    settings = json.loads(index.attributes["settings"])
    if static is not None and settings["static"] is None:
        raise UsageError(f"{directory}: was made without static images; leave out --static")
    options = FrameOptions.from_table(settings["options"])
    unpaired: Unpaired = "drop" if "unpaired" in settings else "class"
    kind = settings.get("kind", "frames")
    plan = make_plan(Request(card, raw, static, Path(), options, unpaired, kind), skip=True)
    place = directory / INDEX
    expected = {
        name: entry
        for name, entry in index.manifest.items()
        if static is not None or name.startswith("raw/")
    }
    files = plan.files
    problems = [
        Problem(_path(name, files, raw, static), "", "no such file", _entry(*entry), AGAIN)
        for name, entry in expected.items()
        if name not in files
    ]
    digests: dict[str, str] = {}
    equal = 0
    progress(0, len(files))
    for done, (name, path) in enumerate(sorted(files.items()), 1):
        digests[name] = digest_or_none(path) or UNREADABLE
        found = (size_of(path), digests[name])
        if name not in expected:
            problems.append(Problem(path, "", "a new file", "none of that name", AGAIN))
        elif found != expected[name]:
            advice = _forget(directory.parent, path, digests[name])
            problems.append(Problem(path, "", _entry(*found), _entry(*expected[name]), advice))
        else:
            equal += 1
        progress(done, len(files))
    built = {**settings, "classes": list(index.classes)}
    current = json.loads(json.dumps(plan.settings))
    older = built["version"] != current["version"]  # release 0.1 kept no notes
    current["version"] = built["version"]
    if static is None:
        current["static"] = built["static"]
        current |= {name: built[name] for name in ("unpaired",) if name in built}
    elsewhere = {name for name in current if current[name] != built.get(name)}
    if elsewhere:
        lines = differences(settings, index.classes, card) or sorted(elsewhere)
        remedy = "use the card it was built with, or run snntx preprocess again"
        place_in = "settings other than the card's"
        problems.append(Problem(place, place_in, "; ".join(lines), "the card's", remedy))
    compared = static is not None or settings["static"] is None
    passed_over = [] if older else [each.text for each in plan.passed_over]
    kept = [each.text for each in index.notes if each.kind in PASSED_OVER]
    if compared and kept != passed_over:
        texts = ["; ".join(lines) or "nothing" for lines in (passed_over, kept)]
        problems.append(Problem(place, "files passed over", texts[0], texts[1], AGAIN))
    if compared and not problems:
        key = key_of(current, plan.manifest(digests), () if older else plan.passed_over)
        if key != directory.name:
            problems.append(Problem(place, "key", directory.name, key))
    return Compared(equal, static is not None, tuple(problems))


def _forget(home: Path, path: Path, found: str) -> str:
    """Forget a file's digest wherever it is remembered and wrong; returns the advice that helps."""
    forgotten = True
    for place in (home / MEMO, *home.glob(".building-*.notes/*.json")):
        memo = DigestMemo(place)
        if memo.get(path) not in (None, found):
            memo.forget(path)
            forgotten = memo.save() and forgotten
    return AGAIN if forgotten else REHASH


def _path(name: str, files: Mapping[str, Path], raw: Path, static: Path | None) -> Path:
    """Return where a missing file would lie: below the root that its neighbours have."""
    kind, _, below = name.partition("/")
    for known, path in files.items():
        if known.startswith(f"{kind}/"):
            return path.parents[known.count("/") - 1] / below
    return (static if kind == "static" and static is not None else raw) / below


def _entry(size: int, digest: str) -> str:
    return f"{size} bytes of digest {digest}"
