"""A file of another kind is named, and never to be downloaded again."""

from pathlib import Path

import pytest

from snntx.errors import BadFileError, UsageError
from snntx.preprocess.readers.reading import read_events, read_recordings
from snntx.preprocess.readers.versions import KINDS, PAGE, TOLD, FileKind, what_is


@pytest.mark.parametrize("format", sorted(TOLD))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: repr(kind.start[:8]))
def test_no_reader_sends_for_a_file_of_another_kind(
    format: str, kind: FileKind, tmp_path: Path
) -> None:
    path = tmp_path / "recording"
    path.write_bytes(kind.start + bytes(range(1, 250)) * 3 + b"\1\2\3")
    assert what_is(path) == kind
    if format in kind.formats or kind.what == PAGE:
        return
    for read in (
        lambda: read_events(path, format),
        lambda: [*read_recordings(path, format, [()])[1]],
    ):
        said = ""
        try:
            read()
        except (BadFileError, UsageError) as error:  # not every format is read one by one
            said = str(error)
        assert "download" not in said
        assert "\n" not in said


def test_what_it_is_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for start, said in (
        (b"\x1f\x8b\x08" + bytes(20), "a gzip archive, expected one of format atis; unpack it"),
        (
            b"\x93NUMPY" + bytes(30),
            "an array of numpy, expected one of format atis; set format = npy",
        ),
    ):
        path.write_bytes(start)
        with pytest.raises(BadFileError) as caught:
            read_events(path, "atis")
        assert str(caught.value).startswith(f"{path}: {said}")


def test_a_damaged_file_of_its_own_kind_is_to_be_had_again(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(BadFileError, match="again"):
        read_events(path, "npy")
    assert what_is(tmp_path / "none") is None


def test_an_error_is_never_its_own_cause(tmp_path: Path) -> None:
    """What walks along the causes, as a cluster's workers do, would never end."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"1234567")
    with pytest.raises(BadFileError, match="7 bytes is not a whole") as caught:
        read_events(path, "atis")
    assert caught.value.__cause__ is not caught.value
