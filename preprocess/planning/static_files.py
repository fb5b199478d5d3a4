"""The static images of a build, before any is opened: which are taken, and what is passed over."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...data_cards.found import StaticFiles
from ...data_cards.schema import Card
from ...errors import UsageError
from ..cache.notes import Note, note
from ..disk.listing import NothingFoundError, Passed
from ..raw.recording import Recording
from ..statics.files import archives_of
from ..statics.images import StaticImage, list_statics
from .ignored import ignored_files, ignored_members, suffix_note, unknown_notes, with_suffixes
from .spelling import images_spelled
from .unpaired import Unpaired, settle_unpaired


@dataclass(frozen=True)
class StaticPlan:
    """The static images of a plan, and what was passed over on the way to them."""

    images: Sequence[StaticImage] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    planes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[Note, ...] = ()


def plan_statics(
    card: Card,
    spec: StaticFiles,
    folder: Path,
    unpaired: Unpaired,
    recordings: Sequence[Recording],
    taken: Iterable[Path],
    *,
    skip: bool,
    known: Collection[str],
) -> StaticPlan:
    """List the static images, and settle what becomes of those without a recording.

    Args:
        card: the dataset.
        spec: its table of static images.
        folder: what the user gave as ``--static``.
        unpaired: what to do where too few names match.
        recordings: of the classes that are known.
        taken: files that serve as recordings.
        skip: pass over links that lead nowhere.
        known: classes of the build.

    Raises:
        UsageError: the folder does not hold what the card describes, or too few names match.
        BadFileError: a file of many images is damaged.
    """
    passed, archives = Passed(skip=skip), archives_of(spec, folder)
    try:
        listed = list_statics(spec, folder, card.events.order, passed)
    except NothingFoundError as error:
        raise with_suffixes(
            error, folder, spec.roots, spec.pattern, spec.suffixes, "--static", archives
        ) from error
    beside: list[Note] = []
    if spec.layout == "images":
        used = {*taken, *listed.files.values()}
        roots = [listed.root] if listed.root else [folder / root for root in spec.roots]
        names = [
            *(n for root in roots for n in ignored_files(root, spec.pattern, spec.suffixes, used)),
            *ignored_members(archives, spec.pattern, spec.suffixes),
        ]
        beside = suffix_note(names, "--static", spec.pattern, spec.suffixes)
    twins = [spec.twin.format(**each.fields) for each in recordings]
    images = images_spelled(listed.images, twins, known)
    unclassed: list[Note] = []
    if spec.layout == "images" and not ("{class}" in spec.pattern or spec.class_name):
        images, unclassed = _classed_by_twin(images, recordings, folder, spec.twin)
    others = Counter(i.class_name for i in images if i.class_name not in known)
    where = f"--static {folder}: card {card.name}"
    kept, dropped = settle_unpaired(
        [image for image in images if image.class_name in known],
        recordings,
        spec,
        unpaired,
        where,
        beside,
    )
    paths = {image.path for image in kept}
    whole = spec.layout != "images"
    files = {name: path for name, path in listed.files.items() if whole or path in paths}
    return StaticPlan(
        kept,
        files | {link.relative: link.path for link in passed.links},
        listed.planes,
        passed.notes("--static"),
        passed.skipped("static"),
        (
            *unknown_notes(others, "static images", card.name),
            *beside,
            *unclassed,
            *dropped,
        ),
    )


def _classed_by_twin(
    images: tuple[StaticImage, ...], recordings: Sequence[Recording], folder: Path, twin: str
) -> tuple[tuple[StaticImage, ...], list[Note]]:
    """Give each image its recording's class; leave out, and note, those without a recording."""
    class_of = {twin.format(**r.fields): r.class_name for r in recordings}
    kept = tuple(
        dataclasses.replace(image, class_name=class_of[image.identity])
        for image in images
        if image.identity in class_of
    )
    if not kept:
        raise UsageError(
            f"--static {folder}: no image is the twin of a recording (found "
            f"{images[0].identity}, expected such as {next(iter(class_of))}), so their classes "
            "are unknown; rename them, correct the card's twin, or leave out --static"
        )
    lost = [image.identity for image in images if image.identity not in class_of]
    text = "static images left out: their classes are unknown without a recording"
    return kept, note("unclassed", lost, text)
