"""Builds by many processes: the same bytes as by one, whatever dies on the way."""

import dataclasses
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from snntx.data_cards import load_card
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess.build import builder as build
from snntx.preprocess.build import stages, workers
from snntx.preprocess.build.tasks import in_order
from snntx.preprocess.cache import format as cache_format
from snntx.preprocess.framing.events import Events
from snntx.preprocess.planning.plan import make_request
from snntx.preprocess.readers.formats.atis import encode

OLD = 1_500_000_000
RECORDINGS = 60


def write_recordings(folder: Path, count: int, events: int = 300) -> Path:
    rng = np.random.default_rng(0)
    for i in range(count):
        x, y = rng.integers(0, 34, (2, events))
        t, p = np.sort(rng.integers(0, 90_000, events)), rng.integers(0, 2, events)
        path = folder / f"Train/{i % 3}/{i + 1:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]
        os.utime(path, (OLD, OLD))
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("raw"), RECORDINGS)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten recordings a shard, and workers for however little."""
    monkeypatch.setattr(cache_format, "SHARD_RECORDINGS", 10)
    monkeypatch.setattr(stages, "WORTHWHILE_BYTES", 0)


def make(raw: Path, cache: Path, **how: Any) -> build.Summary:
    request = make_request(load_card("n-mnist"), raw=raw, static=None, cache=cache, steps=3)
    return build.preprocess(request, **how)


def content(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(directory.iterdir())}


@pytest.fixture(scope="module")
def expected(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The cache as one process makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_format, "SHARD_RECORDINGS", 10)
        files = content(make(raw, tmp_path_factory.mktemp("one")).directory)
    assert len([name for name in files if name.startswith("frames")]) == 6
    return files


def processes(marker: str) -> list[int]:
    """Ids of the processes that were started with a word in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def gone(marker: str, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while processes(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes(marker)


@pytest.mark.parametrize("jobs", [2, 4])
def test_any_number_of_jobs_makes_the_same_bytes(
    raw: Path, tmp_path: Path, expected: dict[str, bytes], jobs: int
) -> None:
    seen: list[tuple[int, int]] = []
    summary = make(raw, tmp_path, jobs=jobs, progress=lambda *count: seen.append(count))
    assert content(summary.directory) == expected
    assert seen[0] == (0, RECORDINGS)
    assert seen[-1] == (RECORDINGS, RECORDINGS)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert sorted(p.name for p in summary.directory.parent.iterdir() if p.suffix != ".lock") == (
        sorted([summary.key, "digests.json"])
    )


def test_one_shard_starts_no_worker(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_format, "SHARD_RECORDINGS", 512)
    monkeypatch.setattr(workers.Workers, "_start_one", None)
    assert make(raw, tmp_path, jobs=4).recordings == RECORDINGS


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_must_be_positive(raw: Path, tmp_path: Path, jobs: int) -> None:
    with pytest.raises(UsageError, match=f"jobs must be at least 1, found {jobs}"):
        make(raw, tmp_path, jobs=jobs)


def test_a_bad_file_in_a_worker_is_the_same_error(tmp_path: Path) -> None:
    raw = write_recordings(tmp_path / "raw", 30)
    (raw / "Train/0/00004.bin").write_bytes(b"1234567")
    with pytest.raises(BadFileError, match=r"Train/0/00004\.bin: 7 bytes is not a whole"):
        make(raw, tmp_path / "cache", jobs=2)
    assert not list(tmp_path.rglob("SEALED"))


@dataclasses.dataclass(frozen=True)
class Doing:
    """A task for the tests of the workers themselves."""

    what: str
    title: str = "the work"

    def run(self, done: Any) -> Any:
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "memory":
            raise MemoryError
        if self.what == "lambda":
            return lambda: None
        if self.what == "sleep":
            time.sleep(60)
        return os.getpid()


def run(*what: str, jobs: int = 2) -> list[Any]:
    with workers.Workers(jobs) as crew:
        return [value for _, value in crew.run([Doing(w) for w in what], lambda *_: None)]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a spawned process find this module, which pytest imports by path."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])


def test_workers_are_other_processes() -> None:
    pids = run("", "", "", "")
    assert os.getpid() not in pids
    assert len(set(pids)) <= 2


@pytest.mark.parametrize("other", ["", "sleep"])
def test_a_killed_worker_ends_the_work_with_one_line(other: str) -> None:
    started = time.monotonic()
    with pytest.raises(SnntxError, match=r"was killed by SIGKILL while making the work \(out of"):
        run("kill", other)
    assert time.monotonic() - started < 30


def test_errors_come_back() -> None:
    with pytest.raises(MemoryError):
        run("memory", "sleep")
    with pytest.raises(RuntimeError, match="lambda"):
        run("lambda", "")


def test_results_in_order() -> None:
    assert list(in_order([(2, "c"), (0, "a"), (1, "b"), (3, "d")])) == ["a", "b", "c", "d"]


# whole processes


PROGRAM = """
import sys
from snntx.preprocess.build import stages
from snntx.preprocess.cache import format as cache_format
if __name__ == "__main__":
    cache_format.SHARD_RECORDINGS = 10
    stages.WORTHWHILE_BYTES = 0
    from snntx.cli import main
    main(sys.argv[1:])
"""


@contextmanager
def started(raw: Path, cache: Path, jobs: int = 2, before: str = "") -> Iterator[tuple[Any, str]]:
    """A build in a process of its own, and the word in its environment."""
    marker = f"SNNTX_TEST={cache}-{random.random()}"
    name, value = marker.split("=")
    program = cache.parent / "program.py"
    program.write_text(before + PROGRAM)
    arguments = ["--raw", raw, "--cache", cache, "--jobs", jobs, "--steps", 3]
    process = subprocess.Popen(
        [sys.executable, program, "preprocess", "n-mnist", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, name: value},
        start_new_session=True,
    )
    try:
        yield process, marker
    finally:
        process.kill()
        process.communicate()


def wait_for_shards(cache: Path, process: Any, count: int) -> None:
    while len(list(cache.rglob("frames-*.h5"))) < count and process.poll() is None:
        time.sleep(0.002)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("whole_group", [True, False])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_build_ends_in_one_line_and_leaves_its_shards(
    raw: Path,
    tmp_path: Path,
    expected: dict[str, bytes],
    how: signal.Signals,
    whole_group: bool,
    jobs: int,
) -> None:
    cache = tmp_path / "cache"
    with started(raw, cache, jobs) as (process, marker):
        wait_for_shards(cache, process, 1)
        (os.killpg if whole_group else os.kill)(process.pid, how)
        _, said = process.communicate(timeout=30)
        assert gone(marker)
    if how is not signal.SIGKILL and process.returncode != 0:
        assert process.returncode == 128 + how
        assert said.strip() == "snntx: interrupted; run the same command again to go on"
        if jobs == 1:
            assert not list(cache.rglob("*.part"))
    shards = len(list(cache.glob("*/.building-*/frames-*.h5")))
    again = make(raw, cache)
    assert again.resumed_shards == shards
    assert again.reused is (shards == 0)
    assert content(again.directory) == expected


NO_FLOCK = """
import errno, fcntl
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""


def test_without_flock_a_killed_build_does_not_wait_for_itself(
    raw: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    cache = tmp_path / "cache"
    with started(raw, cache, before=NO_FLOCK) as (process, _):
        wait_for_shards(cache, process, 1)
        process.kill()
        process.communicate(timeout=30)
    if process.returncode != 0:  # not done before the signal came
        assert list(cache.rglob("*.lock.held"))
    with started(raw, cache, before=NO_FLOCK) as (process, _):
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    (directory,) = (path.parent for path in cache.rglob("SEALED"))
    assert content(directory) == expected
    assert not list(cache.rglob("*.lock.held"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_alone_hears_no_signal(
    raw: Path, tmp_path: Path, expected: dict[str, bytes], how: signal.Signals
) -> None:
    cache = tmp_path / "cache"
    with started(raw, cache) as (process, marker):
        while process.poll() is None:
            for pid in processes(marker):
                if pid != process.pid:
                    with suppress(ProcessLookupError):
                        os.kill(pid, how)
            time.sleep(0.01)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    (directory,) = (path.parent for path in cache.rglob("SEALED"))
    assert content(directory) == expected


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stopped_at_any_moment_it_ends_alike(
    raw: Path, tmp_path: Path, how: signal.Signals, jobs: int
) -> None:
    moments = random.Random(f"{how}{jobs}")
    for number in range(25):
        cache = tmp_path / f"cache{number}"
        with started(raw, cache, jobs) as (process, marker):
            while not list(cache.rglob("*.part")) and process.poll() is None:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.3))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            _, said = process.communicate(timeout=30)
            assert gone(marker)
        if process.returncode != 0:
            assert process.returncode == 128 + how, said
            assert said.strip() == "snntx: interrupted; run the same command again to go on"


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["parent", "worker"])
@pytest.mark.parametrize("seed", range(6))
def test_killed_at_a_random_moment_it_ends_with_the_same_bytes(
    raw: Path, tmp_path: Path, expected: dict[str, bytes], victim: str, seed: int
) -> None:
    cache = tmp_path / "cache"
    pause = random.Random(f"{victim}{seed}").uniform(0, 0.4)
    with started(raw, cache) as (process, marker):
        while not list(cache.rglob("*.part")) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(pause)
        others = [pid for pid in processes(marker) if pid != process.pid]
        target = process.pid if victim == "parent" or not others else random.choice(others)
        if process.poll() is None:
            os.kill(target, signal.SIGKILL)
        process.communicate(timeout=30)
        assert gone(marker)
    left = len(list(cache.glob("*/.building-*/frames-*.h5")))
    again = make(raw, cache, jobs=2)
    assert again.resumed_shards == left
    assert content(again.directory) == expected


# Dask


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        patch.dict(os.environ),  # a cluster leaves OMP_NUM_THREADS=1 and more behind
        distributed.LocalCluster(processes=True, **options) as running,
    ):
        yield running


def test_a_dask_cluster_makes_the_same_bytes(
    raw: Path, tmp_path: Path, expected: dict[str, bytes], cluster: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(raw)  # the workers are elsewhere
    seen: list[tuple[int, int]] = []
    summary = make(
        Path(),
        tmp_path,
        scheduler=cluster.scheduler_address,
        progress=lambda *count: seen.append(count),
    )
    assert content(summary.directory) == expected
    assert seen[-1] == (RECORDINGS, RECORDINGS)
    assert not list(tmp_path.rglob(".seen*"))


def test_a_bad_file_on_a_cluster(tmp_path: Path, cluster: Any) -> None:
    raw = write_recordings(tmp_path / "raw", 12)
    (raw / "Train/0/00004.bin").write_bytes(b"1234567")
    with pytest.raises(BadFileError, match=r"Train/0/00004\.bin: 7 bytes is not a whole"):
        make(raw, tmp_path / "cache", scheduler=cluster.scheduler_address)


def test_workers_that_see_other_files(
    raw: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snntx.preprocess.disk import dask_client as module

    check = module._check
    monkeypatch.setattr(
        module, "_check", lambda c, a, b, folders: check(c, a, b, [*folders, Path("/no/such")])
    )
    with pytest.raises(SnntxError, match="does not see /no/such; every worker must see the raw"):
        make(raw, tmp_path, scheduler=cluster.scheduler_address)


def test_no_scheduler_there(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("snntx.preprocess.disk.dask_client.CONNECT_SECONDS", 0.5)
    with pytest.raises(UsageError, match="no Dask scheduler answers there"):
        make(raw, tmp_path, scheduler="tcp://127.0.0.1:9")
    assert not list(tmp_path.rglob(".building-*[!k]"))  # a lock may stay, no empty build


@pytest.mark.parametrize("address", ["nonsense", "tcp://host:port", "http://127.0.0.1:9"])
def test_an_address_that_is_none_is_one_line(raw: Path, tmp_path: Path, address: str) -> None:
    """In a process of its own: what a failed client says at its end counts, too."""
    pytest.importorskip("distributed")
    command = [sys.executable, "-m", "snntx", "preprocess", "n-mnist", "--raw", str(raw)]
    done = subprocess.run(
        [*command, "--cache", str(tmp_path / "cache"), "--scheduler", address],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    expected = f"snntx: error: --scheduler {address}: no Dask scheduler answers there, expected one"
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


def test_a_server_that_never_answers(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("snntx.preprocess.disk.dask_client.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"{address}: no Dask scheduler answers there"):
            make(raw, tmp_path, scheduler=address)


def test_dask_is_not_installed(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"not installed: pip install 'snntx\[dask\]'"):
        make(raw, tmp_path, scheduler="tcp://127.0.0.1:9")
