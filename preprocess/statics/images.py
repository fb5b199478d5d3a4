"""Static images: the twins and class partners of the recordings, as planes.

A static image becomes ``(P, H, W)`` uint8: planes R, G, B for photographs, one plane L for
MNIST. Photographs are resized first (Pillow's bilinear filter on RGB, aspect not kept) and
a channel is taken at training time, in the published method's order; the method's V of HSV
is then ``max(R, G, B) / 255``, exactly.

For some data sets the method takes V first: with ``order = "channel-then-resize"`` the planes
are V, R, G, B in [0, 1], float32, V computed at full size and all four resized as tensors.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...data_cards.found import StaticFiles
from ...declared.texts import table_rows
from ...errors import BadFileError, UsageError
from ..disk.files import first_file, read_file
from ..disk.listing import NothingFoundError, Passed, require_folder
from ..framing.resize import resize_bilinear
from .cifar10 import cifar10_batches, read_batch
from .files import find_pictures
from .rgb_hsv import value_of

PLANES = {"images": ("R", "G", "B"), "mnist": ("L",)}
VALUE_PLANES = ("V", "R", "G", "B")
IDX_IMAGES, IDX_LABELS = 0x803, 0x801
MNIST_PIXELS = 28 * 28

_IDX_SETS = {
    "Train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "Test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    "Unpaired": ("images-idx3-ubyte", "labels-idx1-ubyte"),
}
_PARTNERS = "Unpaired"
"""The set whose images are class partners only: nobody knows which digit of MNIST each is."""
_CSV_TWINS = "train_first_100.csv"
_IDX_FOLDERS = (".", "MNIST/raw", "raw")
"""Where the IDX sets lie below ``--static``: in it, or where torchvision puts them."""


@dataclass(frozen=True)
class StaticImage:
    """One static image, not yet decoded.

    Attributes:
        identity: what twins are matched by, such as ``airplanes/image_0001``.
        class_name: its class; empty while only its recording can tell.
        path: the file it lies in.
        pixels: its pixels where the file holds many images, ``(H, W)`` or ``(H, W, 3)`` uint8.
        member: its name in the archive that ``path`` is; empty for a file of its own.
        may_be_twin: the twin rule may match it; False for what its format makes a class partner.
    """

    identity: str
    class_name: str
    path: Path
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    member: str = ""
    may_be_twin: bool = True


@dataclass(frozen=True)
class StaticSet:
    """All static images of a folder, and the files they came from.

    Attributes:
        images: sorted by identity, or by number.
        files: name below ``--static`` → path, of every file that was or will be read.
        planes: names of the planes an image has.
        root: the folder that the pattern of unpacked pictures is below, if there are any.
    """

    images: tuple[StaticImage, ...]
    files: Mapping[str, Path]
    planes: tuple[str, ...]
    root: Path | None = None


def list_statics(
    spec: StaticFiles, folder: Path, number: str = "", passed: Passed | None = None
) -> StaticSet:
    """List the static images of a folder; photographs are not opened yet.

    Args:
        spec: the card's table.
        folder: what the user gave as ``--static``.
        number: the recordings' field that is a whole number, if there is one.
        passed: takes what is passed over, and says whether dead links are.

    Raises:
        UsageError: the folder is missing, or holds no image the card knows.
        BadFileError: an IDX or CSV file is damaged.
    """
    if spec.layout == "mnist":
        return _list_mnist(folder)
    if spec.layout == "cifar10":
        return _list_cifar10(folder)
    found = find_pictures(spec, folder, number, passed)
    images = tuple(StaticImage(f.identity, f.class_name, f.path, member=f.member) for f in found)
    planes = VALUE_PLANES if spec.order == "channel-then-resize" else PLANES["images"]
    planes = PLANES["mnist"] if spec.grey else planes
    alone = next((f for f in found if not f.member), None)
    root = alone.path.parents[alone.file.count("/")] if alone else None
    return StaticSet(images, {f.file: f.path for f in found}, planes, root)


def plane_type(planes: Sequence[str]) -> np.dtype[np.uint8] | np.dtype[np.float32]:
    """Return the type of the planes of these names: real numbers where V is one of them."""
    return np.dtype(np.float32) if tuple(planes) == VALUE_PLANES else np.dtype(np.uint8)


def value_planes(
    source: Image.Image, size: tuple[int, int], *, antialias: bool = False
) -> NDArray[np.float32]:
    """Return V, R, G, B of a picture in [0, 1], ``(4, *size)``: V at full size, then resized."""
    pixels = np.asarray(source.convert("RGB"), np.uint8)
    planes = np.empty((4, *pixels.shape[:2]), np.float32)
    planes[0] = value_of(pixels)
    planes[1:] = pixels.transpose(2, 0, 1) / np.float32(255)
    return resize_bilinear(planes, size, antialias=antialias)


def planes_of(
    source: Image.Image, size: tuple[int, int], fit: str, image: StaticImage
) -> NDArray[np.uint8]:
    """Fit one decoded image to ``(P, H, W)`` uint8.

    Args:
        source: the decoded picture, RGB or L.
        size: ``(H, W)`` of the frames it will be paired with.
        fit: ``stretch`` or ``pad``.
        image: names it in errors.

    Raises:
        BadFileError: the picture is larger than the frame it is to be padded into.
    """
    height, width = size
    if fit == "stretch":
        fitted = source.resize((width, height), Image.Resampling.BILINEAR)
    else:
        if source.height > height or source.width > width:
            raise BadFileError(
                f"{image.path}: image {image.identity} of {source.height} x {source.width} pixels "
                f"does not fit into frames of {height} x {width}; give a larger --size"
            )
        fitted = Image.new(source.mode, (width, height))
        fitted.paste(source, ((width - source.width) // 2, (height - source.height) // 2))
    pixels = np.asarray(fitted, np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _list_cifar10(folder: Path) -> StaticSet:
    """List the pictures of CIFAR-10's batches: class partners, since nobody knows more."""
    images: list[StaticImage] = []
    files: dict[str, Path] = {}
    for name, path in cifar10_batches(folder):
        files[path.relative_to(folder).as_posix()] = path
        images += [
            StaticImage(f"{name}/{number:05d}", label, path, pixels, may_be_twin=False)
            for number, (label, pixels) in enumerate(zip(*read_batch(path), strict=True))
        ]
    return StaticSet(tuple(images), files, PLANES["images"])


def _list_mnist(folder: Path) -> StaticSet:
    """List the digits of the IDX sets and of the twin CSV in a folder."""
    require_folder(folder, "--static")
    images: list[StaticImage] = []
    files: dict[str, Path] = {}
    for name, (image_file, label_file) in _IDX_SETS.items():
        pair = [_find_idx(folder, file) for file in (image_file, label_file)]
        if pair == [None, None]:
            continue
        if pair[0] is None or pair[1] is None:
            missing, there = (image_file, pair[1]) if pair[0] is None else (label_file, pair[0])
            raise UsageError(f"--static {folder}: {missing}[.gz] is missing beside {there}")
        pixels, labels = read_idx(pair[0], IDX_IMAGES, 3), read_idx(pair[1], IDX_LABELS, 1)
        if len(pixels) != len(labels):
            raise BadFileError(
                f"{pair[0]}: {len(pixels)} images, but {len(labels)} labels in {pair[1]}"
            )
        files |= {path.relative_to(folder).as_posix(): path for path in pair if path is not None}
        images += [
            StaticImage(
                f"{name}/{number:05d}", str(label), pair[0], pixel, may_be_twin=name != _PARTNERS
            )
            for number, (pixel, label) in enumerate(zip(pixels, labels, strict=True), 1)
        ]
    twins = first_file([folder / _CSV_TWINS])
    if twins is not None:
        files[twins.name] = twins
        seen = {image.identity for image in images}
        images += [image for image in _csv_digits(twins) if image.identity not in seen]
    if not images:
        raise NothingFoundError(
            f"--static {folder}: no MNIST file found; expected {_IDX_SETS['Train'][0]}[.gz] with "
            f"its labels, {_IDX_SETS['Test'][0]}[.gz] with its labels, or {_CSV_TWINS}"
        )
    images.sort(key=lambda image: image.identity)
    return StaticSet(tuple(images), files, PLANES["mnist"])


def mnist_file(folder: Path) -> Path | None:
    """Return one of the files of digits that a folder holds, None where it holds none."""
    images = (_find_idx(folder, file) for file, _ in _IDX_SETS.values())
    return next((path for path in images if path), first_file([folder / _CSV_TWINS]))


def _find_idx(folder: Path, name: str) -> Path | None:
    """Return an IDX file of MNIST, plain or gzip, also by its dotted name, ``….idx3-ubyte``."""
    names = (name, f"{name}.gz", (dotted := name.replace("-idx", ".idx")), f"{dotted}.gz")
    return first_file(folder / place / each for place in _IDX_FOLDERS for each in names)


def read_idx(path: Path, magic: int, dimensions: int) -> NDArray[np.uint8]:
    """Read one uint8 IDX file, plain or gzip: big-endian magic, sizes, then the values.

    Raises:
        BadFileError: wrong magic number, or fewer or more bytes than the header promises.
    """
    data = read_file(path)
    try:
        data = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise BadFileError(f"{path}: not a whole gzip file: {error}") from error
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise BadFileError(
            f"{path}: {len(data)} bytes, expected at least the {header}-byte IDX header"
        )
    numbers = np.frombuffer(data, ">u4", 1 + dimensions)
    if numbers[0] != magic:
        raise BadFileError(f"{path}: magic number {numbers[0]}, expected {magic} for this IDX file")
    shape = tuple(int(n) for n in numbers[1:])
    if len(data) - header != math.prod(shape):
        raise BadFileError(
            f"{path}: {len(data) - header} bytes after the header, expected "
            f"{' x '.join(map(str, shape))} = {math.prod(shape)}"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _csv_digits(path: Path) -> Iterator[StaticImage]:
    """Yield the digits of a CSV whose rows are a label, then 784 pixels; row N is Train N."""
    try:
        rows = table_rows(read_file(path))
    except ValueError as error:
        raise BadFileError(f"{path}: {error}") from error
    for number, row in enumerate(rows, 1):
        digits = all(value.isascii() and value.isdigit() for value in row)
        if len(row) != 1 + MNIST_PIXELS or not digits:
            raise BadFileError(
                f"{path}: row {number} has {len(row)} values, expected a label and "
                f"{MNIST_PIXELS} pixels, all whole numbers"
            )
        values = [int(value) for value in row[1:]]
        if max(values) > 255:
            raise BadFileError(f"{path}: row {number} holds {max(values)}, expected 0 to 255")
        pixels = np.array(values, np.uint8).reshape(28, 28)
        yield StaticImage(f"Train/{number:05d}", row[0], path, pixels)


def by_class(images: Sequence[StaticImage]) -> dict[str, list[int]]:
    """Return positions of the images of each class."""
    positions: dict[str, list[int]] = {}
    for position, image in enumerate(images):
        positions.setdefault(image.class_name, []).append(position)
    return positions
