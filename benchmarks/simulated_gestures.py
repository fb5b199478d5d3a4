"""Simulated gestures of arms, in the files and folders of DVS128 Gesture.

    python benchmarks/simulated_gestures.py DIR [--users 29] [--lights 2] [--seconds 3]

A figure of capsules, a trunk with two arms, makes the ten gestures and one of its own before
the project's simulated sensor (``snntx.preprocess.simulate``) of 128 x 128 pixels. People
differ in size, place, speed and reach, lights in contrast and noise; every recording draws its
phase. ``DIR/DvsGesture`` then holds, for each person and light, an AEDAT 3.1 file of twelve
recordings with a pause between them and the csv of their times, and the two lists of files:
people 1 to 23 to train on, 24 to 29 to test on. The files are the card dvs128-gesture's; the
movements are invented, and results on them say nothing about the real recordings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snntx.preprocess.disk.compiling import njit
from snntx.preprocess.framing.events import Events
from snntx.preprocess.simulate import events_from_intensity

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from jaer_files import packet, polarity, write_3

SIDE = 128
STEP_US = 4_000
PAUSE_US = 200_000
REFRACTORY_US = 1_000
EVENTS_PER_PACKET = 4_096
FIRST_OF_TEST = 24
LIGHTS = ("natural", "led", "fluorescent", "fluorescent_led", "lab")
CLASSES = 11
ORDER = (*range(CLASSES), CLASSES - 1)
"""Of the twelve recordings of a file; the last class, a gesture of one's own, comes twice."""


@njit(cache=True, nogil=True)
def _render(frames, ends, radii, tones, ground):  # type: ignore[no-untyped-def]
    """Draw capsules ``ends (K, n, 4)`` of ``radii (n,)`` over the ground, the last on top."""
    for k in range(frames.shape[0]):
        frames[k, :, :] = ground
        for n in range(radii.size):
            x0, y0, x1, y1 = ends[k, n]
            reach, dx, dy = radii[n] + 1.0, x1 - x0, y1 - y0
            long2 = max(dx * dx + dy * dy, 1e-9)
            top, bottom = int(min(y0, y1) - reach), int(max(y0, y1) + reach) + 1
            left, right = int(min(x0, x1) - reach), int(max(x0, x1) + reach) + 1
            for i in range(max(top, 0), min(bottom + 1, frames.shape[1])):
                for j in range(max(left, 0), min(right + 1, frames.shape[2])):
                    along = min(max(((j - x0) * dx + (i - y0) * dy) / long2, 0.0), 1.0)
                    px, py = j - x0 - along * dx, i - y0 - along * dy
                    inside = min(max(reach - np.sqrt(px * px + py * py), 0.0), 1.0)
                    frames[k, i, j] += inside * (tones[n] - frames[k, i, j])


def hands(label: int, turn: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.float64]:
    """Where both hands are, ``(K, 2, 2)``: right then left, x to its own side and y downwards.

    Lengths are in arms from the shoulders; ``turn (K,)`` is the phase in radians. A class that
    moves one arm keeps the other hanging.
    """
    hanging = np.stack([np.full_like(turn, 0.15), np.full_like(turn, 0.9)], -1)
    both = np.stack([hanging, hanging], 1)
    if label == 0:  # clapping
        both[:, :, 0] = (0.1 - 0.35 * np.cos(turn))[:, None]
        both[:, :, 1] = 0.45
    elif label in (1, 2):  # waving
        both[:, label - 1, 0] = 0.35 + 0.3 * np.sin(turn)
        both[:, label - 1, 1] = -0.75 + 0.08 * np.abs(np.sin(turn))
    elif label in (3, 4, 5, 6):  # circles of the right, then of the left arm, either way round
        side, way = (label - 3) // 2, 1 if label % 2 else -1
        seen = way * turn * (-1 if side == 0 else 1)  # x of the right arm grows to the left
        both[:, side, 0] = 0.3 + 0.6 * np.cos(seen)
        both[:, side, 1] = 0.75 * np.sin(seen)
    elif label == 7:  # forearms round each other
        for side, phase in ((0, 0.0), (1, np.pi)):
            both[:, side, 0] = -0.2
            both[:, side, 1] = 0.4 + 0.25 * np.sin(turn + phase)
            both[:, side, 0] += 0.2 * np.cos(turn + phase) * (1 if side else -1)
    elif label == 8:  # drums, one hand after the other
        for side, phase in ((0, 0.0), (1, np.pi)):
            both[:, side, 0] = 0.3
            both[:, side, 1] = 0.15 - 0.45 * np.sin(turn + phase)
    elif label == 9:  # guitar: the right hand strums, the left one holds the neck
        both[:, 0, 0], both[:, 0, 1] = -0.15, 0.65 + 0.25 * np.sin(turn)
        both[:, 1, 0], both[:, 1, 1] = 0.75, 0.1 + 0.06 * np.sin(turn / 2)
    else:  # one's own: each hand its own figure
        for side in range(2):
            speed = draw.uniform(0.6, 1.6, 2)
            start = draw.uniform(0, 2 * np.pi, 2)
            reach = draw.uniform(0.15, 0.5, 2)
            middle = np.array([draw.uniform(0.0, 0.5), draw.uniform(-0.3, 0.5)])
            for axis in range(2):
                moved = middle[axis] + reach[axis] * np.sin(speed[axis] * turn + start[axis])
                both[:, side, axis] = moved
    return both


def figure(label: int, frames: int, user: np.random.Generator, draw: np.random.Generator):  # type: ignore[no-untyped-def]
    """The capsules of a recording, ``(K, 6, 4)`` in pixels, and their radii: trunk, head, arms."""
    size, place = user.uniform(0.8, 1.15), user.uniform(-7, 7, 2)
    rate, reach = user.uniform(0.8, 1.7), user.uniform(0.8, 1.1)
    bend = user.uniform(0.1, 0.3)
    seconds = np.arange(frames, dtype=np.float64) * STEP_US * 1e-6
    rate *= draw.uniform(0.85, 1.2)
    turn = 2 * np.pi * (rate * seconds + draw.random())
    turn += 0.3 * np.sin(2 * np.pi * (0.3 * seconds + draw.random()))  # nobody keeps time
    sway = 1.2 * np.sin(2 * np.pi * (0.35 * seconds + draw.random()))
    arm = 36.0 * size
    x, y = 64 + place[0] + sway, 48 + place[1] + 0.3 * sway
    ends = np.empty((frames, 6, 4), np.float64)
    ends[:, 0] = np.stack([x, y + 6 * size, x, y + 60 * size], -1)
    ends[:, 1] = np.stack([x, y - 22 * size, x, y - 16 * size], -1)
    at = reach * hands(label, turn, draw)
    for side, outwards in ((0, -1), (1, 1)):
        x0, y0 = x + outwards * 15 * size, y
        x1, y1 = x0 + outwards * arm * at[:, side, 0], y0 + arm * at[:, side, 1]
        elbow_x = (x0 + x1) / 2 + outwards * bend * arm * 0.6
        elbow_y = (y0 + y1) / 2 + bend * arm * 0.6
        ends[:, 2 + 2 * side] = np.stack([x0, y0, elbow_x, elbow_y], -1)
        ends[:, 3 + 2 * side] = np.stack([elbow_x, elbow_y, x1, y1], -1)
    return ends, np.array([14.0, 9.0, 4.5, 4.0, 4.5, 4.0]) * size


def record(label: int, user: int, light: int, trial: int, length_us: int) -> Events:
    """One recording: the figure before the sensor, with the background of its light."""
    draw = np.random.default_rng([1, user, light, trial])
    frames = length_us // STEP_US + 1
    ends, radii = figure(label, frames, np.random.default_rng([0, user]), draw)
    ground = 0.35
    contrast = (0.9, 0.6, 0.75, 0.8, 0.5)[light]
    tones = ground * np.exp(contrast * np.array([-0.6, 0.7, 1.0, 1.1, 1.0, 1.1]))
    views = np.empty((frames, SIDE, SIDE))
    _render(views, ends, radii, tones, ground)
    chip = np.random.default_rng(128).normal(0.25, 0.03, (2, SIDE, SIDE))
    on, off = np.maximum(chip, 0.1)
    signal = events_from_intensity(
        views,
        np.arange(frames, dtype=np.float64) * STEP_US,
        threshold_on=on,
        threshold_off=off,
        refractory_us=REFRACTORY_US,
    )
    return _with_noise(signal, draw, (0.3, 1.0, 0.6, 0.8, 1.5)[light], length_us)


def _with_noise(signal: Events, draw: np.random.Generator, hertz: float, length_us: int) -> Events:
    """Add the background, of the pauses around the recording too; in order of time."""
    whole_us = length_us + PAUSE_US
    count = int(draw.poisson(hertz * SIDE * SIDE * whole_us * 1e-6))
    y, x = np.divmod(draw.integers(0, SIDE * SIDE, count), SIDE)
    t, p = draw.integers(0, whole_us, count) - PAUSE_US // 2, draw.random(count) < 0.7
    both = Events(
        np.concatenate((signal.x, x.astype(np.int16))),
        np.concatenate((signal.y, y.astype(np.int16))),
        np.concatenate((signal.t, t)),
        np.concatenate((signal.p, p.astype(np.int8))),
    )
    return both.take(np.argsort(both.t, kind="stable"))


def write_file(folder: Path, user: int, light: int, length_us: int) -> str:
    """Write the file of a person and a light with its csv; returns the file's name."""
    start, packets, rows = 1_000_000, [], ["class,startTime_usec,endTime_usec"]
    for trial, label in enumerate(ORDER):
        events = record(label, user, light, trial, length_us)
        for first in range(0, events.size, EVENTS_PER_PACKET):
            part = slice(first, first + EVENTS_PER_PACKET)
            words = polarity(events.x[part], events.y[part], events.t[part] + start, events.p[part])
            packets.append(packet(words))
        rows.append(f"{label + 1},{start},{start + length_us}")
        start += length_us + PAUSE_US
    name = f"user{user:02}_{LIGHTS[light]}"
    write_3(folder / f"{name}.aedat", *packets)
    (folder / f"{name}_labels.csv").write_text("\n".join(rows) + "\n")
    return f"{name}.aedat"


def write(root: Path, users: int = 29, lights: int = 2, seconds: float = 3.0) -> None:
    """Write the whole set below ``root``; the last fifth of fewer people is tested on."""
    folder, length_us = root / "DvsGesture", int(seconds * 1e6)
    first_of_test = FIRST_OF_TEST if users >= FIRST_OF_TEST else users - max(users // 5, 1) + 1
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for user in range(1, users + 1):
        for light in range(lights):
            name = write_file(folder, user, light, length_us)
            lists["train" if user < first_of_test else "test"].append(name)
        print(f"person {user} of {users}", file=sys.stderr, flush=True)
    for part, names in lists.items():
        (folder / f"trials_to_{part}.txt").write_text("".join(f"{name}\n" for name in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--users", type=int, default=29)
    parser.add_argument("--lights", type=int, choices=range(1, len(LIGHTS) + 1), default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    write(options.root, options.users, options.lights, options.seconds)


if __name__ == "__main__":
    main()
