"""What a run was started on: how its card was named, and where its cache lies.

Kept in the run directory from its first moment, so that the run can be gone on with by its
directory alone. It names folders of one machine; where they are gone, the command names others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ...data_cards.schema import Card
from ...errors import SnntxError, shell_word
from ...preprocess.cache.contents import SealedCache
from ...preprocess.cache.format import SEALED
from ...preprocess.disk.atomic import write_atomic
from .names import STARTED


@dataclass(frozen=True)
class Started:
    """What a run was started on.

    Attributes:
        card: its name.
        given: as a command names it: the same, or the absolute path of its file.
        cache: root of all caches, absolute.
        key: of the run's cache.
    """

    card: str
    given: str
    cache: str
    key: str


def started_on(card: Card, given: str, cache: SealedCache) -> Started:
    """Return what a run is started on by a command that named its card as ``given``."""
    given = str(Path(given).absolute()) if Path(given).is_file() else given
    return Started(card.name, given, str(cache.directory.absolute().parents[1]), cache.key)


def write_started(out: Path, started: Started) -> None:
    """Keep it in a run directory.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomic(out / STARTED, json.dumps(asdict(started), indent=1, ensure_ascii=False) + "\n")


def root_of(run: Path, root: Path) -> Path:
    """Return the root of caches that a run was started on while its cache is there, or ``root``."""
    try:
        started = read_started(run)
    except SnntxError:  # training alone cannot do without
        return root
    if started is None:
        return root
    kept = Path(started.cache)
    return kept if (kept / started.card / started.key / SEALED).is_file() else root


def read_started(run: Path) -> Started | None:
    """Return what a run was started on; None where its directory does not say.

    Raises:
        SnntxError: its file is damaged.
    """
    path = run / STARTED
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Started(**{name: content[name] for name in Started.__dataclass_fields__})
        if not all(isinstance(value, str) for value in asdict(found).values()):
            raise TypeError("a value is no text")
        return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise SnntxError(
            f"{path}: not what snntx train writes ({' '.join(str(error).split())}); remove it and "
            f"name the card: snntx train CARD --out {shell_word(run)} --resume"
        ) from error
