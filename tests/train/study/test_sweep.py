"""Sweeps: what they expand to, what they skip, resume and refuse, and what a failure leaves."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.declared.tables import toml_value
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.digits import write_simulated_digits
from snntx.preprocess.planning.plan import make_request
from snntx.train.recipe.sources import load_recipe
from snntx.train.recipe.whole import Recipe
from snntx.train.study import child as sweep_child
from snntx.train.study import jobs as sweep_run
from snntx.train.study import progress as sweep_state
from snntx.train.study.progress import read_index, run_state, write_index
from snntx.train.study.results import read_progress, read_recipe
from snntx.train.study.sweep import (
    for_card,
    group_label,
    load_sweep,
    parse_sweep,
    sweep_from_table,
)
from snntx.train.study.sweeps.expand import expand

Output = namedtuple("Output", "code out err")

CARD = "simulated-digits"
ENDLESS = 100_000
COMMON = {
    "steps": 3,
    "width": 0.25,
    "epochs": 2,
    "batch_size": 16,
    "lr": 0.05,
    "recordings_per_class": 2,
    "draws_per_epoch": 32,
    "tensorboard": False,
}


def sweep(**table: Any) -> Any:
    return sweep_from_table({"seeds": [1], **table}, "s.toml")


def names(**table: Any) -> list[str]:
    return [each.name for each in expand(sweep(**table), load_card(CARD), "s.toml")]


# what a sweep expands to


def test_a_sweep_is_the_product_with_the_first_seed_first() -> None:
    table = {
        "seeds": [1, 2],
        "recipes": ["default", "baseline"],
        "axes": {"event_fraction": [0.5, 1.0], "channel": ["V", "blue"]},
        "set": {"epochs": 3},
    }
    runs = expand(sweep(**table), load_card(CARD), "s.toml")
    assert len(runs) == 2 * 2 * 2 * 2
    assert [run.name for run in runs[:3]] == [
        "default-event_fraction=0.5-channel=V-seed1",
        "default-event_fraction=0.5-channel=blue-seed1",
        "default-event_fraction=1.0-channel=V-seed1",
    ]
    assert runs[8].name == "default-event_fraction=0.5-channel=V-seed2"
    last = runs[-1]
    assert (last.base, last.variant) == ("baseline", "")
    assert last.point == {"event_fraction": 1.0, "channel": "blue"}
    assert last.recipe == load_recipe(
        load_card(CARD), "baseline", ("epochs=3", "channel=blue", "event_fraction=1", "seed=2")
    )
    assert {run.recipe.optim.epochs for run in runs} == {3}


def test_variants_are_over_the_common_settings() -> None:
    table = {
        "set": {"lr": 0.1, "sliding": True},
        "variants": [{"name": "a"}, {"name": "b", "set": {"sliding": False, "flip": True}}],
    }
    a, b = expand(sweep(**table), load_card(CARD), "s.toml")
    assert (a.name, b.name) == ("default-a-seed1", "default-b-seed1")
    assert (a.recipe.settings()["replacement"], a.recipe.augment.flip) == ("power", False)
    assert (b.recipe.settings()["replacement"], b.recipe.augment.flip) == ("none", True)
    assert a.recipe.optim.lr == b.recipe.optim.lr == 0.1


def test_settings_of_the_command_are_over_those_of_the_file() -> None:
    read = sweep(set={"lr": 0.1}, variants=[{"name": "a", "set": {"flip": True}}])
    (made,) = expand(read, load_card(CARD), "s.toml", ("lr=0.2", "epochs=7"))
    assert (made.recipe.optim.lr, made.recipe.optim.epochs, made.recipe.augment.flip) == (
        0.2,
        7,
        True,
    )
    assert "lr=0.1" not in made.overrides
    for setting, reason in (("flip=false", "varies flip"), ("seed=3", "--seeds")):
        with pytest.raises(UsageError, match=reason):
            expand(read, load_card(CARD), "s.toml", (setting,))


def test_a_variant_may_have_seeds_of_its_own() -> None:
    table = {"seeds": [1, 2], "variants": [{"name": "a"}, {"name": "b", "seeds": [2, 3]}]}
    assert names(**table) == [
        "default-a-seed1",
        "default-a-seed2",
        "default-b-seed2",
        "default-b-seed3",
    ]
    given = for_card(sweep(**table), CARD, "s.toml", seeds=(7,), recipes=("baseline",))
    runs = expand(given, load_card(CARD), "s.toml")
    assert [each.name for each in runs] == ["baseline-a-seed7", "baseline-b-seed7"]


def test_a_card_takes_the_variants_that_it_names_in_its_order() -> None:
    table = {
        "variants": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        "cards": {CARD: {"variants": ["c", "a"]}, "n-mnist": {}},
    }
    assert names(**table) == ["default-c-seed1", "default-a-seed1"]
    for other in ("n-mnist", "cep-dvs"):
        runs = expand(sweep(**table), load_card(other), "s.toml")
        assert [each.variant for each in runs] == ["a", "b", "c"]


def test_a_card_that_a_sweep_does_not_name_gets_the_one_in_its_place(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("seeds = [5]\n[set]\nlr = 0.25\n")
    table = {"cards": {"n-mnist": {}}, "otherwise": str(other), "out": "here"}
    notes: list[str] = []
    (made,) = expand(sweep(**table), load_card(CARD), "s.toml", on_note=notes.append)
    assert (made.name, made.recipe.optim.lr) == ("default-seed5", 0.25)
    assert notes == [f"s.toml names no runs for card {CARD}; its place is taken by {other}"]
    assert for_card(sweep(**table), CARD, "s.toml", seeds=(8,)).seeds == (8,)
    assert for_card(sweep(**table), CARD, "s.toml").out == "here"
    notes.clear()
    (own,) = expand(sweep(**table), load_card("n-mnist"), "s.toml", on_note=notes.append)
    assert (own.name, notes) == ("default-seed1", [])


def test_a_sweep_in_the_place_of_another_hands_on_to_none(tmp_path: Path) -> None:
    last, middle = tmp_path / "last.toml", tmp_path / "middle.toml"
    last.write_text("seeds = [5]\n")
    middle.write_text(f'seeds = [6]\notherwise = "{last}"\n[cards.n-mnist]\n')
    table = {"cards": {"cep-dvs": {}}, "otherwise": str(middle)}
    with pytest.raises(UsageError, match=r"otherwise = .*middle\.toml', which names another") as e:
        names(**table)
    assert "\n" not in str(e.value)
    advice = str(e.value).rsplit("name '", 1)[1].split("'")[0]
    assert names(**{**table, "otherwise": advice}) == ["default-seed5"]
    (there,) = expand(sweep(**table), load_card("n-mnist"), "s.toml")
    assert there.name == "default-seed6"


@pytest.mark.parametrize("method", ["event-only", "static-only"])
@pytest.mark.parametrize("value", [0.5, 0.75])  # the default of those that take it, and another
def test_an_axis_that_a_method_does_not_take_is_refused(method: str, value: float) -> None:
    variants = [{"name": "alone", "set": {"method": method}}, {"name": "both"}]
    with pytest.raises(UsageError) as caught:
        names(axes={"domain_weight": [value]}, variants=variants)
    said = str(caught.value)
    assert said == (
        f"s.toml: run default-alone-domain_weight={value}-seed1: method {method} takes no "
        "domain_weight, which [axes] varies; instead give each value of domain_weight a table in "
        "[[variants]] with one of the methods that take it (sliding, time-mixup)"
    )
    tables = [{"name": "sliding-w", "set": {"method": "sliding", "domain_weight": value}}]
    assert names(variants=[variants[0], *tables]) == [
        "default-alone-seed1",
        "default-sliding-w-seed1",
    ]


@pytest.mark.parametrize(
    ("table", "method"),
    [
        ({"axes": {"modality_weight": [0.1], "method": ["time-mixup", "sliding"]}}, "sliding"),
        ({"axes": {"sliding_power": [3.0]}, "set": {"branch": "event"}}, "event-only"),
        ({"axes": {"sliding_power": [3.0]}, "set": {"static_fraction": 0.0}}, "event-only"),
        ({"axes": {"sliding_power": [3.0], "static_fraction": [1.0, 0.0]}}, "event-only"),
        ({"axes": {"regularization": [True]}, "recipes": ["baseline"]}, "event-only"),
    ],
)
def test_whichever_way_the_method_was_chosen(table: dict[str, Any], method: str) -> None:
    with pytest.raises(UsageError, match=rf"run \S+: method {method} takes no \w+, which \[axes\]"):
        names(**table)


def test_an_axis_by_the_method_of_the_command() -> None:
    read = sweep(axes={"sliding_power": [3.0]})
    for given, taken in (("method=time-mixup", True), ("method=event-only", False)):
        if taken:
            assert len(expand(read, load_card(CARD), "s.toml", (given,))) == 1
            continue
        with pytest.raises(UsageError, match="method event-only takes no sliding_power"):
            expand(read, load_card(CARD), "s.toml", (given,))


def test_names_of_directories_are_plain(tmp_path: Path) -> None:
    mine = tmp_path / "my recipe.toml"
    mine.write_text("epochs = 1\n")
    assert names(recipes=[str(mine)]) == ["my_recipe-seed1"]
    assert names(variants=[{"name": "../up"}]) == ["default-.._up-seed1"]
    assert names(axes={"augment": [["mixup", "nda"]]}) == ["default-augment=mixup+nda-seed1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (3, "3"), (0.1, "0.1"), ('a"b', '"a\\"b"'), (["x", 1], '["x", 1]')],
)
def test_settings_as_toml(value: Any, text: str) -> None:
    assert toml_value(value) == text


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"recipe": ["x"]}, r"s\.toml: unknown key 'recipe'; did you mean 'recipes'\?"),
        ({"variants": [{"name": "a", "sets": {}}]}, r"unknown key 'sets'; did you mean 'set'\?"),
        ({"seeds": ["1"]}, r"s\.toml: seeds = \['1'\] is not a list of a whole number"),
        ({"seeds": []}, r"s\.toml: seeds is empty"),
        ({"recipes": []}, r"s\.toml: recipes is empty"),
        ({"seeds": [3, 3]}, "seeds holds 3 twice"),
        ({"recipes": ["default", "default"]}, 'recipes holds "default" twice'),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, 'variants holds "a" twice'),
        ({"variants": [{"name": ""}]}, "whose name is empty"),
        ({"axes": {"lr": 0.1}}, r"\[axes\] lr = 0\.1 is not a list of values"),
        ({"axes": {"lr": []}}, r"\[axes\] lr = \[\] is not a list of values"),
        ({"axes": {"lr": [0.1, 0.1]}}, "lr holds 0.1 twice"),
        ({"axes": {"lr": [0.1]}, "set": {"lr": 1}}, r"\[axes\] and \[set\] both set lr"),
        (
            {"axes": {"lr": [0.1]}, "variants": [{"name": "a", "set": {"lr": 1}}]},
            r"\[axes\] and variants both set lr",
        ),
        ({"variants": [{"name": "a", "seeds": [1, 1]}]}, "seeds of variant a holds 1 twice"),
        (
            {"variants": [{"name": "ab"}], "cards": {CARD: {"variants": ["abc"]}}},
            r"\[cards\.\S+\] takes variant 'abc'; did you mean 'ab'\?, which \[\[variants\]\]",
        ),
        ({"cards": {CARD: {"variants": ["a", "a"]}}}, 'variants holds "a" twice'),
        ({"cards": {CARD: {"variant": []}}}, r"unknown key 'variant'; did you mean 'variants'\?"),
        ({"otherwise": "few-labels"}, r"cards that \[cards\] does not name; add \[cards\.NAME\]"),
        ({"cards": {"x": {}}, "otherwise": "few-labls"}, "unknown sweep 'few-labls'; did you mea"),
        ({"set": {"seed": 1}}, r"\[set\] names seed; list the seeds under seeds"),
        ({"axes": {"seed": [1]}}, r"\[axes\] names seed"),
        ({"recipes": ["basline"]}, r"run basline-seed1: unknown recipe .* mean 'baseline'\?"),
        ({"axes": {"chanel": ["V"]}}, r"run default-chanel=V-seed1: .* mean 'channel'\?"),
        ({"set": {"event_fraction": 2.0}}, "must be a finite number from 0 to 1, found 2.0"),
        ({"set": {"lr": {"a": 1}}}, "is not a setting's value"),
        ({"variants": [{"name": "a/b"}, {"name": "a b"}]}, "several runs would have the directory"),
        ({"variants": [{"name": "A"}, {"name": "a"}]}, "several runs would have the directory"),
        ({"variants": [{"name": "a" * 250}]}, "longer than 200 characters"),
    ],
)
def test_a_wrong_sweep_is_one_line(table: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        names(**table)
    assert "s.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_sweep(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"x\.toml: not valid TOML"):
        parse_sweep(b"a = ", "x.toml")
    with pytest.raises(UsageError, match=r"x\.toml: the key 'seeds' is missing"):
        parse_sweep(b"", "x.toml")
    with pytest.raises(UsageError, match=r"unknown sweep 'paper-ablaton'; did you mean 'paper-abl"):
        load_sweep("paper-ablaton")


# how far a run is


def recipe_of(**settings: Any) -> Recipe:
    overrides = [f"{k}={toml_value(v)}" for k, v in {**COMMON, **settings}.items()]
    return load_recipe(load_card(CARD), "default", overrides)


def write_run(
    path: Path,
    recipe: Recipe,
    *,
    epochs: int,
    best: int = 0,
    key: str = "k",
    metrics: dict[str, Any] | None = None,
) -> None:
    """A run directory as release 0.1 left it, without the weights; epochs are counted from 0."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "recipe.toml").write_text(recipe.to_toml())
    part = {"part": "validation", "top1": 0.75, "top5": 1.0, "loss": 0.5}
    if epochs:
        found = {"epoch": best, **part}
        origin = {"card": CARD, "cache_key": key, "epoch": epochs, "best": found}
        torch.save(origin, path / "last.pt")
    records = [{"epoch": i, "best_epoch": min(i, best), "selection": part} for i in range(epochs)]
    (path / "log.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in records))
    if metrics is not None:
        content: dict[str, Any] = {
            "card": CARD,
            "cache_key": key,
            "protocol": "holdout",
            "part": "test",
            "per_class": {"0": [2, 0.5]},
        }
        content |= {"top1": 0.5, "top5": 1.0, "loss": 0.5, "seed": recipe.run.seed, "epoch": best}
        content |= metrics
        (path / "metrics.json").write_text(json.dumps(content))


def test_states_of_a_run(tmp_path: Path) -> None:
    recipe, path = recipe_of(epochs=3), tmp_path / "run"
    assert run_state(path, recipe) == "start"
    write_run(path, recipe, epochs=0)  # stopped within its first epoch
    assert run_state(path, recipe) == "start"
    write_run(path, recipe, epochs=2)
    assert run_state(path, recipe) == "resume"
    write_run(path, recipe, epochs=2, metrics={})  # evaluated half-way
    assert run_state(path, recipe) == "resume"
    write_run(path, recipe, epochs=3, best=1, metrics={"epoch": 0})  # and then trained on
    assert run_state(path, recipe) == "evaluate"
    assert run_state(path, recipe, test=False) == "done"
    write_run(path, recipe, epochs=3, best=1, metrics={})
    assert run_state(path, recipe, key="k") == "done"
    (path / "log.jsonl").write_bytes((path / "log.jsonl").read_bytes()[:-9])
    assert run_state(path, recipe) == "done"  # last.pt says that every epoch was trained
    write_run(path, recipe, epochs=2)
    (path / "log.jsonl").write_bytes((path / "log.jsonl").read_bytes()[:-9])
    assert run_state(path, recipe) == "resume"


def test_patience_ends_a_run_early(tmp_path: Path) -> None:
    recipe = recipe_of(epochs=9, patience=2)
    write_run(tmp_path, recipe, epochs=3, best=0)
    assert read_progress(tmp_path, recipe).whole
    write_run(tmp_path, recipe, epochs=3, best=1)
    assert not read_progress(tmp_path, recipe).whole


def test_a_directory_of_another_run_is_refused(tmp_path: Path) -> None:
    recipe, path = recipe_of(), tmp_path / "run"
    write_run(path, recipe_of(lr=0.01, flip=True), epochs=2)
    with pytest.raises(UsageError, match=r"holds a run of another recipe \(lr, flip\)"):
        run_state(path, recipe)
    measured: tuple[dict[str, Any] | None, ...] = ({}, None)
    for metrics in measured:  # what was measured knows the cache, and so does the checkpoint
        write_run(path, recipe, epochs=2, metrics=metrics)
        with pytest.raises(UsageError, match="holds a run on cache k, not other; choose another"):
            run_state(path, recipe, key="other")
        with pytest.raises(UsageError, match="holds a run of card simulated-digits, not n-mnist"):
            run_state(path, recipe, card="n-mnist")
        (path / "metrics.json").unlink(missing_ok=True)
    write_run(path, recipe, epochs=2, metrics={"part": "validation"})
    assert run_state(path, recipe, card=CARD, key="k") == "evaluate"
    (path / "recipe.toml").unlink()
    with pytest.raises(UsageError, match=r"holds last\.pt without recipe\.toml"):
        run_state(path, recipe)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        run_state(tmp_path / "file", recipe)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    recipe = recipe_of()
    write_run(tmp_path, recipe, epochs=2, metrics={})
    for text in ("{", "[]", '{"card": 1}'):
        (tmp_path / "metrics.json").write_text(text)
        with pytest.raises(SnntxError, match=r"metrics\.json: not what snntx evaluate writes"):
            run_state(tmp_path, recipe)
    (tmp_path / "recipe.toml").write_text("model = ")
    with pytest.raises(SnntxError, match=r"recipe\.toml: not a readable recipe"):
        run_state(tmp_path, recipe)


def test_the_index_of_a_folder_grows(tmp_path: Path) -> None:
    card = load_card(CARD)
    first = expand(sweep(axes={"lr": [0.1]}), card, "s.toml")
    more = expand(sweep(axes={"lr": [0.1, 0.2]}), card, "s.toml")
    write_index(first, tmp_path, CARD, {each.name: "k" for each in first})
    write_index(more, tmp_path, CARD, {each.name: "k" for each in more})
    found = read_index(tmp_path)
    assert list(found) == ["default-lr=0.1-seed1", "default-lr=0.2-seed1"]
    assert found["default-lr=0.2-seed1"] == {
        "base": "default",
        "variant": "",
        "point": {"lr": 0.2},
        "card": CARD,
        "cache_key": "k",
    }
    assert group_label(found["default-lr=0.2-seed1"], list(found.values())) == "lr=0.2"
    for text in ("{", '{"format": 9, "runs": {}}', '{"format": 1, "runs": {"a": {}}}'):
        (tmp_path / "sweep.json").write_text(text)
        with pytest.raises(SnntxError, match=r"sweep\.json: not what snntx sweep writes"):
            read_index(tmp_path)
    assert read_index(tmp_path / "none") == {}


# the command, with a program in snntx's place that ends as a run's name says

PROGRAM = """#!{python}
import json, os, pathlib, shutil, signal, sys, time
words = sys.argv[3:]
home = pathlib.Path(__file__).parent
if any("deaf" in word for word in words):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
train = words[0] == "train"
out = pathlib.Path(words[words.index("--out") + 1] if train else words[1])
with open(home / "calls.jsonl", "a") as file:
    keys = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    call = dict(words=words, run=out.name, env=[os.environ.get(key) for key in keys])
    file.write(json.dumps(call) + chr(10))
if train and "fails" in out.name:
    print("snntx: error: it diverged", file=sys.stderr)
    sys.exit(1)
if train and "crashes" in out.name:
    sys.exit("no idea")
if train and "dies" in out.name:
    os.kill(os.getpid(), signal.SIGKILL)
if train and "sleeps" in out.name:
    time.sleep(60)
    (home / "overslept").touch()
if train:
    shutil.copytree(home / "made" / out.name, out, dirs_exist_ok=True)
    (out / "metrics.json").unlink()
else:
    shutil.copy(home / "made" / out.name / "metrics.json", out)
"""


class Stage:
    """The command ``snntx sweep`` with a program of the test's in the place of ``snntx``."""

    def __init__(self, root: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.cache, self.out = root, cache, root / "out"
        self.key: str | None = None
        self.program = root / "program"
        self.program.write_text(PROGRAM.format(python=sys.executable))
        self.program.chmod(0o755)
        self._capsys = capsys

    def __call__(self, *arguments: Any, **table: Any) -> Output:
        settings = {"card": CARD, "seeds": [1, 2], "set": COMMON, **table}
        read = sweep_from_table(settings, "s.toml")
        for each in expand(read, load_card(CARD), "s.toml"):
            key = self.key or self.keys()[0]
            made = self.root / "made" / each.name
            write_run(made, each.recipe, epochs=2, key=key, metrics={})
        (self.root / "s.toml").write_text(self._toml(settings))
        words = ["sweep", self.root / "s.toml", "--cache", self.cache, "--out", self.out]
        code = run([str(word) for word in (*words, *arguments)])
        return Output(code, *self._capsys.readouterr())

    @staticmethod
    def _toml(table: dict[str, Any]) -> str:
        plain = {k: v for k, v in table.items() if k not in ("set", "axes", "variants")}
        lines = [f"{key} = {toml_value(value)}" for key, value in plain.items()]
        for name in ("set", "axes"):
            lines += [f"[{name}]"]
            lines += [f"{k} = {toml_value(v)}" for k, v in table.get(name, {}).items()]
        for variant in table.get("variants", []):
            lines += ["[[variants]]", f'name = "{variant["name"]}"']
        return "\n".join(lines) + "\n"

    def keys(self) -> list[str]:
        """Keys of the sealed caches."""
        return sorted(seal.parent.name for seal in self.cache.glob(f"{CARD}/*/SEALED"))

    def calls(self) -> list[dict[str, Any]]:
        path = self.root / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@pytest.fixture
def stage(
    tmp_path: Path,
    small_cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    made = Stage(tmp_path, small_cache / "cache", capsys)
    monkeypatch.setattr(sys, "executable", str(made.program))
    monkeypatch.setattr(sweep_run, "POLL_SECONDS", 0.01)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


def test_a_sweep_trains_evaluates_and_then_skips(stage: Stage) -> None:
    done = stage("--json")
    assert done.code == 0
    runs = json.loads(done.out)["runs"]
    assert [Path(each["run"]).name for each in runs] == ["default-seed1", "default-seed2"]
    assert {(each["state"], each["part"], each["top1"]) for each in runs} == {
        ("finished", "test", 0.5)
    }
    first, second, *rest = stage.calls()
    assert (first["words"][:2], first["run"]) == (["train", CARD], "default-seed1")
    assert "--resume" not in first["words"]
    assert "seed=1" in first["words"]
    assert second["words"][:2] == ["evaluate", str(stage.out / "default-seed1")]
    assert [call["words"][0] for call in rest] == ["train", "evaluate"]

    again = stage()
    assert (again.code, stage.calls()) == (0, [])
    assert "2 runs: 2 finished earlier" in again.out
    (stage.out / "default-seed1" / "metrics.json").unlink()
    half = read_recipe(stage.out / "default-seed2")
    assert half is not None
    write_run(stage.out / "default-seed2", half, epochs=1, key=stage.keys()[0])
    assert stage().code == 0
    calls = stage.calls()
    assert [call["words"][0] for call in calls] == ["evaluate", "train", "evaluate"]
    assert calls[1]["words"][-1] == "--resume"


@pytest.fixture
def grown(stage: Stage, tmp_path: Path) -> str:
    """Key of a second cache of the same card and options, of other recordings."""
    root, data = tmp_path / "caches", tmp_path / "more"
    shutil.copytree(stage.cache, root)
    write_simulated_digits(data, seed=2, recordings=30)
    preprocess(
        make_request(load_card(CARD), raw=data / "raw", static=data / "static", cache=root, steps=3)
    )
    (key,) = {seal.parent.name for seal in root.glob(f"{CARD}/*/SEALED")} - set(stage.keys())
    (first,) = stage.keys()
    stage.cache, stage.key = root, first
    return key


@pytest.mark.parametrize("left", ["done", "evaluate", "resume"])
def test_runs_of_another_cache_are_not_finished_ones(stage: Stage, grown: str, left: str) -> None:
    first = stage.key
    assert stage("--key", first).code == 0
    for name in ("default-seed1", "default-seed2"):
        recipe = read_recipe(stage.out / name)
        assert recipe is not None
        if left != "done":
            (stage.out / name / "metrics.json").unlink()
        if left == "resume":
            write_run(stage.out / name, recipe, epochs=1, key=first or "")
    index = (stage.out / "sweep.json").read_bytes()
    stage.calls()
    done = stage("--key", grown)
    assert (done.code, done.out, stage.calls()) == (2, "", [])
    assert done.err == (
        f"snntx: error: {stage.out}/default-seed1: holds a run on cache {first}, not {grown}; "
        f"choose another --out for runs on {grown}, or go on with these by --key {first}\n"
    )
    assert (stage.out / "sweep.json").read_bytes() == index
    # both ways out
    assert stage("--key", first).code == 0
    stage.key, stage.out = grown, stage.root / "on the grown cache"
    stage.calls()
    assert stage("--key", grown).code == 0
    assert [call["words"][0] for call in stage.calls()] == ["train", "evaluate"] * 2
    assert {entry["cache_key"] for entry in read_index(stage.out).values()} == {grown}


def test_train_only_leaves_the_test_part_alone(stage: Stage) -> None:
    done = stage("--train-only", "--json")
    assert {each["part"] for each in json.loads(done.out)["runs"]} == {"validation"}
    assert done.err.endswith(f"snntx: next: snntx compare {stage.out} --part validation\n")
    assert [call["words"][0] for call in stage.calls()] == ["train", "train"]
    assert stage().code == 0
    assert [call["words"][0] for call in stage.calls()] == ["evaluate", "evaluate"]


def test_one_failing_run_stops_no_other(stage: Stage) -> None:
    variants = [{"name": name} for name in ("fails", "crashes", "dies", "works")]
    done = stage("--jobs", 2, variants=variants, seeds=[1])
    assert done.code == 1
    assert "4 runs: 1 finished, 3 failed" in done.out
    lines = done.err.splitlines()
    assert lines[-1] == "snntx: error: 3 of 4 runs failed; the same command tries them again"
    assert "snntx: failed default-fails-seed1: it diverged" in lines
    assert "snntx: failed default-crashes-seed1: ended with exit code 1: no idea" in lines
    killed = "snntx: failed default-dies-seed1: was killed by SIGKILL (out of memory?)"
    assert killed in lines
    log = stage.out / "logs" / "default-fails-seed1.txt"
    assert f"snntx: failed default-fails-seed1; its output is in {log}" in lines
    assert "it diverged" in log.read_text()
    stage.calls()
    assert stage(variants=variants, seeds=[1]).code == 1
    assert {call["run"] for call in stage.calls()} == {
        f"default-{name}-seed1" for name in ("fails", "crashes", "dies")
    }


def test_jobs_share_cores_and_gpus(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snntx.preprocess.build.workers.usable_cores", lambda: 8)
    assert stage(seeds=[1]).code == 0
    assert [call["env"] for call in stage.calls()] == [[None, None]] * 2
    assert stage("--jobs", 3, seeds=[2]).code == 0
    assert [call["env"] for call in stage.calls()] == [["2", None]] * 2
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert stage("--jobs", 3, seeds=[3]).code == 0
    assert [call["env"] for call in stage.calls()] == [["5", None]] * 2
    assert stage("--jobs", 3, "--threads", 1, seeds=[4]).code == 0
    assert [call["env"] for call in stage.calls()] == [["1", None]] * 2
    assert stage("--devices", "4,7", seeds=[5, 6, 7]).code == 0
    calls = stage.calls()
    assert {call["env"][1] for call in calls} == {"4", "7"}
    assert all("cuda" in call["words"] for call in calls)


def test_the_plan_is_printed_and_nothing_started(stage: Stage) -> None:
    axes = {"event_fraction": [0.5, 1.0]}
    planned = stage("--dry-run", axes=axes)
    assert planned.code == 0
    assert "default-event_fraction=0.5-seed1  to start  event_fraction=0.5, seed=1" in planned.out
    assert "every run: steps=3, width=0.25," in planned.out
    assert planned.out.endswith("4 runs: 4 to start\n")
    entries = json.loads(stage("--dry-run", "--json", axes=axes).out)["runs"]
    assert entries[0]["point"] == {"event_fraction": 0.5}
    assert {entry["state"] for entry in entries} == {"start"}
    assert not stage.out.exists()
    assert stage.calls() == []
    stage.cache = stage.cache.parent  # there is no cache, yet the plan can be read
    with patch.object(Path, "glob", lambda self, pattern: iter([self / "k" / "SEALED"])):
        without = stage("--dry-run", axes=axes)
    assert without.code == 0
    assert "snntx: no run could start now: " in without.err
    assert "4 runs: 4 to start" in without.out


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_it_stops_its_runs_and_says_how_to_go_on(
    stage: Stage, how: signal.Signals
) -> None:
    calls = stage.root / "calls.jsonl"
    deadline = time.monotonic() + 30

    def ask() -> None:
        while time.monotonic() < deadline:
            if calls.exists() and "sleeps" in calls.read_text():
                break
            time.sleep(0.01)
        os.kill(os.getpid(), how)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    variants = [{"name": name} for name in ("works", "sleeps", "later")]
    done = stage(variants=variants, seeds=[1])
    thread.join()
    assert done.code == 128 + how
    assert done.err.splitlines()[-1] == (
        "snntx: stopped: 1 of 3 runs are finished; run the same command again to go on"
    )
    assert "3 runs: 1 finished, 2 stopped" in done.out
    assert [call["run"] for call in stage.calls()][-1] == "default-sleeps-seed1"
    assert signal.getsignal(how) is not None
    assert not isinstance(signal.getsignal(how), sweep_run.Asked)


def job_of(each: Any, out: Path, cache: Path) -> sweep_child.Job:
    (job,) = sweep_run.make_jobs(
        [each],
        out,
        card=CARD,
        cache=cache,
        keys={},
        device="cpu",
        test=True,
        threads=1,
    )
    return job


def test_a_run_that_does_not_end_is_killed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_child, "STOP_SECONDS", 0.1)
    asked = sweep_run.Asked()

    def look(names: list[str]) -> None:
        if (stage.root / "calls.jsonl").exists() and not asked.signals:
            asked.signals.append(signal.SIGTERM)

    (each,) = expand(sweep(variants=[{"name": "deaf-sleeps"}]), load_card(CARD), "s.toml")
    job = job_of(each, stage.out, stage.cache)
    (outcome,) = sweep_run.run_jobs([job], sweep_run.Here(1), asked, waiting=look)
    assert outcome.state == "stopped"
    assert not (stage.root / "overslept").exists()


def test_a_directory_with_another_recipe_stops_before_anything_runs(stage: Stage) -> None:
    assert stage(seeds=[1]).code == 0
    stage.calls()
    done = stage(set={**COMMON, "lr": 0.01}, seeds=[2, 1])
    assert (done.code, done.out) == (2, "")
    assert "holds a run of another recipe (lr); choose another --out" in done.err
    assert stage.calls() == []


def test_one_sweep_at_a_time_in_a_folder(stage: Stage) -> None:
    with sweep_run.claimed(stage.out):
        done = stage()
    assert (done.code, done.out) == (1, "")
    assert "another sweep runs in this folder" in done.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--seeds", "1,x"], "--seeds 1,x: expected whole numbers such as 1,2,3"),
        (["--devices", "0,"], "--devices 0,: expected numbers of GPUs such as 0,1"),
        (["--devices", "0", "--device", "cpu"], "--devices names GPUs, but --device cpu uses none"),
        (["--scheduler", "tcp://x", "--jobs", "2"], "leave out --jobs, --devices"),
        (["--set", "widht=1"], "unknown key 'widht'; did you mean 'width'?"),
        (["--recipe", "basline"], "unknown recipe 'basline'; did you mean 'baseline'?"),
        (["--train-only", "--set", "protocol=paper"], "protocol paper chooses the epoch on"),
        (["--key", "zz"], "no cache has key 'zz'"),
    ],
)
def test_a_wrong_call_is_one_line(stage: Stage, arguments: list[str], reason: str) -> None:
    done = stage(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("snntx: error: ")
    assert reason in done.err
    assert done.err.count("\n") == 1


def test_a_shipped_sweep_needs_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", "static-fraction"]) == 2
    assert "names no card; add one, such as: snntx sweep static-fraction n-m" in (
        capsys.readouterr().err
    )


# whole runs


@pytest.fixture(scope="module")
def swept(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes, trained and evaluated by the command."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "s.toml").write_text(
        Stage._toml(
            {
                "card": CARD,
                "seeds": [2],
                "recipes": ["default", "baseline"],
                "set": {**COMMON, "epochs": 1},
                "cache": str(small_cache / "cache"),
                "out": str(folder / "out"),
            }
        )
    )
    assert run(["sweep", str(folder / "s.toml"), "--jobs", "2"]) == 0
    return folder


def test_the_runs_are_those_of_train_and_evaluate(
    swept: Path, small_cache: Path, tmp_path: Path
) -> None:
    from snntx.train.checkpoints.state import load_checkpoint

    settings = {**COMMON, "epochs": 1, "seed": 2}
    words = [w for k, v in settings.items() for w in ("--set", f"{k}={toml_value(v)}")]
    cache = str(small_cache / "cache")
    train = ["train", CARD, "--recipe", "baseline", "--cache", cache, "--out", str(tmp_path / "r")]
    assert run([*train, *words]) == 0
    assert run(["evaluate", str(tmp_path / "r"), "--cache", cache]) == 0
    theirs, own = swept / "out" / "baseline-seed2", tmp_path / "r"
    assert (theirs / "recipe.toml").read_text() == (own / "recipe.toml").read_text()
    a, b = (load_checkpoint(path / "best.pt").model for path in (theirs, own))
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)
    mine = json.loads((theirs / "metrics.json").read_text())
    assert mine["recordings"] == json.loads((own / "metrics.json").read_text())["recordings"]
    assert sweep_state.run_state(theirs, load_checkpoint(own / "best.pt").recipe) == "done"


def test_a_sweep_is_compared(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = swept / "out"
    capsys.readouterr()
    assert run(["compare", str(out), "--baseline", "recipe=baseline", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [group["group"] for group in found["groups"]] == ["default", "baseline"]
    default, baseline = (
        json.loads((out / f"{name}-seed2" / "metrics.json").read_text())["top1"]
        for name in ("default", "baseline")
    )
    first = found["groups"][0]
    assert first["mean"] == default
    assert first["paired"]["differences"] == {"2": default - baseline}
    assert run(["compare", str(out), "--part", "validation", "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    log = (out / "default-seed2" / "log.jsonl").read_text()
    top1 = json.loads(log.splitlines()[-1])["selection"]["top1"]
    assert chosen["groups"][0]["runs"][0]["value"] == top1


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    "how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_however_a_sweep_ends_its_runs_write_a_checkpoint(
    small_cache: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """In a process of its own: no run is left behind, and each can be gone on with."""
    settings = {**COMMON, "epochs": ENDLESS}
    (tmp_path / "s.toml").write_text(Stage._toml({"card": CARD, "seeds": [1, 2], "set": settings}))
    words = ["sweep", "s.toml", "--out", "out", "--cache", str(small_cache / "cache")]
    marker = f"SNNTX_SWEEP_TEST={tmp_path}"
    name, value = marker.split("=")
    with subprocess.Popen(
        [sys.executable, "-m", "snntx", *words, "--jobs", "2"],
        cwd=tmp_path,
        env={**os.environ, name: value},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while len(list(tmp_path.glob("out/*/last.pt"))) < 2 and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(how)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    if how is signal.SIGINT:
        assert process.returncode == 130, said
        assert "snntx: stopped: 0 of 2 runs are finished; run the same command again" in said
        assert running(marker) == []
    deadline = time.monotonic() + 60
    while running(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = running(marker)
    for path in left:
        os.kill(int(path.parent.name), signal.SIGKILL)
    assert left == []
    for seed in (1, 2):
        path = tmp_path / "out" / f"default-seed{seed}"
        assert run_state(path, recipe_of(epochs=ENDLESS, seed=seed)) == "resume"
        assert "stopped in epoch" in (tmp_path / f"out/logs/{path.name}.txt").read_text()


def running(marker: str) -> list[Path]:
    """The processes with a word in their environment."""
    return [path for path in Path("/proc").glob("[0-9]*/environ") if _has_word(path, marker)]


def _has_word(path: Path, marker: str) -> bool:
    try:
        return marker.encode() in path.read_bytes()
    except OSError:
        return False


# Dask


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with (
        patch.dict(os.environ),  # a cluster leaves OMP_NUM_THREADS=1 and more behind
        distributed.LocalCluster(processes=True, **options) as running,
    ):
        yield running


def test_a_dask_cluster_runs_them(
    small_cache: Path,
    tmp_path: Path,
    cluster: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variants = [{"name": "works"}, {"name": "fails"}]
    table = {"card": CARD, "seeds": [1], "set": {**COMMON, "epochs": 1}, "variants": variants}
    (tmp_path / "s.toml").write_text(Stage._toml(table))
    out = tmp_path / "out"
    (out / "default-fails-seed1").mkdir(parents=True)
    (out / "default-fails-seed1" / "best.pt").touch()  # train refuses this directory
    words = ["sweep", str(tmp_path / "s.toml"), "--out", str(out)]
    words += ["--cache", str(small_cache / "cache"), "--scheduler", cluster.scheduler_address]
    assert run([*words, "--json"]) == 1
    captured = capsys.readouterr()
    works, fails = json.loads(captured.out)["runs"]
    assert (works["state"], works["part"]) == ("finished", "test")
    assert fails["state"] == "failed"
    assert "exists already" in fails["problem"]
    assert json.loads((out / "default-works-seed1" / "metrics.json").read_text())["seed"] == 1
    assert not list(out.glob(".running*"))


@pytest.mark.slow
def test_a_cluster_stops_when_its_token_is_gone(
    small_cache: Path, tmp_path: Path, cluster: Any
) -> None:
    from snntx.train.study.cluster import cluster_at

    (each,) = expand(sweep(set={**COMMON, "epochs": ENDLESS}), load_card(CARD), "s.toml")
    out = tmp_path / "out"
    out.mkdir()
    job = job_of(each, out, small_cache / "cache")
    asked = sweep_run.Asked()

    def look(names: list[str]) -> None:
        if (job.run / "last.pt").exists() and not asked.signals:
            asked.signals.append(signal.SIGINT)

    with cluster_at(cluster.scheduler_address, out, [small_cache]) as host:
        later = dataclasses.replace(job, name="later", run=out / "later")
        outcomes = sweep_run.run_jobs([job], host, asked, waiting=look)
        assert host.start(later).poll() is None
    assert [outcome.state for outcome in outcomes] == ["stopped"]
    assert run_state(job.run, each.recipe) == "resume"


def test_no_scheduler_there(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("snntx.preprocess.disk.dask_client.CONNECT_SECONDS", 0.5)
    done = stage("--scheduler", "tcp://127.0.0.1:9")
    assert done.code == 2
    assert "no Dask scheduler answers there" in done.err.splitlines()[-1]
    assert stage.calls() == []
