"""Files and folders as ``predict`` takes them, and files of another format among them."""

import csv
import io
import json
import tarfile
from pathlib import Path

import pytest

from snntx.cli import run
from snntx.commands.terminal import predictions
from snntx.errors import BadFileError, UsageError
from snntx.preprocess.readers.base import READERS
from snntx.preprocess.readers.versions import KINDS
from snntx.train.assess.given import recordings_in, refuse_other
from snntx.train.assess.predict import Prediction


def test_a_folder_stands_for_its_files_at_any_depth(tmp_path: Path) -> None:
    for name in ("b/2.bin", "b/1.bin", "a/c/3.bin", ".hidden/4.bin", "b/.5.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    alone = tmp_path / "no such file"
    expected = [tmp_path / name for name in ("a/c/3.bin", "b/1.bin", "b/2.bin")]
    assert recordings_in([alone, tmp_path]) == [alone, *expected]


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file in this folder; give recordings"):
        recordings_in([tmp_path])


@pytest.mark.parametrize(("start", "what", "formats", "_advice"), KINDS)
def test_a_file_of_another_format_is_told_by_its_first_bytes(
    start: bytes, what: str, formats: tuple[str, ...], _advice: str, tmp_path: Path
) -> None:
    path = tmp_path / "recording.bin"
    path.write_bytes(start + bytes(100))
    with pytest.raises(BadFileError) as raised:
        refuse_other(path, "atis")
    assert f"{path}: {what}, but the run reads files of format atis" in str(raised.value)
    assert (f"format = {' or '.join(formats)}" in str(raised.value)) == bool(formats)
    assert "download" not in str(raised.value)
    for name in formats:  # the advice: a run of such a card takes it
        assert name in READERS.shipped()
        refuse_other(path, name)
    refuse_other(path, "tonic:NMNIST")
    refuse_other(path, "birds.reader:Birds")


def test_an_archive_is_told_by_what_stands_within(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "all.bin", "w") as archive:
        archive.add(__file__, "recording.bin")
    with pytest.raises(BadFileError, match="a tar archive, but the run reads files of format atis"):
        refuse_other(tmp_path / "all.bin", "atis")


def test_every_form_says_the_same(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = ("steps=3", "epochs=1", "width=0.125", "draws_per_epoch=20", "batch_size=10",
                "backend=torch", "tensorboard=false")  # fmt: skip
    sets = [word for each in settings for word in ("--set", each)]
    cache = ["--cache", str(small_cache / "cache")]
    assert run(["train", "simulated-digits", *cache, *sets, "--out", str(out)]) == 0
    capsys.readouterr()
    (folder, *_) = sorted((small_cache / "data/raw").glob("*/*"))
    said = {}
    for form in ("json", "jsonl", "csv"):
        assert run(["predict", str(out), str(folder), "--format", form]) == 0
        said[form] = capsys.readouterr().out
    expected = json.loads(said["json"])
    assert [each["file"] for each in expected] == sorted(map(str, folder.glob("*.bin")))
    assert [json.loads(line) for line in said["jsonl"].splitlines()] == expected
    rows = list(csv.DictReader(io.StringIO(said["csv"])))
    for row, each in zip(rows, expected, strict=True):
        assert (row["file"], int(row["events"]), row["predicted"]) == (
            each["file"], each["events"], each["predicted"],
        )  # fmt: skip
        for name, probability in each["probabilities"].items():
            assert float(row[f"probability {name}"]) == probability
    for batch in ("1", "3"):  # the same in any batch, and in a file
        for form in ("csv", "jsonl", "json", "table"):
            words = ["--format", form, "--batch-size", batch, "--out", str(tmp_path / "told")]
            assert run(["predict", str(out), str(folder), *words]) == 0
            assert capsys.readouterr().out == ""
            text = (tmp_path / "told").read_text()
            if form == "csv":
                found = list(csv.DictReader(io.StringIO(text)))
                assert [row["file"] for row in found] == [row["file"] for row in rows]
                for row, other in zip(found, rows, strict=True):
                    for name in list(other)[3:]:
                        assert float(row[name]) == pytest.approx(float(other[name]), abs=1e-5)
            elif form == "jsonl":
                assert [json.loads(line)["predicted"] for line in text.splitlines()] == [
                    each["predicted"] for each in expected
                ]
    assert run(["predict", str(out), str(folder), "--json", "--format", "csv"]) == 2
    assert "--json and --format csv are two forms of one output" in capsys.readouterr().err
    wrong = tmp_path / "other.bin"
    wrong.write_bytes(b"#!AER-DAT4.0\r\n" + bytes(100))
    assert run(["predict", str(out), str(wrong)]) == 1
    assert "an AEDAT 4.0 file, but the run reads files of format atis" in capsys.readouterr().err


def test_a_long_file_is_whole_and_a_failure_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit in the memory set aside for it goes through a temporary file."""
    monkeypatch.setattr(predictions, "SPOOLED", 10)
    told = predictions.Told("jsonl", ["a", "b"], tmp_path / "new" / "told.jsonl")
    for number in range(2000):
        told.add(Prediction(f"{number}.bin", number, "a", {"a": 0.75, "b": 0.25}))
    assert not (tmp_path / "new").exists()
    told.end()
    lines = (tmp_path / "new" / "told.jsonl").read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == [f"{n}.bin" for n in range(2000)]
    (tmp_path / "taken").mkdir()
    told = predictions.Told("csv", ["a", "b"], tmp_path / "taken")
    told.add(Prediction("1.bin", 1, "a", {"a": 0.75, "b": 0.25}))
    with pytest.raises(UsageError, match="taken: cannot be written"):
        told.end()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "taken"]
