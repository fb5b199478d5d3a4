"""Every command in a terminal of 80 columns: what it prints is kept as text beside this file.

A text in ``terminal/`` is what a reader of this repository sees of a command. Where a command
prints something else on purpose, ``SNNTX_UPDATE_TEXTS=1`` writes the texts anew, and the change
is read like any other. Figures, times, sizes and keys differ from machine to machine, so they are
kept as noughts of the same width.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from snntx.cli import cli, run

COLUMNS = 80
TEXTS = Path(__file__).with_name("terminal")
UPDATE = bool(os.environ.get("SNNTX_UPDATE_TEXTS"))
SWEEP = """recipes = ["baseline", "default"]
seeds = [1, 2]
[set]
steps = 3
epochs = 1
width = 0.125
recordings_per_class = 2
draws_per_epoch = 0
tensorboard = false
"""
CARD, RUNS = "simulated-digits", "runs/few-simulated-digits"
SETTINGS = " ".join(f"--set {line.replace(' ', '')}" for line in SWEEP.splitlines()[3:])
TRAIN = f"train {CARD} --device cpu {SETTINGS}"
NEEDED = [
    f"{TRAIN} --recipe {recipe} --set seed={seed} --out {RUNS}/{recipe}-seed{seed}"
    for recipe in ("baseline", "default")
    for seed in (1, 2)
]
"""Runs that a sweep finds finished; what they print is not kept."""
SHOWN = {
    "preprocess": f"preprocess {CARD} --raw data/raw --static data/static --steps 3 --jobs 1",
    "preprocess-again": f"preprocess {CARD} --raw data/raw --static data/static --steps 3",
    "cards": "cards",
    "cards-name": "cards n-caltech101",
    "cache-ls": "cache ls",
    "cache-show": f"cache show {CARD}",
    "cache-verify": f"cache verify {CARD} --raw data/raw --static data/static",
    "show": f"show {CARD} Train/0/00001 --out digit.png",
    "settings": "settings",
    "settings-name": "settings tau",
    "train": f"{TRAIN} --out runs/one --set lr=0.05 --set snr_db=30 --set clip_norm=1.0",
    "train-file": f"{TRAIN} --recipe same.toml --out runs/two",
    "train-on": "train --resume runs/one --set epochs=2 --device cpu --cache cache",
    "evaluate": "evaluate runs/one --device cpu",
    "evaluate-energy": "evaluate runs/one --device cpu --energy",
    "diagnose": "diagnose runs/one --device cpu",
    "saliency": "saliency runs/one --layer first --device cpu --out look.png",
    "landscape": "landscape runs/one --device cpu --points 3 --recordings 8 --out one.json",
    "report": "report runs/one --device cpu --out one.html",
    "predict": "predict runs/one data/raw/Train/0/00001.bin data/raw/Train/0/00001.bin",
    "export": "export runs/one --to safetensors",
    "sweep-plan": "sweep few.toml simulated-digits --dry-run",
    "sweep": "sweep few.toml simulated-digits --device cpu",
    "runs": "runs",
    "show-run": "show one",
    "compare": f"compare {RUNS} --metric loss",
    "compare-baseline": f"compare {RUNS} --metric loss --baseline recipe=baseline",
}
ON_A_PAGE = ("settings",)
"""What docs/settings.md holds, and a test of its own compares."""
ELSEWHERE = {"fetch": "uses the network", "demo": "takes a minute; test_demo.py runs it"}


def printed(words: list[str]) -> str:
    """What a command shows in a terminal: standard output and standard error."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        code = run(words)
    assert code == 0, stream.getvalue()
    return stream.getvalue()


def alike(text: str, name: str) -> str:
    """A text with noughts in place of what differs from machine to machine."""

    def noughts(found: re.Match[str]) -> str:
        return re.sub(r"\d", "0", found[0]).replace("-", "+") if "." in found[0] else found[0]

    text = re.sub(r"(?m)^snntx: compiling the kernels, once: .*\n", "", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "0" * 16, text)
    text = re.sub(r"^[0-9a-f]{8}(?=  )", "0" * 8, text, flags=re.MULTILINE)
    text = re.sub(r"\d+\.\d s\b|\b\d{3,} s\b", "0.0 s", text)
    text = re.sub(r"[\d,]+ events/s", "0 events/s", text)
    text = re.sub(r"[\d.]+ (kB|MB|B)\b", "0.0 kB", text)
    text = re.sub(r"\b(a moment|\d+ minutes?)$", "a moment", text, flags=re.MULTILINE)
    if name in ("train", "train-on", "train-file", "evaluate", "sweep"):
        text = re.sub(r"\d+\.\d{4}|(?<=train )\d\.\d{3}", noughts, text)
        text = re.sub(r" \*$", "", text, flags=re.MULTILINE)
        text = re.sub(r"best epoch \d|: epoch \d", lambda m: m[0][:-1] + "0", text)
    if name in ("evaluate", "evaluate-energy"):
        text = re.sub(r"(?m)^  confused .*(\n {13}\S.*)*", "  confused   …", text)
        text = re.sub(r"\b\d\.\d{3}\b", "0.000", text)
        text = re.sub(r"(?m)^(\d)((?: +[\d·]+){10})$", lambda m: m[1] + "  …", text)
    if name.startswith("compare"):
        text = re.sub(r"[+-]?\d+\.\d{4}", noughts, text)
    if name == "runs":
        text = re.sub(r"(?<=  )(age|a moment|\d+ minutes?)  +", lambda m: f"{m[1]:8}  ", text)
        text = re.sub(r"\d+ minutes?", "a moment", text)
    if name in ("runs", "show-run"):
        text = re.sub(r"\d+\.\d{4}", noughts, text)
        text = re.sub(r"epoch \d,", "epoch 0,", text)
        text = re.sub(
            r"[-\d]+T[:\d]+\+00:00, cpu on \S+:", "0000-00-00T00:00:00, cpu on host:", text
        )
    if name in ("predict", "evaluate-energy"):
        text = re.sub(r"\d", "0", text)
    if name == "saliency":  # other sums, other empty maps
        text = re.sub(r"(?m)^snntx: \w+ branch: \d+ of \d+ maps are 0, .*\n", "", text)
    if name == "diagnose":
        text = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{noughts(m):>{len(m[0])}}", text)
    return text


def every_command(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups too."""
    yield before
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*before, name))
        else:
            yield (*before, name)


HELPS = {"-".join([*words, "help"]): shlex.join([*words, "--help"]) for words in every_command(cli)}


@pytest.fixture(scope="module")
def shown(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What every command prints, each a step on the way of one tiny data set."""
    folder = tmp_path_factory.mktemp("terminal")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", str(COLUMNS))
        patch.setenv("SNNTX_CACHE", "cache")
        Path("data").symlink_to(small_cache / "data")
        Path("few.toml").write_text(SWEEP)
        Path("same.toml").write_text("")
        for name, command in SHOWN.items():
            if name == "sweep-plan":
                for each in NEEDED:
                    printed(shlex.split(each))
                    printed(["evaluate", shlex.split(each)[-1], "--device", "cpu"])
            found[name] = printed(shlex.split(command))
        for name, command in HELPS.items():
            found[name] = printed(shlex.split(command))
    return found


@pytest.mark.parametrize("name", [*SHOWN, *HELPS])
def test_what_a_command_prints_fits_and_is_as_it_was(name: str, shown: dict[str, str]) -> None:
    command = {**SHOWN, **HELPS}[name]
    text = shown[name]
    assert text.strip()
    wide = [line for line in text.splitlines() if len(line) > COLUMNS]
    assert not wide, f"lines of more than {COLUMNS} columns: {wide}"
    if name in ON_A_PAGE:
        return
    whole = f"$ snntx {command}\n{alike(text, name)}"
    file = TEXTS / f"{name}.txt"
    if UPDATE:
        file.write_text(whole, encoding="utf-8")
    kept = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    difference = "\n".join(difflib.unified_diff(kept, whole.splitlines(), str(file), name))
    assert not difference, f"{difference}\nif so meant: SNNTX_UPDATE_TEXTS=1 pytest {__file__}"


def test_every_command_is_shown_and_every_text_is_of_one() -> None:
    ran = {tuple(shlex.split(command))[:1] for command in SHOWN.values()}
    ran |= {tuple(shlex.split(command))[:2] for command in SHOWN.values()}
    removing = {("cache", "rm")}  # asks, and removes what the others look at
    groups = {words for words in every_command(cli) if not words or words == ("cache",)}
    left = set(every_command(cli)) - ran - removing - groups - {(name,) for name in ELSEWHERE}
    assert not left
    assert {file.stem for file in TEXTS.iterdir()} == {*SHOWN, *HELPS} - {*ON_A_PAGE}


def test_noughts_stand_for_figures_alone() -> None:
    epoch = "epoch   1/1  loss 4.1234  train 0.568  validation top-1 0.7000  5.2 s *\n"
    kept = "epoch   1/1  loss 0.0000  train 0.000  validation top-1 0.0000  0.0 s\n"
    assert alike(epoch, "train") == kept
    assert alike("key 94a953a20b35a0c0, 10 steps\n", "cards") == f"key {'0' * 16}, 10 steps\n"
    assert alike("-0.1234 to +0.1234", "compare") == "+0.0000 to +0.0000"
