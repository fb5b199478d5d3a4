"""Runs that pages are made of: one with both branches, one with the event branch alone."""

import dataclasses
from pathlib import Path

import pytest
import torch

from snntx.cli import run
from snntx.report.gather import Found, gather

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "a\x1b[31m\nb</style>",
    "'{{ 7 * 7 }}&amp;",
)
"""Names of classes and files that would do harm where one is not escaped."""
SETTINGS = (
    "steps=3", "epochs=2", "batch_size=16", "lr=0.1", "draws_per_epoch=0", "width=0.25",
    "recordings_per_class=0", "tensorboard=false", "backend=torch",
)  # fmt: skip


def train(out: Path, small_cache: Path, *more: str) -> Path:
    words = [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]
    given = ["simulated-digits", "--cache", str(small_cache / "cache"), "--out", str(out)]
    assert run(["train", *given, "--device", "cpu", *words]) == 0
    return out


@pytest.fixture(scope="session")
def runs(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run directories ``both`` and ``alone``, which no test may change."""
    folder = tmp_path_factory.mktemp("report")
    return {
        "both": train(folder / "both", small_cache),
        "alone": train(folder / "alone", small_cache, "method=event-only"),
    }


@pytest.fixture(scope="session")
def gathered(runs: dict[str, Path], small_cache: Path) -> dict[str, Found]:
    """What is known of both."""
    root, cpu = small_cache / "cache", torch.device("cpu")
    return {n: gather(p, n, root, cpu, "test", lambda line: None) for n, p in runs.items()}


@pytest.fixture(scope="session")
def hostile(gathered: dict[str, Found]) -> Found:
    """The run with both branches, its classes and recordings under hostile names."""
    found = gathered["both"]
    evidence, metrics = found.result.evidence, found.result.metrics
    names = {c: HOSTILE[i] if i < len(HOSTILE) else c for i, c in enumerate(evidence.classes)}
    result = dataclasses.replace(
        found.result,
        evidence=dataclasses.replace(evidence, classes=[names[c] for c in evidence.classes]),
        metrics=dataclasses.replace(
            metrics, per_class={names[c]: v for c, v in metrics.per_class.items()}
        ),
        notes=HOSTILE,
    )
    mistakes = {
        HOSTILE[i % len(HOSTILE)]: [
            dataclasses.replace(
                each,
                row=each.row._replace(identity=HOSTILE[1], label=HOSTILE[0]),
                taken_for=HOSTILE[2],
            )
            for each in listed
        ]
        for i, listed in enumerate(found.mistakes.values())
    }
    data = dataclasses.replace(found.data, skipped=((HOSTILE[0], HOSTILE[1]),))
    return dataclasses.replace(found, name=HOSTILE[1], result=result, mistakes=mistakes, data=data)
