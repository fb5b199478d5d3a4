"""Protocols: which part of a split each recording and each static image belongs to.

``hash`` ranks the recordings of each class by the SHA-256 of their identity, so the split
depends on names alone, never on listing order or on a random generator. ``leading`` takes
the first ``round(share * n)`` of each class in order of listing (round half to even), as
the published split does once its listing is sorted by name. ``window`` takes the first
``train_count`` of each class for training and the next ``test_count`` for the test, and
leaves the rest unused. ``field`` uses the dataset's own folders or lists; a recording in none of
its lists is unused.

A static image takes the part of the recordings it is the twin of; with no recording it may be
used in training. Of images of the same pixels, all are held out where one is. So no twin of a
validation or test recording is ever a partner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...data_cards.schema import SplitRule
from ...errors import UsageError

PARTS = ("train", "validation", "test", "unused")
TRAIN, VALIDATION, TEST, UNUSED = range(4)


def split_recordings(
    rule: SplitRule,
    identities: Sequence[str],
    labels: NDArray[np.int64],
    fields: Sequence[Mapping[str, str]],
) -> NDArray[np.uint8]:
    """Return the part of each recording as an index into :data:`PARTS`, ``(N,)`` uint8.

    Args:
        rule: the protocol's rule.
        identities: in order of listing (of name, or of number), one per recording.
        labels: class index per recording.
        fields: pattern fields per recording (rule ``field``).

    Raises:
        UsageError: a field has a value that the rule does not name.
    """
    parts = np.full(len(identities), TRAIN, np.uint8)
    if rule.rule == "field":
        meaning = dict.fromkeys((rule.train_value, *rule.train_values), TRAIN)
        meaning |= dict.fromkeys((rule.test_value, *rule.test_values), TEST)
        meaning |= dict.fromkeys(rule.validation_values, VALIDATION)
        meaning[""] = UNUSED  # in no list
        for i, values in enumerate(fields):
            if values[rule.field] not in meaning:
                known = " or ".join(f"'{value}'" for value in meaning if value)
                raise UsageError(
                    f"recording {identities[i]}: {rule.field} = '{values[rule.field]}', "
                    f"expected {known}"
                )
            parts[i] = meaning[values[rule.field]]
        return parts
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if rule.rule == "leading":
            parts[members[round(rule.train * members.size) :]] = TEST
            continue
        if rule.rule == "window":
            parts[members[rule.train_count :]] = TEST
            parts[members[rule.train_count + rule.test_count :]] = UNUSED
            continue
        ranked = sorted(members.tolist(), key=lambda i: _rank(identities[i]))
        tests = min(round(rule.test * members.size), members.size - 1)
        validations = min(round(rule.validation * members.size), members.size - 1 - tests)
        parts[ranked[:tests]] = TEST
        parts[ranked[tests : tests + validations]] = VALIDATION
    return parts


def _rank(identity: str) -> bytes:
    return hashlib.sha256(identity.encode()).digest()


def split_statics(
    count: int,
    twins: NDArray[np.int64],
    parts: NDArray[np.uint8],
    copy_of: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """Return the part of each static image, ``(count,)`` uint8.

    Args:
        count: number of static images.
        twins: index of each recording's twin, -1 for none.
        parts: part of each recording.
        copy_of: first image of the same pixels as each, -1 for none; None for no copies.
    """
    own = np.arange(count)
    first = own if copy_of is None else np.where(copy_of >= 0, copy_of, own)
    result = np.full(count, TRAIN, np.uint8)
    for part in (UNUSED, VALIDATION, TEST):
        held = twins[(parts == part) & (twins >= 0)]
        result[first[held]] = part
    return result[first]
