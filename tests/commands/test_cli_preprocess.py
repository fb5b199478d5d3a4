"""``snntx preprocess`` from outside: output, exit codes, and one clear line for each mistake."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.cli import run
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.disk import atomic
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode

Output = namedtuple("Output", "code out err")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Six small recordings of two digits."""
    rng = np.random.default_rng(0)
    for i in range(6):
        x, y = rng.integers(0, 34, (2, 100))
        t, p = np.sort(rng.integers(0, 90_000, 100)), rng.integers(0, 2, 100)
        path = tmp_path / f"my raw/Train/{i % 2}/{i:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]
        os.utime(path, (1_500_000_000, 1_500_000_000))
    return tmp_path / "my raw"


class Snntx:
    """Calls the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], cache: Path) -> None:
        self.capsys, self.cache = capsys, cache

    def __call__(self, *arguments: Any) -> Output:
        code = run([str(a) for a in arguments])
        captured = self.capsys.readouterr()
        return Output(code, captured.out, captured.err)

    def preprocess(self, raw: Path, *more: Any, card: Any = "n-mnist") -> Output:
        return self("preprocess", card, "--raw", raw, "--cache", self.cache, *more)


@pytest.fixture
def snntx(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Snntx:
    return Snntx(capsys, tmp_path / "cache")


def one_line(output: Output, code: int, *parts: str) -> None:
    """The command failed with one line that holds every part, and nothing on standard output."""
    assert output.code == code, output
    assert output.out == ""
    assert output.err.startswith("snntx: error: ")
    assert output.err.count("\n") == 1
    for part in parts:
        assert part in output.err


def caches(folder: Path) -> list[Path]:
    """Directories that could be taken for a cache."""
    return [p for p in folder.glob("*/*") if p.is_dir() and not p.name.startswith(".")]


def test_builds_then_reuses(snntx: Snntx, raw: Path) -> None:
    first = snntx.preprocess(raw)
    assert first.code == 0
    (directory,) = caches(snntx.cache)
    assert first.out.splitlines()[0] == f"sealed a new cache: {directory}"
    assert "recordings  6 in 2 classes" in first.out
    assert "events      600, " in first.out
    assert "skipped     0 files" in first.out
    assert "8 of 10 classes have no recording here" in first.out
    second = snntx.preprocess(raw)
    assert second.code == 0
    assert second.out.splitlines()[0] == f"reusing the sealed cache: {directory}"
    assert "events/s" not in second.out


def test_json_is_json_alone(snntx: Snntx, raw: Path) -> None:
    for reused in (False, True):
        output = snntx.preprocess(raw, "--json", "--steps", 3, "--size", 8)
        summary = json.loads(output.out)
        assert summary["reused"] is reused
        assert (summary["recordings"], summary["events"], summary["skipped"]) == (6, 600, [])
        cache = FrameCache(summary["directory"])
        assert cache.key == summary["key"]
        assert cache.frame_shape == (3, 2, 8, 8)


def test_cache_from_the_environment(
    snntx: Snntx, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNTX_CACHE", str(tmp_path / "from here"))
    assert snntx("preprocess", "n-mnist", "--raw", raw).code == 0
    assert len(caches(tmp_path / "from here")) == 1


def test_relative_paths(
    snntx: Snntx, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert snntx("preprocess", "n-mnist", "--raw", "my raw", "--cache", "cache").code == 0
    assert snntx.preprocess(raw).out.startswith("reusing")


def test_help_names_every_option(snntx: Snntx) -> None:
    output = snntx("preprocess", "--help")
    assert output.code == 0
    for option in (
        "CARD",
        "--raw",
        "--static",
        "--cache",
        "--steps",
        "--size",
        "--json",
        "--jobs",
        "--scheduler",
        "--bad-files",
        "--rehash",
        "--no-space-check",
    ):
        assert option in output.out
    assert "preprocess" in snntx("--help").out
    assert snntx("--version").out.startswith("snntx, version ")


def test_missing_folder(snntx: Snntx, tmp_path: Path) -> None:
    one_line(snntx.preprocess(tmp_path / "none"), 2, "--raw", "/none: no such folder")
    assert not snntx.cache.exists()


def test_empty_folder(snntx: Snntx, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    one_line(snntx.preprocess(tmp_path / "empty"), 2, "/empty: the folder is empty")


def test_file_for_a_folder(snntx: Snntx, raw: Path) -> None:
    path = raw / "Train/0/00000.bin"
    one_line(snntx.preprocess(path), 2, "00000.bin: is a file, expected a folder")


def test_folder_of_other_things(snntx: Snntx, raw: Path) -> None:
    one_line(snntx.preprocess(raw / "Train"), 2, "no file matches {split}/{class}/{number}.bin")


def test_no_known_class(snntx: Snntx, raw: Path) -> None:
    for digit in "01":
        (raw / "Train" / digit).rename(raw / "Train" / f"digit {digit}")
    one_line(
        snntx.preprocess(raw), 2, "6 recordings match", "none is of a class", "digit 0, digit 1"
    )


def test_missing_or_wrong_static_folder(snntx: Snntx, raw: Path, tmp_path: Path) -> None:
    one_line(snntx.preprocess(raw, "--static", tmp_path / "no"), 2, "--static", "no such folder")
    one_line(snntx.preprocess(raw, "--static", raw), 2, "no MNIST file found")


def test_static_for_a_card_without(snntx: Snntx, raw: Path, tmp_path: Path) -> None:
    from snntx import data_cards

    folder = Path(data_cards.__file__).parent
    text = (folder / "shipped/n-mnist.toml").read_text(encoding="utf-8")
    start, end = text.index("[static]"), text.index("[framing]")
    text = (text[:start] + text[end:]).replace('"n-mnist"', '"own"')
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    output = snntx.preprocess(raw, "--static", raw, card=tmp_path / "own.toml")
    one_line(output, 2, "describes no static images; leave out --static")
    assert snntx.preprocess(raw, card=tmp_path / "own.toml").code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"12345678", "8 bytes is not a whole number of 5-byte ATIS records"),
        (b"\0\xf0\0\0\0", "no events; a recording needs at least one"),
        (b"\0\0\0\0\2" + b"\0\0\0\0\1", "time goes back at event 1, from 2 to 1 us"),
        (b"\0\x22\0\0\0", "outside the sensor of 34 rows and 34 columns"),
    ],
)
def test_bad_recordings(snntx: Snntx, raw: Path, content: bytes, message: str) -> None:
    (raw / "Train/1/00003.bin").write_bytes(content)
    one_line(snntx.preprocess(raw), 1, "my raw/Train/1/00003.bin: ", message)
    assert caches(snntx.cache) == []


def test_unreadable_recording(snntx: Snntx, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refuse(self: Path) -> bytes:
        if self.name == "00003.bin":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    one_line(snntx.preprocess(raw), 1, "00003.bin: cannot be read: Permission denied")


def test_unknown_card(snntx: Snntx, raw: Path) -> None:
    one_line(snntx.preprocess(raw, card="nmnist"), 2, "'nmnist'; did you mean 'n-mnist'?")
    one_line(snntx.preprocess(raw, card="own.toml"), 2, "own.toml: no such card file")


def test_unknown_command(snntx: Snntx) -> None:
    one_line(snntx("preproces"), 2, "unknown command 'preproces'; did you mean 'preprocess'?")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--setps", "3"], "--setps 3: is no option of this command; write --steps 3"),
        (["--steps", "three"], "'three' is not a valid integer"),
        (["--steps"], "requires an argument"),
        (["extra"], "unexpected extra argument"),
        (["--jobs", "x"], "'--jobs': 'x' is not a valid integer"),
        (["--bad-files", "ignore"], "'ignore' is not one of 'stop', 'skip'"),
    ],
)
def test_wrong_options(snntx: Snntx, raw: Path, arguments: list[str], message: str) -> None:
    one_line(snntx.preprocess(raw, *arguments), 2, message)


def test_raw_is_required(snntx: Snntx) -> None:
    one_line(
        snntx("preprocess", "n-mnist"), 2, "Missing option '--raw'; see: snntx preprocess --help"
    )


@pytest.mark.parametrize("group", [[], ["cache"]])
def test_a_group_alone_says_what_there_is(snntx: Snntx, group: list[str]) -> None:
    output = snntx(*group)
    listed = output.out + output.err  # standard output or error, by the release of click
    assert f"Usage: {' '.join(['snntx', *group])} [OPTIONS] COMMAND" in listed
    assert ("  ls " if group else "  preprocess ") in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", 0], "steps must be at least 1, found 0"),
        (["--steps", -5], "steps must be at least 1, found -5"),
        (["--size", 0], "size must be positive"),
        (["--steps", 10**9], "would take more than 1024 MiB; take fewer steps"),
        (["--size", 10**6], "would take more than 1024 MiB"),
    ],
)
def test_options_without_meaning(
    snntx: Snntx, raw: Path, arguments: list[Any], message: str
) -> None:
    one_line(snntx.preprocess(raw, *arguments), 2, message)
    assert not snntx.cache.exists()


def test_disk_too_small(snntx: Snntx, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    one_line(
        snntx.preprocess(raw), 1, "0.0 MB free, but this cache needs about", "--no-space-check"
    )
    assert caches(snntx.cache) == []
    assert snntx.preprocess(raw, "--no-space-check").code == 0


@pytest.mark.parametrize("name", ["frames-00000.h5", "static.h5", "index.h5", "SEALED"])
def test_disk_full_while_writing(
    snntx: Snntx, raw: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = atomic.placing

    @contextmanager
    def fill(path: Path) -> Iterator[Any]:
        with place(path) as file:
            yield file
            if path.name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "placing", fill)
        one_line(snntx.preprocess(raw), 1, "the disk is full", "run the same command again")
    assert caches(snntx.cache) == []
    assert snntx.preprocess(raw).code == 0
    (directory,) = caches(snntx.cache)
    assert sorted(p.suffix for p in directory.iterdir()) == ["", ".h5", ".h5", ".h5"]


def test_a_write_that_really_fails(snntx: Snntx, raw: Path, tmp_path: Path) -> None:
    # in a process of its own: HDF5 must not crash at its end over a file it could not write
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
from snntx.cli import main
main(sys.argv[1:])
"""
    command = ["preprocess", "n-mnist", "--raw", str(raw), "--cache", str(snntx.cache)]
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, cwd=tmp_path
    )
    one_line(Output(done.returncode, done.stdout, done.stderr), 1, "File too large")
    assert caches(snntx.cache) == []
    assert not list(snntx.cache.rglob("*.part"))
    assert snntx.preprocess(raw).code == 0


def test_cache_cannot_be_written(snntx: Snntx, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snntx.cache.write_text("a file, where the cache should go")
    one_line(snntx.preprocess(raw), 2, "--cache", "cannot be written")
    snntx.cache.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        one_line(snntx.preprocess(raw), 2, "--cache", "Permission denied; choose another folder")


def test_ctrl_c(snntx: Snntx, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("snntx.preprocess.build.writing.frame_recording", interrupt)
        output = snntx.preprocess(raw)
    assert output.code == 130
    assert output.err.strip() == "snntx: interrupted; run the same command again to go on"
    assert caches(snntx.cache) == []
    assert snntx.preprocess(raw).code == 0


def test_out_of_memory_is_one_line(
    snntx: Snntx, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("snntx.preprocess.build.writing.frame_recording", too_much)
    one_line(snntx.preprocess(raw), 1, "MemoryError")


def test_closed_pipe_is_silent(snntx: Snntx, raw: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "snntx", "cards"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""


def test_static_fit_is_for_static_images(snntx: Snntx, raw: Path, tmp_path: Path) -> None:
    asked = ["--static-fit", "stretch"]
    out = snntx.preprocess(raw, *asked)
    assert (out.code, out.err) == (
        2,
        "snntx: error: static_fit = 'stretch' is for static images, but --static is not given; "
        "leave it out\n",
    )
    assert snntx.preprocess(raw).code == 0
    out = snntx.preprocess(raw, "--static", tmp_path, "--static-fit", "pad", card="cep-dvs")
    assert out.code == 2
    assert out.err.startswith("snntx: error: card cep-dvs with static_fit = 'pad': [static] order")
