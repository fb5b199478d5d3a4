"""Fixtures that every test may use: the real recordings, where they are at hand."""

import importlib
import os
import signal
from pathlib import Path
from types import ModuleType

import pytest

_CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell that starts the tests in the background has its children ignore it.

    What tests start would inherit that, and what they send would then not arrive.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("COLUMNS", None)  # what is printed here goes to no terminal


def _real_folder() -> Path:
    return Path(os.environ.get("SNNTX_REAL", _CHECKOUT.parent / "shared" / "real"))


@pytest.fixture(scope="session")
def real() -> Path:
    """Folder of the real recordings; tests that ask for it skip where it is absent."""
    folder = _real_folder()
    if not folder.is_dir():
        pytest.skip(f"real recordings not found: SNNTX_REAL={folder}")
    return folder


def _beside(name: str) -> ModuleType:
    """Load a module of helpers that lies beside this file."""
    return importlib.import_module(f"snntx.tests.{name}")


@pytest.fixture(scope="session")
def aedat4_files() -> ModuleType:
    """Module that writes AEDAT 4 files."""
    return _beside("aedat4_files")


@pytest.fixture(scope="session")
def cep_dvs_files() -> ModuleType:
    """Module that writes a data set as CEP-DVS lies on disk."""
    return _beside("cep_dvs_files")


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    """The published training step, restated plainly."""
    return _beside("plain_transfer")


@pytest.fixture(scope="session")
def golden_recipe() -> ModuleType:
    """Module that rebuilds the weights and inputs of the golden numbers."""
    return _beside("golden_recipe")


@pytest.fixture(scope="session")
def unprivileged() -> ModuleType:
    """Module that starts processes which permissions bind."""
    return _beside("unprivileged")


@pytest.fixture(scope="session")
def compiled() -> None:
    """All kernels for float32, so that no test hears that they are compiled the first time."""
    from snntx.train.network.backends.compiled import ahead

    ahead.main("float32", *ahead.KERNELS)


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 80 simulated digits in ``data`` and their sealed frames of 3 steps in ``cache``.

    Shared by all tests, so a test copies what it wants to change.
    """
    from snntx.data_cards import load_card
    from snntx.preprocess.build.builder import preprocess
    from snntx.preprocess.digits import write_simulated_digits
    from snntx.preprocess.planning.plan import make_request

    folder = tmp_path_factory.mktemp("small")
    data = folder / "data"
    write_simulated_digits(data, seed=1, recordings=80)
    card = load_card("simulated-digits")
    preprocess(
        make_request(
            card, raw=data / "raw", static=data / "static", cache=folder / "cache", steps=3
        )
    )
    return folder


def pytest_report_header() -> str:
    folder = _real_folder()
    return f"real recordings: {folder if folder.is_dir() else f'absent ({folder})'}"
