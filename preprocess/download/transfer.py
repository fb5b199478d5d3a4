"""One file over HTTP: connect, resume, follow redirects, say in one line what went wrong."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ... import __version__
from ...data_cards.schema import Download
from ...errors import SnntxError, plain

PIECE = 1 << 18
ATTEMPTS = 5
"""Connections in a row that may break without a byte gained before giving up."""

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes at hand, and the bytes in all where known."""


def download(
    entry: Download,
    part: Path,
    timeout_s: float,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    """Bring the whole file to ``part``, over as many connections as it takes.

    Args:
        entry: what to get.
        part: where to; what it holds already is taken for the file's start.
        timeout_s: longest silence of the server.
        say: called with lines for people.
        progress: called as bytes arrive.

    Raises:
        SnntxError: the server or the network fails; what arrived is kept.
        OSError: the disk fails.
    """
    broken, most = 0, _size(part)
    while True:
        try:
            _transfer(entry, part, timeout_s, say, progress)
            return
        except _Broken as error:
            at_hand = _size(part)
            broken, most = (0, at_hand) if at_hand > most else (broken + 1, most)
            if broken == ATTEMPTS:
                raise SnntxError(
                    f"{entry.url}: {error} after {at_hand:,} bytes; run the same command again "
                    "to go on from there"
                ) from error
            say(f"{entry.file}: {error} after {at_hand:,} bytes; going on from there")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class _Broken(Exception):
    """A connection ended before the file did."""


def _transfer(
    entry: Download,
    part: Path,
    timeout_s: float,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    """Get what is missing of a file over one connection.

    Raises:
        _Broken: the connection ended too early; what arrived is kept.
        SnntxError: the server refuses, or cannot be reached.
    """
    at_hand = _size(part)
    if entry.bytes is not None and at_hand > entry.bytes:
        part.unlink()
        at_hand = 0
    if entry.bytes is not None and at_hand == entry.bytes:
        return
    reply = _open(entry.url, at_hand, timeout_s)
    if reply is None:  # the server has nothing after what is at hand: whole, or not this file
        return
    with closing(reply):
        _say_redirect(entry, reply.url, say)
        start = _start(reply, at_hand)
        length = reply.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else entry.bytes
        if entry.bytes is not None and total != entry.bytes:
            raise SnntxError(
                f"{entry.url}: the server offers {total:,} bytes, the card names "
                f"{entry.bytes:,}; it is another file, so nothing was downloaded"
            )
        _check_space(part, None if total is None else total - start)
        if at_hand and not start:
            say(f"{entry.file}: the server cannot resume; starting over")
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            done = start
            while piece := _read(reply):
                file.write(piece)
                done += len(piece)
                progress(entry.file, done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise _Broken("the connection was cut off")


def _read(reply: Any) -> bytes:
    try:
        piece: bytes = reply.read(PIECE)
    except http.client.IncompleteRead as error:
        raise _Broken("the connection was cut off") from error
    except TimeoutError as error:
        raise _Broken("the server fell silent") from error
    except OSError as error:
        raise _Broken("the connection was lost") from error
    return piece


def _start(reply: Any, at_hand: int) -> int:
    """Return the byte at which a reply starts: ``at_hand`` if the server resumes, else 0."""
    if reply.status != 206:
        return 0
    found = str(reply.headers.get("Content-Range", "")).removeprefix("bytes ").partition("-")[0]
    if found != str(at_hand):
        raise SnntxError(
            f"{plain(reply.url)}: asked for bytes from {at_hand}, the server sent "
            f"'{plain(found)}' on; remove the .part file and try again"
        )
    return at_hand


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects, to other hosts too: the checksum decides; but never out of HTTPS."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        known = ("https",) if urlsplit(req.full_url).scheme == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in known:
            raise SnntxError(
                f"{plain(req.full_url)}: redirects to {plain(newurl)}, which is not "
                f"{' or '.join(known)}; not followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, at_hand: int, timeout_s: float) -> Any:
    """Ask for a file from byte ``at_hand`` on; None where the server says there is no more."""
    headers = {"User-Agent": f"snntx/{__version__}", "Accept-Encoding": "identity"}
    if at_hand:
        headers["Range"] = f"bytes={at_hand}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and at_hand:
            return None
        if _Redirects.inf_msg in str(error.reason):  # which has three lines
            raise SnntxError(
                f"{url}: the server redirects in a circle or too often; the file may have moved: "
                "see the card's homepage"
            ) from error
        if error.code in (429, 500, 502, 503, 504):
            raise SnntxError(
                f"{url}: the server says {error.code} {_line(error.reason)}; try again later"
            ) from error
        raise SnntxError(
            f"{url}: the server says {error.code} {_line(error.reason)}; the file may have moved: "
            "see the card's homepage"
        ) from error
    except urllib.error.URLError as error:
        raise SnntxError(f"{url}: {_reason(error.reason, timeout_s)}") from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise SnntxError(f"{url}: {_reason(error, timeout_s)}") from error


def _reason(cause: Any, timeout_s: float) -> str:
    host = "the server"
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_s:g} s; try again later"
    if isinstance(cause, socket.gaierror):
        return "the host is not found; is this machine connected to the network?"
    if isinstance(cause, ConnectionRefusedError):
        return f"{host} refuses the connection; try again later"
    if isinstance(cause, ssl.SSLError):
        return f"{host}'s certificate cannot be trusted: {_line(cause)}"
    return f"{host} cannot be reached: {_line(cause) or type(cause).__name__}"


def _say_redirect(entry: Download, url: str, say: Callable[[str], None]) -> None:
    asked, found = urlsplit(entry.url).netloc, urlsplit(url).netloc
    if asked != found:
        say(f"{entry.file}: {asked} redirects to {plain(found)}")


def _line(foreign: object) -> str:
    """Return what a server or the system says on one line of visible characters."""
    return plain(" ".join(str(foreign).split()))


def _check_space(part: Path, missing: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if missing is not None and free < missing:
        raise SnntxError(
            f"{part.parent}: {free / 1e6:.0f} MB free, but {missing / 1e6:.0f} MB are still to "
            "come; free space or choose another --to"
        )
