"""Which picture files a folder holds, unpacked or in zip archives, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data_cards.found import StaticFiles
from ...errors import UsageError
from ..disk.files import first_file
from ..disk.listing import NothingFoundError, Passed, find_files, require_folder
from ..disk.patterns import junk_in, match_names
from .zips import archive_members


@dataclass(frozen=True)
class PictureFile:
    """One picture, not yet opened.

    Attributes:
        identity: what twins are matched by.
        class_name: its class, empty where only its recording tells.
        path: the file, or the archive it lies in.
        file: name of ``path`` below the root.
        member: its name in the archive, empty for a file of its own.
    """

    identity: str
    class_name: str
    path: Path
    file: str
    member: str = ""


def find_pictures(
    spec: StaticFiles, folder: Path, number: str = "", passed: Passed | None = None
) -> list[PictureFile]:
    """List the pictures of a folder and of the archives in it; none is opened yet.

    They are sorted by identity; those of a folder alone by number, where there is one and no
    template of identity.

    Args:
        spec: the card's table.
        folder: what the user gave as ``--static``.
        number: the recordings' field that is a whole number, if there is one.
        passed: takes what is passed over, and says whether dead links are.

    Raises:
        UsageError: the folder is missing, holds no picture the card knows, or two of one
            identity.
        BadFileError: an archive is damaged or not to be trusted.
    """
    require_folder(folder, "--static")
    archives, passed = archives_of(spec, folder), passed or Passed()
    number = number if f"{{{number}}}" in spec.pattern else ""
    pictures: list[PictureFile] = []
    try:
        found = find_files(
            folder,
            spec.roots,
            spec.pattern,
            "--static",
            suffixes=spec.suffixes,
            number=number,
            passed=passed,
        )
        pictures = [
            _picture(spec, f.fields, PictureFile(f.identity, "", f.path, f.relative)) for f in found
        ]
        if spec.identity:
            _refuse_twice(pictures, folder)
    except NothingFoundError as error:
        if not archives:
            hint = f", nor is there {' or '.join(spec.archives)}" if spec.archives else ""
            raise NothingFoundError(f"{error}{hint}") from error
    if not (archives or spec.identity):
        return pictures
    known = {picture.identity: picture for picture in pictures}
    for file, path in archives.items():
        names = archive_members(path)
        passed.junk += [f"{file}/{name}" for name in junk_in(names)]
        held = list(_members(spec, path, file, names))
        if not held:
            raise NothingFoundError(
                f"{path}: no member matches {spec.pattern}; is it another archive?"
            )
        _refuse_twice(held, path)
        for picture in held:
            known.setdefault(picture.identity, picture)
    return sorted(known.values(), key=lambda picture: picture.identity)


def archives_of(spec: StaticFiles, folder: Path) -> dict[str, Path]:
    """Return the archives of a card that are below a folder, by name there, those first in turn."""
    found = (
        (root, first_file([folder / root / name])) for name in spec.archives for root in spec.roots
    )
    return {f"{root}/{path.name}".removeprefix("./"): path for root, path in found if path}


def _members(
    spec: StaticFiles, path: Path, file: str, names: Sequence[str]
) -> Iterator[PictureFile]:
    """Yield the pictures of one archive, of whose names they are some."""
    for name, fields in match_names(names, spec.pattern, spec.suffixes):
        stem = name[: len(name) - len(Path(name).suffix)]
        yield _picture(spec, fields, PictureFile(stem, "", path, file, name))


def _picture(spec: StaticFiles, fields: Mapping[str, str], picture: PictureFile) -> PictureFile:
    """Return a picture with class and identity as the card's templates say."""
    class_name = fields.get("class", "")
    if spec.class_name:
        class_name = spec.class_name.format(**fields)
    identity = spec.identity.format(**fields) if spec.identity else picture.identity
    return PictureFile(identity, class_name, picture.path, picture.file, picture.member)


def _refuse_twice(pictures: list[PictureFile], place: Path) -> None:
    """Two pictures of one identity in one place cannot both be it."""
    seen: dict[str, PictureFile] = {}
    for picture in pictures:
        other = seen.setdefault(picture.identity, picture)
        if other is not picture:
            names = [p.member or p.file for p in (other, picture)]
            raise UsageError(
                f"{place}: {' and '.join(names)} are both {picture.identity}; remove one of them"
            )
