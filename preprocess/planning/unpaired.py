"""Static images and recordings that the twin rule should bring together, and does not.

Where names do not match, photographs of test recordings would be shown in training, and nobody
would know. So a build stops where fewer than the card's ``min_paired`` find their other half;
the user may keep such images as class partners, or leave them out. Images that are class
partners by their format alone do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ...data_cards.found import StaticFiles
from ...errors import UsageError
from ..cache.notes import EXAMPLES, Note, note
from ..raw.recording import Recording
from ..statics.images import StaticImage

Unpaired = Literal["stop", "class", "drop"]


def settle_unpaired(
    images: Sequence[StaticImage],
    recordings: Sequence[Recording],
    static: StaticFiles,
    unpaired: str,
    where: str,
    ignored: Sequence[Note],
) -> tuple[list[StaticImage], list[Note]]:
    """Return the images that a build takes, and a note on those it leaves out.

    Args:
        images: those listed, of the card's classes.
        recordings: all recordings.
        static: the card's table.
        unpaired: ``stop``, ``class`` or ``drop``.
        where: names the folder and the card in errors.
        ignored: notes on files beside them, which may be the reason.

    Raises:
        UsageError: too few match, and ``unpaired`` is ``stop``; or none does, and it is ``drop``.
    """
    wanted = {static.twin.format(**recording.fields) for recording in recordings}
    matching = [image for image in images if image.may_be_twin]
    lost = [image for image in matching if image.identity not in wanted]
    found = len(matching) - len(lost)
    fewer = min(len(matching), len(wanted))
    if unpaired == "drop":
        kept = [image for image in images if not image.may_be_twin or image.identity in wanted]
        if images and not kept:
            raise UsageError(
                f"{where}: none of {len(images)} static images is the twin of a recording, so "
                "--unpaired drop leaves none; leave out --static, or give --unpaired class"
            )
        names = [image.identity for image in lost]
        return kept, note("dropped", names, "static images without a recording were left out")
    if unpaired == "stop" and matching and (not found or found < static.min_paired * fewer):
        example = ", ".join(image.identity for image in lost[:EXAMPLES])
        expected = ", ".join(sorted(wanted - {image.identity for image in matching})[:EXAMPLES])
        which = "static images" if len(matching) <= len(wanted) else "recordings"
        share = "" if not found else f", fewer than its min_paired = {static.min_paired:g}"
        beside = "".join(f"; {each.text}" for each in ignored)
        raise UsageError(
            f"{where}: {found} of {fewer} {which} have their twin{share} (found images such as "
            f"{example}; expected such as {expected}){beside}; rename them or correct the card's "
            "twin, or leave them out with --unpaired drop, or show them all the same, perhaps "
            "twins of test recordings too, with --unpaired class"
        )
    return list(images), []
