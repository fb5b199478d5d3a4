"""Training and tests on an event cache: whole recordings as of frames, and windows of them."""

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.errors import UsageError
from snntx.preprocess import EventCache, FrameCache
from snntx.preprocess.build.builder import preprocess
from snntx.preprocess.cache.contents import SealedCache
from snntx.preprocess.framing.windows import Windows, random_starts
from snntx.preprocess.planning.plan import make_request
from snntx.train import Recipe, evaluate, train
from snntx.train.assess.predict import predict
from snntx.train.augment.draws import Draws, Purpose
from snntx.train.augment.windows import event_drop
from snntx.train.batches.batch import Batch
from snntx.train.batches.loader import epoch_batches
from snntx.train.batches.seen import seen_by
from snntx.train.batches.training import TrainingData
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.measure.metrics import clip_logits, evaluate_part, event_logits
from snntx.train.measure.votes import evaluate_by_votes, votes_of
from snntx.train.run.stopping import StoppedError

CARD = "simulated-digits"
WINDOWS = {"slice": "random", "dt_ms": 12.0, "steps": 4, "clips": 3}


@pytest.fixture(scope="module")
def folder(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set, and both kinds of cache of it."""
    folder = tmp_path_factory.mktemp("windows")
    shutil.copytree(small_cache / "data", folder / "data")
    for kind in ("frames", "events"):
        build(folder, kind=kind, steps=3)
    return folder


def build(folder: Path, **options: Any) -> Path:
    data = folder / "data"
    request = make_request(
        load_card(CARD),
        raw=data / "raw",
        static=data / "static",
        cache=folder / "cache",
        **options,
    )
    return preprocess(request).directory


@pytest.fixture(scope="module")
def frames(folder: Path) -> FrameCache:
    return FrameCache(build(folder, kind="frames", steps=3))


@pytest.fixture(scope="module")
def events(folder: Path) -> EventCache:
    return EventCache(build(folder, kind="events", steps=3))


def recipe(**settings: Any) -> Recipe:
    fast = {"batch_size": 8, "draws_per_epoch": 32, "width": 0.25, "tensorboard": False}
    return Recipe.of(**{"model": "nmnist", "epochs": 1, **fast, **settings})


def batches(cache: SealedCache, asked: Recipe, epoch: int = 0, **how: Any) -> list[Batch]:
    return list(epoch_batches(TrainingData(cache, asked), epoch, **how))


def same(one: list[Batch], two: list[Batch]) -> bool:
    pairs = zip(one, two, strict=True)
    return all(
        torch.equal(a.event, b.event)
        and torch.equal(a.labels, b.labels)
        and (a.static is b.static is None or torch.equal(a.static, b.static))  # type: ignore[arg-type]
        for a, b in pairs
    )


def test_whole_recordings_are_the_batches_of_a_frame_cache(
    frames: FrameCache, events: EventCache
) -> None:
    for settings in ({}, {"augment": "eventdrop"}, {"method": "event-only"}):
        asked = recipe(**settings)
        assert same(batches(frames, asked), batches(events, asked))


def test_steps_and_size_are_settings_of_training(events: EventCache, folder: Path) -> None:
    asked = recipe(method="event-only", steps=5, size=30)
    wanted = FrameCache(build(folder, kind="frames", steps=5, size=30))
    assert same(batches(events, asked), batches(wanted, asked))
    halved = batches(events, recipe(method="event-only", downsample=2))
    assert halved[0].event.shape == (8, 3, 2, 17, 17)


def test_windows_are_drawn_by_seed_epoch_and_batch(events: EventCache) -> None:
    asked = recipe(method="event-only", crop_padding=0, rotation=0.0, flip=False, **WINDOWS)
    data = TrainingData(events, asked)
    order, length = data.order(1), 4 * 12_000
    for number, batch in enumerate(data.epoch(1)):
        which = data.indices[order[number * 8 :][:8]]
        uniform = Draws(42, 1, number)(Purpose.WINDOW).random(8)
        starts = random_starts(uniform, events.index.rows.duration_us[which], length)
        expected = [
            events.window(i, start, start + length, events.options.changed(steps=4, window_ms=12.0))
            for i, start in zip(which.tolist(), starts.tolist(), strict=True)
        ]
        np.testing.assert_array_equal(batch.event.numpy(), np.stack(expected))
    assert not same(list(data.epoch(0)), list(data.epoch(1)))


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_makes_the_same(events: EventCache, workers: int) -> None:
    asked = recipe(**WINDOWS)
    alone = batches(events, asked)
    assert same(alone, batches(events, asked, workers=workers))
    assert same(alone[2:], batches(events, asked, first=2, workers=workers))


@pytest.mark.parametrize("drop", ["box", "published"])
def test_windows_lose_events_before_they_are_framed(events: EventCache, drop: str) -> None:
    asked = recipe(method="event-only", crop_padding=0, rotation=0.0, flip=False, **WINDOWS)
    dropping = asked.changed(event_drop=drop)
    whole, left = batches(events, asked), batches(events, dropping)
    before, after = (torch.cat([b.event for b in each]).sum((1, 2, 3, 4)) for each in (whole, left))
    assert (after <= before).all()
    assert 0.1 < (after == before).double().mean() < 0.6  # a quarter keeps all, some lose nothing
    data = TrainingData(events, dropping)
    which, draws = data.indices[data.order(0)[:8]], Draws(42, 0, 0)
    starts = random_starts(
        draws(Purpose.WINDOW).random(8), events.index.rows.duration_us[which], 48_000
    ).tolist()
    options = events.options.changed(steps=4, window_ms=12.0)
    options = dataclasses.replace(options, tail="drop")
    draw = draws(Purpose.WINDOW_DROP)
    for i, start, found in zip(which.tolist(), starts, left[0].event, strict=True):
        stay = event_drop(
            events.events(i, start, start + 48_000), (34, 34), draw, published=drop == "published"
        )
        np.testing.assert_array_equal(found.numpy(), events.framed_events(i, stay, options))
    assert same(left, batches(events, dropping, workers=2))


def test_a_window_longer_than_a_recording_has_all_of_it(events: EventCache) -> None:
    asked = recipe(method="event-only", slice="random", dt_ms=1000.0, steps=4, rotation=0.0,
                   crop_padding=0, flip=False)  # fmt: skip
    data = TrainingData(events, asked)
    which = data.indices[data.order(0)[:8]]
    (batch, *_) = data.epoch(0)
    assert batch.event.sum((1, 2, 3, 4)).tolist() == events.index.rows.events[which].tolist()
    assert not batch.event[:, 1:].any()


def test_a_run_taken_up_ends_at_the_same_weights(events: EventCache, tmp_path: Path) -> None:
    asked = recipe(epochs=2, **WINDOWS)

    def stop(record: dict[str, Any]) -> None:
        if (record["epoch"], record["step"]) == (2, 2):
            os.kill(os.getpid(), signal.SIGTERM)

    train(CARD, events, asked, tmp_path / "whole", device="cpu")
    with pytest.raises(StoppedError):
        train(CARD, events, asked, tmp_path / "parts", device="cpu", on_step=stop)
    train(CARD, events, asked, tmp_path / "parts", device="cpu", resume=True)
    one, two = (load_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "parts"))
    assert one.model.keys() == two.model.keys()
    assert all(torch.equal(one.model[name], two.model[name]) for name in one.model)


def test_votes_choose_the_epoch_where_asked(events: EventCache, tmp_path: Path) -> None:
    asked = recipe(vote="majority", method="event-only", **WINDOWS)
    train(CARD, events, asked, tmp_path / "run", device="cpu")
    checkpoint = load_checkpoint(tmp_path / "run/best.pt")
    cpu, seen = torch.device("cpu"), seen_by(events, asked)
    indices = seen.split("holdout", "validation")
    model = checkpoint.build_model(cpu)
    expected = evaluate_by_votes(model, seen, indices, cpu)
    votes = votes_of(clip_logits(model, seen, indices, cpu), seen.labels[indices])
    assert expected.top1 == votes.top1
    record = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[0])
    assert record["selection"]["top1"] == votes.top1
    whole = seen_by(events, recipe(method="event-only", steps=4))
    assert evaluate_by_votes(model, whole, indices, cpu) == evaluate_part(
        model, whole, indices, cpu
    )


def test_clips_are_judged_by_their_mean(
    events: EventCache, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = recipe(**WINDOWS)
    train(CARD, events, asked, tmp_path / "run", device="cpu")
    checkpoint = load_checkpoint(tmp_path / "run/best.pt")
    assert checkpoint.frames.frame_shape == (4, 2, 34, 34)
    cpu = torch.device("cpu")
    model, seen = checkpoint.build_model(cpu), seen_by(events, asked)
    indices = seen.split("holdout", "test")
    logits = clip_logits(model, seen, indices, cpu)
    assert logits.shape == (indices.size, 3, 10)
    assert torch.equal(logits.mean(1), event_logits(model, seen, indices, cpu))
    one = events.framed(checkpoint.frames, Windows(48_000, 3)).clips(indices[:1])
    assert torch.allclose(
        model.forward_event(torch.from_numpy(one[0])).mean(0), logits[0], atol=1e-6
    )
    measured = evaluate(tmp_path / "run", folder / "cache", "cpu")
    assert measured.metrics == evaluate_part(model, seen, indices, cpu)
    assert measured.votes == votes_of(logits, seen.labels[indices])
    assert measured.to_json()["votes"]["clips"] == 3
    assert run(["evaluate", str(tmp_path / "run"), "--cache", str(folder / "cache")]) == 0
    told = f"  majority   {measured.votes.top1:.4f} (by the majority of 3 clips; of single clips "
    assert told in capsys.readouterr().out
    files = [folder / "data/raw" / f"{events.identities[i]}.bin" for i in indices]
    for found, own in zip(predict(checkpoint, files, cpu), logits.mean(1), strict=True):
        best, expected = next(iter(found.probabilities.items())), own.softmax(0)
        assert best[0] == events.classes[int(expected.argmax())]
        assert best[1] == pytest.approx(float(expected.max()), abs=1e-6)


# what a cache lacks


def test_frames_have_no_windows(frames: FrameCache) -> None:
    text = r"holds frames, but slice = random, dt_ms = 12.0 needs events; run snntx preprocess simu"
    with pytest.raises(UsageError, match=text):
        seen_by(frames, recipe(**WINDOWS))
    with pytest.raises(UsageError, match="holds frames, but downsample = 2 needs events"):
        TrainingData(frames, recipe(downsample=2))


def test_windows_need_a_duration(events: EventCache) -> None:
    with pytest.raises(UsageError, match="slice = random needs the duration of a frame") as caught:
        seen_by(events, recipe(slice="random"))
    name, _, value = str(caught.value).split()[-1].partition("=")
    seen = seen_by(events, recipe(slice="random", **{name: float(value)}))
    assert isinstance(seen, EventCache)
    assert seen.windows == Windows(45_000)


def test_static_images_have_the_frames_size(
    events: EventCache, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = recipe(size=40)
    text = "its static images are 34 x 34, but the recipe asks for frames of 40 x 40; run snntx pre"
    with pytest.raises(UsageError, match=text) as caught:
        seen_by(events, asked)
    seen_by(events, recipe(size=40, method="event-only"))
    words = str(caught.value).partition("; run snntx ")[2].partition(" with ")[0].split()
    place, data = ["--cache", str(folder / "cache")], folder / "data"
    raw = ["--raw", str(data / "raw"), "--static", str(data / "static")]
    assert run([*words, *raw, *place]) == 0
    sets = [
        f"{n}={v}" for n, v in {"model": "nmnist", "epochs": 1, "size": 40, "width": 0.25,
                                "batch_size": 8, "draws_per_epoch": 8, "steps": 3}.items()
    ]  # fmt: skip
    given = [word for each in sets for word in ("--set", each)]
    out = ["--out", str(tmp_path / "run")]
    assert run(["train", CARD, *place, *given, *out]) == 0, capsys.readouterr().err
    assert load_checkpoint(tmp_path / "run/last.pt").frames.size == (40, 40)


def test_the_command_takes_the_event_cache_where_windows_are_asked_for(
    folder: Path, tmp_path: Path, events: EventCache, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word for name, value in {**WINDOWS, "epochs": 1, "width": 0.25, "batch_size": 8,
             "draws_per_epoch": 16}.items() for word in ("--set", f"{name}={value}")]  # fmt: skip
    place = ["--cache", str(folder / "cache"), "--key", events.key]
    out = tmp_path / "run"
    assert run(["train", CARD, *place, *given, "--out", str(out)]) == 0, capsys.readouterr().err
    assert load_checkpoint(out / "last.pt").cache_key == events.key
    assert run(["evaluate", str(out), "--cache", str(folder / "cache")]) == 0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": 24, "downsample": 2}, "size = 24 and downsample = 2 both say how large frames"),
        ({"clips": 5}, "clips = 5 needs slice = random; a whole recording is one clip"),
        ({"vote": "majority"}, "vote = majority needs slice = random; a whole recording is one"),
        ({"slice": "random", "dt_ms": 0}, "dt_ms"),
        ({"slice": "middle"}, "slice"),
    ],
)
def test_settings_without_meaning(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        recipe(**settings)
