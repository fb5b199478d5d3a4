"""Frames of the published N-Omniglot code: against a plain restatement of it, byte for byte."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from snntx.data_cards import load_card
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess.framing import kernels
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frequency import frequency_frames
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.framing.published import published_frames
from snntx.preprocess.framing.recording import frame_recording
from snntx.preprocess.framing.resize import resize_bilinear

SENSOR, CROP = (260, 346), (4, 254, 54, 304)
T0 = 1_600_000_000_000_000
KINDS = pytest.mark.parametrize("kind", ["frequency", "event"])


def restated(events: Events, *, steps: int, sensor: tuple[int, int], kind: str) -> NDArray[Any]:
    """What the published code stores, without crop and resize: ``(T, 2, H, W)``.

    It goes through the frames one by one, and the array of all of them turns to float16 after
    the first, so that from then on counts, quotients and the normalised values are rounded.
    """
    t = events.t - events.t[0]
    assert t[-1] > steps
    dt = t[-1] // steps
    frames = np.zeros((steps, 2, *sensor))
    for i in range(steps):
        held = np.flatnonzero((dt * i <= t) & (t < dt * (i + 1)))
        stop = 0 if held.size == 0 else t.size if i == steps - 1 else held[-1] + 1
        counts = np.zeros((2, *sensor), int)
        for e in range(held[0] if held.size else 0, stop):
            counts[0 if events.p[e] == 0 else 1, events.y[e], events.x[e]] += 1
        frames[i] += counts
        if kind == "frequency":
            frames[i] /= dt if i < steps - 1 else dt + t[-1] % steps
        frames = frames.astype(np.float16)
    if kind == "event":
        return frames > 0
    for plane in frames.reshape(-1, *sensor):
        plane[:] = plane / max(plane.max(), 1e-5)
    return frames


def random_events(
    count: int, duration_us: int, sensor: tuple[int, int] = SENSOR, seed: int = 0
) -> Events:
    draw = np.random.default_rng(seed)
    t = T0 + np.sort(draw.integers(0, duration_us + 1, count))
    t[0], t[-1] = T0, T0 + duration_us
    return Events(
        draw.integers(0, sensor[1], count).astype(np.int16),
        draw.integers(0, sensor[0], count).astype(np.int16),
        t.astype(np.int64),
        draw.integers(0, 2, count).astype(np.int8),
    )


def busy_events(seed: int = 3) -> Events:
    """Pixels with more events in a frame than float16 counts one by one, also in the first."""
    events = random_events(90_000, 4_000_003, (3, 5), seed)
    return events._replace(x=np.minimum(events.x, 1), y=events.y * 0)


def published(events: Events, kind: str, **more: Any) -> NDArray[np.float32]:
    return published_frames(*events, binary=kind == "event", **more)


@KINDS
@pytest.mark.parametrize("duration_us", [13, 25, 1000, 123_457, 4_000_003, 40_000_000, 500_000_000])
def test_stored_frames_are_the_restated_ones(duration_us: int, kind: str) -> None:
    events = random_events(3000, duration_us, (9, 11))
    frames = published(events, kind, steps=12, sensor=(9, 11))
    expected = restated(events, steps=12, sensor=(9, 11), kind=kind)
    assert frames.dtype == np.float32
    assert frames.tobytes() == expected.astype(np.float32).tobytes()


@KINDS
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_counts_past_2048_are_rounded_from_the_second_frame_on(steps: int, kind: str) -> None:
    events = busy_events()
    frames = published(events, kind, steps=steps, sensor=(3, 5))
    expected = restated(events, steps=steps, sensor=(3, 5), kind=kind)
    assert frames.tobytes() == expected.astype(np.float32).tobytes()
    if kind == "frequency" and steps == 7:
        whole = np.bincount(events.x[events.t - T0 < 4_000_003 // 7])
        assert whole.max() > 2048


@KINDS
@pytest.mark.parametrize("size", [(28, 28), (7, 300), (250, 250)])
def test_crop_and_resize_are_torchs(kind: str, size: tuple[int, int]) -> None:
    """What a loader gives: the stored frames as float32, cropped, and resized by torch.

    Torch's own result differs in its last bit between processors with and without fused
    multiplication (ATEN_CPU_CAPABILITY), so nobody's can be equal to it in all bits.
    """
    events = random_events(20_000, 3_000_017)
    frames = published(events, kind, steps=12, sensor=SENSOR, crop=CROP, size=size)
    stored = restated(events, steps=12, sensor=SENSOR, kind=kind)[:, :, 4:254, 54:304]
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(stored).float(), size=size, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(frames, expected.numpy(), rtol=0, atol=2**-22)
    if size == (250, 250):
        assert frames.tobytes() == expected.numpy().tobytes()
    readable = resize_bilinear(stored.astype(np.float32), size)
    assert frames.tobytes() == readable.tobytes()


@KINDS
@pytest.mark.parametrize("antialias", [False, True])
def test_compiled_and_plain_loops_give_the_same_bytes(
    kind: str, antialias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = random_events(5000, 2_000_003)
    options: dict[str, Any] = {"steps": 12, "sensor": SENSOR, "crop": CROP, "size": (28, 28)}
    fast = published(events, kind, **options, antialias=antialias)
    compiled: Any = kernels._count_pixels
    monkeypatch.setattr(kernels, "_count_pixels", compiled.py_func)
    assert published(events, kind, **options, antialias=antialias).tobytes() == fast.tobytes()


@KINDS
def test_a_last_frame_without_an_event_of_its_own_is_empty(kind: str) -> None:
    """t_last 119 in 12 steps: dt is 9, so 108 to 119 lie past the last window, 99 to 107."""
    t = np.array([0, 50, 108, 119]) + T0
    zero = np.zeros(4, int)
    more: dict[str, Any] = {"steps": 12, "sensor": (1, 1)}
    empty = published(Events(zero, zero, t, zero), kind, **more)
    assert empty[:, 0, 0, 0].tolist() == [1.0, *[0.0] * 4, 1.0, *[0.0] * 6]
    assert frequency_frames(zero, zero, t, zero, **more)[11, 0, 0, 0] == 1.0  # filled by the tail
    t[1] = T0 + 107  # now it has one, and takes the tail as well
    full = published(Events(zero, zero, t, zero), kind, **more)
    assert full[11, 0, 0, 0] == 1.0
    assert full[:11, 0, 0, 0].sum() == 1.0


def test_quotient_and_floor_are_rounded_by_hand() -> None:
    """Counts 2 and 3 in 1,000 us: 0.002 and 0.003 as float16, and their quotient as float16.

    2 / 3 as float16 would be 0.66650390625.
    """
    x, t = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 1000])
    frames = published_frames(x, 0 * x, t, 0 * x, steps=1, sensor=(1, 2))
    assert frames[0, 0, 0].tolist() == [0.6669921875, 1.0]
    x, t = np.array([0, 0]), np.array([0, 200_000])  # 1e-5 per us: 168 of float16's least steps
    assert published_frames(x, x, t, x, steps=1, sensor=(1, 1))[0, 0, 0, 0] == 1.0
    t = np.array([0, 400_000])  # 5e-6 per us is 84 of them, over the floor's 168
    assert published_frames(x, x, t, x, steps=1, sensor=(1, 1))[0, 0, 0, 0] == 0.5
    half = frequency_frames(x, x, t, x, steps=1, sensor=(1, 1), round_half=True)
    assert half[0, 0, 0, 0] == np.float32(84 * 2**-24 / 1e-5) != 0.5


def test_what_float16_cannot_hold_is_named() -> None:
    """The published code makes it infinite, and the normalised frame no number."""
    count = 65_520
    x = np.zeros(count + 1, int)
    t = np.array([0, *[60] * (count - 1), 100])
    with pytest.raises(SnntxError, match="frame 1 has 65,520 events on one pixel") as caught:
        published_frames(x, x, t, x, steps=2, sensor=(1, 1))
    assert "take --values frequency" in str(caught.value)
    assert frequency_frames(x, x, t, x, steps=2, sensor=(1, 1)).max() == 1
    assert published_frames(x, x, t, x, steps=2, sensor=(1, 1), binary=True).max() == 1
    held = published_frames(x[1:], x[1:], np.delete(t, 1), x[1:], steps=2, sensor=(1, 1))
    assert held[1, 0, 0, 0] == 1  # one event fewer
    x = np.zeros(70_000, int)  # of the first frame the frequency is too large
    with pytest.raises(SnntxError, match="frame 0 has 70,000 events on one pixel"):
        published_frames(x, x, x, x, steps=1, sensor=(1, 1))


@KINDS
def test_the_card_makes_them_by_name(kind: str) -> None:
    card, events = load_card("n-omniglot"), random_events(20_000, 2_000_003)
    path, values = Path("a.aedat4"), f"{kind}-published"
    options = FrameOptions.from_card(card, values=values)
    made = published(events, kind, steps=12, sensor=SENSOR, crop=CROP, size=(28, 28))
    framed = frame_recording(events, path, options)
    assert framed.tobytes() == made.tobytes()
    for other in ("frequency", "frequency-float16", "binary"):
        unlike = frame_recording(events, path, FrameOptions.from_card(card, values=other))
        assert not np.array_equal(unlike, framed)
    zero = np.zeros(70_000, np.int16)
    late = Events(zero, zero, np.array([0, *[3] * 69_998, 24]), zero.astype(np.int8))
    half = FrameOptions.from_card(card, values="frequency-published")
    with pytest.raises(BadFileError, match=r"a\.aedat4: frame 1 has .* take --values frequency"):
        frame_recording(late, path, half)


@pytest.mark.parametrize("values", ["frequency-published", "event-published"])
def test_options_that_go_with_them(values: str) -> None:
    whole: dict[str, Any] = {"steps": 12, "values": values, "tail": "keep", "sensor": SENSOR}
    assert FrameOptions(**whole, antialias=True).frame_shape == (12, 2, *SENSOR)
    with pytest.raises(UsageError, match=f"values = '{values}' needs tail = 'keep'"):
        FrameOptions(**{**whole, "tail": "drop"})
    with pytest.raises(UsageError, match="needs a fixed sensor, which the card lacks"):
        FrameOptions(**{**whole, "sensor": None, "size": (28, 28)})
    with pytest.raises(UsageError, match=f"did you mean '{values}'"):
        FrameOptions(**{**whole, "values": values[:-1]})
