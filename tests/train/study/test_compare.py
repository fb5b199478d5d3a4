"""Comparisons: statistics by hand and by scipy, groups, refusals, tables and pictures."""

import csv
import errno
import io
import json
import math
import re
import sys
from collections import namedtuple
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError, plain
from snntx.train.recipe.sources import load_recipe
from snntx.train.study.axis import axis_of, series_of
from snntx.train.study.compare import Comparison, compare
from snntx.train.study.progress import write_index
from snntx.train.study.statistics import holm, paired_test, sample_of, sign_flip
from snntx.train.study.sweep import sweep_from_table
from snntx.train.study.sweeps.expand import expand
from snntx.train.study.tables import to_csv, to_markdown

Output = namedtuple("Output", "code out err")

CARD = "n-mnist"


def write_run(
    path: Path,
    top1: float,
    *settings: str,
    epochs: int = 2,
    trained: int | None = None,
    base: str = "default",
    **changes: Any,
) -> Path:
    """A run directory as ``train`` and ``evaluate`` leave it, without the weights."""
    recipe = load_recipe(load_card(CARD), base, (f"epochs={epochs}", *settings))
    path.mkdir(parents=True)
    (path / "recipe.toml").write_text(recipe.to_toml())
    part = {"part": "validation", "top1": top1 - 0.1, "top5": 1.0, "loss": 2 - top1}
    count = epochs if trained is None else trained
    records = [
        {"format": 2, "epoch": i, "best_epoch": 1, "selection": part} for i in range(1, count + 1)
    ]
    (path / "log.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in records))
    metrics = {
        "format": 2,
        "card": CARD,
        "cache_key": "k",
        "protocol": recipe.data.protocol,
        "part": "test",
        "seed": recipe.run.seed,
        "epoch": 1,
        "top1": top1,
        "top5": 1.0,
        "loss": 1 - top1,
        "per_class": {"0": [30, top1], "1": [20, top1]},
    }
    (path / "metrics.json").write_text(json.dumps({**metrics, **changes}))
    return path


def write_runs(
    folder: Path, name: str, values: Sequence[float], *settings: str, **more: Any
) -> list[Path]:
    """Runs of the seeds 1, 2, … of one group."""
    return [
        write_run(folder / f"{name}-seed{seed}", value, *settings, f"seed={seed}", **more)
        for seed, value in enumerate(values, 1)
    ]


def write_sweep(folder: Path, table: dict[str, Any], values: dict[str, float]) -> Path:
    """A sweep's folder; ``values`` are of the runs whose names start so."""
    runs = expand(sweep_from_table(table, "s.toml"), load_card(CARD), "s.toml")
    for i, each in enumerate(runs):
        (value,) = (v for name, v in values.items() if each.name.startswith(f"{name}-seed"))
        noise = 0.001 * (i % 3) + 0.002 * each.recipe.run.seed
        write_run(folder / each.name, value + noise, *each.overrides, base=each.base)
    write_index(runs, folder, CARD, {each.name: "k" for each in runs})
    return folder


@pytest.fixture
def sliding(tmp_path: Path) -> Path:
    """A sweep over recordings a class, two recipes and three seeds."""
    table = {
        "seeds": [1, 2, 3],
        "recipes": ["default", "baseline"],
        "axes": {"recordings_per_class": [2, 5, 10]},
    }
    values = {
        f"{base}-recordings_per_class={n}": 0.5 + 0.03 * n + (0.05 if base == "default" else 0)
        for base in table["recipes"]  # type: ignore[attr-defined]
        for n in (2, 5, 10)
    }
    return write_sweep(tmp_path / "sliding", table, values)


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: Any) -> Output:
        code = run(["compare", *map(str, arguments)])
        return Output(code, *capsys.readouterr())

    return call


# statistics


def test_a_sample_by_hand() -> None:
    found = sample_of([1.0, 2.0, 3.0])
    assert (found.n, found.mean, found.sd) == (3, 2.0, 1.0)
    assert found.low is not None
    assert found.high is not None
    assert found.high - 2 == pytest.approx(4.302652729911275 / math.sqrt(3), rel=1e-9)
    assert found.low + found.high == pytest.approx(4)
    one = sample_of([0.7])
    assert (one.n, one.mean, one.sd, one.low, one.high) == (1, 0.7, None, None, None)
    same = sample_of([0.1 + 0.2, 0.3, 0.3])  # equal but for rounding
    assert (same.sd, same.low, same.high) == (0.0, None, None)


def test_a_paired_test_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 / (1 / sqrt 3); with two degrees p = 1 - t / sqrt(t^2 + 2)."""
    found = paired_test({1: 5.0, 2: 4.0, 3: 9.0, 4: 1.0}, {3: 6.0, 1: 4.0, 2: 2.0, 9: 0.0})
    assert found is not None
    assert found.differences == {1: 1.0, 2: 2.0, 3: 3.0}
    assert found.t == pytest.approx(math.sqrt(12))
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert found.p_sign_flip == 0.25
    assert paired_test({1: 1.0}, {2: 1.0}) is None
    one = paired_test({1: 1.0}, {1: 0.5})
    assert one is not None
    assert (one.t, one.p, one.p_sign_flip, one.sample.low) == (None, None, 1.0, None)
    equal = paired_test({1: 0.6, 2: 0.7}, {1: 0.5, 2: 0.6})
    assert equal is not None
    assert (equal.t, equal.p, equal.p_sign_flip, equal.sample.low) == (None, None, 0.5, None)


def test_signs_flipped_by_hand() -> None:
    """The sums of ±1 ±2 ±1 are 4, 2, 2, 0 and their opposites; 1 + 2 - 1 = 2."""
    assert sign_flip([1, 2, -1]) == 6 / 8
    assert sign_flip([0, 0]) == 1.0
    assert sign_flip([1] * 5) == 2 / 32
    assert sign_flip([0.1, 0.2, -0.3]) == 1.0  # the sum is 0 but for rounding
    assert sign_flip([1.0] * 21) is None


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_statistics_are_scipys(n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.8, 0.05, n), rng.normal(0.75, 0.05, n)
    found = paired_test(dict(enumerate(a)), dict(enumerate(b)))
    assert found is not None
    expected = stats.ttest_rel(a, b)
    assert found.t == pytest.approx(expected.statistic, rel=1e-10)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
    interval = expected.confidence_interval(0.95)
    assert (found.sample.low, found.sample.high) == pytest.approx(tuple(interval), rel=1e-9)
    permuted = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples"
    )
    assert found.p_sign_flip == pytest.approx(permuted.pvalue, rel=1e-10)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9, 0.001]) == pytest.approx([1.0, 1.0, 0.003])
    assert holm([0.01, None]) == [0.02, None]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_only_raises_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = [p for p in holm(list(ps)) if p is not None]
    assert len(adjusted) == len(ps)
    assert all(0 <= p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    assert min(adjusted) == min(1.0, len(ps) * min(ps))
    ranked = [adjusted[i] for i in np.argsort(ps, kind="stable")]
    assert ranked == sorted(ranked)


# groups and baselines


def test_runs_that_differ_in_the_seed_alone_are_a_group(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, "a", [0.6, 0.7, 0.8]) + write_runs(tmp_path, "b", [0.5], "lr=0.2")
    found = compare(runs)
    assert [(row.group.label, row.sample.n) for row in found.rows] == [("a", 3), ("b", 1)]
    assert found.rows[0].group.varying == {"lr": 0.1}
    assert found.rows[0].sample.mean == pytest.approx(0.7)
    assert (found.card, found.protocol, found.part, found.recordings) == (
        CARD,
        "holdout",
        "test",
        50,
    )
    assert found.comparisons == 0


def test_groups_without_names_of_their_own_are_called_by_their_settings(tmp_path: Path) -> None:
    a = write_run(tmp_path / "x" / "run", 0.5, "transfer=false")
    b = write_run(tmp_path / "y" / "run", 0.6, "flip=true", "augment=nda")
    labels = [row.group.label for row in compare([a, b]).rows]
    assert labels == [
        "method=event-only, flip=false, augment=none",
        "method=sliding, flip=true, augment=nda",
    ]


def test_caches_keep_groups_apart_and_are_noted(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, "a", [0.5]) + write_runs(tmp_path, "b", [0.6], cache_key="other")
    found = compare(runs)
    assert [row.group.varying for row in found.rows] == [{"cache": "k"}, {"cache": "other"}]
    assert found.notes == (
        "the runs are of 2 caches, which may hold other recordings: k (1 run), other (1 run)",
    )


@pytest.mark.parametrize("part", ["test", "validation"])
def test_runs_of_two_caches_are_never_one_group(sliding: Path, part: str) -> None:
    """Whatever the index of their folder says of their cache."""
    for run_path in sliding.glob("*-seed3"):
        path = run_path / "metrics.json"
        if part == "test":
            path.write_text(json.dumps({**json.loads(path.read_text()), "cache_key": "grown"}))
            continue
        path.unlink()
        best = {"epoch": 1, "part": part, "top1": 0.5, "top5": 1.0, "loss": 1.0}
        origin = {"card": CARD, "cache_key": "grown", "epoch": 2, "best": best, "epochs_from": 1}
        torch.save(origin, run_path / "last.pt")
    found = compare([sliding], part=part)
    assert sorted(row.sample.n for row in found.rows) == [1] * 6 + [2] * 6
    for row in found.rows:
        assert {run.cache_key for run in row.group.runs.values()} == {row.group.varying["cache"]}
    assert found.notes == (
        "the runs are of 2 caches, which may hold other recordings: grown (6 runs), k (12 runs)",
    )


def test_a_run_that_cannot_say_its_cache_is_refused(tmp_path: Path) -> None:
    alone = write_run(tmp_path / "a", 0.5)
    (alone / "metrics.json").unlink()
    with pytest.raises(SnntxError, match=r"neither a checkpoint nor metrics\.json; train it again"):
        compare([alone], part="validation")


def test_a_sweeps_groups_are_called_by_what_differs(sliding: Path) -> None:
    labels = [row.group.label for row in compare([sliding]).rows]
    assert labels[:3] == [f"default, recordings_per_class={n}" for n in (2, 5, 10)]
    assert labels[3:] == [f"baseline, recordings_per_class={n}" for n in (2, 5, 10)]
    some = [sliding / f"default-recordings_per_class={n}-seed1" for n in (2, 5)]
    assert [row.group.label for row in compare(some).rows] == [
        "recordings_per_class=2",
        "recordings_per_class=5",
    ]


@pytest.mark.parametrize("baseline", ["baseline", "recipe=baseline", "transfer=false"])
def test_each_group_is_compared_with_the_baseline_of_its_own_kind(
    sliding: Path, baseline: str
) -> None:
    found = compare([sliding], baseline=baseline)
    assert found.comparisons == 3
    for row, n in zip(found.rows[:3], (2, 5, 10), strict=True):
        assert row.baseline == f"baseline, recordings_per_class={n}"
        assert row.paired is not None
        assert list(row.paired.differences) == [1, 2, 3]
        assert row.paired.sample.mean == pytest.approx(0.05, abs=0.002)
    assert all(row.paired is None and not row.baseline for row in found.rows[3:])
    assert found.notes[0] == (
        "each group is compared with the baseline of its own recordings_per_class"
    )


def test_one_baseline_serves_every_group(tmp_path: Path) -> None:
    write_runs(tmp_path, "none", [0.5, 0.6], "transfer=false")
    write_runs(tmp_path, "more", [0.6, 0.8], "lr=0.2")
    write_runs(tmp_path, "less", [0.7, 0.75, 0.9], "lr=0.3")
    found = compare([tmp_path], baseline="none")
    by_label = {row.group.label: row for row in found.rows}
    more, less = by_label["more"].paired, by_label["less"].paired
    assert more is not None
    assert less is not None
    assert more.sample.mean == pytest.approx(0.15)
    assert list(less.differences) == [1, 2]  # the third seed has no partner
    # t = 3 of 0.1, 0.2 and t = 7 of 0.2, 0.15; with one degree p = 1 - 2 atan(t) / pi
    assert more.p == pytest.approx(1 - 2 * math.atan(3) / math.pi)
    assert less.p == pytest.approx(1 - 2 * math.atan(7) / math.pi)
    assert less.p_holm == pytest.approx(2 - 4 * math.atan(7) / math.pi)
    assert more.p_holm == more.p
    rows = compare([tmp_path], baseline="lr=0.3").rows
    assert {row.group.label: row.baseline for row in rows} == {
        "less": "",
        "more": "less",
        "none": "less",
    }


def test_what_has_no_partner_is_noted(tmp_path: Path) -> None:
    write_run(tmp_path / "a-seed1", 0.5, "seed=1", "transfer=false", "width=1.0")
    write_run(tmp_path / "b-seed1", 0.5, "seed=1", "transfer=false", "width=2.0")
    write_run(tmp_path / "c-seed1", 0.6, "seed=1", "width=3.0")
    write_run(tmp_path / "d-seed2", 0.6, "seed=2", "width=2.0")
    found = compare([tmp_path], baseline="transfer=false")
    assert found.comparisons == 0
    assert found.notes == (
        "each group is compared with the baseline of its own width",
        "c: no baseline has its width",
        "d: no seed in common with b",
    )


@pytest.mark.parametrize(
    ("baseline", "reason"),
    [
        ("defalt", r"no group is called so .*; did you mean 'a'|groups: a; b"),
        ("chanel=V", r"unknown setting 'chanel'; did you mean 'channel'\?"),
        ("lr=7", "no group is called so or has this setting"),
        ("epochs=2", "that is every group; none is left to compare"),
        ("variant=x", "no group is called so or has this setting"),
    ],
)
def test_a_wrong_baseline_is_named(tmp_path: Path, baseline: str, reason: str) -> None:
    write_runs(tmp_path, "a", [0.5])
    write_runs(tmp_path, "b", [0.6], "lr=0.2")
    with pytest.raises(UsageError, match=reason):
        compare([tmp_path], baseline=baseline)


# what is refused


@pytest.mark.parametrize(
    ("changes", "settings", "reason"),
    [
        ({"card": "other"}, (), "several cards cannot be compared: .* has n-mnist, .* has other"),
        ({}, ("protocol=paper",), "several protocols cannot be compared: .* holdout, .* paper"),
        ({"part": "validation"}, (), "several parts cannot be compared"),
        (
            {"per_class": {"0": [30, 0.5], "1": [21, 0.5]}},
            (),
            "several test parts cannot be compared: .* 50 recordings .* 51 recordings",
        ),
    ],
)
def test_runs_of_other_data_are_refused(
    tmp_path: Path, changes: dict[str, Any], settings: tuple[str, ...], reason: str
) -> None:
    a = write_run(tmp_path / "a", 0.5)
    b = write_run(tmp_path / "b", 0.6, "lr=0.2", *settings, **changes)
    with pytest.raises(UsageError, match=reason):
        compare([a, b])


def test_runs_that_are_none(tmp_path: Path) -> None:
    a = write_run(tmp_path / "x" / "a", 0.5)
    b = write_run(tmp_path / "x" / "b", 0.5)
    with pytest.raises(UsageError, match="are the same run: they have the same settings and seed"):
        compare([a, b])
    (tmp_path / "empty").mkdir()
    for path in ("empty", "none"):
        with pytest.raises(UsageError, match="neither a run directory nor a folder with any"):
            compare([tmp_path / path])
    (a / "metrics.json").write_text("{")
    with pytest.raises(SnntxError, match=r"metrics\.json: not what snntx evaluate writes"):
        compare([a])


def test_unfinished_runs_are_refused_by_name_and_left_out_of_a_folder(tmp_path: Path) -> None:
    done = write_run(tmp_path / "done-seed1", 0.5, "seed=1")
    short = write_run(tmp_path / "short-seed2", 0.5, "seed=2", trained=1)
    stale = write_run(tmp_path / "stale-seed3", 0.5, "seed=3", epoch=2)
    bare = write_run(tmp_path / "bare-seed4", 0.5, "seed=4")
    (bare / "metrics.json").unlink()
    write_last(short, epochs=1)
    for each in (done, stale, bare):
        (each / "best.pt").touch()
    found = compare([tmp_path])
    assert [row.sample.n for row in found.rows] == [1]
    assert found.left_out == (
        f"{bare}: has no metrics.json; make it with: snntx evaluate {bare}",
        f"{short}: trained 1 of 2 epochs; go on with: snntx train --resume {short}",
        f"{stale}: metrics.json is of an earlier training; make it again with: "
        f"snntx evaluate {stale}",
    )
    for run_path, reason in ((short, "trained 1 of 2"), (stale, "earlier"), (bare, "has no met")):
        with pytest.raises(UsageError, match=reason):
            compare([done, run_path])
    (tmp_path / "x").mkdir()
    bare.rename(tmp_path / "x" / bare.name)
    with pytest.raises(UsageError, match="no finished run to compare"):
        compare([tmp_path / "x"])


def test_the_validation_part_and_other_metrics(tmp_path: Path) -> None:
    write_runs(tmp_path, "a", [0.5, 0.7])
    top1 = compare([tmp_path], part="validation")
    assert top1.part == "validation"
    assert top1.recordings is None
    assert top1.rows[0].sample.mean == pytest.approx(0.5)
    assert compare([tmp_path], metric="loss").rows[0].sample.mean == pytest.approx(0.4)
    paper = write_run(tmp_path / "p", 0.5, "protocol=paper")
    with pytest.raises(UsageError, match="has no validation part"):
        compare([paper], part="validation")


# damage, and runs that came to nothing


def write_last(path: Path, *, epochs: int = 2, best: int = 1, top1: float = 0.4) -> None:
    """A last checkpoint, without what is not read here."""
    chosen = {"epoch": best, "part": "validation", "top1": top1, "top5": 1.0, "loss": 1.0}
    origin = {"card": CARD, "cache_key": "k", "epoch": epochs, "best": chosen, "epochs_from": 1}
    torch.save(origin, path / "last.pt")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: line.replace(b"epoch", b"ep\xffch", 1), "'utf-8' codec can't decode byte"),
        (lambda line: line.replace(b'"best_epoch"', b'"best"'), "it has no best_epoch"),
        (lambda line: line.replace(b'"top1"', b'"top2"'), "it has no top1"),
        (lambda line: line.replace(b'"selection": {', b'"selection": 3, "x": {'), "not subscr"),
        (lambda line: b"[]", "list indices must be"),
        (lambda line: b"[" * 99999, "nested too deep"),
        (lambda line: b"\x1b[31m", "Expecting value"),
    ],
)
def test_a_damaged_line_of_a_log(
    tmp_path: Path, called: Any, damage: Callable[[bytes], bytes], reason: str
) -> None:
    path = write_run(tmp_path / "a", 0.5, epochs=3)
    write_last(path, epochs=3)
    first, *rest = (path / "log.jsonl").read_bytes().splitlines()
    (path / "log.jsonl").write_bytes(b"\n".join([damage(first), *rest]))
    for part in ("test", "validation"):
        done = called(path, "--part", part)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"snntx: error: {path / 'log.jsonl'}: line 1 is not what snntx")
        assert reason in done.err
        assert done.err.endswith(f"; remove this line: sed -i 1d {path / 'log.jsonl'}\n")
        assert done.err.count("\n") == 1
    (path / "log.jsonl").write_bytes(b"\n".join(rest))
    assert compare([path]).rows[0].sample.mean == 0.5
    assert compare([path], part="validation").rows[0].sample.mean == pytest.approx(0.4)
    (path / "last.pt").unlink()
    with pytest.raises(SnntxError, match=r"no line of the best epoch, 1, and there is no last\.pt"):
        compare([path], part="validation")


def test_a_log_of_a_later_release(tmp_path: Path, called: Any) -> None:
    path = write_run(tmp_path / "a", 0.5)
    log = (path / "log.jsonl").read_text()
    (path / "log.jsonl").write_text(log.replace('"format": 2', '"format": 3'))
    done = called(path)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"snntx: error: {path / 'log.jsonl'}: line 1 is of format 3, this release reads 1 and 2; "
        "read it by the release that wrote it\n"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seed"', '"sead"'),
        ('"per_class"', '"per_clas"'),
        ('"loss"', '"los"'),
        ('"cache_key": "k"', '"cache_key": 3'),
        ('"epoch": 1', '"epoch": Infinity'),
        ('"per_class": {"0": [30', '"per_class": {"0": ["x"'),
        ('"per_class": {"0": [30, 0.5]', '"per_class": {"0": 3'),
        ('"card"', '"car\udcff"'),
        ("{", "[" * 99999),
    ],
)
def test_damaged_metrics(tmp_path: Path, called: Any, old: str, new: str) -> None:
    path = write_run(tmp_path / "a", 0.5)
    (path / "best.pt").touch()
    text = (path / "metrics.json").read_text()
    assert old in text
    changed = text.replace(old, new, 1).encode("utf-8", "surrogateescape")
    (path / "metrics.json").write_bytes(changed)
    done = called(path)
    assert (done.code, done.out) == (1, "")
    assert "metrics.json: not what snntx evaluate writes (" in done.err
    assert done.err.endswith(f"; make it again with: snntx evaluate {path}\n")
    assert done.err.count("\n") == 1


def test_a_run_that_diverged_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "good-seed1", 0.5, "seed=1")
    at_once = write_run(tmp_path / "at once", 0.5, "seed=2", trained=0)
    later = write_run(tmp_path / "later", 0.5, "seed=3", trained=1)
    for path in (at_once, later):
        (path / "metrics.json").unlink()
        (path / "diverged.pt").touch()
    started = {"card": CARD, "given": CARD, "cache": "/a cache", "key": "k"}
    (at_once / "data.json").write_text(json.dumps(started))
    write_last(later, epochs=1)
    stopped = write_run(tmp_path / "stopped", 0.5, "seed=4", trained=0)
    (stopped / "metrics.json").unlink()
    assert compare([tmp_path]).left_out == (
        f"{at_once}: diverged before its first epoch was finished; train it again with a lower lr "
        f"(it is 0.1): snntx train --resume '{at_once}' --set lr=0.001",
        f"{later}: trained 1 of 2 epochs and diverged; train it again with a lower lr (it is 0.1): "
        f"snntx train {CARD} --recipe {later}/recipe.toml --set lr=0.001 --out {later}-again",
        f"{stopped}: ended before its first epoch was finished; start it again with: snntx train "
        f"CARD --recipe {stopped}/recipe.toml --out {stopped} (and --set lr=0.001, if it diverged)",
    )
    for path in (at_once, later, stopped):
        with pytest.raises(UsageError, match="train"):
            compare([path])


# tables


def test_the_table_by_hand(tmp_path: Path, called: Any) -> None:
    write_runs(tmp_path, "event", [0.5, 0.6, 0.7], "transfer=false")
    write_runs(tmp_path, "static", [0.51, 0.62, 0.73])
    done = called(tmp_path, "--baseline", "event")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "top-1 on the test part (50 recordings) of n-mnist, protocol holdout"
    header, event, static = (re.split(r"  +", line) for line in lines[2:5])
    assert header == (
        "group n mean sd difference|95 % interval|p|p Holm|p sign-flip|pairs".replace(
            " ", "|", 4
        ).split("|")
    )
    assert event == ["event", "3", "0.6000", "0.1000", "-", "-", "-", "-", "-", "-"]
    # differences 0.01, 0.02, 0.03: t = sqrt 12, p = 1 - sqrt(12 / 14)
    interval = "-0.0048 to +0.0448"
    assert static[:6] == ["static", "3", "0.6200", "0.1100", "+0.0200", interval]
    assert static[6:] == ["0.0742", "0.0742", "0.2500", "3"]
    assert "difference from event on shared seeds" in done.out
    assert "no p below 0.25 with 3 pairs" in done.out
    plain = called(tmp_path).out
    assert "difference" not in plain


def test_csv_and_markdown_hold_the_same(sliding: Path, tmp_path: Path, called: Any) -> None:
    files = tmp_path / "a.csv", tmp_path / "made" / "a.md"
    done = called(sliding, "--baseline", "baseline", "--csv", files[0], "--markdown", files[1])
    assert done.code == 0
    assert [line for line in done.err.splitlines() if "wrote" in line] == [
        f"snntx: wrote {path}" for path in files
    ]
    found = compare([sliding], baseline="baseline")
    assert files[0].read_text() == to_csv(found)
    assert files[1].read_text() == to_markdown(found)
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert [row["recordings_per_class"] for row in rows] == ["2", "5", "10"] * 2
    assert [row["method"] for row in rows] == ["sliding"] * 3 + ["event-only"] * 3
    first, last = rows[0], rows[-1]
    values = [float(value) for value in first["values"].split()]
    assert first["seeds"] == "1 2 3"
    assert float(first["mean"]) == pytest.approx(np.mean(values), rel=1e-15)
    assert float(first["sd"]) == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert float(first["difference"]) == pytest.approx(
        float(first["mean"]) - float(rows[3]["mean"]), rel=1e-9
    )
    assert first["baseline"] == "baseline, recordings_per_class=2"
    assert (first["card"], first["protocol"], first["part"]) == (CARD, "holdout", "test")
    assert (last["baseline"], last["difference"], last["p"]) == ("", "", "")
    lines = files[1].read_text().splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert len(table) == 2 + 6
    assert {len(cells) for cells in table} == {10}
    assert table[2][0] == "default, recordings_per_class=2"
    assert table[2][2] == f"{float(first['mean']):.4f}"


def test_json_holds_every_run(sliding: Path, called: Any) -> None:
    found = json.loads(called(sliding, "--baseline", "baseline", "--json").out)
    group = found["groups"][1]
    assert group["settings"] == {"method": "sliding", "recordings_per_class": 5}
    assert [entry["seed"] for entry in group["runs"]] == [1, 2, 3]
    assert group["runs"][0]["run"] == str(sliding / "default-recordings_per_class=5-seed1")
    assert group["paired"]["pairs"] == 3
    assert set(group["paired"]["differences"]) == {"1", "2", "3"}
    assert found["groups"][-1]["paired"] is None


# pictures


def texts(path: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text())


def test_lines_over_an_axis(sliding: Path, tmp_path: Path, called: Any) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "a.png"):
        assert called(sliding, "--baseline", "baseline", "--plot", tmp_path / name).code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    said = texts(tmp_path / "a.svg")
    for text in (
        "default",
        "baseline",
        "training recordings a class",
        "test top-1 (%)",
        "baseline (percentage points)",
        "top-1 on the test part (50 recordings) of n-mnist, protocol holdout",
    ):
        assert text in said
    assert {"2", "5", "10"} <= set(said)
    found = compare([sliding], baseline="baseline")
    assert axis_of(found) == "recordings_per_class"
    default, baseline = series_of(found, "recordings_per_class")
    assert (default.label, default.baseline) == ("default", False)
    assert (baseline.label, baseline.baseline) == ("baseline", True)
    assert [x for x, _ in default.points] == [2, 5, 10]
    before = (tmp_path / "a.svg").read_bytes()
    called(sliding, "--baseline", "baseline", "--plot", tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == before


def test_a_dot_for_each_group(tmp_path: Path, called: Any) -> None:
    pytest.importorskip("matplotlib")
    write_runs(tmp_path / "runs", "event", [0.5, 0.6], "transfer=false")
    write_runs(tmp_path / "runs", "blue", [0.55], "channel=blue")  # no interval of one seed
    picture = tmp_path / "b.svg"
    arguments = (tmp_path / "runs", "--plot", picture)
    assert called(*arguments, "--baseline", "event", "--metric", "loss").code == 0
    said = texts(picture)
    for text in ("event", "blue", "test loss (nats)", "paired difference from event (nats)"):
        assert text in said
    assert axis_of(compare([tmp_path / "runs"])) is None
    assert called(*arguments).code == 0
    assert not any("difference" in text for text in texts(picture))


def numbered(found: Comparison, axis: str) -> list[tuple[str, list[float]]]:
    return [(line.label, [x for x, _ in line.points]) for line in series_of(found, axis)]


def test_axes_without_a_sweep(tmp_path: Path) -> None:
    for width in (0.5, 1.0, 2.0):
        for transfer in ("true", "false"):
            name = f"{width}-{transfer}-seed1"
            write_run(tmp_path / name, 0.5, "seed=1", f"width={width}", f"transfer={transfer}")
    found = compare([tmp_path])
    assert axis_of(found) == "width"
    assert sorted(numbered(found, "width")) == [
        ("method=event-only", [0.5, 1.0, 2.0]),
        ("method=sliding", [0.5, 1.0, 2.0]),
    ]
    with pytest.raises(UsageError, match=r"--axis widht: .*; did you mean 'width'\?"):
        axis_of(found, "widht")
    with pytest.raises(UsageError, match=r"--axis method: no number that varies"):
        axis_of(found, "method")


def test_no_static_images_are_the_first_point_of_their_line(tmp_path: Path) -> None:
    """At 0 the recipe turns transfer off, which is no other line."""
    for share in (0.0, 0.5, 1.0):
        write_run(tmp_path / f"s{share}-seed1", 0.5, "seed=1", f"static_fraction={share}")
    found = compare([tmp_path], baseline="static_fraction=0")
    assert numbered(found, "static_fraction") == [("", [0.0, 0.5, 1.0])]
    assert found.comparisons == 2
    with pytest.raises(UsageError, match="no group"):
        compare([tmp_path], baseline="static_fraction=0.25")


def test_two_values_are_a_line_when_asked_for(tmp_path: Path, called: Any) -> None:
    pytest.importorskip("matplotlib")
    for width in (0.5, 1.0):
        write_run(tmp_path / "r" / f"w{width}", 0.5, f"width={width}")
    assert axis_of(compare([tmp_path / "r"])) is None
    picture = tmp_path / "c.svg"
    assert called(tmp_path / "r", "--plot", picture, "--axis", "width").code == 0
    assert "width (times the network's)" in texts(picture)


def test_pictures_that_cannot_be_drawn(
    sliding: Path, tmp_path: Path, called: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = called(sliding, "--plot", tmp_path / "a.gif")
    assert (done.code, done.out) == (2, "")
    assert "a.gif: the name has to end with .png or .svg" in done.err
    done = called(sliding, "--axis", "width")
    assert (done.code, done.err) == (2, "snntx: error: --axis belongs to --plot; add it\n")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = called(sliding, "--plot", tmp_path / "a.png")
    assert done.code == 2
    assert "matplotlib, which is not installed: pip install 'snntx[plot]'" in done.err
    assert not (tmp_path / "a.png").exists()


def test_labels_keep_their_distance() -> None:
    from snntx.train.study.lines import _spread

    assert _spread([5.0, 100.0, 50.0], 10) == [5.0, 100.0, 50.0]
    assert _spread([50.0, 50.0, 50.0], 10) == [40.0, 50.0, 60.0]
    places = _spread([20.0, 0.0, 18.0, 1.0], 10)
    order = np.argsort(places)
    assert list(order) == [1, 3, 2, 0]
    assert min(np.diff(np.sort(places))) >= 10 - 1e-9


def test_no_torch_is_needed_to_compare(sliding: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    code = (
        "import sys; from snntx.cli import run; "
        f"assert run(['compare', {str(sliding)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FOREIGN = ("=1+1", "+A1", "-2+3", "@SUM(A1)", "  =1", "<script>x</script>", "a|b", "\x1b[31m")


@pytest.mark.parametrize("name", FOREIGN)
def test_cells_are_text_to_a_spreadsheet_and_a_page(tmp_path: Path, called: Any, name: str) -> None:
    write_run(tmp_path / name.replace("/", "_"), 0.5)
    write_run(tmp_path / "b", 0.6, "lr=0.2", f"initial={json.dumps(name)}")
    done = called(tmp_path, "--csv", tmp_path / "t.csv", "--markdown", tmp_path / "t.md")
    assert done.code == 0
    assert "\x1b" not in done.out
    with (tmp_path / "t.csv").open(newline="") as file:
        first, second = sorted(csv.DictReader(file), key=lambda row: row["mean"])
    for cell in (first["group"], second["initial"]):
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
        assert "\x1b" not in cell
    assert first["mean"] == "0.5"
    text = (tmp_path / "t.md").read_text()
    assert "<script" not in text
    (label,) = re.findall(r"^\| (.+?) \| 1 \| 0\.5000 \|", text, re.MULTILINE)
    assert not label.lstrip().startswith(("=", "+", "-", "@"))
    assert "<" not in label
    assert not re.search(r"(?<!\\)\|", label)


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    write_runs(tmp_path, "event", [0.6, 0.7, 0.8], "transfer=false")
    write_runs(tmp_path, "static", [0.5, 0.59, 0.68])
    found = compare([tmp_path], baseline="event")
    (row,) = (each for each in csv.DictReader(io.StringIO(to_csv(found))) if each["difference"])
    assert float(row["difference"]) < 0
    assert float(row["t"]) < 0
    assert "| -0.1100 |" in to_markdown(found)


def test_a_table_that_cannot_be_written_is_printed(
    tmp_path: Path, called: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "a", 0.5)
    expected = called(tmp_path).out

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("snntx.preprocess.disk.atomic.os.replace", fail)
    done = called(tmp_path, "--csv", tmp_path / "t.csv")
    assert (done.code, done.out) == (1, expected)
    assert done.err == (
        f"snntx: error: {tmp_path / 't.csv'}: cannot be written: the disk is full; the comparison "
        "went to standard output and nowhere else\n"
    )


@pytest.mark.parametrize("name", ["$x_{$", "a$\\frac$", "a\nb\x1b"])
def test_names_in_a_picture_are_plain_text(tmp_path: Path, called: Any, name: str) -> None:
    pytest.importorskip("matplotlib")
    write_run(tmp_path / name, 0.5)
    write_run(tmp_path / "b", 0.6, "lr=0.2")
    assert called(tmp_path, "--plot", tmp_path / "a.svg").code == 0
    text = (tmp_path / "a.svg").read_text()
    assert plain(name) in text
