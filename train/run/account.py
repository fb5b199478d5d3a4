"""``run.json``: what a run was called with, on what, and when, so that it can be made again.

In: a run that begins. Out: its file, whole at any moment: written when the directory is claimed,
and again when the training ends. Each start that trained on the same weights has an entry; one
whose ``end`` is null was killed. It is no part of the result: two runs that are equal have other
times in it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import nn

from ...data_cards.schema import Card
from ...errors import UsageError, shell_word
from ...preprocess.cache.contents import SealedCache
from ...preprocess.disk.atomic import write_atomic
from ..checkpoints.account import read_account
from ..checkpoints.names import RUN
from ..recipe.departures import departures
from ..recipe.whole import Recipe
from .distributed import Group
from .stopping import StoppedError
from .surroundings import surroundings

FORMAT = 1


@dataclass(frozen=True)
class Called:
    """How a training was called for.

    Attributes:
        command: the arguments of ``snntx``; None from Python.
        recipe: name or file of the recipe; None where nobody named one.
        settings: overrides of it, each ``key=value``.
    """

    command: tuple[str, ...] | None = None
    recipe: str | None = None
    settings: tuple[str, ...] = ()


class Account:
    """The account of one run, and in it the entry of this start.

    Args:
        out: run directory.
        content: of ``run.json``; the last start is this one.
    """

    def __init__(self, out: Path, content: dict[str, Any]) -> None:
        self._out, self._content = out, content
        self._write()

    def end(self, epochs: int, error: BaseException | None = None) -> None:
        """Complete this start.

        Args:
            epochs: of the run that are finished.
            error: what ended it before its end.
        """
        how = "finished" if error is None else "failed"
        if isinstance(error, StoppedError | KeyboardInterrupt):
            how = "stopped"
        self._content["starts"][-1] |= {
            "end": _now(),
            "epochs_after": epochs,
            "how": how,
            "problem": " ".join(str(error).split()) or None if how == "failed" else None,
        }
        self._write()

    def _write(self) -> None:
        text = json.dumps(self._content, indent=1, ensure_ascii=False)
        # a byte of a file name that is no UTF-8 stays JSON's own escape
        write_atomic(self._out / RUN, text.encode("utf-8", "backslashreplace").decode() + "\n")


def begin(
    out: Path,
    card: Card,
    cache: SealedCache,
    recipe: Recipe,
    network: nn.Module,
    *,
    called: Called,
    group: Group,
    workers: int,
    epochs: int,
    goes_on: bool,
) -> Account:
    """Write that a training begins, beside the starts before it where it goes on.

    Args:
        out: run directory.
        card: the dataset.
        cache: its frame cache.
        recipe: every setting.
        network: what is trained.
        called: how it was called for.
        group: the processes of the run.
        workers: processes that make batches ahead.
        epochs: that are finished.
        goes_on: whether it goes on with a run.

    Raises:
        SnntxError: the account of the run that it goes on with is damaged.
        OSError: the file cannot be written.
    """
    before = read_account(out) if goes_on else None
    named = called.recipe or (before or {}).get("recipe") or "default"
    start = {
        "command": None if called.command is None else command_line(called.command, group.size),
        "folder": os.getcwd(),
        "start": _now(),
        "end": None,
        "epochs_before": epochs,
        "processes": group.size,
        "workers": workers,
        **surroundings(group.device),
    }
    content = {
        "format": FORMAT,
        "card": card.name,
        "cache_key": cache.key,
        "recipe": named,
        "differences": _differences(card, named, recipe, called.settings),
        "parameters": sum(each.numel() for each in network.parameters() if each.requires_grad),
        "starts": [*(before or {}).get("starts", []), start],
    }
    return Account(out, content)


def command_line(words: tuple[str, ...], processes: int = 1) -> str:
    """Return a command of ``snntx`` as it can be pasted into a shell."""
    start = "snntx" if processes == 1 else f"torchrun --nproc-per-node {processes} -m snntx"
    return " ".join([start, *map(shell_word, words)])


def base_of(card: Card, named: str) -> str:
    """Return the recipe of the card that differences are told from: a file's is the default."""
    return named if named in card.recipes else "default"


def _differences(
    card: Card, named: str, recipe: Recipe, settings: tuple[str, ...]
) -> dict[str, Any] | None:
    """Return by name what the card's recipe has and what the run has; None where that is unknown.

    It is where the card's recipe is not whole by itself, and nobody says what was laid over it.
    """
    try:
        found = departures(card, base_of(card, named), recipe, settings)
    except UsageError:
        return None
    return {name: {"recipe": ours, "run": theirs} for name, (ours, theirs) in found.items()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
