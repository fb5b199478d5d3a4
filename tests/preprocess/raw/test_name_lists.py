"""Lists of names beside the recordings: which set each file is of, and what is wrong with one."""

import re
from pathlib import Path

import pytest

from snntx.data_cards.found import NameLists
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.disk.listing import Found
from snntx.preprocess.raw.name_lists import Listed, read_lists

LISTS = NameLists({"train": "to train.txt", "test": "to_test.txt"}, "{user}_{light}.aedat")


@pytest.fixture
def found(tmp_path: Path) -> list[Found]:
    names = ["user01_läb", "user01_led", "user02_led", "user03_led"]
    parts = [name.split("_") for name in names]
    return [
        Found(tmp_path / f"{name}.aedat", f"{name}.aedat", {"user": user, "light": light})
        for name, (user, light) in zip(names, parts, strict=True)
    ]


def read(folder: Path, found: list[Found], train: bytes, test: bytes) -> Listed:
    (folder / "to train.txt").write_bytes(train)
    (folder / "to_test.txt").write_bytes(test)
    return read_lists(LISTS, found)


def sets(listed: Listed) -> list[str]:
    return [each.fields["set"] for each in listed.found]


def test_every_file_has_its_set(tmp_path: Path, found: list[Found]) -> None:
    """Blank lines, blanks, ends of lines and marks of any system, and a name given twice."""
    train = "user01_läb.aedat\r\n\r\n  user03_led.aedat \r\nuser03_led.aedat\r\n".encode(
        "utf-8-sig"
    )
    listed = read(tmp_path, found, train, b"\nuser01_led.aedat\n\nuser02_led.aedat")
    assert sets(listed) == ["train", "test", "test", "train"]
    assert listed.files == {name: tmp_path / name for name in ("to train.txt", "to_test.txt")}
    assert listed.notes == ()
    assert found[0].fields == {"user": "user01", "light": "läb"}


def test_names_without_files_and_files_without_names(tmp_path: Path, found: list[Found]) -> None:
    train = b"user01_led.aedat\nuser09_led.aedat\nuser08_led.aedat\n"
    listed = read(tmp_path, found, train, b"user02_led.aedat\n")
    assert sets(listed) == ["", "train", "test", ""]
    assert listed.notes == (
        "names in to train.txt, to_test.txt that no file has: 2, such as user08_led.aedat",
        "files that none of to train.txt, to_test.txt names, which no protocol by set uses: 2, "
        "such as user01_läb.aedat",
    )


def test_a_missing_list_says_what_it_holds(tmp_path: Path, found: list[Found]) -> None:
    (tmp_path / "to train.txt").write_text("user01_led.aedat\n")
    line = (
        f"{tmp_path}/to_test.txt: no such file; it holds the names of the files of 'test', one a "
        "line, such as user01_läb.aedat: copy it there from the data set's archive"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(line)}$"):
        read_lists(LISTS, found)
    (tmp_path / "TO_TEST.TXT").write_text("user01_läb.aedat\n", "utf-8")  # as other systems write
    assert sets(read_lists(LISTS, found)) == ["test", "train", "", ""]


def test_a_name_in_two_lists(tmp_path: Path, found: list[Found]) -> None:
    with pytest.raises(BadFileError, match=r"to_test.txt: line 2 names user01_led.aedat, which li"):
        read(tmp_path, found, b"\n\nuser01_led.aedat\n", b"user02_led.aedat\nuser01_led.aedat\n")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (b"", r"to train.txt: the file is empty \(0 bytes\)"),
        (b"\xff\xfe\x00u", "to train.txt: .*UTF-16"),
    ],
)
def test_lists_that_are_no_text(
    tmp_path: Path, found: list[Found], train: bytes, message: str
) -> None:
    with pytest.raises(BadFileError, match=message):
        read(tmp_path, found, train, b"user02_led.aedat\n")


def test_lists_of_something_else(tmp_path: Path, found: list[Found]) -> None:
    with pytest.raises(
        UsageError, match=r"found names such as 7, 8; expected such as user01_läb\.ae"
    ):
        read(tmp_path, found, b"7\n", b"8\n")
