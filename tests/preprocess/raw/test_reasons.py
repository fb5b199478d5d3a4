"""Reasons that a cache keeps: names of the manifest, and nothing of the machine."""

from pathlib import Path

import pytest

from snntx.errors import BadFileError
from snntx.preprocess.raw.reasons import reason_of


def test_a_reason_has_no_path_whatever_the_path_holds() -> None:
    path = Path("/data/a\nb.bin")
    error = BadFileError(f"{path}: cut off; see {path}")
    assert reason_of(error, path, "raw/a\nb.bin") == r"cut off; see raw/a\nb.bin"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{path}: 7 bytes", "7 bytes"),
        ("{path}/member 'a': damaged", "raw/Train/5/00001.bin/member 'a': damaged"),
        ("{folder}/00001.csv: row 3", "raw/Train/5/00001.csv: row 3"),
        ("{root}/pathFile.csv: line 2", "raw/pathFile.csv: line 2"),
        ("no such file: '/usr/lib/x y/z.py'", "no such file: 'x y/z.py'"),
        ("see /tmp/tmp93xk2/part.npy", "see part.npy"),
        ("<Reader object at 0x7f31a2b4c5d0> failed", "<Reader object> failed"),
        ("10 km/h, a/b, 3 / 4, https://x.org/a", "10 km/h, a/b, 3 / 4, https://x.org/a"),
    ],
)
def test_what_is_of_the_machine_goes(tmp_path: Path, text: str, expected: str) -> None:
    root = tmp_path / "my data é"
    path = root / "Train/5/00001.bin"
    error = BadFileError(text.format(path=path, folder=path.parent, root=root))
    assert reason_of(error, path, "raw/Train/5/00001.bin") == expected


def test_a_folder_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk/raw").mkdir(parents=True)
    (tmp_path / "raw").symlink_to(tmp_path / "disk/raw")
    path = tmp_path / "raw/a.bin"
    for root in ("raw", "disk/raw"):
        error = BadFileError(f"{tmp_path / root / 'a.bin'}: bad, see {tmp_path / root / 'a.csv'}")
        assert reason_of(error, path, "raw/a.bin") == "bad, see raw/a.csv"
