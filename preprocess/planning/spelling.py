"""Names that differ in how their letters are composed, brought to one spelling.

Some systems write ``é`` as one character (NFC), others as a letter and an accent (NFD); people
see no difference. In: names that a card or the recordings have. Out: others in their spelling,
where they have it not yet.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from ..raw.recording import Recording
from ..statics.images import StaticImage


def spelling_of(known: Iterable[str]) -> Callable[[str], str]:
    """Return what spells a name as one of those that are known; any other name stays."""
    exact = set(known)
    composed = {_composed(name): name for name in sorted(exact, reverse=True)}

    def spell(name: str) -> str:
        return name if name in exact or name.isascii() else composed.get(_composed(name), name)

    return spell


def recordings_spelled(recordings: Sequence[Recording], classes: Iterable[str]) -> list[Recording]:
    """Return recordings with their classes spelled as those that are known."""
    spell = spelling_of(classes)
    return [_of_class(each, spell(each.class_name)) for each in recordings]


def images_spelled(
    images: Sequence[StaticImage], twins: Iterable[str], classes: Iterable[str]
) -> tuple[StaticImage, ...]:
    """Return static images with identity and class spelled as twins and classes are.

    Args:
        images: those listed.
        twins: identities that the recordings ask for.
        classes: of the build.
    """
    names, kinds = spelling_of(twins), spelling_of(classes)
    held = {image.identity for image in images}
    return tuple(
        dataclasses.replace(
            image,
            identity=image.identity if (name := names(image.identity)) in held else name,
            class_name=kinds(image.class_name),
        )
        for image in images
    )


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _of_class(recording: Recording, name: str) -> Recording:
    if name == recording.class_name:
        return recording
    fields = {**recording.fields, "class": name}
    return dataclasses.replace(recording, class_name=name, fields=fields)
