"""Caches that are there already: the one of exactly these files, and older ones of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ...errors import BadFileError, SnntxError
from ..cache import format as fmt
from ..cache.seal import OLDER, read_seal
from ..disk.digests import digest_file
from ..disk.files import state_of
from ..disk.memo import DigestMemo
from ..planning.plan import Plan, Request

UNREADABLE = "unreadable"
"""Stands for the digest of a file that was passed over because it cannot be read."""


def draft_of(directory: Path) -> str | None:
    """Return the draft name of a whole sealed cache, None for anything else."""
    try:
        return read_seal(directory).draft
    except SnntxError:
        return None


def _sealed_in(home: Path) -> list[Path]:
    seals = sorted(home.glob(f"*/{fmt.SEALED}"))
    return [path.parent for path in seals if not path.parent.name.startswith(".")]


def find_sealed(home: Path, draft: str, plan: Plan, memo: DigestMemo) -> Path | None:
    """Return the sealed cache of exactly these files, reading those whose digest is unknown."""
    candidates = [path for path in _sealed_in(home) if draft_of(path) == draft]
    if not candidates:
        return None
    digests = {name: digest_of(path, memo) for name, path in plan.files.items()}
    memo.save()
    final = home / plan.key(digests)
    return final if final in candidates else None


def refuse_skipped(sealed: Path, index: fmt.Index, skip: bool) -> None:
    """Refuse a cache made without its bad files where that was not asked for."""
    skipped = index.rows.skipped
    if skipped and not skip:
        name, reason = skipped[0]
        raise SnntxError(
            f"{sealed}: sealed without {len(skipped)} bad files, the first {name}: {reason}; "
            "mend them, or accept the cache with --bad-files skip"
        )


def older_cache(home: Path, request: Request, plan: Plan, memo: DigestMemo) -> Path | None:
    """Return a cache of release 0.1 of the same files, as far as they are known, and options.

    Files are the same by name and size, and by digest where it is remembered.
    """
    sizes = plan.manifest(dict.fromkeys(plan.files, ""))
    options = json.loads(json.dumps(plan.settings["options"]))
    for directory in _sealed_in(home):
        try:
            if read_seal(directory).version != OLDER:
                continue
            index = fmt.Index.read(directory / fmt.INDEX)
            old = json.loads(index.attributes["settings"])["options"]
        except (SnntxError, OSError, KeyError, ValueError, TypeError, RuntimeError):
            continue  # damaged, or of a release before: cache ls names it
        known = {name: memo.get(path) for name, path in plan.files.items() if path.exists()}
        same = index.manifest.keys() == sizes.keys() and all(
            size == sizes[name][0] and known.get(name) in (None, value)
            for name, (size, value) in index.manifest.items()
        )
        if same and all(options[name] == value for name, value in old.items() if name in options):
            return directory
    return None


def older_line(directory: Path, card: str) -> str:
    """Return the line on a cache of release 0.1."""
    return (
        f"an older cache of these files is there, of format {OLDER}: {directory}; train can still "
        f"use it with --key {directory.name}, and snntx cache rm {card} {directory.name} removes "
        f"it; building one of format {fmt.VERSION}"
    )


def digests_of(plan: Plan, shards: Iterable[fmt.Rows], memo: DigestMemo) -> dict[str, str]:
    """Return the digest of every raw file by its name in the manifest."""
    path_of = {r.identity: r.path for r in plan.recordings}
    read = {
        path_of[identity]: value
        for rows in shards
        for identity, value in zip(rows.identity, rows.digest, strict=True)
    }
    digests = {n: read.get(path) or digest_of(path, memo) for n, path in plan.files.items()}
    memo.save()
    return digests


def digest_of(path: Path, memo: DigestMemo) -> str:
    """Return a file's digest, reading the file only if it is not remembered."""
    known = memo.get(path) if path.exists() else None
    if known is None:
        try:
            status = state_of(path)
            known = digest_file(path)
        except BadFileError:
            return UNREADABLE
        memo.put(path, known, status)
    return known
