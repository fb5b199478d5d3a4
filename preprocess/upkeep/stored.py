"""What lies in a cache root: sealed caches, damaged ones and unfinished builds.

A folder counts as ours by its name (a key, or ``.building-`` and a draft's name) and by holding
at least one of a cache's own files. Anything else is not listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...data_cards import card_names, load_card
from ...data_cards.load import KEPT, is_path, kept_names
from ...data_cards.schema import Card
from ...errors import SnntxError, UsageError, nearest, shell_word
from ..cache.candidates import CARDS_OWN
from ..cache.contents import kind_of
from ..cache.differences import apart, differences
from ..cache.files import open_own
from ..cache.format import INDEX, SEALED, STATIC
from ..cache.seal import read_seal
from ..disk.atomic import PART_SUFFIX
from ..disk.digests import KEY_DIGITS
from ..disk.hdf5 import read_text
from ..disk.locks import Lock

_KEY = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}")
_SHARD = re.compile(r"(frames|events)-\d{5,}\.h5")
BUILDING = ".building-"
OWN_FILE = re.compile(
    rf"{SEALED}|{re.escape(INDEX)}|{re.escape(STATIC)}|{_SHARD.pattern}|\..+{re.escape(PART_SUFFIX)}"
)


@dataclass(frozen=True)
class Stored:
    """One cache or unfinished build on disk.

    Attributes:
        directory: where it lies.
        card: name of its card.
        name: its key, or the draft's name of an unfinished build.
        state: ``sealed``, ``damaged`` or ``unfinished``.
        problem: what is wrong with a damaged cache.
        recordings: number of recordings, 0 where unknown.
        frame_shape: ``(T, C, H, W)``, empty where unknown; of an event cache, where nothing else
            is asked for.
        differs: options other than the card's defaults, as text; None without the card.
        shards: number of shards there.
        size_bytes: of all its files.
        changed: when it was sealed or last written, in seconds since 1970.
        draft: names the lock of its builder; empty where unknown.
        busy: a builder holds the lock.
        kind: ``frames`` or ``events``; empty where unknown.
    """

    directory: Path
    card: str
    name: str
    state: str
    problem: str
    recordings: int
    frame_shape: tuple[int, ...]
    differs: tuple[str, ...] | None
    shards: int
    size_bytes: int
    changed: float
    draft: str
    busy: bool
    kind: str = ""


def card_in(root: Path, name: str) -> tuple[str, Card | None]:
    """Return a card's name, and the card unless only its caches are at hand.

    Args:
        root: root of all caches.
        name: a known card, ``tonic:NAME``, ``package.module:NAME``, the path of a ``.toml``
            file, or a folder below ``root``.

    Raises:
        UsageError: no such card, and no such folder.
    """
    kept = root / name / "card.toml"  # as the cards of tonic's data sets are
    own = kept_names(root)
    if name in card_names() or name in own or is_path(name) or ":" in name:
        card = load_card(name, root)
        return card.name, card
    folders = folders_in(root)
    if name in folders:
        return name, load_card(str(kept)) if kept.is_file() else None
    known = sorted({*card_names(), *own, *folders})
    raise UsageError(f"unknown card '{name}'{nearest(name, known)} (known: {', '.join(known)})")


def folders_in(root: Path) -> list[str]:
    """Return the names of the cards that have a folder below a cache root, sorted.

    Raises:
        UsageError: the root is a file.
    """
    if not root.is_dir():
        if root.exists():
            raise UsageError(f"--cache {root}: is a file, expected a folder")
        return []
    found = (p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return sorted(p.name for p in found if p.name != KEPT or any(map(_look_alike, p.iterdir())))


def _look_alike(path: Path) -> bool:
    """Say whether a folder has the name of a cache."""
    return path.is_dir() and bool(_KEY.fullmatch(path.name.removeprefix(BUILDING)))


def stored_in(root: Path, name: str, card: Card | None = None) -> list[Stored]:
    """Return the caches and unfinished builds of a card: sealed, damaged, then unfinished.

    Args:
        root: root of all caches.
        name: the card's name.
        card: the card, to tell which options differ from its defaults.
    """
    home = root / name
    found = [_look(path, card) for path in sorted(home.iterdir())] if home.is_dir() else []
    order = ("sealed", "damaged", "unfinished")
    return sorted((f for f in found if f is not None), key=lambda f: (order.index(f.state), f.name))


def _look(path: Path, card: Card | None) -> Stored | None:
    """Return what a folder is, None if it is not ours."""
    unfinished = path.name.startswith(BUILDING)
    name = path.name.removeprefix(BUILDING)
    if path.is_symlink() or not path.is_dir() or not _KEY.fullmatch(name):
        return None
    files = [file for file in path.iterdir() if OWN_FILE.fullmatch(file.name)]
    if not files and not unfinished:
        return None
    problem, draft = "", name if unfinished else ""
    facts: tuple[int, tuple[int, ...], tuple[str, ...] | None] = (0, (), None)
    kind = next((f.name.partition("-")[0] for f in files if _SHARD.fullmatch(f.name)), "")
    if not unfinished:
        try:
            seal = read_seal(path)
            draft, kind = seal.draft, kind_of(seal.version)
            facts = _facts(path / INDEX, card)
        except (
            SnntxError,
            OSError,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            RuntimeError,
        ) as e:
            problem = " ".join(str(e).split()).removeprefix(f"{path}: ").removeprefix(f"{path}/")
            problem = problem or type(e).__name__
    states = [file.stat() for file in files] or [path.stat()]
    return Stored(
        directory=path,
        card=path.parent.name,
        name=name,
        state="unfinished" if unfinished else "damaged" if problem else "sealed",
        problem=problem,
        recordings=facts[0],
        frame_shape=facts[1],
        differs=facts[2],
        shards=sum(bool(_SHARD.fullmatch(f.name)) for f in files),
        size_bytes=sum(state.st_size for state in states) if files else 0,
        changed=max(state.st_mtime for state in states),
        draft=draft,
        busy=bool(draft) and Lock(lock_of(path.parent, draft)).is_held(),
        kind=kind,
    )


def _facts(index: Path, card: Card | None) -> tuple[int, tuple[int, ...], tuple[str, ...] | None]:
    with open_own(index) as file:
        shape = tuple(int(n) for n in file.attrs["frame_shape"])
        settings = file.attrs.get("settings")
        differs = (
            differences(json.loads(settings), read_text(file, "classes"), card)
            if settings
            else None
        )
        return int(file["recordings/events"].shape[0]), shape, differs


def choose(
    root: Path,
    name: str,
    key: str | None,
    states: Sequence[str] = ("sealed",),
    *,
    card: Card | None = None,
    given: str | None = None,
) -> Stored:
    """Return the one cache of a card, or the one whose key starts with ``key``.

    Args:
        root: root of all caches.
        name: the card's name.
        key: of the cache, or the start of it; None where there should be one alone.
        states: which will do.
        card: the card, to tell which options differ from its defaults.
        given: how the user named the card, where that was the path of a file.

    Raises:
        SnntxError: there is none.
        UsageError: there are several, or none has that key; the error has what differs.
    """
    home = root / name
    every = stored_in(root, name, card)
    found = [each for each in every if each.state in states]
    if key is not None:
        return match(home, found, key)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{home}: {len(found)} caches; choose one: {told(found)}")
    damaged = "".join(f"; {each.name} is damaged: {each.problem}" for each in every if each.problem)
    static = " --static DIR" if card is not None and card.static else ""
    raise SnntxError(
        f"{home}: no sealed cache{damaged}; make one with: snntx preprocess "
        f"{shell_word(given or name)} --raw DIR{static} --cache {shell_word(root)}"
    )


def match(home: Path, found: Sequence[Stored], key: str, option: str = "--key ") -> Stored:
    """Return the only one whose name starts with ``key``; ``option`` goes before keys in errors.

    Raises:
        UsageError: there is none, or there are several.
    """
    matches = [each for each in found if each.name.startswith(key)] if key else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(
            f"{home}: several have key '{key}'; give more of it: {told(matches, option)}"
        )
    near = nearest(key, [each.name for each in found])
    there = told(found, option) or "none"
    raise UsageError(f"{home}: none has key '{key}'{near} (there: {there})")


def told(found: Sequence[Stored], option: str = "--key ") -> str:
    """Return caches in words: what each is, and what chooses it."""
    bare = [each for each in found if each.state == "sealed" and each.differs is None]
    apart_by = dict(zip([e.name for e in bare], apart([_settings(e) for e in bare]), strict=True))
    words = [", ".join((*apart_by.get(each.name, ()), _words(each))) for each in found]
    if len(set(words)) < len(words):  # alike but for their raw files
        times = [datetime.fromtimestamp(each.changed) for each in found]
        words = [
            f"{text}, of {time:%Y-%m-%d %H:%M:%S}" for text, time in zip(words, times, strict=True)
        ]
    pairs = zip(found, words, strict=True)
    return "; ".join(f"{each.name}: {text} ({option}{each.name})" for each, text in pairs)


def _words(each: Stored) -> str:
    if each.state == "damaged":
        return f"damaged ({each.problem})"
    if each.state == "unfinished":
        return f"an unfinished build of {each.shards} shard{'' if each.shards == 1 else 's'}"
    count = f"{each.recordings:,} recordings"
    if each.differs is None:
        return f"{'' if each.kind == 'frames' else 'events, '}frames {each.frame_shape}, {count}"
    return f"{', '.join(each.differs) or CARDS_OWN}, {count}"


def _settings(each: Stored) -> dict[str, Any]:
    try:
        with open_own(each.directory / INDEX) as file:
            found: dict[str, Any] = json.loads(file.attrs["settings"])
            return found
    except (SnntxError, OSError, KeyError, ValueError, TypeError, RuntimeError):
        return {}  # of before settings were kept, or taken away meanwhile


def lock_of(home: Path, draft: str) -> Path:
    """Return the lock file that the builder of a draft holds."""
    return home / f"{BUILDING}{draft}.lock"
