"""Listing: which files are recordings, under which names, in which order."""

import os
from pathlib import Path

import pytest

from snntx.errors import UsageError
from snntx.preprocess.disk import listing
from snntx.preprocess.disk.listing import Passed, find_files

PATTERN = "{class}/{stem}.bin"


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def identities(root: Path, pattern: str = PATTERN, roots: tuple[str, ...] = (".",)) -> list[str]:
    return [found.identity for found in find_files(root, roots, pattern, "--raw")]


def test_names_fields_and_identity(tmp_path: Path) -> None:
    touch(tmp_path, "Train/5/00001.bin", "Test/0/00002.bin")
    test, train = find_files(tmp_path, (".",), "{split}/{class}/{number}.bin", "--raw")
    assert train.identity == "Train/5/00001"
    assert train.relative == "Train/5/00001.bin"
    assert train.class_name == "5"
    assert dict(train.fields) == {"split": "Train", "class": "5", "number": "00001"}
    assert train.path.read_bytes() == b"x"
    assert test.identity == "Test/0/00002"


def test_order_is_by_identity_whatever_the_disk_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["b/1.bin", "a/2.bin", "a/10.bin", "Z/1.bin", "a b/1.bin", "ä/1.bin"]
    touch(tmp_path, *names)
    expected = ["Z/1", "a b/1", "a/10", "a/2", "b/1", "ä/1"]
    assert identities(tmp_path) == expected
    scandir = os.scandir

    class Backwards:
        def __init__(self, folder: Path) -> None:
            with scandir(folder) as entries:
                self.entries = sorted(entries, key=lambda e: e.name, reverse=True)

        def __enter__(self) -> "list[os.DirEntry[str]]":
            return self.entries

        def __exit__(self, *_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(listing, "require_folder", lambda folder, what: None)
        patch.setattr(os, "scandir", Backwards)
        assert identities(tmp_path) == expected


def test_spaces_and_letters_of_other_alphabets(tmp_path: Path) -> None:
    names = ["Faces easy/image 0001.bin", "Ångström/été.bin", "漢字/文 1.bin", "a.b/c.d.bin"]
    touch(tmp_path, *names)
    assert sorted(identities(tmp_path)) == sorted(n.removesuffix(".bin") for n in names)
    assert {f.class_name for f in find_files(tmp_path, (".",), PATTERN, "--raw")} == {
        "Faces easy",
        "Ångström",
        "漢字",
        "a.b",
    }


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a/1.bin",
        "a/._1.bin",
        "a/.2.bin",
        ".git/1.bin",
        "__MACOSX/a/1.bin",
        "a/readme.txt",
        "a/1.bin.part",
        "1.bin",
        "a/deep/2.bin",
    )
    (tmp_path / "a/folder.bin").mkdir()
    assert identities(tmp_path) == ["a/1"]


def test_suffix_case_is_ignored_but_not_that_of_names(tmp_path: Path) -> None:
    touch(tmp_path, "A/1.BIN", "a/1.bin", "a/2.Bin")
    assert identities(tmp_path) == ["A/1", "a/1", "a/2"]


def test_two_files_of_one_identity_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.bin", "a/1.BIN")
    with pytest.raises(UsageError, match=r"a/1\.BIN and a/1\.bin have one identity"):
        identities(tmp_path)


def test_literal_parts_of_a_pattern_are_literal(tmp_path: Path) -> None:
    touch(tmp_path, "x/rec_1.v2.bin", "x/rec_2xv2.bin", "x/other_1.v2.bin")
    assert identities(tmp_path, "{class}/rec_{n}.v2.bin") == ["x/rec_1.v2"]


def test_a_field_named_twice_must_agree(tmp_path: Path) -> None:
    touch(tmp_path, "a/a_1.bin", "a/b_1.bin")
    assert identities(tmp_path, "{class}/{class}_{n}.bin") == ["a/a_1"]


def test_roots_are_tried_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "one/a/1.bin", "two/a/2.bin", "a/3.bin")
    (tmp_path / "zero").mkdir()
    assert identities(tmp_path, roots=("zero", "two", "one", ".")) == ["a/2"]
    assert identities(tmp_path, roots=("none", ".")) == ["a/3"]


def test_symlinked_folders_and_files_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "store/image.bin")
    raw = tmp_path / "raw"
    (raw / "a").mkdir(parents=True)
    (raw / "b").symlink_to(tmp_path / "store")
    (raw / "a/1.bin").symlink_to(tmp_path / "store/image.bin")
    assert identities(raw) == ["a/1", "b/image"]


def test_symlink_loops_do_not_hold_the_walk(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.bin")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    assert identities(tmp_path) == ["a/1"]


@pytest.mark.parametrize("target", ["2.bin", "gone.bin"])
def test_a_recording_that_links_nowhere_is_not_dropped_silently(
    tmp_path: Path, target: str
) -> None:
    touch(tmp_path, "a/1.bin")
    (tmp_path / "a/2.bin").symlink_to(target)
    with pytest.raises(UsageError, match=r"a/2\.bin: is a link that leads nowhere"):
        identities(tmp_path)


def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.bin")
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system refuses such names itself")
    with pytest.raises(UsageError, match=r"caf\\xe9': the name is not UTF-8"):
        identities(tmp_path)


def test_missing_empty_or_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--raw .*/none: no such folder"):
        identities(tmp_path / "none")
    with pytest.raises(UsageError, match="the folder is empty"):
        identities(tmp_path)
    touch(tmp_path, "file")
    with pytest.raises(UsageError, match="file: is a file, expected a folder"):
        identities(tmp_path / "file")


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.bin", "b/1.bin")
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "b":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match="/b: cannot be listed: Permission denied"):
        identities(tmp_path)


def test_nothing_matches_says_where_it_looked(tmp_path: Path) -> None:
    touch(tmp_path, "Train/5/1.txt")
    with pytest.raises(UsageError, match=r"no file matches {class}/{stem}\.bin \(looked in .*/Tr"):
        identities(tmp_path, roots=("Train", "."))


JUNK = ["a/._1.bin", "a/.DS_Store", "__MACOSX/a/1.bin", "a/Thumbs.db", "a/desktop.ini"]


def test_what_file_managers_leave_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.bin", "a/.hidden", *JUNK)
    passed = Passed()
    found = find_files(tmp_path, (".",), "{class}/{stem}", "--raw", passed=passed)
    assert [f.relative for f in found] == ["a/1.bin"]
    assert sorted(passed.junk) == [
        "__MACOSX", "a/.DS_Store", "a/._1.bin", "a/Thumbs.db", "a/desktop.ini",
    ]  # fmt: skip
    assert passed.notes("--raw") == (
        "files that file managers left below --raw passed over: 5, such as __MACOSX",
    )


def test_dead_links_are_listed_where_they_may_be_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.bin")
    (tmp_path / "a/2.bin").symlink_to("gone")
    (tmp_path / "b").symlink_to("gone")
    passed = Passed(skip=True)
    found = find_files(tmp_path, (".",), PATTERN, "--raw", passed=passed)
    assert [f.relative for f in found] == ["a/1.bin"]
    assert passed.skipped("raw") == (("raw/a/2.bin", "is a link that leads nowhere"),)
    assert passed.notes("--raw") == (
        "links below --raw that lead to no folder passed over: 1, such as b",
    )


def test_what_matches_and_is_no_file_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.bin")
    (tmp_path / "a/2.bin").mkdir()
    os.mkfifo(tmp_path / "a/3.bin")
    passed = Passed()
    found = find_files(tmp_path, (".",), PATTERN, "--raw", passed=passed)
    assert [f.relative for f in found] == ["a/1.bin"]
    assert passed.notes("--raw") == (
        "names below --raw that match and are no files passed over: 2, such as a/2.bin",
    )
