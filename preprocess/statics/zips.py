"""Pictures inside zip files, read one at a time and never unpacked.

An archive is untrusted: names that leave it, encryption and sizes no picture has are refused
before anything is read, and every member's checksum is verified as it is read.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from types import TracebackType

from ...errors import BadFileError

MAX_MEMBER_BYTES = 1 << 26
"""Largest picture file that is read from an archive."""
MAX_MEMBERS = 1 << 20
_DRIVE = re.compile("[A-Za-z]:")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError)


def archive_members(path: Path) -> list[str]:
    """Return the names of an archive's files, in order of name, their folders apart by ``/``.

    Raises:
        BadFileError: not a whole zip file, or a member is encrypted, absurdly large, named
            twice, or named so that it would leave the archive.
    """
    with Archives() as archives:
        infos = [info for info in archives.open(path).infolist() if not info.is_dir()]
    if len(infos) > MAX_MEMBERS:
        raise BadFileError(f"{path}: {len(infos)} files, expected at most {MAX_MEMBERS}")
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        shown = repr(name[:120])
        if _DRIVE.match(name) or name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise BadFileError(
                f"{path}: member {shown} leaves the archive, expected a plain relative name; "
                "download the archive again from its authors"
            )
        if name in seen:
            raise BadFileError(f"{path}: member {shown} occurs twice, expected once")
        seen.add(name)
        if info.flag_bits & 0x1:
            raise BadFileError(f"{path}: member {shown} is encrypted; unpack it with its password")
        if info.file_size > MAX_MEMBER_BYTES:
            raise BadFileError(
                f"{path}: member {shown} of {info.file_size} bytes, expected a picture of at most "
                f"{MAX_MEMBER_BYTES}"
            )
    return sorted(seen)


class Archives:
    """Zip files held open while their members are read; a context manager."""

    def __init__(self) -> None:
        self._open: dict[Path, zipfile.ZipFile] = {}

    def __enter__(self) -> Archives:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every archive."""
        while self._open:
            self._open.popitem()[1].close()

    def open(self, path: Path) -> zipfile.ZipFile:
        """Open an archive, or return it where it is open already.

        Raises:
            BadFileError: it cannot be read, or is not a whole zip file.
        """
        if path not in self._open:
            try:
                archive = self._open[path] = zipfile.ZipFile(path)
                for info in archive.infolist():
                    info.filename = info.filename.replace("\\", "/")  # written on Windows
                archive.NameToInfo = {info.filename: info for info in archive.infolist()}
            except OSError as error:
                cause = error.strerror or error
                raise BadFileError(f"{path}: cannot be read: {cause}") from error
            except _DAMAGE as error:
                raise BadFileError(
                    f"{path}: not a whole zip file: {error}; download it again"
                ) from error
        return self._open[path]

    def read(self, path: Path, member: str) -> bytes:
        """Return the content of one member, checked against its checksum.

        Raises:
            BadFileError: the archive or the member is damaged.
        """
        try:
            return self.open(path).read(member)
        except BadFileError:
            raise
        except (OSError, KeyError, *_DAMAGE) as error:
            reason = " ".join(str(error).split())
            raise BadFileError(
                f"{path}: member {member!r} cannot be read: {reason}; download the archive again"
            ) from error
