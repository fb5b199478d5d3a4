"""The lines of a training's terminal, kept in its run directory.

In: lines as they are printed, without bars and escapes. Out: a text file that is only ever added
to, a line at a time, so that a process which is killed leaves it whole or shorter. Lines from
before the directory is the run's own are held back until it is.
"""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path
from typing import IO

from ...errors import SnntxError, plain
from ..options import say


class Transcript:
    """What a training prints: on standard error at once, and in a file once that is named.

    Args:
        shown: whether this process reports; one that does not prints and writes nothing.
    """

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._held: list[str] = []
        self._file: IO[bytes] | None = None
        self._path = Path()

    def say(self, line: str) -> None:
        """Print a line for people and keep it."""
        if self._shown:
            say(line)
            self.add(f"snntx: {line}")

    def add(self, line: str) -> None:
        """Keep a line that is printed elsewhere.

        Raises:
            SnntxError: the file cannot be written.
        """
        self._held.append(plain(line))
        if self._file is not None:
            self._flush(self._file)

    def begin(self, path: Path, *, fresh: bool) -> None:
        """Write what was kept so far, and from now on every line at once.

        Args:
            path: of the file.
            fresh: whether the run begins; else the lines come after those that are there.

        Raises:
            SnntxError: the file cannot be written.
        """
        self._path = path
        try:
            self._file = path.open("wb" if fresh else "a+b", buffering=0)
            if not fresh and self._file.tell():  # a line that a crash cut off stays one
                self._file.seek(-1, 2)
                if self._file.read() != b"\n":
                    self._file.write(b"\n")
        except OSError as error:
            raise self._unwritten(error) from error
        self._flush(self._file)

    def failed(self, error: Exception) -> None:
        """Keep what ended the training, as the command line prints it."""
        if isinstance(error, SnntxError | OSError | MemoryError):
            lines = [f"snntx: error: {' '.join(str(error).split()) or type(error).__name__}"]
        else:
            lines = "".join(traceback.format_exception(error)).splitlines()
        with contextlib.suppress(SnntxError):  # the error itself is what counts
            for line in lines:
                self.add(line)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self, file: IO[bytes]) -> None:
        text = "".join(f"{line}\n" for line in self._held)
        self._held.clear()
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while len(rest):
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> SnntxError:
        return SnntxError(f"{self._path}: cannot be written: {error.strerror or error}")
