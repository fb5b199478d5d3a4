"""The sealed caches of a card, told apart in words, and which of them is meant where none is named.

In: a cache root and a card. Out: what each cache is, how its options differ from the card's, and
the words of a command that choose it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data_cards.schema import Card
from ...data_cards.vocabulary import Kind
from ...errors import SnntxError, UsageError
from ..disk.hdf5 import read_text
from ..framing.options import FrameOptions
from .differences import OLDER_THAN, differences
from .files import open_own
from .format import INDEX, SEALED

CARDS_OWN = "the card's options"
"""What a cache is that differs in nothing from its card."""


@dataclass(frozen=True)
class Candidate:
    """One sealed cache.

    Attributes:
        directory: where it lies; its name is the key.
        shape: of the frames, ``(T, C, H, W)``; None where the index cannot be read.
        differs: options other than the card's, as text.
        version: of the cache format.
        recordings: how many.
        static_fit: how its static images were fitted to the frames; None where it has none.
        kind: what it holds of its recordings.
    """

    directory: Path
    shape: tuple[int, ...] | None
    differs: tuple[str, ...]
    version: int
    recordings: int
    static_fit: str | None = None
    kind: Kind = "frames"

    @property
    def key(self) -> str:
        """Its key."""
        return self.directory.name

    @property
    def usable(self) -> bool:
        """Whether it is whole and has the two channels that the models take."""
        return self.shape is not None and self.shape[1] == 2

    @property
    def words(self) -> str:
        """What it is, for people."""
        if self.shape is None:
            return "damaged"
        options = ", ".join(self.differs) or CARDS_OWN
        taken = "" if self.usable else ", which no model takes"
        return f"{options}, {self.recordings:,} recordings{taken}"


def sealed_caches(root: Path, card: str) -> list[Path]:
    """Return the sealed caches of a card, sorted by key."""
    seals = (root / card).glob(f"*/{SEALED}")
    return sorted(seal.parent for seal in seals if not seal.parent.name.startswith("."))


def candidates_of(root: Path, card: Card) -> list[Candidate]:
    """Return the sealed caches of a card, sorted by key; a damaged one has no shape."""
    return [_look(directory, card) for directory in sealed_caches(root, card.name)]


def _look(directory: Path, card: Card) -> Candidate:
    try:
        with open_own(directory / INDEX) as file:
            settings = json.loads(file.attrs["settings"])
            differs = differences(settings, read_text(file, "classes"), card)
            return Candidate(
                directory=directory,
                shape=tuple(int(n) for n in file.attrs["frame_shape"]),
                differs=differs or (),
                version=int(file.attrs["format_version"]),
                recordings=int(file["recordings/events"].shape[0]),
                static_fit=(settings["static"] or {}).get("fit"),
                kind=settings.get("kind", "frames"),
            )
    except (SnntxError, OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError):
        return Candidate(directory, None, (), 0, 0)


def implied(found: Sequence[Candidate], card: Card) -> list[Candidate]:
    """Return the caches that may be meant where neither steps, size nor key was given.

    Those of the card's own options, of the newest format among them; or else those of the card's
    frames; or else all that a model takes. Where there are both kinds, those of the card's own.
    """
    whole = [each for each in found if each.usable]
    whole = whole or [each for each in found if each.shape is not None]
    own = [each for each in whole if not each.differs]
    newest = max((each.version for each in own), default=0)
    shape = FrameOptions.from_card(card).frame_shape
    tiers = (
        [each for each in own if each.version == newest],
        [each for each in whole if each.shape == shape],
    )
    chosen = next((tier for tier in tiers if tier), whole)
    return [each for each in chosen if each.kind == card.framing.kind] or chosen


def newest(found: Sequence[Candidate]) -> list[Candidate]:
    """Return caches without those of an older format that are there again in a newer one."""
    options = [{line for line in each.differs if not line.startswith(OLDER_THAN)} for each in found]
    return [
        one
        for one, own in zip(found, options, strict=True)
        if not any(
            other.version > one.version and same == own
            for other, same in zip(found, options, strict=True)
        )
    ]


def choosing(one: Candidate, found: Sequence[Candidate], card: Card, *, by_setting: bool) -> str:
    """Return the words of a command that choose a cache among others.

    Args:
        one: the cache.
        found: all sealed ones of the card.
        card: whose defaults the settings are over.
        by_setting: the command takes ``--set``, whose words are used where they are enough.
    """
    key = f"--key {one.key}"
    alike = sum(each.shape == one.shape and each.kind == one.kind for each in found)
    if one.shape is None or not by_setting or alike > 1 or one.kind != card.framing.kind:
        return key
    if one.kind == "events":  # which any steps and size would do for
        return key
    own = FrameOptions.from_card(card).frame_shape
    given: dict[str, int] = {} if one.shape[0] == own[0] else {"steps": one.shape[0]}
    if one.shape[2:] != own[2:]:
        given["size"] = one.shape[2]
    try:
        reached = bool(given) and FrameOptions.from_card(card, **given).frame_shape == one.shape
    except UsageError:  # steps that the card's windows do not allow
        reached = False
    return " ".join(f"--set {name}={value}" for name, value in given.items()) if reached else key


def listed(
    some: Sequence[Candidate], found: Sequence[Candidate], card: Card, *, by_setting: bool
) -> str:
    """Return caches in words, each with what chooses it; ``found`` are all of the card."""
    lines = []
    for each in some:
        how = f" ({choosing(each, found, card, by_setting=by_setting)})" if each.usable else ""
        lines.append(f"{each.key}: {each.words}{how}")
    return "; ".join(lines)
