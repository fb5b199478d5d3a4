"""Locks with and without the system's own: who holds them, when they are taken over, how waiting
for them ends."""

import errno
import fcntl
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from snntx.errors import SnntxError
from snntx.preprocess.disk import locks
from snntx.preprocess.disk.locks import BusyError, Lock, waiting_for

KINDS = [
    "flock",
    *sorted(errno.errorcode[n] for n in {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}),
]
HOLDER = """
import errno, fcntl, sys, time
from pathlib import Path
from snntx.preprocess.disk.locks import Lock
kind = sys.argv[2]
def refuse(*_):
    raise OSError(getattr(errno, kind), kind)
if kind != "flock":
    fcntl.flock = refuse
lock = Lock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system's way to lock, or the error with which it says that it has none."""
    name: str = request.param

    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    if name != "flock":
        monkeypatch.setattr(fcntl, "flock", refuse)
    return name


def other(path: Path, kind: str) -> "subprocess.Popen[str]":
    """A process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), kind], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_one_at_a_time(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.lock"
    with Lock(path):
        assert Lock(path).is_held()
        with pytest.raises(BusyError, match=f"^process {os.getpid()} on {socket.gethostname()} "):
            Lock(path).acquire()
    assert not Lock(path).is_held()
    with Lock(path):
        pass
    assert not Lock(path).marker.exists()


def test_the_holder_is_named_and_its_death_frees_the_lock(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.lock"
    process = other(path, kind)
    lock = Lock(path)
    with pytest.raises(BusyError) as busy:
        lock.acquire()
    when = r"\(since \d\d:\d\d on \d\d \w+ \d{4}\)"
    wanted = f"process {process.pid} on {re.escape(socket.gethostname())} {when}"
    assert re.fullmatch(wanted, str(busy.value))
    assert lock.way_out() == "wait for its end or stop it"
    process.kill()
    process.wait()
    with lock:
        assert Lock(path).is_held()


def test_asking_leaves_nothing(tmp_path: Path, kind: str) -> None:
    assert not Lock(tmp_path / "a.lock").is_held()
    assert list(tmp_path.iterdir()) == []


def test_an_old_lock_file_of_ones_own_is_no_holder(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.lock"
    path.touch()  # as the system's lock leaves it
    assert not Lock(path).is_held()
    with Lock(path):
        pass


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lock:
    """A lock held on another host, on a file system without the system's locks."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = Lock(tmp_path / "a.lock")
    lock.marker.write_text("1\nanother-host\n")
    return lock


def test_a_holder_elsewhere_is_never_taken_for_gone(elsewhere: Lock) -> None:
    with pytest.raises(BusyError, match=r"^process 1 on another-host "):
        elsewhere.acquire()
    assert not elsewhere.is_here()


def test_waiting_names_the_holder_ends_and_its_advice_helps(
    elsewhere: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT_ELSEWHERE_SECONDS", 0.3)
    said: list[str] = []
    with (
        pytest.raises(SnntxError) as error,
        waiting_for(elsewhere.path, "building this cache", said.append),
    ):
        pytest.fail("entered")
    assert len(said) == 1
    assert said[0].startswith("process 1 on another-host (since ")
    assert "is building this cache; waiting for it, at most " in said[0]
    (gone,) = re.findall(r"or, if it is gone, remove (\S+), and run", str(error.value))
    Path(gone).unlink()
    with waiting_for(elsewhere.path, "building this cache", pytest.fail):
        pass


def test_waiting_for_a_process_of_this_host_has_an_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.1)
    path = tmp_path / "a.lock"
    with (
        Lock(path),
        pytest.raises(SnntxError, match=r"did not end within .*; wait for its end or stop it, and"),
        waiting_for(path, "at work", lambda line: None),
    ):
        pytest.fail("entered")


def test_waiting_goes_on_once_the_holder_has_ended(tmp_path: Path, kind: str) -> None:
    path, said = tmp_path / "a.lock", list[str]()
    held = Lock(path)
    held.acquire()
    timer = threading.Timer(0.3, held.release)
    timer.start()
    started = time.monotonic()
    with waiting_for(path, "at work", said.append):
        assert time.monotonic() - started > 0.2
    assert said == [
        f"{said[0].partition(' is at work')[0]} is at work; waiting for it, at most 24 hours"
    ]
    timer.join()


def test_any_other_error_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output error"):
        Lock(tmp_path / "a.lock").acquire()


def test_a_file_that_somebody_has_locked_is_read(small_cache: Path) -> None:
    """As on a disk whose locks do not work, HDF5 must not ask for one."""
    from snntx.preprocess.cache.frame_cache import FrameCache
    from snntx.preprocess.upkeep.stored import stored_in

    opened = [path.open("rb") for path in (small_cache / "cache").glob("*/*/*.h5")]
    try:
        for file in opened:
            fcntl.flock(file, fcntl.LOCK_EX)
        (found,) = stored_in(small_cache / "cache", "simulated-digits")
        assert found.state == "sealed"
        cache = FrameCache(found.directory)
        assert cache.frames(list(range(len(cache)))).sum() > 0
        assert len(cache.static_images()) > 0
    finally:
        for file in opened:
            file.close()
