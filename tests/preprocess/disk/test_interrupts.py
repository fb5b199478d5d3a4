"""Signals while HDF5 writes: noted, heard between two records or at the end, never lost."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from snntx.preprocess.disk.hdf5 import creating
from snntx.preprocess.disk.interrupts import blocked, check, held_back


class TermError(Exception):
    """Raised by the handler in force."""


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    def heard(*_: object) -> None:
        raise TermError

    before = signal.signal(signal.SIGTERM, heard)
    yield
    assert signal.getsignal(signal.SIGTERM) is heard
    signal.signal(signal.SIGTERM, before)


def send(number: int) -> None:
    signal.raise_signal(number)  # to this thread, whatever others there are


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TermError)]
)
def test_a_signal_is_held_back_to_the_end(number: int, raised: type[BaseException]) -> None:
    done = []

    @held_back()
    def work() -> None:
        send(number)
        send(number)
        done.append("work")

    with pytest.raises(raised):
        work()
    assert done == ["work"]


def test_it_is_heard_where_asked_and_once() -> None:
    with held_back():
        send(signal.SIGTERM)
        with pytest.raises(TermError):
            check()
        check()


def test_without_signals_nothing_happens() -> None:
    check()
    with held_back():
        check()
        with held_back():
            check()


def test_the_outermost_context_hears() -> None:
    done = []

    @held_back()
    def work() -> None:
        with held_back():
            send(signal.SIGTERM)
        done.append("still at work")

    with pytest.raises(TermError):
        work()
    assert done == ["still at work"]


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_back():
            send(signal.SIGHUP)
            check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_may_write_too(tmp_path: Path) -> None:
    def write() -> None:
        with creating(tmp_path / "file.h5", lambda file: None) as file:
            file["x"] = 5

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert (tmp_path / "file.h5").is_file()


def test_a_file_is_whole_or_absent_whenever_the_signal_comes(tmp_path: Path) -> None:
    def half() -> None:
        with creating(tmp_path / "absent.h5", lambda file: None) as file:
            file["x"] = list(range(1000))
            send(signal.SIGINT)
            check()

    with pytest.raises(KeyboardInterrupt):
        half()
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(KeyboardInterrupt),
        creating(tmp_path / "whole.h5", lambda file: send(signal.SIGINT)) as file,
    ):
        file["x"] = list(range(1000))
    assert [path.name for path in tmp_path.iterdir()] == ["whole.h5"]


def test_blocked_signals_come_a_moment_later() -> None:
    done = []

    @blocked()
    def start() -> None:
        send(signal.SIGTERM)
        done.append("started")

    with pytest.raises(TermError):
        start()
    assert done == ["started"]
