"""Fixtures that every test may use: the real recordings, where they are at hand."""

import os
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parent.parent


def _real_folder() -> Path:
    return Path(os.environ.get("SNNTX_REAL", _CHECKOUT.parent / "shared" / "real"))


@pytest.fixture(scope="session")
def real() -> Path:
    """Folder of the real recordings; tests that ask for it skip where it is absent."""
    folder = _real_folder()
    if not folder.is_dir():
        pytest.skip(f"real recordings not found: SNNTX_REAL={folder}")
    return folder


def pytest_report_header() -> str:
    folder = _real_folder()
    return f"real recordings: {folder if folder.is_dir() else f'absent ({folder})'}"
