"""``snntx fetch`` against a local server: whole files or none, resumed, checked, unpacked."""

import contextlib
import errno
import hashlib
import io
import json
import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from snntx.cli import run
from snntx.data_cards import load_card, parse_card
from snntx.data_cards.schema import Download
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.download import transfer
from snntx.preprocess.download.fetch import fetch

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one content; ``mode`` says how it misbehaves, ``asked`` what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.mode = ""
        self.cuts = 0
        self.other = ""
        self.code = 302
        self.reason = ""
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        content = server.content
        if server.mode.isdigit():
            self.send_error(int(server.mode), server.reason or None)
            return
        if server.mode == "redirect":
            self.send_response(server.code)
            self.send_header("Location", server.other)
            self.end_headers()
            return
        if server.mode == "silent":
            threading.Event().wait(3)
            return
        start = 0
        if wanted and server.mode != "no range":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        if start:
            shown = start + (1 if server.mode == "shifted" else 0)
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        if server.mode != "no length":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content)
        if server.cuts:
            server.cuts -= 1
            end = start + (end - start) // 2
        with contextlib.suppress(ConnectionError):  # a client that wants no more
            self.wfile.write(content[start:end])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def entry(server: Server, **changes: Any) -> Download:
    return Download(**{"url": server.url, "file": "file.bin", "sha256": SHA256, **changes})


def get(server: Server, folder: Path, **changes: Any) -> Any:
    (result,) = fetch([entry(server, **changes)], folder, timeout_s=1)
    return result


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


# downloads


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    (result,) = fetch([entry(server)], tmp_path / "to", progress=lambda *call: seen.append(call))
    assert (tmp_path / "to/file.bin").read_bytes() == CONTENT
    assert (result.state, result.bytes) == ("downloaded", len(CONTENT))
    assert visible(tmp_path / "to") == ["file.bin"]
    assert seen[-1] == ("file.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path)
    assert get(server, tmp_path, sha256="", md5=MD5.upper()).state == "present"
    assert len(server.asked) == 1


def test_another_file_of_that_name_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"mine")
    with pytest.raises(SnntxError, match=r"file\.bin: is there, but is not the file"):
        get(server, tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == b"mine"
    assert server.asked == []


@pytest.mark.parametrize("at_hand", [1, 1000, len(CONTENT) - 1])
def test_an_interrupted_download_goes_on(server: Server, tmp_path: Path, at_hand: int) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:at_hand])
    get(server, tmp_path)
    assert server.asked == [f"bytes={at_hand}-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_that_is_whole(server: Server, tmp_path: Path, size: int | None) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    get(server, tmp_path, bytes=size)
    assert len(server.asked) == (1 if size is None else 0)
    assert visible(tmp_path) == ["file.bin"]


def test_a_part_that_is_too_long(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path, bytes=len(CONTENT))
    assert server.asked == [None]


def test_a_connection_that_is_cut_off(server: Server, tmp_path: Path) -> None:
    server.cuts = 3
    lines: list[str] = []
    fetch([entry(server)], tmp_path, say=lines.append)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert server.asked[:2] == [None, f"bytes={half}-"]
    assert lines[0] == (
        f"file.bin: the connection was cut off after {half:,} bytes; going on from there"
    )


def test_a_connection_that_is_always_cut_off(server: Server, tmp_path: Path) -> None:
    server.cuts, server.mode = 99, "no range"
    with pytest.raises(SnntxError, match="run the same command again to go on"):
        get(server, tmp_path)
    assert visible(tmp_path) == ["file.bin.part"]
    server.cuts = 0
    assert get(server, tmp_path).state == "downloaded"


def test_a_server_that_cannot_resume(server: Server, tmp_path: Path) -> None:
    server.mode = "no range"
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:500])
    lines: list[str] = []
    fetch([entry(server)], tmp_path, say=lines.append)
    assert lines == ["file.bin: the server cannot resume; starting over"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_resumes_elsewhere(server: Server, tmp_path: Path) -> None:
    server.mode = "shifted"
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:500])
    with pytest.raises(SnntxError, match="asked for bytes from 500, the server sent '501' on"):
        get(server, tmp_path)


def test_a_server_that_gives_no_length(server: Server, tmp_path: Path) -> None:
    server.mode = "no length"
    assert get(server, tmp_path).bytes == len(CONTENT)


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path, kind: str) -> None:
    wrong = {"sha256": "", "md5": "", kind: "0" * (64 if kind == "sha256" else 32)}
    with pytest.raises(SnntxError, match=rf"has {kind} \w+, expected 0+; it was removed") as error:
        get(server, tmp_path, **wrong)
    assert "\n" not in str(error.value)
    assert visible(tmp_path) == []


def test_a_wrong_beginning_is_found_and_removed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"\xff" * 500)
    with pytest.raises(SnntxError, match="it was removed"):
        get(server, tmp_path)
    assert get(server, tmp_path).state == "downloaded"


def test_another_size_than_the_card_names(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SnntxError, match=r"offers 1,024,000 bytes, the card names 7;.*nothing"):
        get(server, tmp_path, bytes=7)
    assert visible(tmp_path) == []


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("404", "says 404 Not Found; the file may have moved"),
        ("403", "says 403 Forbidden"),
        ("503", "says 503 Service Unavailable; try again later"),
        ("silent", "no answer within 1 s"),
    ],
)
def test_a_server_that_refuses(server: Server, tmp_path: Path, mode: str, message: str) -> None:
    server.mode = mode
    with pytest.raises(SnntxError, match=message) as error:
        get(server, tmp_path)
    assert str(error.value).startswith(server.url)
    assert "\n" not in str(error.value)


def test_a_redirect_to_another_host_is_followed_and_said(server: Server, tmp_path: Path) -> None:
    front = Server()
    threading.Thread(target=front.serve_forever, args=(0.01,), daemon=True).start()
    front.mode, front.other = "redirect", server.url
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:500])
    lines: list[str] = []
    fetch([entry(front)], tmp_path, say=lines.append)
    front.shutdown()
    front.server_close()
    assert lines == [
        f"file.bin: 127.0.0.1:{front.server_port} redirects to 127.0.0.1:{server.server_port}"
    ]
    assert server.asked == ["bytes=500-"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_in_a_circle_is_one_line(server: Server, tmp_path: Path, code: int) -> None:
    server.mode, server.other, server.code = "redirect", server.url, code
    with pytest.raises(SnntxError, match="the server redirects in a circle or too often") as error:
        get(server, tmp_path)
    assert "\n" not in str(error.value)


def test_a_redirect_to_nowhere_is_one_line(server: Server, tmp_path: Path) -> None:
    server.mode, server.other = "redirect", ""
    with pytest.raises(SnntxError) as error:
        get(server, tmp_path)
    assert "\n" not in str(error.value)


def test_what_a_server_says_is_shown_plainly(server: Server, tmp_path: Path) -> None:
    server.mode, server.reason = "404", "Not\x1b[2J Found\x85here"
    with pytest.raises(SnntxError) as error:
        get(server, tmp_path)
    assert str(error.value).isprintable()
    assert r"\x1b[2J Found" in str(error.value)


@pytest.mark.parametrize("other", ["ftp://127.0.0.1/file.bin", "file:///etc/hostname"])
def test_a_redirect_out_of_http(server: Server, tmp_path: Path, other: str) -> None:
    server.mode, server.other = "redirect", other
    with pytest.raises(SnntxError, match=r"redirects to|is not allowed"):
        get(server, tmp_path)


def test_a_redirect_out_of_https() -> None:
    import urllib.request

    request = urllib.request.Request("https://a.example/x")
    with pytest.raises(SnntxError, match=r"redirects to http://b\.example/x, which is not https"):
        transfer._Redirects().redirect_request(request, None, 302, "", {}, "http://b.example/x")


def test_no_server_and_no_network(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
    with pytest.raises(SnntxError, match="the server refuses the connection"):
        get(server, tmp_path, url=nobody)

    def unknown(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SnntxError, match="is this machine connected"):
        get(server, tmp_path, url="http://nowhere.example/x")


def test_a_disk_too_small(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(SnntxError, match=r"0 MB free, but 1 MB are still to come"):
        get(server, tmp_path)


def test_a_disk_that_fills_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SnntxError, match=r"the disk is full; .* run the same command again"):
        get(server, tmp_path)
    monkeypatch.undo()
    assert get(server, tmp_path).state == "downloaded"
    assert len(server.asked) == 2


def test_a_folder_that_cannot_be(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        get(server, tmp_path / "file")


def test_two_at_once(server: Server, tmp_path: Path) -> None:
    from filelock import FileLock

    with (
        FileLock(tmp_path / ".file.bin.lock"),
        pytest.raises(SnntxError, match="another snntx fetch is at work"),
    ):
        get(server, tmp_path)


# archives


def zipped(**members: bytes) -> bytes:
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return image.getvalue()


def test_fetch_unpacks_once(server: Server, tmp_path: Path) -> None:
    inner = zipped(**{"Caltech101/ant/image 1.bin": b"abc", "__MACOSX/x": b"junk"})
    server.content = zipped(**{"Caltech101.zip": inner, "README": b"read me"})
    named = {"file": "a.zip", "sha256": hashlib.sha256(server.content).hexdigest(), "unpack": True}
    assert get(server, tmp_path, **named).unpacked == ("Caltech101", "README")
    assert visible(tmp_path) == ["Caltech101", "README", "a.zip"]
    assert (tmp_path / "Caltech101/ant/image 1.bin").read_bytes() == b"abc"
    (tmp_path / "README").write_bytes(b"changed")
    again = get(server, tmp_path, **named)
    assert (again.state, again.unpacked) == ("present", ("Caltech101", "README"))
    assert (tmp_path / "README").read_bytes() == b"changed"
    (tmp_path / "a.zip").unlink()  # to save space
    assert get(server, tmp_path, **named).state == "present"
    assert len(server.asked) == 1
    (tmp_path / "README").unlink()
    with pytest.raises(SnntxError, match="Caltech101 is already there; move it away"):
        get(server, tmp_path, **named)


# cards and the command line


def card_of(server: Server, tmp_path: Path, more: str = "") -> Path:
    source = Path(__file__).parents[3] / "data_cards/shipped/simulated-digits.toml"
    text = f'{source.read_text()}\n[[downloads]]\nurl = "{server.url}"\nfile = "file.bin"\n{more}'
    (tmp_path / "my.toml").write_text(text)
    return tmp_path / "my.toml"


def test_the_command(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of(server, tmp_path, f'md5 = "{MD5}"\nbytes = {len(CONTENT)}\nnote = "the events"')
    assert run(["fetch", str(card), "--to", str(tmp_path / "to")]) == 0
    out = capsys.readouterr().out
    assert out == f"downloaded: {tmp_path}/to/file.bin (the events), 1.0 MB\n"
    assert run(["fetch", str(card), "--to", str(tmp_path / "to"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["state"], found["bytes"]) == ("present", len(CONTENT))


def test_a_card_without_downloads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fetch", "simulated-digits", "--to", str(tmp_path / "to")]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    about = load_card("simulated-digits").about
    assert f"by hand, from {about.homepage}: {about.obtain}" in captured.err
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "has neither sha256 nor md5; one is required"),
        ('md5 = "12"', "md5 = '12' is not 32 hexadecimal digits"),
        (f'sha256 = "{MD5}"', "is not 64 hexadecimal digits"),
        (f'md5 = "{MD5}"\nbytes = -1', "bytes must not be negative"),
        (f'md5 = "{MD5}"\nunpack = true', r"'file\.bin' cannot be unpacked"),
        (f'md5 = "{MD5}"\nsize = 1', r"\[\[downloads\]\] 1: unknown key 'size'"),
        (f'md5 = "{MD5}"\nunpack = "yes"', "unpack = 'yes' is not true or false"),
        (f'md5 = "{MD5}"\n[[downloads]]\nurl = "ftp://x/y"\nfile = "f"', "2 url = 'ftp://x/y'"),
        (f'md5 = "{MD5}"\n[[downloads]]\nurl = "http://x/y"\nfile = "../f"', "no plain file name"),
        (
            f'md5 = "{MD5}"\n[[downloads]]\nurl = "http://x/y"\nfile = "file.bin"\nmd5 = "{MD5}"',
            "names a file twice",
        ),
    ],
)
def test_mistakes_in_a_card(server: Server, tmp_path: Path, more: str, message: str) -> None:
    path = card_of(server, tmp_path, more)
    with pytest.raises(UsageError, match=message):
        load_card(str(path))


def test_one_table_for_a_list() -> None:
    text = (Path(__file__).parents[3] / "data_cards/shipped/simulated-digits.toml").read_text()
    with pytest.raises(UsageError, match=r"downloads is not a list of tables \(\[\[downloads\]\]"):
        parse_card(f"{text}\n[downloads]\nurl = 'x'".encode(), "card")


def test_shipped_cards_name_what_they_unpack() -> None:
    archive = load_card("n-caltech101").downloads[0]
    assert (archive.file, archive.unpack) == ("N-Caltech101-archive.zip", True)
    assert archive.md5 in load_card("n-caltech101").about.obtain
    files = [d.file for d in load_card("n-mnist").downloads]
    assert files[:2] == ["train.zip", "test.zip"]
    assert [f.endswith("ubyte.gz") for f in files[2:]] == [True] * 4
