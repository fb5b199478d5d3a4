"""Why a file was passed over, in words that a cache can keep: the same on every machine.

In: an error that names a file by its path. Out: its text, with the names of the manifest in place
of paths, and nothing of the folders, addresses and processes of the machine it was raised on.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import BadFileError, plain

_FOLDERS = re.compile(r"(?<![\w.~/-])/(?:[^\s/'\"]+/)+")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{4,}")


def reason_of(error: BadFileError, path: Path, name: str) -> str:
    """Return an error's text without paths, which differ from machine to machine.

    Args:
        error: what was raised over the file.
        path: the file, absolute where the text is to be kept.
        name: its name in the manifest, such as ``raw/Train/5/00001.bin``.
    """
    text = str(error)
    kind, _, below = name.partition("/")
    for spelling in dict.fromkeys((path, path.absolute(), path.resolve())):
        text = text.removeprefix(plain(f"{spelling}: ")).replace(plain(spelling), plain(name))
        depth = below.count("/")
        root = spelling.parents[depth] if depth < len(spelling.parents) else spelling.parent
        if root.is_absolute() and root != root.parent:
            text = text.replace(plain(f"{root}/"), f"{kind}/")  # of a table beside it, say
    return _ADDRESS.sub("", _FOLDERS.sub("", text))
