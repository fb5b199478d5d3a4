"""``snntx evaluate`` and ``snntx predict`` from outside."""

import dataclasses
import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import BadFileError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.reading import read_events
from snntx.train.assess.predict import predict
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.measure import metrics
from snntx.train.measure.metrics import event_logits, measure

Output = namedtuple("Output", "code out err")

CARD = "simulated-digits"
CPU = torch.device("cpu")


def test_logits_are_averaged_over_time_and_do_not_depend_on_the_batch(
    trained: Path, cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_checkpoint(trained / "best.pt").build_model(CPU)
    indices = np.arange(7)
    with torch.no_grad():
        expected = model.forward_event(torch.from_numpy(cache.frames(indices))).sum(0) / 3
    model.train()  # is put into evaluation mode
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for size in (64, 7, 3, 1):
        monkeypatch.setattr(metrics, "BATCH", size)
        found = event_logits(model, cache, indices, CPU)
        assert found.shape == (7, 10)
        torch.testing.assert_close(found, expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# from outside


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory; the network has learned something, so that classes differ."""
    out = tmp_path_factory.mktemp("evaluate") / "run"
    settings = ("steps=3", "epochs=6", "batch_size=16", "lr=0.1", "recordings_per_class=0",
                "draws_per_epoch=0")  # fmt: skip
    overrides = [word for setting in settings for word in ("--set", setting)]
    root = str(small_cache / "cache")
    assert run(["train", CARD, "--cache", root, "--out", str(out), *overrides]) == 0
    return out


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


class Snntx:
    """Calls the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: Any) -> Output:
        self.capsys.readouterr()
        code = run([str(a) for a in arguments])
        captured = self.capsys.readouterr()
        return Output(code, captured.out, captured.err)


@pytest.fixture
def snntx(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, small_cache: Path
) -> Snntx:
    monkeypatch.setenv("SNNTX_CACHE", str(small_cache / "cache"))
    return Snntx(capsys)


def one_line(output: Output, code: int, *parts: str) -> None:
    assert output.code == code, output
    assert output.out == ""
    assert output.err.startswith("snntx: error: ")
    assert output.err.count("\n") == 1
    for part in parts:
        assert part in output.err


def test_evaluate_json(snntx: Snntx, trained: Path, cache: FrameCache) -> None:
    output = snntx("evaluate", trained, "--json")
    assert (output.code, output.err) == (0, "")
    result = json.loads(output.out)
    assert result == json.loads((trained / "metrics.json").read_text())
    firing = result.pop("firing")
    more = {"balanced", "interval", "by_step", "calibration"}  # tests/commands/test_evaluate.py
    assert more <= result.keys()
    result = {name: value for name, value in result.items() if name not in more}
    best = load_checkpoint(trained / "best.pt")
    test = cache.split("holdout", "test")
    expected = measure(
        event_logits(best.build_model(CPU), cache, test, CPU), cache.labels[test], cache.classes
    )
    assert result == {
        "format": 2,
        "checkpoint": str(trained / "best.pt"),
        "card": CARD,
        "cache_key": cache.key,
        "protocol": "holdout",
        "part": "test",
        "selected_on": "validation",
        "seed": 42,
        "transfer": True,
        "epoch": best.best["epoch"],
        "recordings": 21,
        "top1": expected.top1,
        "top5": expected.top5,
        "loss": pytest.approx(expected.loss),
        "per_class": {name: list(pair) for name, pair in expected.per_class.items()},
        "confusion": expected.confusion,
    }
    assert sum(map(sum, result["confusion"])) == 21
    assert sum(n for n, _ in result["per_class"].values()) == 21
    assert {name: each["neurons"] for name, each in firing["layers"].items()} == {
        "first": 16 * 34 * 34,
        "second": 32 * 16 * 16,
        "hidden": 256,
    }
    shares = [(each["rate"], each["neurons"]) for each in firing["layers"].values()]
    every = sum(neurons for _, neurons in shares)
    assert firing["nasfr"] == pytest.approx(sum(rate * n for rate, n in shares) / every)


def test_evaluate_table(snntx: Snntx, trained: Path) -> None:
    result = json.loads(snntx("evaluate", trained, "--json").out)
    output = snntx("evaluate", trained)
    assert (output.code, output.err) == (0, "")
    lines = output.out.splitlines()
    epoch = result["epoch"]
    assert lines[0].startswith(f"{trained / 'best.pt'}: epoch {epoch} of card {CARD}")
    assert lines[1].strip() == "protocol holdout, part test, chosen on validation, seed 42"
    assert lines[2].split() == ["recordings", "21"]
    assert lines[3].split()[:2] == ["top-1", f"{result['top1']:.4f}"]
    assert lines[4].split() == ["top-5", f"{result['top5']:.4f}"]
    assert lines[6].split() == ["loss", f"{result['loss']:.4f}"]
    firing = result["firing"]
    assert lines[9].split()[:2] == ["NASFR", f"{firing['nasfr']:.4f}"]
    table = [line.split() for line in lines[lines.index("") + 1 :]]
    matrix = table.index(["class", "taken", "for", *map(str, range(10))])
    counts = [
        [row[0], *(cell.replace("·", "0") for cell in row[1:])] for row in table[matrix:][1:11]
    ]
    assert counts == [[str(i), *map(str, row)] for i, row in enumerate(result["confusion"])]
    del table[matrix - 1 : matrix + 11]
    assert table[0] == ["class", "recordings", "accuracy"]
    expected = [[name, str(n), f"{x:.4f}"] for name, (n, x) in result["per_class"].items()]
    rows = firing["layers"].items()
    layers = [[name, f"{each['neurons']:,}", f"{each['rate']:.4f}"] for name, each in rows]
    assert table[1:] == [*expected, [], ["layer", "neurons", "firing", "rate"], *layers]


def test_evaluate_one_checkpoint(snntx: Snntx, trained: Path, tmp_path: Path) -> None:
    last = tmp_path / "last.pt"
    shutil.copy(trained / "last.pt", last)
    result = json.loads(snntx("evaluate", last, "--json").out)
    assert (result["checkpoint"], result["epoch"]) == (str(last), 6)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_evaluating_twice_gives_the_same(snntx: Snntx, trained: Path) -> None:
    assert snntx("evaluate", trained, "--json") == snntx("evaluate", trained, "--json")


def test_the_static_head_and_the_coefficients_have_no_influence(
    snntx: Snntx, trained: Path, tmp_path: Path
) -> None:
    content = torch.load(trained / "best.pt", weights_only=True)
    scrambled = ["static_head.weight", "static_head.bias", "coefficient"]
    for name in scrambled:
        content["model"][name] = torch.full_like(content["model"][name], float("nan"))
    torch.save(content, tmp_path / "scrambled.pt")
    content["model"]["event_head.weight"].neg_()
    torch.save(content, tmp_path / "event.pt")
    results = [
        json.loads(snntx("evaluate", path, "--json").out) | {"checkpoint": ""}
        for path in (trained / "best.pt", tmp_path / "scrambled.pt", tmp_path / "event.pt")
    ]
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_the_protocol_is_the_runs_own(snntx: Snntx, small_cache: Path, tmp_path: Path) -> None:
    settings = [
        w
        for s in ("steps=3", "epochs=1", "draws_per_epoch=0", "protocol=paper")
        for w in ("--set", s)
    ]
    assert snntx("train", CARD, "--out", tmp_path / "run", *settings).code == 0
    result = json.loads(snntx("evaluate", tmp_path / "run", "--json").out)
    assert (result["protocol"], result["part"], result["selected_on"]) == ("paper", "test", "test")
    logged = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])["selection"]
    assert {name: result[name] for name in ("top1", "top5")} == {
        name: logged[name] for name in ("top1", "top5")
    }
    assert result["loss"] == pytest.approx(logged["loss"])


def test_evaluate_without_the_cache(snntx: Snntx, trained: Path, tmp_path: Path) -> None:
    key = load_checkpoint(trained / "best.pt").cache_key
    output = snntx("evaluate", trained, "--cache", tmp_path)
    one_line(
        output, 1, f"{tmp_path / CARD / key}: the cache that {trained / 'best.pt'} was trained"
    )
    assert f"--cache, or make it again with snntx preprocess {CARD}" in output.err


def test_evaluate_on_a_damaged_cache(
    snntx: Snntx, trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    shutil.copytree(small_cache / "cache", root)
    (path,) = root.glob("*/*/frames-00000.h5")
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 4, len(content)):
        content[place] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(content)
    one_line(snntx("evaluate", trained, "--cache", root), 1, f"{path}: ", "build it again")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "Read-only file system")],
)
def test_a_result_that_cannot_be_kept_is_printed(
    snntx: Snntx, trained: Path, number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, plain = snntx("evaluate", trained), snntx("evaluate", trained, "--json")
    (trained / "metrics.json").unlink()

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("snntx.preprocess.disk.atomic.os.replace", fail)
        for more, expected in ([], table), (["--json"], plain):
            output = snntx("evaluate", trained, *more)
            assert (output.code, output.out) == (1, expected.out)
            assert output.err.startswith(f"snntx: error: {trained / 'metrics.json'}: cannot be wri")
            assert words in output.err
            assert "the result went to standard output and nowhere else" in output.err
            assert output.err.count("\n") == 1
    assert not (trained / "metrics.json").exists()
    # what --json printed belongs into that file, as the line says
    (trained / "metrics.json").write_text(plain.out)
    assert snntx("compare", trained).code == 0
    assert snntx("evaluate", trained, "--json") == plain


def test_names_with_escapes_are_printed_on_one_line(
    snntx: Snntx, trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    content = torch.load(trained / "best.pt", weights_only=True)
    content["classes"] = ["\x1b[31mred\n", *content["classes"][1:]]
    torch.save(content, tmp_path / "best.pt")
    (raw, *_) = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    named = tmp_path / "a\x1b]0;\nb.bin"
    shutil.copy(raw, named)
    output = snntx("predict", tmp_path / "best.pt", named)
    assert output.code == 0
    assert "\\x1b[31mred\\n" in output.out
    assert "a\\x1b]0;\\nb.bin" in output.out
    assert "\x1b" not in output.out
    assert output.out.count("\n") == 2
    (prediction,) = json.loads(snntx("predict", tmp_path / "best.pt", named, "--json").out)
    assert prediction["file"] == str(named)
    assert "\x1b[31mred\n" in prediction["probabilities"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_name_that_is_no_utf8_is_printed(
    trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    """In a process of its own, whose output takes UTF-8 alone."""
    (raw, *_) = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.bin"))
    shutil.copy(raw, named)
    words = [
        sys.executable,
        "-m",
        "snntx",
        "predict",
        str(trained / "best.pt"),
        str(named),
        "--json",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(words, capture_output=True, env=environment, check=True)
    (prediction,) = json.loads(done.stdout)
    assert prediction["file"] == str(named)


def test_a_run_given_with_a_card_is_measured_without(snntx: Snntx, trained: Path) -> None:
    for path in (trained, trained / "best.pt"):
        words = ["--card", CARD, "--protocol", "holdout"]
        says = "a run knows its protocol; --protocol is of published ones alone"
        one_line(snntx("evaluate", path, *words), 2, says)
        alone = snntx("evaluate", path, "--json")
        assert alone.code == 0
        assert snntx("evaluate", path, "--card", CARD, "--json").out == alone.out


def test_weights_alone_say_both_ways_on(snntx: Snntx, trained: Path, tmp_path: Path) -> None:
    own = tmp_path / "own weights.pt"
    assert snntx("export", trained, "--to", "torch", "--out", own).code == 0
    exported = json.loads(snntx("evaluate", own, "--json").out)
    whole = json.loads(snntx("evaluate", trained, "--json").out)
    assert exported == whole | {"checkpoint": str(own)}
    state = torch.load(own, weights_only=True)
    load_checkpoint(trained / "best.pt").build_model(CPU).load_state_dict(state)
    torch.save(dict(state), own)  # what other programs, and releases before, write of them
    output = snntx("evaluate", own)
    one_line(output, 2, "as snntx export --to torch writes them), which name neither their data")
    # give a safetensors export
    assert "(snntx export RUN --to safetensors)" in output.err
    whole = tmp_path / "whole.safetensors"
    assert snntx("export", trained, "--to", "safetensors", "--out", whole).code == 0
    assert snntx("evaluate", whole).code == 0
    # or train from it
    advice = shlex.split(output.err.partition("train from it with snntx ")[2])
    assert advice == ["train", "CARD", "--set", f"initial={own}"]
    settings = ("steps=3", "epochs=1", "draws_per_epoch=16", "batch_size=16", "tensorboard=false")
    more = [word for setting in settings for word in ("--set", setting)]
    out = tmp_path / "tuned"
    assert snntx("train", CARD, *advice[2:], *more, "--out", out).code == 0
    # a published checkpoint it is not
    one_line(snntx("evaluate", own, "--card", CARD), 1, "of weights of snntx itself give the run")


def test_evaluate_of_a_run_without_a_whole_epoch(
    snntx: Snntx, trained: Path, tmp_path: Path
) -> None:
    run_path = tmp_path / "runs" / "a"
    run_path.mkdir(parents=True)
    shutil.copy(trained / "recipe.toml", run_path)
    one_line(
        snntx("evaluate", run_path), 2, "a run with no best.pt, since it ended before its first"
    )
    # the same snntx train again
    words = ["--recipe", run_path / "recipe.toml", "--set", "epochs=1", "--out", run_path]
    assert snntx("train", CARD, *words).code == 0
    one_line(
        snntx("evaluate", tmp_path / "runs"),
        2,
        f"it holds runs, give one of them, such as {run_path}",
    )
    assert snntx("evaluate", run_path).code == 0


def test_evaluate_of_nothing(snntx: Snntx, tmp_path: Path) -> None:
    one_line(snntx("evaluate", tmp_path / "none"), 2, "none: no such run directory or checkpoint")
    one_line(snntx("evaluate", tmp_path), 2, f"{tmp_path}: no best.pt in this directory")
    (tmp_path / "best.pt").write_text("not a checkpoint")
    one_line(snntx("evaluate", tmp_path), 1, "best.pt: not a readable checkpoint")


def test_evaluate_without_test_recordings(
    snntx: Snntx, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameCache, "split", lambda cache, protocol, part: np.array([], np.int64))
    one_line(snntx("evaluate", trained), 2, "protocol holdout has no test recordings in this cache")


def test_cuda_without_cuda(
    snntx: Snntx, trained: Path, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (raw, *_) = (small_cache / "data/raw").glob("*/*/*.bin")
    for command in (["evaluate", trained], ["predict", trained, raw]):
        one_line(snntx(*command, "--device", "cuda"), 2, "no CUDA device here; use --device cpu")


# new recordings


def test_predict_agrees_with_the_cache(
    snntx: Snntx, trained: Path, small_cache: Path, cache: FrameCache
) -> None:
    test = cache.split("holdout", "test")
    files = [small_cache / "data/raw" / f"{cache.identities[i]}.bin" for i in test]
    output = snntx("predict", trained, *files, "--json")
    assert (output.code, output.err) == (0, "")
    model = load_checkpoint(trained / "best.pt").build_model(CPU)
    expected = event_logits(model, cache, test, CPU).softmax(1)
    predictions = json.loads(output.out)
    assert len({prediction["predicted"] for prediction in predictions}) > 1
    for i, file, prediction, row in zip(test, files, predictions, expected, strict=True):
        assert prediction["file"] == str(file)
        assert prediction["events"] == cache.index.rows.events[i]
        assert prediction["predicted"] == cache.classes[int(row.argmax())]
        found = prediction["probabilities"]
        assert next(iter(found)) == prediction["predicted"]
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert [found[name] for name in cache.classes] == pytest.approx(row.tolist(), abs=1e-6)


def test_predict_needs_no_cache(
    snntx: Snntx, trained: Path, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNTX_CACHE", str(tmp_path / "none"))
    (raw, *_) = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    assert snntx("predict", trained / "last.pt", raw).code == 0
    assert not (tmp_path / "none").exists()


def test_predict_table(snntx: Snntx, trained: Path, small_cache: Path) -> None:
    files = sorted((small_cache / "data/raw").glob("*/*/*.bin"))[:2]
    predictions = json.loads(snntx("predict", trained, *files, "--json").out)
    output = snntx("predict", trained, *files)
    header, *rows = output.out.splitlines()
    assert header.split() == ["file", "class", "events", "probabilities"]
    for row, prediction in zip(rows, predictions, strict=True):
        best = list(prediction["probabilities"].items())[:3]
        shown = ", ".join(f"{name} {probability:.3f}" for name, probability in best)
        assert row.startswith(f"{prediction['file']}  {prediction['predicted']} ")
        assert row.endswith(f" {shown}")
        assert f" {prediction['events']:,} " in row


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"", "the file is empty"), (b"abc", "bytes")],
)
def test_predict_of_a_bad_file(
    snntx: Snntx,
    trained: Path,
    small_cache: Path,
    tmp_path: Path,
    content: bytes | None,
    message: str,
) -> None:
    (good, *_) = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    bad = tmp_path / "bad.bin"
    if content is not None:
        bad.write_bytes(content)
    for more in ([], ["--json"]):
        one_line(snntx("predict", trained, bad, *more), 1, f"{bad}: ", message)
        alone = snntx("predict", trained, good, *more)
        beside = snntx("predict", trained, good, bad, *more)
        assert (beside.code, beside.out) == (1, alone.out)
        assert beside.err.startswith(f"snntx: error: {bad}: ")
        assert beside.err.count("\n") == 1


def test_predict_names_every_bad_file_and_classifies_the_good_ones(
    snntx: Snntx, trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    first, second, *_ = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    bad, gone = tmp_path / "bad.bin", tmp_path / "gone.bin"
    bad.write_bytes(b"abc")
    output = snntx("predict", trained, first, bad, second, gone, "--json")
    assert output.code == 1
    assert [each["file"] for each in json.loads(output.out)] == [str(first), str(second)]
    lines = output.err.splitlines()
    assert [line.partition(".bin: ")[0] for line in lines[:2]] == [
        f"snntx: passed over {tmp_path}/bad",
        f"snntx: passed over {tmp_path}/gone",
    ]
    assert lines[2:] == ["snntx: error: 2 of 4 files could not be classified"]


def test_predict_skips_bad_files_where_asked_to(
    snntx: Snntx, trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    first, second, *_ = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    bad, gone = tmp_path / "bad.bin", tmp_path / "gone.bin"
    bad.write_bytes(b"abc")
    for more in ([], ["--json"]):
        skip = ["--bad-files", "skip", *more]
        alone = snntx("predict", trained, first, second, *more)
        assert (alone.code, alone.err) == (0, "")
        assert snntx("predict", trained, first, second, *skip) == alone
        output = snntx("predict", trained, first, bad, second, gone, *skip)
        assert (output.code, output.out) == (0, alone.out)
        *passed, last = output.err.splitlines()
        assert [line.partition(".bin: ")[0] for line in passed] == [
            f"snntx: passed over {tmp_path}/bad",
            f"snntx: passed over {tmp_path}/gone",
        ]
        assert last == "snntx: skipped 2 of 4 files"
        stopped = snntx("predict", trained, first, bad, "--bad-files", "stop", *more)
        assert stopped == snntx("predict", trained, first, bad, *more)
        assert stopped.code == 1


def test_predict_of_bad_files_alone_is_a_failure_all_the_same(
    snntx: Snntx, trained: Path, tmp_path: Path
) -> None:
    bad, gone = tmp_path / "bad.bin", tmp_path / "gone.bin"
    bad.write_bytes(b"abc")
    one_line(snntx("predict", trained, bad, "--bad-files", "skip"), 1, f"{bad}: ")
    output = snntx("predict", trained, bad, gone, "--bad-files", "skip", "--json")
    assert (output.code, output.out) == (1, "")
    assert output.err.endswith("error: 2 of 2 files could not be classified\n")


def test_predict_of_a_folder(snntx: Snntx, trained: Path, tmp_path: Path) -> None:
    said = f"{tmp_path}: no file in this folder; give recordings, or their folder"
    one_line(snntx("predict", trained, tmp_path), 2, said)


def test_predict_of_events_beyond_the_sensor(
    snntx: Snntx, trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    (good, *_) = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    content = bytearray(good.read_bytes())
    content[0] = 200  # x of the first event
    bad = tmp_path / "bad.bin"
    bad.write_bytes(content)
    one_line(snntx("predict", trained, bad), 1, f"{bad}: ", "200")


def test_predict_without_a_checkpoint_or_files(snntx: Snntx, trained: Path, tmp_path: Path) -> None:
    one_line(snntx("predict", tmp_path / "none", "a.bin"), 2, "no such run directory or checkpoint")
    output = snntx("predict", trained)
    assert output.code == 2
    assert "Missing argument 'FILES...'" in output.err


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_help_names_every_option(snntx: Snntx, command: str) -> None:
    output = snntx(command, "--help")
    assert output.code == 0
    for option in ("--device", "--json"):
        assert option in output.out
    assert ("RUN" if command == "evaluate" else "CHECKPOINT FILES...") in output.out


def test_predict_reads_timers_and_strays_as_the_card_did(
    trained: Path, small_cache: Path, tmp_path: Path
) -> None:
    (good, *_) = sorted((small_cache / "data/raw").glob("*/*/*.bin"))
    events = read_events(good, "atis")
    late = events.t + (1 << 23) - 40_000
    wrapped = tmp_path / "wrapped.bin"
    wrapped.write_bytes(encode(events._replace(t=late % (1 << 23))))
    kept = load_checkpoint(trained / "best.pt")
    assert (kept.wraps, kept.outside) == (False, "stop")
    (expected,) = predict(kept, [good], torch.device("cpu"))
    with pytest.raises(BadFileError, match="wraps"):
        predict(kept, [wrapped], torch.device("cpu"))
    turning = dataclasses.replace(kept, wraps=True)
    (found,) = predict(turning, [wrapped], torch.device("cpu"))
    assert found.probabilities == expected.probabilities

    strays = tmp_path / "strays.bin"
    x = np.append(events.x, 200).astype(np.int16)
    columns = {"y": np.append(events.y, 3), "t": np.append(events.t, events.t[-1])}
    strays.write_bytes(encode(Events(x, columns["y"], columns["t"], np.append(events.p, 1))))
    with pytest.raises(BadFileError):
        predict(kept, [strays], torch.device("cpu"))
    (found,) = predict(dataclasses.replace(kept, outside="drop"), [strays], torch.device("cpu"))
    assert found.probabilities == expected.probabilities
