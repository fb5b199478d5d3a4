"""Kernels compiled by another process: what it makes is what is called, and all that is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALLS = """
import sys
import torch
from numba.core import event
from snntx.train.network.attention.options import Attention
from snntx.train.network.backends.compiled import ahead
from snntx.train.network.create import create_model

compiled = []


class Noted(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].py_func)

    def on_end(self, event):
        pass


kind, trains, fails = sys.argv[1], sys.argv[2] == "train", sys.argv[3] == "fails"
attention = Attention(mode="trainable") if sys.argv[3] == "attended" else None
sends = "membrane" if sys.argv[3] == "graded" else "spikes"
if fails:
    sys.executable = "/bin/false"
said = []
if trains:
    attended, graded = attention is not None, sends != "spikes"
    names = ahead.needed(trains=True, normed=True, attended=attended, graded=graded)
    ahead.compile_ahead(names, kind, said.append)
event.register("numba:compile", Noted())
options = {"width": 0.1, "size": (34, 34), "attention": attention, "sends": sends}
model = create_model("nmnist", num_classes=3, steps=2, **options)
frames = torch.rand(2, 2, 2, 34, 34)
with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"):
    if trains:
        model.train()(frames, frames).event_logits.float().sum().backward()
    else:
        model.eval().forward_event(frames)
print("said", *said, sep="|")
print("compiled", *[each.__name__ for each in compiled if each.__module__.startswith("snntx")])
print("others", *{each.__module__ for each in compiled})
"""


PLAIN = "sums, forward, through_time, through_norm"


def _run(folder: Path, *arguments: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", CALLS, *arguments],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found = {line.split()[0].partition("|")[0]: line for line in done.stdout.splitlines()}
    return {**found, "printed": done.stderr}


@pytest.mark.parametrize("kind", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("", PLAIN),
        pytest.param(
            "attended",
            f"{PLAIN}, summaries, pooled, gated, by_spatial, through",
            marks=pytest.mark.slow,
        ),
        pytest.param("graded", "run_graded, through_graded", marks=pytest.mark.slow),
    ],
)
def test_everything_that_training_calls_is_compiled_ahead_once(
    tmp_path: Path, kind: str, what: str, names: str
) -> None:
    first = _run(tmp_path, kind, "train", what)
    assert first["said"] == f"said|compiling the kernels, once: {names}"
    assert first["compiled"] == "compiled"  # all of it by the other process
    assert first["printed"] == ""
    again = _run(tmp_path, kind, "train", what)
    assert again["said"] == "said"
    assert again["compiled"] == "compiled"


def test_without_training_the_forward_alone_is_compiled_and_said(tmp_path: Path) -> None:
    found = _run(tmp_path, "float32", "evaluate", "")
    assert found["printed"] == "snntx: compiling the kernels, once: forward\n"
    names = found["compiled"].split()[1:]
    assert names[0] == "forward"
    assert not {"sums", "through_time", "through_norm"} & set(names)
    # array expressions bring in the formatting of strings, which takes seconds to compile
    assert "numba.cpython.unicode" not in found["others"]
    assert _run(tmp_path, "float32", "evaluate", "")["printed"] == ""


def test_where_the_other_process_fails_kernels_are_compiled_here(tmp_path: Path) -> None:
    found = _run(tmp_path, "float32", "train", "fails")
    assert found["said"].endswith("|the process that compiled the kernels ended with code 1; "
                                  "it is done here")  # fmt: skip
    assert {"sums", "forward", "through_time", "through_norm"} <= set(found["compiled"].split())
    assert "numba.cpython.unicode" not in found["others"]
