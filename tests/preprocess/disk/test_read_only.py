"""An installation, a home and a cache root that cannot be written are used all the same."""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from snntx.errors import SnntxError
from snntx.preprocess.disk import kernel_cache
from snntx.preprocess.disk.kernel_cache import place_kernels, prefer

CARD = "simulated-digits"
COMPILE = """
import numpy as np
from snntx.preprocess.disk.kernel_cache import prefer
from pathlib import Path
import sys
prefer(Path(sys.argv[1]))
import snntx
from snntx.preprocess.framing.kernels import search_records
from snntx.train.network.backends.compiled import kernels
print(snntx.__file__, search_records(np.zeros(2, np.uint32), np.array([5])))
"""


@pytest.fixture
def bare(tmp_path: Path, unprivileged: ModuleType) -> Iterator[Path]:
    """A folder with a read-only installation and home, and a temporary folder of its own."""
    for name in ("site", "home", "tmp", "cache"):
        (tmp_path / name).mkdir()
    unprivileged.installed(tmp_path / "site")
    (tmp_path / "home").chmod(0o555)
    yield tmp_path
    unprivileged.writable(tmp_path)


def environment(bare: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(bare / "site"),
        "HOME": str(bare / "home"),
        "TMPDIR": str(bare / "tmp"),
        "XDG_CACHE_HOME": "",
        "NUMBA_CACHE_DIR": "",
        "SNNTX_CACHE": "",
    }


@pytest.mark.parametrize("root", ["writable", "read-only", "absent"])
def test_kernels_are_compiled_and_kept_where_nothing_of_ones_own_can_be_written(
    bare: Path, unprivileged: ModuleType, root: str
) -> None:
    cache = bare / "cache"
    if root == "read-only":
        cache.chmod(0o555)
    elif root == "absent":
        cache.rmdir()
    for _ in range(2):
        result = unprivileged.call("-c", COMPILE, cache, **environment(bare))
        assert result.returncode == 0, result.stderr
        assert result.stdout == f"{bare}/site/snntx/__init__.py [2]\n"
        place = (
            cache / ".kernels" if root == "writable" else bare / f"tmp/snntx-kernels-{os.getuid()}"
        )
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"snntx: compiled kernels are kept in {place}, since neither")
        assert list(place.rglob("*.nbc"))
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_folder_of_ones_own_is_taken_without_a_line(bare: Path, unprivileged: ModuleType) -> None:
    own = {**environment(bare), "NUMBA_CACHE_DIR": str(bare / "own")}
    result = unprivileged.call("-c", COMPILE, bare / "cache", **own)
    assert (result.returncode, result.stderr) == (0, "")
    assert list((bare / "own").rglob("*.nbc"))


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Neither the installation nor the home can be written; returns the temporary folder."""
    monkeypatch.setattr(kernel_cache, "_has_a_place", lambda: False)
    monkeypatch.setattr(kernel_cache, "_below", [])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setenv(kernel_cache.TRITON_VARIABLE, str(tmp_path))
    monkeypatch.setenv(kernel_cache.VARIABLE, "")
    return tmp_path


@pytest.mark.parametrize("trap", ["writable", "link", "file"])
def test_a_folder_that_others_can_write_is_not_taken(nowhere: Path, trap: str) -> None:
    known = nowhere / f"snntx-kernels-{os.getuid()}"
    if trap == "writable":
        known.mkdir()
        known.chmod(0o777)
    elif trap == "link":
        (nowhere / "elsewhere").mkdir()
        known.symlink_to(nowhere / "elsewhere")
    else:
        known.touch()
    lines: list[str] = []
    place_kernels(lines.append)
    chosen = Path(os.environ[kernel_cache.VARIABLE])
    assert chosen.parent == nowhere
    assert chosen not in (known, nowhere / "elsewhere")
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o700
    assert len(lines) == 1
    place_kernels(pytest.fail)  # once chosen, it is kept, by child processes too
    import numba

    assert str(chosen) == numba.config.CACHE_DIR


def test_the_root_of_the_caches_comes_first(nowhere: Path) -> None:
    (nowhere / "root").mkdir()
    prefer(nowhere / "root")
    place_kernels(lambda line: None)
    assert os.environ[kernel_cache.VARIABLE] == str(nowhere / "root/.kernels")


def test_nothing_at_all_is_one_line_and_its_advice_helps(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_cache, "_private", lambda folder: None)

    def fail(**_: str) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkdtemp", fail)
        with pytest.raises(SnntxError, match=r"no folder can be written .* set NUMBA_CACHE_DIR to"):
            place_kernels(pytest.fail)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(nowhere))
    place_kernels(pytest.fail)


@pytest.fixture
def sealed(small_cache: Path, tmp_path: Path, unprivileged: ModuleType) -> Iterator[Path]:
    """A sealed cache whose root cannot be written."""
    shutil.copytree(small_cache / "cache", tmp_path / "cache")
    unprivileged.read_only(tmp_path / "cache")
    yield tmp_path / "cache"
    unprivileged.writable(tmp_path)


def test_a_read_only_root_is_reused_by_every_command(
    sealed: Path, small_cache: Path, tmp_path: Path, unprivileged: ModuleType
) -> None:
    def snntx(*arguments: object) -> str:
        result = unprivileged.call("-m", "snntx", *arguments)
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
        return str(result.stdout)

    before = sorted(sealed.rglob("*"))
    data = small_cache / "data"
    build = ["preprocess", CARD, "--raw", data / "raw", "--static", data / "static"]
    made = json.loads(snntx(*build, "--cache", sealed, "--steps", 3, "--json"))
    assert made["reused"] is True
    assert made["directory"].startswith(str(sealed))
    for command in ("ls", "show", "verify"):
        assert made["key"] in snntx("cache", command, CARD, "--cache", sealed)
    settings = "steps=3 epochs=1 method=event-only recordings_per_class=1 batch_size=10 width=0.25"
    words = [word for each in settings.split() for word in ("--set", each)]
    run = tmp_path / "run"
    snntx("train", CARD, "--cache", sealed, "--out", run, *words)
    snntx("evaluate", run, "--cache", sealed)
    assert sorted(sealed.rglob("*")) == before
    result = unprivileged.call("-m", "snntx", *build, "--cache", sealed, "--steps", 4)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "cannot be written: Permission denied; choose another folder" in result.stderr
